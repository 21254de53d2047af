"""A signal that ends a command is never lost, and leaves nothing half done, wherever it comes."""

import concurrent.futures.thread
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from every_line import signalled_at_every_line
from filelock import SoftFileLease

from mss_shared import atomic, leases
from mss_shared.audio import writer
from mss_shared.audio.formats import SPOOL, Format
from mss_shared.cli import reproduce_fits
from mss_shared.cores import Threads
from mss_shared.evaluation import block_signals
from mss_shared.separation import writer_thread
from mss_shared.separation.batch import locks
from mss_shared.separation.output import stem_files
from mss_shared.separation.output.stem_files import StemFiles
from mss_shared.separation.writer_thread import alongside
from mss_shared.stopping import interruptible, stoppable, uninterrupted
from mss_shared.training import run_folder

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: None}


@pytest.fixture(autouse=True)
def foreground() -> Iterator[None]:
    """The handlers of a command in the foreground: in the background, shells ignore some."""
    plain = {number: signal.SIG_DFL for number in (signal.SIGTERM, signal.SIGHUP)}
    plain[signal.SIGINT] = signal.default_int_handler  # type: ignore[assignment]
    before = {number: signal.signal(number, handler) for number, handler in plain.items()}
    yield
    assert {number: signal.getsignal(number) for number in plain} == plain
    for number, handler in before.items():
        signal.signal(number, handler)


class Deleted:
    """Calls a function when it is deleted."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def __del__(self) -> None:
        self.call()


def lose_in_deletion(number: int) -> None:
    Deleted(lambda: signal.raise_signal(number))


def lose_in_callback(number: int) -> None:
    """As in the locks of modules that are being imported."""

    class Any:
        pass

    thing = Any()
    kept = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    assert kept() is None


def lose_in_library(number: int) -> None:
    with suppress(BaseException):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("lose", [lose_in_deletion, lose_in_callback, lose_in_library])
def test_a_signal_that_is_lost_acts_again(
    lose: Callable[[int], None], number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended, stoppable():
        lose(number)
        threading.Event().wait()
    assert getattr(ended.value, "code", None) == CODES[number]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [None, ValueError("what the library made of it")])
def test_a_command_that_ends_before_that_ends_by_the_signal(error: Exception | None) -> None:
    with pytest.raises(SystemExit, match="143"), stoppable():
        lose_in_library(signal.SIGTERM)
        if error is not None:
            raise error


def test_what_others_ignore_is_reported_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr("sys.unraisablehook", lambda about: said.append(about.exc_value))
    hook = sys.unraisablehook
    with pytest.raises(SystemExit), stoppable():
        lose_in_deletion(signal.SIGTERM)
        Deleted(lambda: [][0])
    assert [type(each) for each in said] == [IndexError]
    assert sys.unraisablehook is hook


def test_cleaning_up_is_not_ended_by_another_signal() -> None:
    cleaned = 0
    with pytest.raises(SystemExit, match="143"), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for number in CODES:
                signal.raise_signal(number)
                cleaned += 1
    assert cleaned == 3


def test_a_signal_waits_for_a_step_and_acts_in_its_long_part() -> None:
    done = []
    with pytest.raises(SystemExit, match="143"), stoppable():
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            done.append("first half")
            try:
                with interruptible():
                    threading.Event().wait()
            finally:
                done.append("second half")
    assert done == ["first half", "second half"]


def test_without_a_signal_nothing_changes() -> None:
    before = {number: signal.getsignal(number) for number in CODES}
    with stoppable(), uninterrupted(), interruptible():
        pass
    assert {number: signal.getsignal(number) for number in CODES} == before


# ---- at every line


def everywhere(
    work: Callable[[], object], check: Callable[[], object], *modules: ModuleType
) -> int:
    """Let SIGTERM end the work at each line of these modules; how many there are."""

    lines = 0
    for raised in signalled_at_every_line(work, *modules):
        lines += 1
        assert isinstance(raised, SystemExit) and raised.code == 143, f"line {lines}: {raised!r}"
        check()
    return lines


def test_a_run_folder_is_free_again(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def work() -> None:
        with uninterrupted(), run_folder.owned(out), interruptible():
            assert (out / run_folder.LOCK).exists()

    def check() -> None:
        assert not out.exists()

    kinds = [kind for kind in SoftFileLease.__mro__ if kind.__module__.startswith("filelock")]
    modules = {sys.modules[kind.__module__] for kind in kinds}
    assert everywhere(work, check, run_folder, leases, contextlib, *modules) > 80


def test_a_song_is_free_again(tmp_path: Path) -> None:
    def work() -> None:
        with uninterrupted(), locks.locked(tmp_path, "song") as holder, interruptible():
            assert holder is None

    def check() -> None:
        assert not [*tmp_path.rglob("*.lock")]

    assert everywhere(work, check, locks, leases, contextlib) > 30


def test_a_folder_for_estimates_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def work() -> None:
        with uninterrupted(), block_signals.spool_folder() as folder, interruptible():
            assert folder.is_dir()

    def check() -> None:
        assert not [*tmp_path.iterdir()]

    assert everywhere(work, check, block_signals, contextlib) > 20


def test_stems_that_were_begun_are_gone(tmp_path: Path) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]

    def work() -> None:
        begun = StemFiles(paths, Format("WAV", "PCM_16"), 8_000, 1, 4)
        with begun as files, interruptible():
            files.write(np.zeros((2, 1, 4)))
            files.change_format(SPOOL)
            files.close()

    def check() -> None:
        assert not [*tmp_path.iterdir()]

    def begun() -> None:
        with uninterrupted():
            work()

    assert everywhere(begun, check, stem_files, writer, atomic) > 40


def test_every_thread_of_a_pool_ends_with_it() -> None:
    running = []

    def work() -> None:
        with Threads(2) as pool:
            for number in range(2):
                pool.submit(act, number)

    def act(number: int) -> None:
        running.append(number)
        time.sleep(0.01)
        running.remove(number)

    def check() -> None:
        assert not running

    assert everywhere(work, check, concurrent.futures.thread) > 40


def test_a_file_is_old_or_new_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def check() -> None:
        assert [*tmp_path.iterdir()] == [path] and path.read_text() in ("old", "new")

    assert everywhere(lambda: atomic.write_text(path, "new"), check, atomic) > 15
    assert path.read_text() == "new"


def test_files_are_all_old_or_all_new(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]

    def work() -> None:
        moves = [(path.with_suffix(".part"), path) for path in paths]
        for part, path in moves:
            path.write_text("old")
            part.write_text("new")
        atomic.replace_all(moves)

    def check() -> None:
        assert len({path.read_text() for path in paths}) == 1
        assert {path.suffix for path in tmp_path.iterdir()} <= {"", ".part"}
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(atomic.PART)]

    assert everywhere(work, check, atomic) > 15


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def work() -> None:
        with atomic.making_folder(tmp_path / "made") as part:
            (part / "file").touch()

    def check() -> None:
        assert {path.name for path in tmp_path.iterdir()} <= {"made"}
        if (tmp_path / "made").exists():
            (tmp_path / "made" / "file").unlink()
            (tmp_path / "made").rmdir()

    assert everywhere(work, check, atomic) > 10


def test_the_thread_that_writes_ends() -> None:
    begun: list[threading.Event] = []

    def use(items: Iterator[int]) -> list[int]:
        begun.append(threading.Event())
        try:
            return [*items]
        finally:
            begun[-1].set()

    def check() -> None:
        assert all(ended.wait(60.0) for ended in begun)

    assert everywhere(lambda: alongside(iter(range(3)), use), check, writer_thread) > 15


def test_a_fit_of_a_reproduction_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    plain = subprocess.Popen

    def popen(*words: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(plain(*words, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    words = ("sh", "-c", f"kill -TERM {os.getpid()}; exec sleep 600")  # the last one of them

    def work() -> None:
        with suppress(SystemExit):
            reproduce_fits._run(words)
        assert all(process.poll() is not None for process in started)

    assert everywhere(work, lambda: None, reproduce_fits) >= 4 and len(started) >= 4
