"""What stands in the page's files; the tests in page look at it in a browser."""

import json
import re

import pytest
from score_folders import PAPERS, four_stems

from mss_results.__main__ import main
from mss_results.musdb18 import official_tracks
from mss_results.site import SitePaths, _audio, _short_p


def build(repo, *more):
    assert main(["build", "--repo", str(repo), *more]) == 0
    return repo / "results" / "site"


def listed(site):
    text = (site / "index.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return {board["name"]: board for board in json.loads(found[1])["boards"]}


def data_of(site):
    """Every board that the page lists, with its rows."""
    boards = {}
    for name, board in listed(site).items():
        text = (site / board["file"]).read_text()
        content, rows = json.loads(re.sub(r"^keepBoard\(|\);\n$", "[", text)[:-1] + "]")
        boards[name] = content | {"rows": rows}
    return boards


def row_of(site, method, board="demo_small--bsseval_v4@1"):
    (row,) = (row for row in data_of(site)[board]["rows"] if row["method"] == method)
    return row


def test_a_row_holds_its_cells_its_tracks_and_what_made_it(repo):
    row = row_of(build(repo), "ours")
    assert row["cells"]["vocals SDR"] == {
        "value": 2.0,
        "low": pytest.approx(2 - 12.7, abs=0.2),  # Student's t of one degree of freedom
        "high": pytest.approx(2 + 12.7, abs=0.2),
        "tracks": 2,
        "rank": None,
        "range": None,
        "claimed": None,
        "source": "demo_small/ours/seed0",
    }
    assert (row["tracks"], row["songs"]["vocals SDR"]) == (["a", "b"], [1.0, 3.0])
    facts = dict(row["facts"])
    assert facts["command"] == "evaluate" and facts["weights digest"] == "d" * 64
    assert facts["trained on"] == "1 tracks of demo_small"


def test_links_lead_from_the_page_to_the_files(repo):
    site = build(repo)
    row = row_of(site, "ours")
    assert (site / row["record"]).resolve().name == "run.json"
    href, digest = row["files"][0]
    assert (site / href).resolve() == (
        repo / "results/scores/demo_small/ours/seed0/bsseval_v4/test/a.json"
    )
    assert len(digest) == 64
    assert (site / row["frames"]).is_file()


def test_the_frames_of_a_run_are_whole_hundredths_with_gaps(repo, folders):
    frames = four_stems(0.0) | {"vocals": [1.234, float("nan"), -0.5]}
    folders.write({"a": frames}, run="gaps")
    site = build(repo)
    text = (site / "runs" / "demo_small--bsseval_v4@1--ours--gaps.js").read_text()
    match = re.fullmatch(r'keepFrames\("(.*?)",(.*)\);\n', text, re.DOTALL)
    assert match[1] == "runs/demo_small--bsseval_v4@1--ours--gaps.js"
    (track,) = json.loads(match[2])
    assert ".0," not in match[2].replace('"step":1.0', "")
    assert track["frames"]["vocals SDR"] == [123, None, -50]


def test_text_from_outside_cannot_leave_the_data(repo, papers):
    papers.write_text(PAPERS.replace("Other Net", "</script><script>alert(1)//"))
    site = build(repo)
    assert (site / "index.html").read_text().count("</script>") == 2
    text = (site / "boards" / "musdb18hq--bsseval_v4@1.js").read_text()
    assert "alert(1)" in text and "<" not in text


def test_the_page_itself_names_no_address_outside(repo):
    text = (build(repo) / "index.html").read_text().replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_the_page_lists_its_boards_and_holds_no_data(repo):
    site = build(repo)
    boards = listed(site)
    assert sorted(boards) == ["demo_small--bsseval_v4@1", "musdb18hq--bsseval_v4@1"]
    for board in boards.values():
        assert sorted(board) == ["dataset", "file", "name", "protocol"]
        assert (site / board["file"]).is_file()


def test_pairs_point_from_the_better_to_the_worse(repo, folders):
    for run, shift in (("low", 0.0), ("high", 2.0)):
        scores = {f"song {index}": four_stems(shift + index) for index in range(10)}
        folders.write(scores, dataset="demo_full", run=run)
    board = data_of(build(repo))["demo_full--bsseval_v4@1"]
    for name in ("average SDR", "vocals SDR"):
        column = board["columns"][name]
        ((better, worse, corrected, tracks, *wins, difference, low, high, p),) = column["pairs"]
        assert [board["rows"][index]["run"] for index in (better, worse)] == ["high", "low"]
        assert p == corrected == pytest.approx(2 / 2**10, rel=1e-2)
        assert (tracks, wins, difference, low, high) == (10, [10, 0], 2.0, 2.0, 2.0)
        assert column["rows"] == [0, 1]
        assert (column["tracks"], column["separable"], column["friedman"]) == (10, True, None)
    assert [row["cells"]["vocals SDR"]["rank"] for row in board["rows"]] == [[1, 1], [2, 2]]


def test_six_tracks_have_pairs_and_friedmans_p_but_no_ranks(repo, folders):
    for run in range(4):
        scores = {f"song {index}": four_stems(2 * run + index) for index in range(6)}
        folders.write(scores, dataset="demo_full", run=f"run{run}")
    board = data_of(build(repo))["demo_full--bsseval_v4@1"]
    column = board["columns"]["drums SDR"]
    assert (column["separable"], len(column["pairs"])) == (False, 6)
    assert column["friedman"] == pytest.approx(0.00044, rel=0.01)  # chi-square 18 of 3 degrees
    assert all(row["cells"]["drums SDR"]["rank"] is None for row in board["rows"])
    assert {pair[2] for pair in column["pairs"]} == {0.188}  # 6 x 2/64
    (sentence,) = (note for note in board["notes"] if note.startswith("no ranks"))
    assert "6 tracks cannot separate any two of 4 rows" in sentence


def test_a_p_is_shortened_to_its_own_side_of_the_level():
    assert _short_p(0.04996) == 0.0499 and _short_p(0.05004) == 0.05
    assert _short_p(1.23456e-9) == 1.23e-9


def test_rows_on_other_tracks_have_tests_of_their_own(repo, folders):
    for run, count in (("a", 10), ("b", 10), ("c", 9), ("d", 9), ("e", 9)):
        scores = {f"song {index}": four_stems(index + ord(run)) for index in range(count)}
        folders.write(scores, dataset="demo_full", run=run)
    board = data_of(build(repo))["demo_full--bsseval_v4@1"]
    column = board["columns"]["bass SDR"]
    (other,) = column["more"]
    assert [
        [board["rows"][index]["run"] for index in each["rows"]] for each in (column, other)
    ] == [
        ["e", "d", "c"],
        ["b", "a"],
    ]


def seeds(folders, **changes):
    for seed in range(3):
        scores = {f"song {index}": four_stems(seed + index) for index in range(4)}
        folders.write(scores, run=f"demo-seed{seed}", seed=seed, recipe_digest="r" * 64, **changes)


def test_seeds_are_one_row_that_keeps_its_runs(repo, folders):
    seeds(folders)
    site = build(repo)
    (row,) = (row for row in data_of(site)["demo_small--bsseval_v4@1"]["rows"] if row["runs"])
    assert (row["run"], row["seeds"]) == ("demo-seeds0,1,2", [0, 1, 2])
    assert row["sources"] == [f"demo_small/ours/demo-seed{seed}" for seed in range(3)]
    cell = row["cells"]["vocals SDR"]
    assert (cell["value"], cell["range"]) == (2.5, [1.5, 3.5])
    assert row["songs"]["vocals SDR"] == [1.0, 2.0, 3.0, 4.0]
    assert [each["seed"] for each in row["runs"]] == [0, 1, 2]
    for each in row["runs"]:
        assert (site / each["frames"]).is_file() and (site / each["record"]).is_file()
    assert dict(row["facts"])["seed"] == "0, 1, 2"
    assert row_of(site, "irm2")["seeds"] == []


def test_a_run_names_the_claim_it_reproduces(repo, folders):
    scores = dict.fromkeys(official_tracks(), four_stems(1.0))
    folders.write(scores, dataset="musdb18hq", reproduces="ours/large")
    rows = data_of(build(repo))["musdb18hq--bsseval_v4@1"]["rows"]
    (run,) = (row for row in rows if row["run"])
    assert rows[run["claim"]]["recipe"] == "ours/large"
    assert run["cells"]["average SDR"]["claimed"] == 5.5
    assert run["cells"]["vocals SDR"]["claimed"] is None


def other_net(folders, tracks=50, **changes):
    scores = dict.fromkeys(official_tracks()[:tracks], {"vocals": [6.5]})
    changes = {"recipe": None, "training": None} | changes
    folders.write(scores, dataset="musdb18hq", method="Other", **changes)


@pytest.fixture
def other(papers):
    papers.write_text(PAPERS.replace("Other Net", "Other"))


def rows_of_other(repo):
    rows = data_of(build(repo))["musdb18hq--bsseval_v4@1"]["rows"]
    return {row["run"]: row for row in rows if row["method"] == "Other"}


def test_a_complete_run_measures_the_only_claim_of_its_method(repo, folders, other):
    other_net(folders)
    rows = rows_of_other(repo)
    assert rows["seed0"]["claim"] is not None
    assert rows["seed0"]["cells"]["vocals SDR"]["claimed"] == 6.0
    assert rows[""]["claim"] is None


@pytest.mark.parametrize("changes", [{"tracks": 49}, {"verbatim": False}])
def test_parts_and_variants_do_not_measure_a_claim(repo, folders, other, changes):
    other_net(folders, **changes)
    assert rows_of_other(repo)["seed0"]["claim"] is None


def test_two_runs_of_a_method_leave_its_claim_alone(repo, folders, other):
    other_net(folders)
    other_net(folders, run="again")
    assert [row["claim"] for row in rows_of_other(repo).values()] == [None] * 3


def test_a_claimed_value_that_was_not_measured_stays_in_the_row(repo, folders, other, papers):
    papers.write_text(
        papers.read_text() + 'Other,,musdb18hq,bsseval_v4@1,no,bass,SDR,3.00,1500000,"A paper",\n'
    )
    other_net(folders)
    cell = rows_of_other(repo)["seed0"]["cells"]["bass SDR"]
    assert (cell["value"], cell["claimed"]) == (None, 3.0)


def test_frames_need_not_be_committed_but_must_not_differ(repo, capsys):
    runs = build(repo) / "runs"
    frames = sorted(runs.iterdir())
    assert len(frames) == 3
    frames[0].unlink()
    assert main(["verify", "--repo", str(repo)]) == 0
    frames[1].write_text("keepFrames();\n")
    assert main(["verify", "--repo", str(repo)]) == 2
    assert frames[1].name in capsys.readouterr().err


def test_estimates_are_linked_where_they_are(repo, tmp_path, capsys):
    place = tmp_path / "sounds & more" / "demo_small" / "ours" / "seed0" / "a"
    place.mkdir(parents=True)
    for name in ("vocals.wav", "bass.FLAC", "notes.txt"):
        (place / name).write_bytes(b"")
    row = row_of(build(repo, "--audio", str(tmp_path / "sounds & more")), "ours")
    assert sorted(row["audio"]) == ["a"] and sorted(row["audio"]["a"]) == ["bass", "vocals"]
    assert "sounds%20%26%20more" in row["audio"]["a"]["vocals"]
    assert main(["build", "--repo", str(repo), "--audio", str(tmp_path / "no")]) == 2
    assert "--audio must hold the estimates" in capsys.readouterr().err


def test_an_address_is_relative_to_the_page(tmp_path):
    paths = SitePaths(tmp_path / "results" / "site", None)
    assert paths.href(tmp_path / "results" / "scores" / "a #1.json") == "../scores/a%20%231.json"


def test_sounds_outside_of_the_folder_of_estimates_are_not_listed(tmp_path):
    estimates = tmp_path / "estimates"
    (estimates / "set" / "net" / "run").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "private.wav").write_bytes(b"")
    paths = SitePaths(tmp_path / "site", estimates)
    for track in ("../../../../secret", str(secret)):
        with pytest.raises(ValueError, match="leads outside of --audio"):
            _audio(paths, "set/net/run", [track])
