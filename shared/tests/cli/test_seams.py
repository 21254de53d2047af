"""The verb from the command line: a table, or JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, demo_recipe, noise

from mss_shared import audio
from mss_shared.cli import run


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Of a model whose estimates depend on four samples on either side."""
    torch.manual_seed(0)
    model = PAPER.build_model(demo_recipe().recipe)
    torch.save(model.state_dict(), tmp_path / "x.pth")
    audio.write(tmp_path / "song.wav", noise(0, samples=2 * RATE), RATE, "FLOAT")
    common = f"seams {tmp_path}/song.wav --checkpoint {tmp_path}/x.pth --recipe demo"
    return [*common.split(), "--contexts", "0", "0.01"]


def test_context_that_covers_what_a_model_hears_leaves_no_seam(
    words: list[str], capsys: Any
) -> None:
    run(PAPER, [*words, "--overlap", "0", "--json"])
    [song] = json.loads(capsys.readouterr().out)
    without, with_context = song["contexts"]
    assert song["song"].endswith("song.wav")
    assert (without["context_seconds"], with_context["context_seconds"]) == (0.0, 0.01)
    # Zeros instead of four samples on either side of a chunk are heard; rounding is not.
    assert without["worst_db"] < 100.0
    assert with_context["worst_db"] is None or with_context["worst_db"] > 120.0


def test_the_table_has_a_line_per_context(words: list[str], capsys: Any) -> None:
    run(PAPER, [*words, "--chunk_seconds", "0.25"])
    out = capsys.readouterr().out
    assert "chunks of 0.25 s, overlap 0.5, window triangle" in out
    lines = out.splitlines()
    assert lines[-3].split() == ["context", "worst", "at", "median", "borders", "work"]
    assert lines[-2].split()[:2] == ["0.00", "s"] and lines[-1].split()[:2] == ["0.01", "s"]


def test_a_song_without_seams_is_refused(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        run(PAPER, [*words, "--duration", "0.4"])
    assert end.value.code == 2 and "have no seams" in capsys.readouterr().err
