import math
import re

import pytest
from score_folders import four_stems

from mss_results import aggregate
from mss_results import recheck as recheck_module
from mss_results.__main__ import main
from mss_results.recheck import recheck


@pytest.fixture
def built(repo, folders):
    """Two more runs: NaN frames and tracks, and a protocol of means."""
    frames = {stem: [1.0, math.nan, 4.0, 8.0] for stem in ("vocals", "drums", "bass")}
    silent = frames | {"other": [math.nan]}
    folders.write({"a": silent, "b": four_stems(2.0)}, run="silent")
    folders.write(
        {"a": four_stems(1.23456), "b": four_stems(7.0)},
        run="means",
        protocol="usdr@1",
        metric="uSDR",
        ways=("mean", "mean"),
    )
    assert main(["build", "--repo", str(repo)]) == 0
    return repo / "results" / "leaderboard.csv"


def test_every_measured_cell_is_confirmed_from_the_json(built, folders):
    assert recheck(built, [folders.root], 1000, 0) == 5 * 5


def test_a_row_of_several_seeds_is_confirmed_from_all_of_its_runs(repo, folders):
    for seed, value in enumerate((1.0, 2.5, 9.0)):
        scores = {"a": four_stems(value), "b": four_stems(value + 1)}
        folders.write(scores, run=f"demo-seed{seed}", seed=seed, recipe_digest="r" * 64)
    assert main(["build", "--repo", str(repo)]) == 0
    board = repo / "results" / "leaderboard.csv"
    assert recheck(board, [folders.root], 1000, 0) == 4 * 5
    board.write_text(board.read_text().replace(",SDR,4.667,", ",SDR,4.700,", 1))
    with pytest.raises(ValueError, match="seed0, .*seed1, .*seed2 give 4.667 over 2"):
        recheck(board, [folders.root], 1000, 0)


def test_a_sample_has_the_size_asked_for_and_another_seed_draws_others(built, folders, monkeypatch):
    assert recheck(built, [folders.root], 7, 0) == 7
    seen = []
    real = recheck_module._recompute

    def spy(*place):
        seen.append(place)
        return real(*place)

    monkeypatch.setattr(recheck_module, "_recompute", spy)
    draws = []
    for seed in (0, 0, 1):
        seen.clear()
        recheck(built, [folders.root], 7, seed)
        draws.append(tuple(seen))
    assert draws[0] == draws[1] != draws[2]


def test_a_negative_number_of_cells_is_refused(repo, built, capsys):
    assert main(["verify", "--repo", str(repo), "--cells", "-1"]) == 2
    assert "--cells is -1: give 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",SDR,2.000,", ",SDR,2.001,", "has 2.001 over 2 tracks for vocals SDR, its files in"),
        (",2,no,false", ",3,no,false", "over 3 tracks for"),
        (",uSDR,4.117,", ",uSDR,,", "has  over 2 tracks for vocals uSDR"),
    ],
)
def test_a_wrong_cell_is_named_with_line_and_files(built, folders, old, new, message):
    text = built.read_text()
    assert old in text
    built.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        recheck(built, [folders.root], 1000, 0)
    assert re.search(r"leaderboard\.csv: line \d+ has", str(error.value))


def test_a_fault_in_the_aggregation_does_not_confirm_itself(repo, monkeypatch, capsys):
    real = aggregate.combine
    monkeypatch.setattr(aggregate, "combine", lambda values, how: real(values, how) + 0.01)
    assert main(["build", "--repo", str(repo)]) == 0
    assert main(["verify", "--repo", str(repo)]) == 2
    assert "its files in" in capsys.readouterr().err


def test_an_edited_score_file_and_a_lost_run_stop_it(built, folders):
    file = folders.root / "demo_small/ours/seed0/bsseval_v4/test/a.json"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"0}", b"1}", 1))
    with pytest.raises(ValueError, match=r"a\.json: its SHA-256 is not that of run\.json"):
        recheck(built, [folders.root], 1000, 0)
    with pytest.raises(FileNotFoundError, match="no run demo_small/.* in any score folder"):
        recheck(built, [folders.root.parent], 1000, 0)
