"""The commands of the pages for users run as they stand there, in order, on songs of ours."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
from tiny_songs import noise

from mss_shared import audio
from mss_shared.testing import make_dataset

for needed in ("moises_light", "mss_results", "mss_demo_songs"):
    pytest.importorskip(needed, reason="a package of the repository")

from command_pages import find_commands  # noqa: E402

ROOT = Path(__file__).parents[3]
COMMANDS = find_commands(ROOT)
STEMS = ("vocals", "drums", "bass", "other")


def run_page(name: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the lines of a page's blocks of commands; pip's need a network. Returns their number."""
    text = (ROOT / "shared" / "docs" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    lines = [line for line in lines if not line.startswith("pip install ")]
    for line in lines:
        words = shlex.split(line)
        module, _, function = COMMANDS[words[0]].partition(":")
        monkeypatch.setattr(sys, "argv", words)
        try:
            code = getattr(importlib.import_module(module), function)()
        except SystemExit as end:
            code = end.code
        assert not code, line
    return len(lines)


def test_the_tutorial_trains_separates_scores_and_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    audio.write(tmp_path / "song.flac", noise(0, samples=44_100), 44_100)
    assert run_page("tutorial", monkeypatch) == 8
    assert {path.name for path in (tmp_path / "runs/first").iterdir()} >= {
        *("model.safetensors", "metrics.csv", "run.json")
    }
    assert {path.name for path in (tmp_path / "stems/song").iterdir()} == {
        f"{stem}.flac" for stem in STEMS
    }
    assert (tmp_path / "boards/site/index.html").is_file()
    said = capsys.readouterr().out
    assert "demo_tiny, si_sdr@1" in said and "Variants" in said
    means = {
        (metric, row): float(value)
        for metric, table in re.findall(
            r"^(\S+) in dB, \S+@1\n(.*?)\n\n", said + "\n\n", re.M | re.S
        )
        for row, value in re.findall(r"^(\w+) .* (-?[\d.]+)$", table, re.MULTILINE)
    }
    assert means["uSDR", "moises_light"] > means["uSDR", "mixture"]
    assert means["SI-SDR", "moises_light"] < means["SI-SDR", "mixture"]


def test_a_data_set_of_ones_own_is_checked_heard_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "mine", STEMS, seconds=2.0)
    for folder in (tmp_path / "mine" / "test").iterdir():
        for stem in STEMS:
            estimate = 0.9 * audio.read(folder / f"{stem}.wav")
            audio.write(tmp_path / "my_stems" / folder.name / f"{stem}.wav", estimate, 44_100)
    assert run_page("add_your_data", monkeypatch) == 6
    assert (tmp_path / "boards/site/index.html").is_file()
