"""The verb card: a folder with weights, settings, scores under their protocols, and tracks."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_paper.paper import PAPER
from tiny_songs import RATE

from mss_shared.checkpoints import load_checkpoint
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.cli import run
from mss_shared.front import Evaluated, Fitted, Front
from mss_shared.hub import save_pretrained
from mss_shared.hub.card import _cell
from mss_shared.testing import make_dataset

FRONT = Front(PAPER)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Evaluated, Path]:
    """A run, its scores, and the root of these."""
    folder = tmp_path_factory.mktemp("card")
    root = make_dataset(folder / "songs", ("vocals", "drums"), (RATE, 2), seconds=1.5)
    fitted = FRONT.fit("demo", root, folder / "run", device="cpu", workers=0)
    scores = folder / "scores"
    scored = FRONT.evaluate(folder / "run", root, scores=scores, protocol=["bsseval_v4", "usdr"])
    # Of a changed setting: no score of the model as it is.
    FRONT.evaluate(folder / "run", root, scores=scores, protocol="csdr", overlap=0.0)
    return fitted, scored, scores


def card(*words: Any) -> None:
    run(PAPER, ["card", *map(str, words)])


def read(out: Path) -> tuple[dict[str, Any], str]:
    """The metadata and the text of a README."""
    _, front, text = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_card_has_the_scores_and_the_tracks(
    made: tuple[Fitted, Evaluated, Path], tmp_path: Path, capsys: Any
) -> None:
    fitted, scored, scores = made
    card(fitted.folder, "--out", tmp_path / "hub", "--scores", scores, "--licence", "mit")
    assert "scores: songs bsseval_v4.vocals+drums@1, songs usdr@1" in capsys.readouterr().out
    front, text = read(tmp_path / "hub")
    assert (front["license"], front["library_name"]) == ("mit", "mss-shared")
    [model] = front["model-index"]
    assert model["name"] == "tiny-paper-demo"
    found = {
        (metric["args"]["protocol"], metric["args"]["stem"], metric["type"]): metric["value"]
        for result in model["results"]
        for metric in result["metrics"]
    }
    expected = {
        (protocol, stem, name.lower()): round(value, 3)
        for protocol, stems in scored.scores.items()
        for stem, values in stems.items()
        for name, value in values.items()
    }
    assert found.keys() == expected.keys() and len(found) == 10
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=0.0011), key
    tracks = fitted.record["tracks"] if "tracks" in fitted.record else ["train-0", "train-1"]
    assert all(track in text for track in tracks)
    assert "Of the weights: mit." in text and "1 tracks, protocol usdr@1" in text


def test_a_card_is_a_checkpoint_without_commands_and_machines(
    made: tuple[Fitted, Evaluated, Path], tmp_path: Path
) -> None:
    fitted, _, _ = made
    card(fitted.folder, "--out", tmp_path / "hub")
    ours, theirs = (
        load_checkpoint(PAPER, str(folder)) for folder in (fitted.folder, tmp_path / "hub")
    )
    assert ours.training == theirs.training and ours.verbatim == theirs.verbatim is True
    assert ours.origin is not None and ours.origin["command"]
    assert theirs.origin == {**ours.origin, "command": None, "machine": None}
    header = read_weights_file(tmp_path / "hub" / "model.safetensors", lambda *_: None).header
    assert str(fitted.folder.parent) not in json.dumps(header)
    front, text = read(tmp_path / "hub")
    assert front["license"] == "unknown" and "Of the weights: not stated." in text


def test_the_snippet_of_a_card_runs(made: tuple[Fitted, Evaluated, Path], tmp_path: Path) -> None:
    card(made[0].folder, "--out", tmp_path / "hub")
    _, text = read(tmp_path / "hub")
    code = text.partition("```python\n")[2].partition("```")[0]
    assert "from tiny_paper import load\n\nseparator = load(" in code


def test_what_is_there_is_never_overwritten(
    made: tuple[Fitted, Evaluated, Path], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "hub").mkdir()
    for words, sentence in (
        ((made[0].folder, "--out", tmp_path / "hub"), "already exists: choose another folder"),
        ((tmp_path / "none", "--out", tmp_path / "x"), "there is no checkpoint"),
        ((made[0].folder, "--out", tmp_path / "x", "--push", "no"), "names no repository"),
        ((made[0].folder, "--out", tmp_path / "x", "--title", "a b"), "the title is 'a b'"),
    ):
        with pytest.raises(SystemExit) as end:
            card(*words)
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_on_a_full_disk_the_users_own_name_is_said(
    made: tuple[Fitted, Evaluated, Path], tmp_path: Path, capsys: Any
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(SystemExit):
            card(made[0].folder, "--out", tmp_path / "hub")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"error: {tmp_path}/hub/model.safetensors is too large" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_scores_of_other_weights_are_left_out(
    made: tuple[Fitted, Evaluated, Path], tmp_path: Path
) -> None:
    fitted, _, scores = made
    other = FRONT.load(None, recipe="demo", device="cpu").model
    save_pretrained(PAPER, other, tmp_path / "other")
    card(tmp_path / "other", "--out", tmp_path / "hub", "--scores", scores)
    front, text = read(tmp_path / "hub")
    assert "model-index" not in front and "No score folder with these weights was found." in text
    assert "It is not known which tracks the model was trained on." in text


def test_names_from_files_are_plain_text() -> None:
    assert _cell("Artist - Song") == r"Artist \- Song"
    assert _cell("[x](http://y) <b>") == r"\[x\]\(http://y\) \<b\>"
    assert "\n" not in _cell("a\n# b")
    assert _cell("train-0") == "train-0"
