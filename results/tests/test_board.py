import math

import pytest
from score_folders import four_stems

from mss_results.board import build_boards
from mss_results.claims import read_claims
from mss_results.musdb18 import official_tracks
from mss_results.read import read_runs
from mss_results.tables import difference

SONG, OTHER = official_tracks()[:2]
FIFTY = {track: four_stems(3.25) for track in official_tracks()}  # average 4.75


def boards_of(folders, papers):
    boards = build_boards(read_runs([folders.root]), read_claims(papers))
    return {board.name: board for board in boards}


def rows_of(board, kind):
    return [row for row in board.rows if row.kind == kind]


def test_a_measured_row_stands_beside_the_claim_it_reproduces(folders, papers):
    folders.write(FIFTY, dataset="musdb18hq", reproduces="ours/large")
    board = boards_of(folders, papers)["musdb18hq--bsseval_v4@1"]
    (row,) = rows_of(board, "measured")
    assert row.claimed == {("average", "SDR"): 5.5}
    assert difference(row, ("average", "SDR")) == -0.75
    assert difference(row, ("vocals", "SDR")) is None


def test_a_claim_of_ours_without_a_score_is_not_run(folders, papers):
    folders.write(FIFTY, dataset="musdb18hq", reproduces="ours/large")
    board = boards_of(folders, papers)["musdb18hq--bsseval_v4@1"]
    not_run = {row.recipe or row.method: row.not_run for row in rows_of(board, "claimed")}
    assert not_run == {"ours/large": False, "ours/small": True, "Other Net": False}


@pytest.mark.parametrize(
    ("scores", "changes"),
    [
        (FIFTY, {"verbatim": False}),
        ({SONG: four_stems(3.25)}, {}),
    ],
)
def test_a_variant_and_a_part_of_the_test_set_reproduce_nothing(folders, papers, scores, changes):
    folders.write(scores, dataset="musdb18hq", reproduces="ours/large", **changes)
    board = boards_of(folders, papers)["musdb18hq--bsseval_v4@1"]
    assert rows_of(board, "measured")[0].claimed == {}
    assert {row.recipe for row in board.rows if row.not_run} == {"ours/large", "ours/small"}


def test_a_claim_under_another_protocol_stays_apart(folders, papers):
    folders.write(
        FIFTY, dataset="musdb18hq", protocol="usdr@1", metric="uSDR", reproduces="ours/large"
    )
    boards = boards_of(folders, papers)
    assert list(boards) == ["musdb18hq--bsseval_v4@1", "musdb18hq--usdr@1"]
    assert rows_of(boards["musdb18hq--usdr@1"], "measured")[0].claimed == {}


def test_scale_invariant_ratios_stand_in_the_order_in_which_they_are_read(folders, papers):
    metrics = "SI-SAR SI-SDR SI-SIR"
    folders.write({"a": four_stems(1.0)}, protocol="si_bss_eval@1", metric=metrics)
    board = boards_of(folders, papers)["demo_small--si_bss_eval@1"]
    assert board.metrics == ("SI-SDR", "SI-SIR", "SI-SAR")


def test_a_run_that_reproduces_what_nobody_claims_is_refused(folders, papers):
    folders.write({"a": four_stems(1.0)}, reproduces="ours/huge")
    with pytest.raises(ValueError, match="reproduces is 'ours/huge', none of the 2 recipes claime"):
        boards_of(folders, papers)


def test_one_protocol_id_has_one_definition(folders, papers):
    folders.write({"a": four_stems(1.0)})
    folders.write({"a": four_stems(1.0)}, run="seed1", ways=("median", "mean"))
    with pytest.raises(
        ValueError, match=r"seed1/run.json: protocol bsseval_v4@1 takes .* the mean"
    ):
        boards_of(folders, papers)


@pytest.mark.parametrize(
    ("dataset", "fingerprint", "tracks", "expected"),
    [
        ("musdb18hq", "x", [SONG, "z"], (SONG,)),  # same name
        ("renamed", "f" * 64, [OTHER, SONG], (SONG, OTHER)),  # same data under another name
        ("musdb18", "x", [SONG], (SONG,)),  # the same songs, compressed
        ("musdb18hq", "f" * 64, ["z"], ()),
        ("musdb18_7s", "x", [SONG], (SONG,)),  # parts of the same songs
        ("moisesdb", "x", [SONG], None),  # perhaps another song of that name
    ],
)
def test_training_tracks_that_meet_test_tracks_contaminate(
    folders, papers, dataset, fingerprint, tracks, expected
):
    training = {
        "dataset": dataset,
        "fingerprint": fingerprint,
        "tracks": tracks,
        "extra_data": True,
        "steps": 1,
    }
    scores = {SONG: four_stems(1.0), OTHER: four_stems(1.0)}
    folders.write(scores, dataset="musdb18hq", training=training)
    (row,) = rows_of(boards_of(folders, papers)["musdb18hq--bsseval_v4@1"], "measured")
    assert (row.contaminated, row.extra_data) == (expected, "yes")


def test_a_model_of_unknown_training_is_neither_clean_nor_contaminated(folders, papers):
    folders.write({"a": four_stems(1.0)}, training=None)
    (row,) = boards_of(folders, papers)["demo_small--bsseval_v4@1"].rows
    assert (row.contaminated, row.extra_data) == (None, "")


def test_rows_are_ranked_by_average_with_oracles_and_baselines_last(folders, papers):
    folders.write({"a": four_stems(1.0)}, run="low")
    folders.write({"a": four_stems(2.0)}, run="high")
    folders.write({"a": {"vocals": [50.0]}}, run="vocals_only")
    folders.write({"a": four_stems(9.0)}, method="mixture", run="mixture", kind="baseline")
    folders.write({"a": four_stems(0.0)}, method="irm", run="irm", kind="oracle")
    board = boards_of(folders, papers)["demo_small--bsseval_v4@1"]
    assert [row.run for row in board.rows] == ["high", "low", "vocals_only", "irm", "mixture"]


def test_an_average_nan_for_a_silent_stem_is_ranked_after_numbers(folders, papers):
    folders.write({"a": four_stems(1.0) | {"bass": [math.nan]}}, run="silent")
    folders.write({"a": four_stems(-9.0)}, run="scored")
    board = boards_of(folders, papers)["demo_small--bsseval_v4@1"]
    assert [row.run for row in board.rows] == ["scored", "silent"]


def test_a_claim_of_four_stems_gets_its_average_and_says_who_computed_it(folders, papers):
    lines = [
        f"Full,,musdb18,bsseval_v4@1,no,{stem},SDR,{value},,A page,\n"
        for stem, value in (("vocals", 4), ("drums", 3), ("bass", 2), ("other", 2))
    ]
    papers.write_text(papers.read_text() + "".join(lines))
    (row,) = boards_of(folders, papers)["musdb18--bsseval_v4@1"].rows
    cell = row.cells["average", "SDR"]
    assert cell.value == 2.75
    assert cell.source == "A page; mean of the four stems computed here"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"verbatim": False}, "a variant"),
        ({"kind": "oracle"}, "an oracle"),
        ({"kind": "baseline"}, "a baseline"),
        (
            {
                "training": {
                    "dataset": "musdb18",
                    "fingerprint": "x",
                    "tracks": [SONG],
                    "extra_data": False,
                    "steps": 1,
                }
            },
            "contaminated",
        ),
    ],
)
def test_only_clean_verbatim_models_are_ranked(folders, papers, changes, why):
    for index in range(2):
        folders.write(FIFTY, dataset="musdb18hq", run=f"seed{index}")
    folders.write(FIFTY, dataset="musdb18hq", run="third", **changes)
    board = boards_of(folders, papers)["musdb18hq--bsseval_v4@1"]
    ranked = {row.run: bool(row.ranks) for row in board.rows}
    assert ranked == {"": False, "seed0": True, "seed1": True, "third": not why}


def test_a_part_of_the_test_set_is_not_ranked(folders, papers):
    for index in range(2):
        folders.write({SONG: four_stems(1.0)}, dataset="musdb18hq", run=f"seed{index}")
    assert not any(row.ranks for row in boards_of(folders, papers)["musdb18hq--bsseval_v4@1"].rows)


def test_a_contaminated_row_stands_below_the_clean_ones(folders, papers):
    training = {
        "dataset": "demo_small",
        "fingerprint": "f" * 64,
        "tracks": ["a"],
        "extra_data": False,
        "steps": 1,
    }
    folders.write({"a": four_stems(9.0)}, run="leaky", training=training)
    folders.write({"a": four_stems(1.0)}, run="clean")
    board = boards_of(folders, papers)["demo_small--bsseval_v4@1"]
    assert [row.run for row in board.rows] == ["clean", "leaky"]
