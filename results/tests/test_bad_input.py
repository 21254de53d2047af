"""Bad input on the command line: one sentence naming file and field, exit 2, nothing written."""

import json
import math
import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_folders import PAPERS, four_stems, museval_json, sha256

from mss_results.__main__ import main

RUN = "results/scores/demo_small/ours/seed0"


def files_of(repo):
    files = [file for file in repo.rglob("*") if ".cache" not in file.parts and file.is_file()]
    return {file: file.read_bytes() for file in files}


def track(content):
    """A track file and its digest, as a faulty writer would leave them."""

    def spoil(repo, folders):
        (repo / RUN / "bsseval_v4/test/a.json").write_bytes(content)
        place = ("protocols", "bsseval_v4", "files", "test/a.json")
        folders.edit(repo / RUN, *place, value=sha256(content))

    return spoil


def claim(line):
    def spoil(repo, folders):
        (repo / "results" / "papers.csv").write_text(PAPERS + line + "\n")

    return spoil


def twice(repo, folders):
    """The same method and run in a second score folder below the first."""
    shutil.copytree(repo / "results/scores", repo / "more")


def mixed_ways(repo, folders):
    folders.write({"a": four_stems(1.0)}, run="means", ways=("mean", "mean"))


def same_protocol_twice(repo, folders):
    entries = json.loads((repo / RUN / "run.json").read_text())["protocols"]
    shutil.copytree(repo / RUN / "bsseval_v4", repo / RUN / "again")
    value = entries | {"again": entries["bsseval_v4"]}
    folders.edit(repo / RUN, "protocols", value=value)


WHOLE = museval_json(four_stems(1.0), "SDR")
CASES = {
    "truncated track": (track(WHOLE[:-9]), r"test/a\.json: invalid JSON"),
    "empty track": (track(b""), r"test/a\.json: invalid JSON"),
    "a list for an object": (track(b"[]"), r"test/a\.json: the top level is \[\]"),
    "a text for a number": (
        track(WHOLE.replace(b'"SDR": 1.0', b'"SDR": "1.0"')),
        r"a\.json: field targets\[0\]\.frames\[0\]\.metrics\.SDR is \"1\.0\": it must be a number",
    ),
    "an infinite score": (
        track(WHOLE.replace(b'"SDR": 1.0', b'"SDR": Infinity')),
        r"a\.json: field targets\[0\]\.frames\[0\]\.metrics\.SDR is Infinity: it must be a finite",
    ),
    "another metric": (
        track(museval_json(four_stems(1.0), "SIR")),
        r"a\.json: field targets\[0\]\.frames\[0\]\.metrics\.SDR is missing",
    ),
    "an unknown stem": (
        track(WHOLE.replace(b"drums", b"flute")),
        r"a\.json: field targets\[1\]\.name names the unknown stem 'flute': use bass, drums",
    ),
    "a stem less": (
        track(museval_json({"vocals": [1.0]}, "SDR")),
        r"a\.json: field targets lacks the stem 'bass'",
    ),
    "one id, two ways": (mixed_ways, r"means/run\.json: protocol bsseval_v4@1 takes the mean over"),
    "one id twice in a run": (same_protocol_twice, r"bsseval_v4\.id is 'bsseval_v4@1' twice"),
    "a claim without a source": (
        claim("Net,,musdb18,bsseval_v4@1,no,vocals,SDR,6,,,"),
        r"papers\.csv: line 5, column source is empty: a claim needs its source",
    ),
    "a claim of an unknown stem": (
        claim("Net,,musdb18,bsseval_v4@1,no,flute,SDR,6,,A page,"),
        r"papers\.csv: line 5, column stem is 'flute': it must be one of vocals, drums",
    ),
    "a claim twice": (
        claim("Other Net,,musdb18hq,bsseval_v4@1,no,vocals,SDR,6,,A page,"),
        r"papers\.csv: line 5, column parameters is None, other stems|line 5 claims 'Other Net'",
    ),
}


@pytest.mark.parametrize("verb", ["build", "verify", "show"])
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_nothing_is_half_written(repo, folders, capsys, case, verb):
    spoil, message = CASES[case]
    assert main(["build", "--repo", str(repo)]) == 0
    spoil(repo, folders)
    before = files_of(repo)
    capsys.readouterr()
    assert main([verb, "--repo", str(repo)]) == 2
    out, err = capsys.readouterr()
    assert re.search(message, err) and err.count("\n") == 1 and out == ""
    assert files_of(repo) == before


def test_a_very_long_value_is_not_quoted_whole(repo, folders, capsys):
    claim(PAPERS.splitlines()[1].replace(",no,", f",{'x' * 100_000},"))(repo, folders)
    assert "x" * 100_000 in (repo / "results" / "papers.csv").read_text()
    assert main(["build", "--repo", str(repo)]) == 2
    said = capsys.readouterr().err
    assert "papers.csv: line" in said and len(said) < 4_100


def test_a_method_that_is_there_twice_is_refused(repo, folders, capsys):
    twice(repo, folders)
    before = files_of(repo)
    scores = [str(repo / "results" / "scores"), str(repo / "more")]
    assert main(["build", "--repo", str(repo), "--scores", *scores]) == 2
    assert re.search(r"more/.*: run demo_small/\w+/\w+ is also in", capsys.readouterr().err)
    assert files_of(repo) == before


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
PLACES = ("targets", "name", "frames", "time", "duration", "metrics", "SDR")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=anything, place=st.sampled_from(PLACES))
def test_any_json_is_imported_or_refused_with_its_file(tmp_path_factory, capsys, value, place):
    folder = tmp_path_factory.mktemp("any")
    names = ("vocals", "drums", "bass", "other")
    record = json.loads(museval_json({name: [1.0, math.nan] for name in names}, "SDR ISR SIR SAR"))
    target = record["targets"][1]
    frame = target["frames"][0]
    for holder in (record, target, frame, frame["metrics"]):
        if place in holder:
            holder[place] = value
    (folder / "in").mkdir()
    (folder / "in" / "song.json").write_text(json.dumps(record))
    typed = ["import-museval", str(folder / "in"), "--method", "m", "--dataset", "band"]
    typed += ["--protocol", "bsseval_v4@1", "--scores", str(folder / "out")]
    capsys.readouterr()
    status = main(typed)
    err = capsys.readouterr().err
    written = [file for file in (folder / "out").rglob("*") if file.is_file()]
    assert status in (0, 2) and len(written) == (2 if status == 0 else 0)
    if status == 2:
        assert str(folder / "in") in err and err.count("\n") == 1
