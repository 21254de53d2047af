"""What a killed run leaves behind, and how it ends."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from score_folders import four_stems

from mss_results.__main__ import main
from mss_results.build import replace_files
from mss_results.command import _stoppable, run
from mss_results.museval_import import _TEMPORARY
from mss_results.partial import partial_of, sweep

# Renames the process to a dead one: ended, and waited for.
DEAD = subprocess.Popen([sys.executable, "-c", ""])
DEAD.wait()


def left_by(path, process):
    return path.with_name(partial_of(path).name.replace(f".{os.getpid()}.", f".{process}."))


def test_only_what_a_dead_process_of_this_host_left_is_swept(tmp_path):
    path = tmp_path / "leaderboard.csv"
    gone = [left_by(path, DEAD.pid)]
    kept = [
        path,
        partial_of(path),  # of this process, which lives
        left_by(path, os.getppid()),
        left_by(tmp_path / "other.csv", DEAD.pid),
        tmp_path / f".leaderboard.csv.elsewhere.{DEAD.pid}.partial",
        tmp_path / f"leaderboard.csv.{DEAD.pid}.partial",
        tmp_path / ".leaderboard.csv.partial",
        left_by(path, 9_999_999_999),  # no number of a process
    ]
    for file in (*gone, *kept):
        file.write_text("x")
    folder = left_by(tmp_path / "run", DEAD.pid)
    (folder / "inner").mkdir(parents=True)
    sweep(path)
    assert sorted(file for file in tmp_path.iterdir() if file != folder) == sorted(kept)
    sweep(tmp_path / "run")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("whose", "name"),
    [("readlink", "/proc/self/ns/pid"), ("read_text", "/etc/machine-id"), ("hostname", "")],
)
def test_what_is_written_under_other_process_ids_stays(tmp_path, monkeypatch, whose, name):
    """A container may have the host's name, and a process there a number that is free here."""
    path = tmp_path / "leaderboard.csv"
    with monkeypatch.context() as there:
        if whose == "readlink":
            there.setattr(os, "readlink", {name: "pid:[1]"}.__getitem__)
        elif whose == "read_text":
            there.setattr(Path, "read_text", lambda file, **_: {name: "other"}[str(file)])
        else:
            there.setattr(socket, "gethostname", lambda: "other")
        left = left_by(path, DEAD.pid)
    left.write_text("half")
    sweep(path)
    assert left.exists()
    here = left_by(path, DEAD.pid)
    here.write_text("half")
    sweep(path)
    assert left.exists() and not here.exists()


def test_the_name_of_an_unfinished_file_is_no_longer_than_names_leave_room_for(tmp_path):
    process = partial_of(tmp_path / "x").name.replace(f".{os.getpid()}.", f".{2**32}.")
    assert len(process) - 1 <= _TEMPORARY


def test_a_rebuilt_file_sweeps_what_a_killed_build_left_beside_it(tmp_path):
    path = tmp_path / "leaderboard.csv"
    left_by(path, DEAD.pid).write_text("half")
    replace_files({path: b"whole"})
    assert [file.name for file in tmp_path.iterdir()] == ["leaderboard.csv"]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_ends_a_build_with_its_number_and_without_a_traceback(repo, name, code):
    program = (
        "import os, signal, sys\n"
        "from mss_results import __main__, command\n"
        f"signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        f"command.plan = lambda paths: os.kill(os.getpid(), signal.{name})\n"
        "sys.exit(__main__.main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "build", "--repo", str(repo)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert ended.stderr == ("mss-results: interrupted\n" if name == "SIGINT" else "")


def test_the_callers_signal_handlers_stay(repo):
    before = signal.getsignal(signal.SIGTERM)
    assert main(["build", "--repo", str(repo)]) == 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_build_replaces_no_link_and_no_pipe(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to("mine")
    (tmp_path / "endless").symlink_to("endless")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "endless", "pipe"):
        with pytest.raises(ValueError, match=f"{name}: a link or no plain file: remove it"):
            replace_files({tmp_path / "new": b"x", tmp_path / name: b"x"})
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "new").exists()


def test_a_build_removes_only_what_a_build_has_made(repo, folders):
    out = repo / "results"
    scores = {f"song {index}": four_stems(float(index)) for index in range(3)}
    for name in ("one", "two"):
        old = folders.write(scores, dataset="demo_full", run=name)
    assert main(["build", "--repo", str(repo)]) == 0
    gone = sorted(out.glob("*/**/demo_full--*.*"))
    gone = [file for file in gone if "scores" not in file.parts]
    kinds = {file.suffix for file in gone}
    assert kinds == {".csv", ".md", ".tex", ".svg", ".js"} and len(gone) == 7
    shutil.rmtree(old.parent.parent)
    names = ["results.tex", "a--b.py", "2024--summary.csv", "notes--of-mine.md", "my--plot.svg"]
    mine = [out / "tables" / name for name in (*names, "my--table.tex")]
    mine += [out / "site" / "style.css", out / "site" / "boards" / "a--b.js"]
    mine += [out / "site" / "runs" / "a--b--c--d.js"]
    for file in mine:
        file.write_text("method,year\nmine,2024\n")
    assert main(["build", "--repo", str(repo)]) == 0
    assert all(file.exists() for file in mine) and not any(file.exists() for file in gone)


@pytest.mark.parametrize(
    "name",
    [
        "leaderboard.csv",
        "runs.csv",
        "tables/demo_small--bsseval_v4@1.csv",
        "tables/demo_small--bsseval_v4@1.md",
        "tables/demo_small--bsseval_v4@1.tex",
        "site/index.html",
        "site/boards/demo_small--bsseval_v4@1.js",
        "site/runs/demo_small--bsseval_v4@1--ours--seed0.js",
    ],
)
def test_a_build_replaces_no_file_of_others(repo, tmp_path, capsys, name):
    out = tmp_path / "mine"
    file = out / name
    file.parent.mkdir(parents=True)
    file.write_text("team,points\nmine,3\n")
    arguments = ["build", "--repo", str(repo), "--out", str(out)]
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"mss-results: {file}: no build made this file: move it, or choose another --out\n"
    )
    assert [each for each in out.rglob("*") if each.is_file()] == [file]
    assert file.read_text() == "team,points\nmine,3\n"
    file.write_text("")  # as a power cut leaves it
    assert main(arguments) == 0
    written = file.read_text()
    file.write_text(f"{written}\nedited\n".replace("\n", "\r\n"))
    assert main(arguments) == 0
    assert file.read_text() == written


def test_a_folder_that_leads_elsewhere_is_refused(repo, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "old--usdr@1.csv").write_text("precious")
    (repo / "results" / "tables").symlink_to(elsewhere)
    assert main(["build", "--repo", str(repo)]) == 2
    assert "tables: a link, which may lead elsewhere: remove it" in capsys.readouterr().err
    assert [file.name for file in elsewhere.iterdir()] == ["old--usdr@1.csv"]


def test_a_signal_that_something_ignores_acts_at_the_end():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as end, _stoppable():
            with contextlib.suppress(SystemExit):  # as Python does where it deletes an object
                signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_while_files_are_written_act_when_all_are_whole(repo, monkeypatch, name):
    replace, unlink, number = os.replace, Path.unlink, getattr(signal, name)
    plain = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    before = signal.signal(number, plain)  # nohup and shells let programs ignore some

    def interrupted(*arguments):
        signal.raise_signal(number)
        replace(*arguments)

    def interrupted_again(path, **how):
        signal.raise_signal(number)
        unlink(path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        patch.setattr(Path, "unlink", interrupted_again)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run(["build", "--repo", str(repo)])
    signal.signal(number, before)
    assert not [*repo.rglob("*.partial")]
    assert run(["build", "--repo", str(repo)]) == 0
