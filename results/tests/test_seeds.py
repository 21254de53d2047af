import math

import pytest
from score_folders import four_stems

from mss_results.board import build_boards
from mss_results.read import read_runs

DIGEST = "r" * 64


def write(folders, seed, value=1.0, run="demo-seed{}", **changes):
    scores = {f"song {index}": four_stems(value + index) for index in range(8)}
    changes = {"seed": seed, "recipe_digest": DIGEST} | changes
    return folders.write(scores, run=run.format(seed), **changes)


def rows_of(folders):
    (board,) = build_boards(read_runs([folders.root]), [])
    return {row.run: row for row in board.rows}


def test_runs_that_differ_in_the_seed_alone_are_one_row(folders):
    for seed, value in ((10, 5.0), (2, 1.0), (0, 3.0)):
        write(folders, seed, value, cost=cost(0.1 * seed, 100 * seed))
    (row,) = rows_of(folders).values()
    assert (row.run, row.seeds) == ("demo-seeds0,2,10", (0, 2, 10))
    cell = row.cells["vocals", "SDR"]
    assert (cell.value, cell.by_seed, cell.tracks) == (6.5, (6.5, 4.5, 8.5), 8)
    assert cell.by_track["song 0"] == 3.0
    assert [part.run for part in row.parts] == ["demo-seed0", "demo-seed2", "demo-seed10"]
    assert (row.cost.real_time_factor, row.cost.peak_memory_bytes) == (pytest.approx(0.4), 1000)


def cost(factor, memory):
    return {
        "gmac_per_second": 1.5,
        "real_time_factor": factor,
        "peak_memory_bytes": memory,
    }


def test_the_interval_of_seeds_that_differ_is_wider_than_that_of_one(folders):
    for seed, value in enumerate((1.0, 5.0, 9.0)):
        write(folders, seed, value)
    (row,) = rows_of(folders).values()
    for key in (("vocals", "SDR"), ("average", "SDR")):
        low, high = row.cells[key].interval
        one = row.parts[1].cells[key].interval
        assert high - low > one[1] - one[0]
        assert (low + high) / 2 == pytest.approx(row.cells[key].value)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe_digest": "x" * 64},
        {"recipe_digest": None},
        {"verbatim": False},
        {"recipe": "other"},
        {"method": "theirs"},
        {"kind": "blind"},
        {"seed": None},
        {"run": "demo-seed1-overlap-4"},
        {"run": "demo-seed12"},  # not the seed of run.json
        {"run": "again"},
        {"fingerprint": "e" * 64},
        {"training": None},
        {
            "training": {
                "dataset": "demo_small",
                "fingerprint": "f" * 64,
                "tracks": ["another song"],
                "extra_data": False,
                "steps": 100,
            }
        },
        {"weights": {"digest": "d" * 64, "parameters": 7}},
        {"ways": ("median", "median"), "metric": "SDR SIR"},
    ],
)
def test_whatever_else_differs_keeps_runs_apart(folders, changes):
    write(folders, 0)
    write(folders, **{"seed": 1, "run": "demo-seed1"} | changes)
    rows = rows_of(folders)
    assert len(rows) == 2 and not any(row.parts for row in rows.values())


def test_seeds_that_stopped_early_after_different_steps_are_one_row(folders):
    training = {
        "dataset": "demo_small",
        "fingerprint": "f" * 64,
        "tracks": ["train song"],
        "extra_data": False,
    }
    for seed, steps in ((0, 900), (1, 1200), (2, 700)):
        write(folders, seed, training=training | {"steps": steps})
    (row,) = rows_of(folders).values()
    assert row.seeds == (0, 1, 2)


def test_two_settings_of_the_evaluation_are_not_two_seeds(folders):
    for seed, setting in ((0, "niter-0"), (1, "overlap-4"), (2, "niter-0")):
        write(folders, seed, run=f"demo-seed{{}}-{setting}", verbatim=False)
    assert sorted(rows_of(folders)) == ["demo-seed1-overlap-4", "demo-seeds0,2-niter-0"]


def test_a_single_run_has_one_seed_and_an_oracle_none(folders):
    write(folders, 7)
    write(folders, 3, run="irm", method="irm", kind="oracle")
    rows = rows_of(folders)
    assert (rows["demo-seed7"].seeds, rows["irm"].seeds) == ((7,), ())


def test_a_track_without_a_score_for_one_seed_has_that_of_the_others(folders):
    for seed in (0, 1):
        value = math.nan if seed else 4.0
        scores = {"a": four_stems(1.0 + seed) | {"bass": [value]}, "b": four_stems(2.0)}
        folders.write(scores, run=f"demo-seed{seed}", seed=seed, recipe_digest=DIGEST)
    (row,) = rows_of(folders).values()
    cell = row.cells["bass", "SDR"]
    assert (dict(cell.by_track), cell.tracks) == ({"a": 4.0, "b": 4.0}, 1)
    assert row.cells["vocals", "SDR"].by_track["a"] == 1.5


def pair_of(folders, key):
    (board,) = build_boards(read_runs([folders.root]), [])
    (pair,) = board.columns[key][0].pairs
    assert (pair.better, pair.worse) == ("ours/demo-seeds0,1", "theirs/demo-seed0")
    return board, pair


@pytest.mark.parametrize("stem", ["drums", "average"])
def test_seeds_that_agree_leave_the_test_of_tracks_as_it_is(folders, stem):
    for seed in (0, 1):
        write(folders, seed, 3.5)
    write(folders, 0, 1.0, method="theirs", recipe_digest=None)
    board, pair = pair_of(folders, (stem, "SDR"))
    assert (pair.p, pair.difference) == (2 / 2**8, 2.5)
    assert str(board.rows[0].ranks[stem, "SDR"]) == "1"


@pytest.mark.parametrize("stem", ["drums", "average"])
def test_seeds_that_disagree_more_than_the_rows_leave_the_order_open(folders, stem):
    for seed in (0, 1):
        write(folders, seed, 3.0 + seed)
    write(folders, 0, 1.0, method="theirs", recipe_digest=None)
    board, pair = pair_of(folders, (stem, "SDR"))
    # Every track is 2.5 dB apart, so only the seeds vary: 2.5 over sqrt(0.5 / 2), Student's t of
    # one degree of freedom, whose tail is that of Cauchy's law.
    p = 1 - 2 * math.atan(2.5 / 0.5) / math.pi
    assert (pair.p, pair.difference) == (pytest.approx(p), 2.5)
    half = 0.5 * math.tan(0.475 * math.pi)
    assert pair.interval == pytest.approx((2.5 - half, 2.5 + half))
    assert str(board.rows[0].ranks[stem, "SDR"]) == "1-2"
