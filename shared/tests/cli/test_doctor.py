"""``doctor``: versions, devices, missing extras with their commands, hosts; nearest flags."""

import json
import urllib.error
import urllib.request
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, noise

from mss_shared import audio
from mss_shared.checkpoints.published import Published
from mss_shared.cli import doctor, loading, run

ROOT = Path(__file__).parents[3]
HERE = {"mss-demo-songs": "./shared/demo_songs", "mss-results": "./results"}
HOST = "https://weights.example/a.pth"


@pytest.fixture
def published(monkeypatch, tmp_path):
    """One published file, whose cache is a folder of the test's."""
    entry = Published(HOST, 1, None, "MIT", None)
    monkeypatch.setattr(doctor, "read_published", lambda package: {"a": (entry,)})
    monkeypatch.setattr(doctor, "cache_path", lambda entry: tmp_path / "cache" / "a.pth")
    return tmp_path / "cache"


def printed(capsys, *words: str) -> str:
    run(PAPER, ["doctor", *words])
    return capsys.readouterr().out


def test_it_says_versions_devices_extras_and_weights(published, capsys):
    text = printed(capsys, "--offline")
    assert f"torch {metadata.version('torch')}" in text
    assert "device cpu: " in text and " GB free" in text
    assert f"weights: 0 of 1 published files in {published}" in text
    assert "network" not in text
    extras = doctor.examine(PAPER, online=False)["extras"]
    ours = {row["name"] for row in extras if row["name"].startswith("mss-shared[")}
    assert {row["name"] for row in extras if not row["for"]} & ours <= {"mss-shared[separate]"}
    published.mkdir()
    (published / "a.pth").write_bytes(b"")
    assert "weights: 1 of 1 published files" in printed(capsys, "--offline")


def test_a_gpu_that_torch_does_not_see_is_told(published, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    sentence = f"an NVIDIA driver is here, which this torch ({metadata.version('torch')}) can't use"
    for driver in (None, "/usr/bin/nvidia-smi"):
        monkeypatch.setattr(doctor.shutil, "which", lambda name, driver=driver: driver)
        said = printed(capsys, "--offline")
        assert (sentence in said) == (driver is not None)
        assert ("not on the path: ffmpeg, ffprobe (" in said) == (driver is None)


def test_json_is_alone(published, capsys):
    found = json.loads(printed(capsys, "--offline", "--json"))
    assert found["devices"][0]["name"] == "cpu" and found["weights"]["published"] == 1


def test_an_extra_lists_what_it_lacks_through_other_extras_of_ours(monkeypatch, capsys):
    known = {
        "mss-tiny": ["mss-shared[train]; extra == 'train'"],
        "mss-shared": [
            "numpy>=2",
            "mss-shared[inner]; extra == 'outer'",
            'absent>=1; extra == "inner"',
            "lightning; extra == 'train'",
        ],
    }
    extras = {"mss-tiny": ["train"], "mss-shared": ["inner", "outer", "empty", "train"]}

    def version(name: str) -> str:
        if name in known:
            return "1.0"
        raise metadata.PackageNotFoundError(name)

    class Described:
        def __init__(self, name: str) -> None:
            self.name = name

        def get_all(self, field: str) -> list[str] | None:
            return extras.get(self.name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", known.get)
    monkeypatch.setattr(metadata, "metadata", Described)
    monkeypatch.setattr(doctor, "_distributions", lambda command: ("mss-tiny", "mss-shared", *HERE))
    text = printed(capsys, "--offline")
    assert 'not installed: mss-shared[inner]: pip install "mss-shared[inner]"' in text
    assert 'not installed: mss-shared[outer]: pip install "mss-shared[outer]"' in text
    assert "extras installed: mss-shared[empty]\n" in text
    assert 'not installed: mss-shared[train], for fit: pip install "mss-shared[train]"\n' in text
    assert "mss-tiny[train]" not in text  # the same once more
    for package, folder in HERE.items():  # no index has these
        assert f"not installed: {package}, for " in text and f": pip install {folder}\n" in text
        assert (ROOT / folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            urllib.error.URLError("no network"),
            "no answer from weights.example: is there a network?",
        ),
        (TimeoutError(), "no answer from weights.example"),
        (
            urllib.error.HTTPError(HOST, 404, "nothing at /", Message(), None),
            "weights can be fetched from weights.example",
        ),
    ],
)
def test_a_host_that_answers_with_an_error_of_its_own_is_in_reach(
    published, monkeypatch, capsys, answer, sentence
):
    def urlopen(request, timeout):
        assert (request.host, request.get_method()) == ("weights.example", "HEAD")
        raise answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert sentence in printed(capsys)


def test_a_cache_that_can_not_be_written_is_said(published, monkeypatch, capsys):
    monkeypatch.setattr(doctor.os, "access", lambda folder, mode: False)
    assert f"weights can't be fetched: {published} can't be written" in printed(capsys, "--offline")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["separate", "x.wav", "--checkpoint", "c", "--losless"],
            "--losless, did you mean --lossless?",
        ),
        (["fit", "--recipe", "demo", "--data_rot=x"], "--data_rot=x, did you mean --data_root?"),
        (["fit", "--recipe", "demo", "--lr", "1"], ": --lr, did you mean --recipe.training.lr?"),
        (["fit", "--recipe", "demo", "--epochs=3"], ", did you mean --recipe.training.epochs?"),
        (["fit", "--recipe", "demo", "--batch_size=3"], "did you mean --recipe.training.batch?"),
        (["fit", "--recipe", "demo", "--zzzzz"], "unrecognized argument: --zzzzz: see "),
    ],
)
def test_an_unknown_flag_names_the_nearest(capsys, words, sentence):
    with pytest.raises(SystemExit) as ended:
        run(PAPER, words)
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


def test_without_weights_a_song_is_told_what_exists_and_that_demo_makes_some(
    monkeypatch, tmp_path, capsys
):
    song = tmp_path / "song.wav"
    audio.write(song, noise(0), RATE)

    def refused() -> str:
        with pytest.raises(SystemExit) as ended:
            run(PAPER, [str(song), "--out", str(tmp_path / "out")])
        assert ended.value.code == 2
        return capsys.readouterr().err

    said = refused()
    assert "no weights are named: give --checkpoint a run folder or a weights file" in said
    assert "(none are published for this paper), or let tiny-paper demo train" in said
    entry = Published(HOST, 1, None, "MIT", None)
    monkeypatch.setattr(loading, "read_published", lambda package: {"first": (entry,)})
    assert "or one of the published first, or let tiny-paper demo" in refused()


def test_weights_that_can_not_be_fetched_are_no_dead_end(monkeypatch, tmp_path, capsys):
    def unreachable(*about):
        raise FileNotFoundError("first can't be downloaded")

    monkeypatch.setattr(PAPER, "default_checkpoint", "first")
    monkeypatch.setattr(loading, "load_checkpoints", unreachable)
    song = tmp_path / "song.wav"
    audio.write(song, noise(0), RATE)
    for words, told in (
        ([], True),
        (["--checkpoint", "first"], True),
        (["--checkpoint", "x"], False),
    ):
        with pytest.raises(SystemExit):
            run(PAPER, [str(song), "--out", str(tmp_path / "out"), *words])
        assert ("or let tiny-paper demo train" in capsys.readouterr().err) == told


def test_the_help_of_a_command_lists_its_verbs_once_and_ends_with_examples(capsys):
    with pytest.raises(SystemExit):
        run(PAPER, ["--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: tiny-paper [-h] VERB ...\n")
    assert "{demo,fit" not in text and "\n    import-weights\n" in text
    assert (
        "examples:\n\n  tiny-paper demo\n  tiny-paper song.wav --checkpoint demo_run --out" in text
    )
    assert text.rstrip().endswith("recipes: demo, row_drums, row_vocals")


@pytest.mark.parametrize("verb", ["fit", "separate", "evaluate"])
def test_the_help_of_the_long_verbs_is_grouped_and_ends_with_examples(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        run(PAPER, [verb, "--help"])
    text = capsys.readouterr().out
    assert text.startswith(f"usage: tiny-paper {verb} ") and len(text.splitlines()[0]) < 100
    assert "\nsongs:\n" in text and f"examples:\n\n  tiny-paper {verb} " in text
    assert len(text.splitlines()) <= 100  # two screens
