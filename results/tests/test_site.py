"""What stands in the page's files; test_page.py looks at it in a browser."""

import json
import re

import pytest
from score_folders import PAPERS, four_stems

from mss_results.__main__ import main
from mss_results.site import SitePaths


def build(repo, *more):
    assert main(["build", "--repo", str(repo), *more]) == 0
    return repo / "results" / "site"


def data_of(site):
    text = (site / "index.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return {board["name"]: board for board in json.loads(found[1])["boards"]}


def row_of(site, method, board="demo_small--bsseval_v4@1"):
    (row,) = (row for row in data_of(site)[board]["rows"] if row["method"] == method)
    return row


def test_a_row_holds_its_cells_its_tracks_and_what_made_it(repo):
    row = row_of(build(repo), "ours")
    assert row["cells"]["vocals SDR"] == {
        "value": 2.0,
        "low": 1.0,
        "high": 3.0,
        "tracks": 2,
        "rank": None,
        "tied": [],
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
    text = (build(repo) / "index.html").read_text()
    assert "alert(1)" in text and "<script>alert" not in text
    assert text.count("</script>") == 2


def test_the_page_names_no_address_outside(repo):
    for file in sorted(build(repo).rglob("*.*")):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "url(" not in text


def test_pairs_point_from_the_better_to_the_worse(repo, folders):
    for run, shift in (("low", 0.0), ("high", 2.0)):
        scores = {f"song {index}": four_stems(shift + index) for index in range(10)}
        folders.write(scores, dataset="demo_full", run=run)
    board = data_of(build(repo))["demo_full--bsseval_v4@1"]
    ((better, worse, p, tracks),) = board["pairs"]["average SDR"]
    assert [board["rows"][index]["run"] for index in (better, worse)] == ["high", "low"]
    assert (p, tracks) == (pytest.approx(2 / 2**10, rel=1e-2), 10)


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
