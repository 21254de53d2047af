import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, noise, tone

from mss_shared import audio
from mss_shared.cli import evaluate as verbs
from mss_shared.cli import run, scoring, train
from mss_shared.datasets import plugins
from mss_shared.recipe import find_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.run_folder import owned

FIT = ["fit", "--recipe", "demo", "--data_root", "X", "--out", "OUT"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture(scope="module")
def trained(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    run(PAPER, ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", str(out)])
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run, expect exit code 2, return the one sentence on stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run(PAPER, [str(word) for word in words])
    assert end.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "tiny-paper" in line]
    assert len(lines) == 1 and "Traceback" not in lines[0]
    return lines[0]


def test_the_demo_leaves_model_stems_scores_and_prints_the_table(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    run(PAPER, ["demo", "--data_root", str(songs), "--out", str(out)])
    printed = capsys.readouterr().out
    for method in ("tiny_paper", "mixture", "irm", "mwf"):
        assert printed.count(f"\n{method} ") == 3
    assert "SDR in dB, bsseval_v4.vocals+drums@1" in printed and "SI-SDR in dB, si_sdr@1" in printed
    assert (out / "model.safetensors").is_file()
    assert {path.name for path in (out / "stems" / "test-0").iterdir()} == {
        "vocals.wav",
        "drums.wav",
    }
    [record] = (out / "scores").glob("*/tiny_paper/demo-seed0/run.json")
    assert json.loads(record.read_text())["training"]["steps"] == 8
    run(PAPER, ["demo", "--data_root", str(songs), "--out", str(out)])  # made anew
    assert not (out / ".demo.lock").exists()
    # What someone has put there since, and a run that goes on, stay.
    for name in ("notes.txt", "fit2"):
        (out / name).mkdir()
        said = refused(capsys, "demo", "--data_root", songs, "--out", out)
        assert f"holds '{name}', which no demo made" in said
        assert (out / "model.safetensors").is_file()
        (out / name).rmdir()
    with owned(out, ".demo.lock"):
        said = refused(capsys, "demo", "--data_root", songs, "--out", out)
    assert "is in use by" in said and (out / "model.safetensors").is_file()


def test_the_demo_leaves_a_folder_of_others_alone(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    said = refused(capsys, "demo", "--data_root", songs, "--out", tmp_path)
    assert "is not empty and no run of demo" in said and (tmp_path / "thesis.txt").is_file()


def test_the_demo_leaves_a_run_of_fit_alone_though_of_its_recipe(
    songs: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(trained.iterdir())
    said = refused(capsys, "demo", "--data_root", songs, "--out", trained)
    assert "no run of demo: choose another --out" in said and sorted(trained.iterdir()) == before


def test_fit_trains_in_no_folder_of_a_demo_which_would_remove_it(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a demo leaves it that is killed before its training begins."""
    (tmp_path / "demo.txt").write_text("tiny-paper demo")
    said = refused(
        capsys, "fit", "--recipe", "demo", "--data_root", songs, "--out", tmp_path, "--dev_mode"
    )
    assert "is a folder of demo" in said and [*tmp_path.iterdir()] == [tmp_path / "demo.txt"]


def test_evaluate_writes_a_score_folder(songs: Path, trained: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--checkpoint", trained, "--data_root", songs, "--scores", tmp_path]
    run(PAPER, [str(word) for word in [*words, "--protocol", "usdr", "--run", "mine"]])
    [record] = tmp_path.glob("*/tiny_paper/mine/run.json")
    found = json.loads(record.read_text())
    assert list(found["protocols"]) == ["usdr"]
    assert (
        found["weights"]["digest"]
        == json.loads((trained / "run.json").read_text())["weights_digest"]
    )
    assert [path.name for path in record.parent.rglob("test/*")] == ["test-0.json"]


def test_what_a_model_leaves_of_the_mixture_is_scored_as_one_more_stem(
    songs: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone"
    words = ["--recipe.model.stems", "[vocals]", "--out", str(alone), "--dev_mode"]
    run(PAPER, ["fit", "--recipe", "demo", "--data_root", str(songs), *words])
    common = ["evaluate", "--data_root", str(songs), "--protocol", "usdr"]
    common += ["--scores", str(tmp_path), "--estimates", str(tmp_path / "made")]
    run(PAPER, [*common, "--checkpoint", str(alone), "--remainder", "drums"])
    [record] = tmp_path.glob("*/tiny_paper/demo-seed*-remainder-drums/run.json")
    assert json.loads(record.read_text())["stems"] == ["vocals", "drums"]
    made = {path.stem: audio.read(path) for path in (tmp_path / "made" / "test-0").glob("*")}
    [song] = (songs / "test").iterdir()
    mixture = sum(audio.read(song / f"{stem}.wav") for stem in STEMS)
    np.testing.assert_allclose(sum(made.values()), mixture, atol=1e-6)
    said = refused(capsys, *common, "--checkpoint", trained, "--remainder", "drums")
    assert "--remainder drums: the model estimates drums itself" in said


def test_evaluate_cuts_songs_as_asked(
    songs: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def estimator(method: Any, checkpoints: Any, model: Any, inference: Any, **_: Any) -> Any:
        seen.append(inference)
        raise ValueError("enough")

    monkeypatch.setattr(verbs, "model_estimator", estimator)
    words = ["evaluate", "--checkpoint", trained, "--data_root", songs]
    flags = {"chunk_seconds": 0.5, "overlap": 0.0, "context_seconds": 0.125}
    words += [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
    with pytest.raises(SystemExit):
        run(PAPER, [str(word) for word in words])
    assert {name: getattr(seen[0], name) for name in flags} == flags


def score_words(songs: Path, trained: Path, root: Path, *words: str) -> list[str]:
    common = ["evaluate", "--checkpoint", str(trained), "--data_root", str(songs)]
    return [*common, "--scores", str(root), "--protocol", "usdr", *words]


def recorded(root: Path) -> dict[str, dict[str, Any]]:
    """Run to its record, of the models alone."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in root.glob("*/tiny_paper/*/run.json")
    }


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (["--overlap", "0.25"], "-overlap-0.25"),
        (["--chunk_seconds", "0.4"], "-chunk_seconds-0.4"),
        (["--overlap", "0.0", "--context_seconds", "0.125"], "-overlap-0.0-context_seconds-0.125"),
    ],
)
def test_another_cutting_is_a_variant_of_its_own_name(
    songs: Path, trained: Path, tmp_path: Path, words: list[str], suffix: str
) -> None:
    run(PAPER, score_words(songs, trained, tmp_path))
    run(PAPER, score_words(songs, trained, tmp_path, *words))
    found = recorded(tmp_path)
    assert set(found) == {"demo-seed0", f"demo-seed0{suffix}"}
    assert found["demo-seed0"]["verbatim"] is True
    assert found[f"demo-seed0{suffix}"]["verbatim"] is False
    run(PAPER, score_words(songs, trained, tmp_path, "--overlap", "0.5"))  # as the recipe says
    assert set(recorded(tmp_path)) == set(found)


def test_scores_of_other_weights_are_replaced_only_on_request(
    songs: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    words = ["--recipe.training.lr", "0.001", "--out", str(other)]
    run(PAPER, ["fit", "--recipe", "demo", "--data_root", str(songs), *words])
    root = tmp_path / "scores"
    run(PAPER, score_words(songs, trained, root, "--run", "mine"))
    before = recorded(root)
    said = refused(capsys, *score_words(songs, other, root, "--run", "mine"))
    assert "give this run another name with --run, or replace them with --overwrite" in said
    assert recorded(root) == before
    run(PAPER, score_words(songs, other, root, "--run", "mine", "--overwrite"))
    assert recorded(root)["mine"]["verbatim"] is False
    run(PAPER, score_words(songs, other, root))
    assert [name for name in recorded(root) if name.startswith("demo-seed0-variant-")]


def test_a_joined_row_is_the_same_in_any_order_and_records_both(
    songs: Path, tmp_path: Path
) -> None:
    outs = []
    for stem, lr in (("vocals", "0.005"), ("drums", "0.001")):
        outs.append(str(tmp_path / stem))
        words = ["--recipe.model.stems", f"[{stem}]", "--recipe.training.lr", lr]
        fit = ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", outs[-1]]
        run(PAPER, [*fit, *words, "--dev_mode"])
    roots = tmp_path / "one", tmp_path / "two"
    for root, order in zip(roots, (outs, outs[::-1]), strict=True):
        run(PAPER, score_words(songs, order[0], root, "--checkpoint", *order))
    [one], [two] = (recorded(root).values() for root in roots)
    assert one["verbatim"] is False and len(one["models"]) == 2
    for field in ("run", "recipe", "recipe_digest", "models", "training", "weights", "inputs"):
        assert one[field] == two[field]
    commands = [model["origin"]["command"] for model in one["models"]]
    assert "vocals" in commands[0] and "drums" in commands[1]
    assert not [word for word in " ".join([*commands, one["command"]]).split() if word[0] == "/"]


def test_a_recipe_may_say_how_weights_of_the_same_training_are_cut(
    songs: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sibling = tmp_path / "centre.yaml"
    text = find_recipe("tiny_paper", "demo").read_text(encoding="utf-8")
    sibling.write_text(text.replace("overlap: 0.5", "overlap: 0.0"), encoding="utf-8")
    run(PAPER, score_words(songs, trained, tmp_path, "--recipe", str(sibling)))
    [(name, record)] = recorded(tmp_path).items()
    assert name == "centre-seed0" and record["settings"]["inference"]["overlap"] == 0.0
    sibling.write_text(text.replace("width: 4", "width: 5"), encoding="utf-8")
    said = refused(capsys, *score_words(songs, trained, tmp_path, "--recipe", str(sibling)))
    assert "the recipe centre has width=5" in said and "was trained by demo with 4" in said


@pytest.mark.parametrize(("old", "verbatim"), [("epochs: 4", False), ("overlap: 0.5", None)])
def test_weights_are_verbatim_under_a_recipe_of_the_same_training_alone(
    songs: Path, trained: Path, tmp_path: Path, old: str, verbatim: bool | None
) -> None:
    sibling = tmp_path / "centre.yaml"
    text = find_recipe("tiny_paper", "demo").read_text(encoding="utf-8")
    sibling.write_text(text.replace(old, f"{old.partition(':')[0]}: 0"), encoding="utf-8")
    run(PAPER, score_words(songs, trained, tmp_path, "--recipe", str(sibling)))
    [record] = recorded(tmp_path).values()
    assert record["verbatim"] is verbatim


@pytest.mark.parametrize("publish", [False, True])
def test_scores_of_private_songs_are_published_only_on_request(
    songs: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: bool
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "papers.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    built: list[Any] = []

    def build(words: list[str], **_: Any) -> Any:
        built.append(words)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(scoring, "subprocess", SimpleNamespace(run=build))
    words = ["evaluate", "--checkpoint", str(trained), "--data_root", str(songs)]
    run(PAPER, [*words, "--protocol", "usdr", *(["--publish"] if publish else [])])
    assert bool(recorded(Path("results/scores"))) is publish
    assert bool(recorded(Path("scores"))) is not publish
    assert [words[-1] for words in built] == ["build"] * publish


@pytest.mark.parametrize(
    "rate, channels, samples", [(8000, 2, 999), (44_100, 1, 1), (11_025, 1, 5001)]
)
def test_a_file_comes_back_in_its_own_form(
    rate: int, channels: int, samples: int, trained: Path, tmp_path: Path
) -> None:
    audio.write(tmp_path / "song.flac", 0.5 * noise(1, channels, samples), rate, "PCM_24")
    words = [tmp_path / "song.flac", "--checkpoint", trained, "--out", tmp_path / "out"]
    run(PAPER, [str(word) for word in words])
    for stem in STEMS:
        about = audio.info(tmp_path / "out" / "song" / f"{stem}.flac")
        assert (about.sample_rate, about.channels, about.samples) == (rate, channels, samples)
        assert about.subtype == "PCM_24"


def test_one_bad_file_does_not_stop_the_others(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "c"):
        audio.write(tmp_path / f"{name}.wav", tone(200.0), RATE)
    (tmp_path / "b.wav").write_text("no sound")
    inputs = [tmp_path / f"{name}.wav" for name in "abc"]
    said = refused(capsys, "separate", *inputs, "--checkpoint", trained, "--out", tmp_path / "out")
    assert "b.wav is not a readable sound file" in said
    assert said.startswith("tiny-paper: error: 1 of 3 songs failed: ")
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*/")) == ["a", "c"]


def test_two_files_of_one_name_do_not_overwrite_each_other(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ("a/song.wav", "b/song.flac", "b/song.wav")
    for place in places:
        audio.write(tmp_path / place, tone(200.0), RATE)
    inputs = [tmp_path / place for place in places]
    said = refused(capsys, "separate", *inputs, "--checkpoint", trained, "--out", tmp_path / "out")
    assert "1 of 3 songs failed: " in said
    assert "song.flac and" in said and "would both be written to" in said
    made = sorted(path.parent.parent.name for path in (tmp_path / "out").rglob("vocals.*"))
    assert made == ["a", "b"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["fit", "--recipe", "demo", "--data_root", "NONE"], "error: there is no folder /"),
        (["fit", "--recipe", "nope", "--data_root", "demo"], "there is no recipe 'nope'"),
        (["fit", "--recipe", "demo", "--data_root", "demo:huge"], "choose demo:tiny"),
        (["fit", "--recipe", "demo", "--data_root", "X", "--dat", "3"], "fit --help"),
        (["fit", "--recipe", "demo", "--data_root", "X", "--recipe.model.widht", "3"], "widht"),
        (["fit", "--recipe", "demo", "--data_root", "X", "--recipe.model.width"], "needs a value"),
        (["fit", "--recipe", "demo", "--data_root", "X", "--recipe.model.width", "x"], "width"),
        ([*FIT, "--recipe.training.batch", "0"], "training.batch is 0: give at least 1"),
        ([*FIT, "--recipe.training.epochs", "0"], "training.epochs is 0: give at least 1"),
        ([*FIT, "--recipe.training.precision", "fp8"], "precision is 'fp8': choose from 32-true"),
        (
            [*FIT, "--recipe.training.keep", "all"],
            "training.keep is 'all': choose from best, best_sdr, last",
        ),
        ([*FIT, "--recipe.evaluation.protocols", "[sdr]"], "protocols: there is no protocol 'sdr'"),
        ([*FIT, "--recipe.evaluation.protocols", "[]"], "no protocol is named: choose from"),
        ([*FIT, "--recipe.inference.edges", "wrap"], "recipe's inference: edges is 'wrap': choose"),
        ([*FIT, "--recipe.data.stems", "[vocals]"], "the model estimates drums, data.stems are"),
        (["separate", "X", "--checkpoint", "nope"], "there is no checkpoint nope"),
        (["separate", "x.wav", "--checkpoint", "nope"], "there is no file x.wav"),
        (["evaluate", "--checkpoint", "nope", "--data_root", "demo"], "there is no checkpoint"),
        (["separate", "--checkpoint", "nope"], "no inputs: name"),
        (["fti"], "invalid choice: 'fti'"),
        ([], "required: VERB"),
    ],
)
def test_what_the_user_got_wrong_is_one_sentence(
    words: list[str],
    message: str,
    songs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"X": str(songs), "OUT": str(tmp_path / "out"), "NONE": str(tmp_path / "none")}
    assert message in refused(capsys, *[places.get(word, word) for word in words])


SONGS = "./shared/demo_songs, in the repository"


@pytest.mark.parametrize(
    ("words", "missing", "commands"),
    [
        (["fit", "--recipe", "demo", "--data_root", "X"], "L", '"mss-shared[train]"'),
        (["demo", "--data_root", "X"], "L", '"mss-shared[train]"'),
        (["demo"], "S", SONGS),
        (["fit", "--recipe", "demo", "--data_root", "demo:tiny"], "S", SONGS),
        (["demo"], "LS", f'"mss-shared[train]" {SONGS}'),
    ],
)
def test_what_training_lacks_is_one_sentence_with_one_command(
    words: list[str],
    missing: str,
    commands: str,
    songs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "L" in missing:
        find_spec = train.importlib.util.find_spec
        monkeypatch.setattr(
            train.importlib.util,
            "find_spec",
            lambda name, *rest: None if name == "lightning" else find_spec(name, *rest),
        )
    if "S" in missing:
        monkeypatch.setattr(plugins, "entry_points", lambda **_: ())
    said = refused(capsys, *[str(songs) if word == "X" else word for word in words])
    assert said.endswith(f"needs packages that are not installed: pip install {commands}")


def test_a_faulty_recipe_file_names_its_key(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.yaml").write_text("reproduces: null\ncolour: red\n")
    said = refused(capsys, "fit", "--recipe", tmp_path / "x.yaml", "--data_root", songs)
    assert "unknown key colour" in said


def test_faulty_data_is_named(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = ["evaluate", "--checkpoint", trained, "--scores", tmp_path / "s", "--data_root"]
    root = make_dataset(tmp_path / "rate", STEMS, (16_000, 2), train=1, seconds=0.5)
    assert "2 channels at 16000 Hz, the model takes 2 at 8000 Hz" in refused(
        capsys, *evaluate, root
    )
    root = make_dataset(tmp_path / "stem", ("vocals",), (RATE, 2), train=1, seconds=0.5)
    assert "has no drums.wav" in refused(capsys, *evaluate, root)
    root = make_dataset(tmp_path / "bad", STEMS, (RATE, 2), train=1, seconds=0.5)
    (root / "test" / "test-0" / "vocals.wav").write_bytes(b"RIFFgarbage")
    assert "vocals.wav is not a readable sound file" in refused(capsys, *evaluate, root)
    assert not (tmp_path / "s").exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio.write(tmp_path / "song.wav", tone(200.0), RATE)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    words = ["separate", tmp_path / "song.wav", "--checkpoint", trained, "--out", tmp_path / "out"]
    assert "no space left on the disk of" in refused(capsys, *words)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_stem_beyond_full_scale_is_written_in_float(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from tiny_paper.model import TinyMask

    monkeypatch.setattr(
        TinyMask, "forward", lambda self, mixture: mixture[:, None].repeat(1, 2, 1, 1) * 3
    )
    audio.write(tmp_path / "song.wav", tone(200.0), RATE)
    words = ["separate", tmp_path / "song.wav", "--checkpoint", trained, "--out", tmp_path / "out"]
    run(PAPER, [str(word) for word in words])
    assert "exceeds full scale: written as 32-bit float" in capsys.readouterr().out
    found = audio.read(tmp_path / "out" / "song" / "vocals.wav")
    assert np.abs(found).max() == pytest.approx(1.5, abs=0.01)


HELP = """
import sys
from tiny_paper.paper import PAPER
from mss_shared.cli import run
from mss_shared.cli.main import VERBS
for words in (["--help"], *([verb, "--help"] for verb in VERBS)):
    try:
        run(PAPER, words)
    except SystemExit as end:
        assert end.code == 0, words
    assert "torch" not in sys.modules, words
"""


def test_help_of_every_verb_needs_no_torch() -> None:
    """Held for the verbs of real packages by check_package as well."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: tiny-paper") == 12
