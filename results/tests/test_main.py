import errno
import os
import re
import resource
import subprocess
import sys

import pytest
from score_folders import four_stems

from mss_results.__main__ import main
from mss_results.build import replace_files


def contents(repo):
    """Every file but those of the cache, which are no output."""
    files = [file for file in sorted(repo.rglob("*")) if ".cache" not in file.parts]
    return {file: file.read_bytes() for file in files if file.is_file()}


def build(repo):
    assert main(["build", "--repo", str(repo)]) == 0


def fails(capsys, *arguments):
    """The sentence of a run that stops with 2."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("mss-results: ") and "Traceback" not in err
    assert out == ""
    return err


def test_build_writes_leaderboard_tables_and_readme(repo):
    build(repo)
    tables = sorted(file.name for file in (repo / "results" / "tables").iterdir())
    assert tables == [
        f"{name}--bsseval_v4@1.{kind}"
        for name in ("demo_small", "musdb18hq")
        for kind in ("csv", "md", "tex")
    ]
    readme = (repo / "README.md").read_text()
    assert readme.startswith("# Title\n") and readme.endswith("<!-- results:end -->\nlast\n")
    assert "| ours | demo | measured | seed0 |" in readme


def test_building_twice_changes_nothing_and_leaves_no_partial_file(repo, capsys):
    build(repo)
    first = contents(repo)
    capsys.readouterr()
    build(repo)
    assert contents(repo) == first
    assert capsys.readouterr().out == "15 files are up to date\n"


@pytest.mark.parametrize("place", ["packages/ours", "experiments/2026-12-ours"])
def test_readmes_of_packages_and_experiments_are_spliced_and_others_left_alone(repo, place):
    card = repo / place / "README.md"
    card.parent.mkdir(parents=True, exist_ok=True)
    begin = "<!-- results:begin demo_small--bsseval_v4@1 method=ours -->"
    card.write_text(f"{begin}\n<!-- results:end -->\n")
    build(repo)
    assert "| ours |" in card.read_text()
    card.write_text("no markers\n")
    build(repo)
    assert card.read_text() == "no markers\n"


def test_a_table_without_inputs_is_removed(repo, folders):
    folder = folders.write({"a": four_stems(1.0)}, dataset="demo_full")
    build(repo)
    table = repo / "results" / "tables" / "demo_full--bsseval_v4@1.csv"
    assert table.is_file()
    (folder / "run.json").unlink()
    for file in sorted((folders.root / "demo_full").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    build(repo)
    assert not table.exists()


def test_a_repository_without_scores_has_its_claims(repo, folders):
    folders.root.rename(repo / "elsewhere")
    (repo / "README.md").write_text("")
    build(repo)
    assert "not run" in (repo / "results" / "tables" / "musdb18hq--bsseval_v4@1.md").read_text()


def test_verify_accepts_what_build_wrote(repo, capsys):
    build(repo)
    capsys.readouterr()
    assert main(["verify", "--repo", str(repo)]) == 0
    assert capsys.readouterr().out == (
        "15 files match the inputs; 15 cells match a recomputation from the JSON\n"
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "results/leaderboard.csv",
            ",SDR,5.000,",
            ",SDR,5.001,",
            r"leaderboard.csv: line \d+, column value reads '5.001', the inputs give '5.000'",
        ),
        (
            "results/tables/demo_small--bsseval_v4@1.csv",
            "2.000",
            "2.100",
            r"@1.csv: line 2, column vocals SDR reads '2.100', the inputs give '2.000'",
        ),
        (
            "results/tables/demo_small--bsseval_v4@1.md",
            "| 2.00 |",
            "| 2.01 |",
            r"@1.md: line 11, column vocals reads '2.01', the inputs give '2.00'",
        ),
        (
            "README.md",
            "| 3.00 |",
            "| 9.00 |",
            r"README.md: line 13, column drums reads '9.00', the inputs give '3.00'",
        ),
        (
            "results/tables/demo_small--bsseval_v4@1.md",
            "not comparable",
            "comparable",
            r"@1.md: line 3 reads 'Generated demo set: comparable",
        ),
    ],
)
def test_verify_names_file_and_cell_of_a_changed_digit(repo, capsys, name, old, new, message):
    build(repo)
    file = repo / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    assert re.search(message, fails(capsys, "verify", "--repo", repo))


@pytest.mark.parametrize(
    "name", ["boards/demo_small--bsseval_v4@1.js", "runs/demo_small--bsseval_v4@1--ours--seed0.js"]
)
def test_verify_names_what_was_changed_in_the_page(repo, capsys, name):
    build(repo)
    file = repo / "results" / "site" / name
    old, new = ("3.0", "3.1") if name.startswith("boards") else ("[100]", "[101]")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    sentence = fails(capsys, "verify", "--repo", repo)
    assert re.search(rf"{re.escape(file.name)}: line \d+ reads .*{re.escape(new)}", sentence)
    assert len(sentence) < 1000


def test_verify_names_a_score_file_with_one_changed_digit(repo, folders, capsys):
    build(repo)
    file = folders.root / "demo_small/ours/seed0/bsseval_v4/test/a.json"
    file.write_bytes(file.read_bytes().replace(b"1.0}", b"1.1}", 1))
    assert re.search(r"a\.json: its SHA-256 is", fails(capsys, "verify", "--repo", repo))


def test_verify_sees_line_ends_missing_files_and_files_too_many(repo, capsys):
    build(repo)
    results = repo / "results"
    board = results / "leaderboard.csv"
    board.write_bytes(board.read_bytes().replace(b"\n", b"\r\n"))
    (results / "tables" / "musdb18hq--bsseval_v4@1.md").unlink()
    (results / "tables" / "old--usdr@1.md").write_text("# old, usdr@1\n")
    frames = results / "site" / "runs" / "old--usdr@1--a--b.js"
    frames.write_text('keepFrames("runs/old--usdr@1--a--b.js",[]);')
    sentences = fails(capsys, "verify", "--repo", repo).splitlines()
    assert len(sentences) == 4
    assert "leaderboard.csv: its bytes (line ends or quoting)" in sentences[0]
    assert "musdb18hq--bsseval_v4@1.md: missing" in sentences[1]
    assert "old--usdr@1.md: the inputs give no such file" in sentences[2]
    assert "old--usdr@1--a--b.js: the inputs give no such file" in sentences[3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results/papers.csv", "method\n", "papers.csv: line 1 has the columns"),
        ("README.md", "<!-- results:begin demo_small--bsseval_v4@1 -->\n", "line 1 begins a board"),
        ("results/scores/demo_small/ours/seed0/run.json", "{]", "run.json: invalid JSON"),
        ("results/scores/demo_small/ours/seed0/bsseval_v4/test/a.json", "{", "its SHA-256 is"),
    ],
)
def test_bad_input_stops_with_one_sentence_and_writes_nothing(repo, capsys, name, content, message):
    build(repo)
    (repo / name).write_text(content)
    before = contents(repo)
    sentence = fails(capsys, "build", "--repo", repo)
    assert message in sentence and sentence.count("\n") == 1
    assert contents(repo) == before


@pytest.mark.parametrize("left", [None, '{"schema": 1, "kind"'])
def test_an_interrupted_evaluation_is_said_and_does_not_stop_a_build(repo, capsys, left):
    build(repo)
    before = contents(repo)
    folder = repo / "results" / "scores" / "demo_small" / "ours" / "seed1"
    (folder / "bsseval_v4" / "test").mkdir(parents=True)
    if left is not None:
        (folder / "run.json").write_text(left)
    capsys.readouterr()
    for verb in ("build", "verify"):
        assert main([verb, "--repo", str(repo)]) == 0
        said = capsys.readouterr().err
        assert f"{folder} is passed over: it has no complete run.json" in said
        assert said.count("\n") == 1
    (folder / "run.json").unlink(missing_ok=True)
    assert contents(repo) == before


def test_an_unwritable_output_leaves_everything_as_it_was(repo, capsys):
    (repo / "results" / "tables").write_text("a file where a folder belongs")
    before = contents(repo)
    assert "tables" in fails(capsys, "build", "--repo", repo)
    assert contents(repo) == before


def test_missing_places_are_named_by_their_flag(repo, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "--repo must name" in fails(capsys, "build", "--repo", empty)
    missing = tmp_path / "missing"
    assert "--scores must name" in fails(capsys, "show", "--repo", repo, "--scores", missing)
    assert "--papers must name" in fails(capsys, "show", "--repo", repo, "--papers", missing)
    assert "--splice must name" in fails(capsys, "build", "--repo", repo, "--splice", missing)


def test_show_prints_the_boards_asked_for(repo, capsys):
    assert main(["show", "--repo", str(repo), "--dataset", "demo_small"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("demo_small, bsseval_v4@1\n") and "musdb18hq," not in out
    assert main(["show", "--repo", str(repo), "--protocol", "bsseval_v4@1"]) == 0
    assert "\n\nmusdb18hq, bsseval_v4@1\n" in capsys.readouterr().out
    assert "no board for --dataset x" in fails(capsys, "show", "--repo", repo, "--dataset", "x")


def test_outputs_go_where_they_are_sent(repo, tmp_path):
    out = tmp_path / "out"
    before = contents(repo)
    assert main(["build", "--repo", str(repo), "--out", str(out), "--splice"]) == 0
    assert len(list(out.rglob("*.*"))) == 14
    assert {file: content for file, content in contents(repo).items() if out not in file.parents}
    assert all(contents(repo)[file] == content for file, content in before.items())


def test_boards_of_ones_own_need_no_repository(repo, tmp_path_factory, monkeypatch, capsys):
    before = contents(repo)
    place = tmp_path_factory.mktemp("place")
    monkeypatch.chdir(place)
    scores, out = str(repo / "results" / "scores"), "boards"
    assert main(["build", "--scores", scores, "--out", out]) == 0
    own = place / "boards"
    assert "demo_small,bsseval_v4@1,ours" in (own / "leaderboard.csv").read_text()
    assert (own / "site" / "index.html").is_file() and contents(repo) == before
    assert main(["verify", "--scores", scores, "--out", out]) == 0
    capsys.readouterr()
    assert main(["show", "--scores", scores, "--dataset", "demo_small"]) == 0
    assert capsys.readouterr().out.startswith("demo_small, bsseval_v4@1\n")
    assert "--repo must name" in fails(capsys, "build", "--scores", scores)


def test_boards_of_ones_own_have_the_repositorys_claims_and_leave_its_readmes_alone(
    repo, tmp_path_factory, monkeypatch
):
    before = contents(repo)
    monkeypatch.chdir(repo)
    out = tmp_path_factory.mktemp("place") / "boards"
    assert main(["build", "--scores", "results/scores", "--out", str(out)]) == 0
    assert ",claimed," in (out / "leaderboard.csv").read_text() and contents(repo) == before


def test_the_program_imports_numpy_alone_and_survives_a_closed_pipe(repo):
    heavy = {"torch", "pandas", "scipy", "museval", "mss_shared"}
    code = f"import sys, mss_results.command; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    show = [sys.executable, "-m", "mss_results", "show", "--repo", str(repo)]
    with subprocess.Popen(show, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.fixture
def full_disk():
    """A limit in the place of a full disk: no file gets longer than 500 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_build_names_the_file_and_leaves_nothing(repo, capsys, full_disk):
    before = contents(repo)
    error = fails(capsys, "build", "--repo", repo, "--cache", repo / "cache")
    said = re.fullmatch(r"mss-results: (\S+): File too large: check the path, .*\n", error)
    assert said is not None and said[1].startswith(f"{repo}/results/")
    assert not said[1].endswith(".partial")
    assert contents(repo) == before
    folders = [path.name for path in (repo / "results").iterdir() if path.is_dir()]
    assert folders == ["scores"]


def test_on_a_full_disk_the_file_is_named_and_what_was_there_before_stays(tmp_path, full_disk):
    (tmp_path / "empty").mkdir()
    file = tmp_path / "empty" / "new" / "sub" / "a.svg"
    with pytest.raises(OSError, match="File too large") as raised:
        replace_files({file.with_name("b.svg"): b"short", file: bytes(501)})
    assert (raised.value.filename, raised.value.filename2) == (str(file), None)
    assert [*tmp_path.rglob("*")] == [tmp_path / "empty"]


@pytest.mark.parametrize("step", ["write", "rename"])
def test_an_error_of_the_system_names_no_hidden_file(repo, capsys, monkeypatch, step):
    def refuse(first, *others):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(first), None, *map(str, others))

    if step == "rename":
        monkeypatch.setattr(os, "replace", refuse)
    else:
        monkeypatch.setattr("pathlib.Path.write_bytes", lambda file, content: refuse(file))
    error = fails(capsys, "build", "--repo", repo)
    assert ".partial" not in error and f"mss-results: {repo}" in error
    assert "Permission denied: check the path" in error


def test_ctrl_c_is_one_line_also_while_modules_are_imported():
    program = """
import sys
from importlib.abc import MetaPathFinder

class Pressed(MetaPathFinder):
    def find_spec(self, name, *others):
        if name == sys.argv[1]:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
from mss_results.__main__ import main
sys.exit(main(["build"]))
"""
    for module in ("numpy", "mss_results.parser", "mss_results.verify"):
        ended = subprocess.run(
            [sys.executable, "-c", program, module], capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (130, "mss-results: interrupted\n")


def test_ctrl_c_during_a_verb_is_one_line(repo, capsys, monkeypatch):
    def press(file, content):
        raise KeyboardInterrupt

    before = contents(repo)
    monkeypatch.setattr("pathlib.Path.write_bytes", press)
    assert main(["build", "--repo", str(repo)]) == 130
    assert capsys.readouterr().err == "mss-results: interrupted\n"
    assert contents(repo) == before
