"""What commands print: one sentence per mistake, exit codes, progress lines without a terminal."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mss_shared import console, processes


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\n  b:\tc"), "a b: c"),
        (OSError(errno.ENOSPC, "No space", "/a/b"), "no space left on the disk of /a/b: free some"),
        (OSError(errno.ENOSPC, "No space"), "no space left on the disk of an output file: fre"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "Permission denied (/a): check"),
        (FileNotFoundError("there is no file x: check"), "there is no file x: check"),
    ],
)
def test_an_error_becomes_one_line(error: OSError | ValueError, text: str) -> None:
    said = console.sentence(error)
    assert said.startswith(text) and "\n" not in said and "None" not in said


def test_a_sentence_that_quotes_very_much_keeps_its_beginning_and_its_end() -> None:
    said = console.sentence(ValueError(f"the recipe names {'x' * 100_000}: name another"))
    assert said.startswith("the recipe names xx") and said.endswith("xx: name another")
    assert len(said) < 4_001


@pytest.mark.parametrize("error", [ValueError("x: y"), FileNotFoundError("x: y")])
def test_a_users_mistake_ends_with_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, console.one_sentence_errors("tool"):
        raise error
    assert end.value.code == 2 and capsys.readouterr() == ("", "tool: error: x: y\n")


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, console.one_sentence_errors("tool"):
        raise KeyboardInterrupt
    assert end.value.code == 130 and capsys.readouterr().err == "tool: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_128_and_its_number_after_cleaning_up(number: signal.Signals) -> None:
    before, cleaned = signal.signal(number, signal.SIG_DFL), False  # nohup would ignore SIGHUP
    try:
        with pytest.raises(SystemExit) as end, console.one_sentence_errors("tool"):
            try:
                signal.raise_signal(number)
            finally:
                cleaned = True
        assert end.value.code == 128 + number and cleaned
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_names_that_the_terminal_can_not_show_are_printed_with_escapes() -> None:
    code = """
from mss_shared import console
with console.one_sentence_errors("tool"):
    console.say("caf\\u00e9 \\udce4")
    raise ValueError("no caf\\u00e9")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == "caf\\xe9 \\udce4\n" and done.stderr == "tool: error: no caf\\xe9\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = """
from mss_shared import console
with console.one_sentence_errors("tool"):
    for number in range(100_000):
        console.say("a line")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


WORK = """
import os, sys
from mss_shared import console
with console.one_sentence_errors("tool"), console.work_before_output():
    with console.progress("work") as report:
        for done in range(1, 4):
            console.say("a line")
            report("song", done, 3)
            report("song", 3, 3)
    with open(sys.argv[1], "w") as file:
        assert file.fileno() > 2
        os.write(1, b"of a library")
        os.write(2, b"of a library")
        file.write("done")
"""


@pytest.mark.parametrize(
    "streams", ["2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-", "2</dev/null"]
)
def test_work_goes_on_when_it_can_not_be_told(streams: str, tmp_path: Path) -> None:
    shell = f'"$0" -c "$1" "$2" >/dev/null {streams}'
    words = ["sh", "-c", shell, sys.executable, WORK.replace("os.write", "# ")]
    assert subprocess.run([*words, tmp_path / "file"], check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "done"


def test_closed_streams_are_not_given_to_the_next_file(tmp_path: Path) -> None:
    words = ["sh", "-c", '"$0" -c "$1" "$2" >&- 2>&-', sys.executable, WORK, tmp_path / "file"]
    assert subprocess.run(words, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "done"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_work_goes_on_when_the_reader_of_a_pipe_is_gone(stream: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-c", WORK.replace("os.write", "# "), tmp_path / "file"]
    done = subprocess.run(
        words,
        stdout=writing if stream == "stdout" else subprocess.DEVNULL,
        stderr=writing if stream == "stderr" else subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == (141 if stream == "stdout" else 0), done.stderr
    assert (tmp_path / "file").read_text() == "done"


def test_work_goes_on_when_the_terminal_is_gone(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    os.close(ours)  # from now on, writing is an input/output error
    words = [sys.executable, "-c", WORK.replace("os.write", "# "), tmp_path / "file"]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=theirs, check=False)
    os.close(theirs)
    assert done.returncode == 0 and (tmp_path / "file").read_text() == "done"


def test_a_full_disk_under_stdout_is_said_after_the_work(tmp_path: Path) -> None:
    words = ["sh", "-c", '"$0" -c "$1" "$2" >/dev/full', sys.executable]
    words += [WORK.replace("os.write", "# "), str(tmp_path / "file")]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    assert (
        done.returncode == 2 and "tool: error: no space left on the disk of stdout" in done.stderr
    )
    assert (tmp_path / "file").read_text() == "done"


def test_a_pipe_that_does_not_block_gets_every_byte() -> None:
    code = """
import os
from mss_shared import console
os.set_blocking(1, False)
with console.one_sentence_errors("tool"), console.work_before_output():
    console.say("x" * 1_000_000)
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0 and len(done.stdout) == 1_000_001


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(AssertionError), console.one_sentence_errors("tool"):
        raise AssertionError


ESCAPE = "a\x1b[31m\u202eb"


def test_lines_warnings_errors_and_progress_command_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.say(f"{ESCAPE}\nnext")
    console.warn(f"{ESCAPE}\nnext")
    with console.progress("work") as report:
        report(f"{ESCAPE}\n", 1, 1)
    with pytest.raises(SystemExit), console.one_sentence_errors("tool"):
        raise FileNotFoundError(errno.ENOENT, "no file", ESCAPE)
    out, err = capsys.readouterr()
    shown = r"a\x1b[31m\u202eb"
    assert out == f"{shown}\nnext\n"
    lines = err.splitlines()
    assert lines[0] == rf"warning: {shown}\nnext" and lines[1].startswith(rf"work: 1/1 {shown}\n (")
    assert lines[2] == f"tool: error: no file ({shown}): check the path and its permissions"


def test_a_silent_process_says_its_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), console.one_sentence_errors("tool"), console.silent():
        console.say("line")
        console.warn("warning")
        with console.progress("work") as report, console.silent(False):
            report("song", 1, 1)
            console.say("line")
        raise ValueError("fault")
    assert capsys.readouterr() == ("", "tool: error: fault\n")
    console.say("again")
    assert capsys.readouterr().out == "again\n"


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "SLURM_PROCID": "1"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "1", "SLURM_LOCALID": "0"}, False),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),
    ],
)
def test_one_process_of_all_is_the_first(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], first: bool
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes.is_first() is first


def test_without_a_terminal_progress_is_a_line_every_ten_seconds_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 111.0, 112.0, 122.5, 123.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with console.progress("work") as report:
        for done in range(1, 6):
            report("song", done, 5)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "work: 2/5 song (11 s)",
        "work: 4/5 song (22 s)",
        "work: 5/5 song (23 s)",
    ]
