"""A command in a forked process: its ending, what it printed, its seconds and its memory."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

SECONDS, GIGABYTES = 10.0, 2.0
_PATIENCE = 60.0  # then a process is killed
_WORKERS_END = 20.0  # seconds after their parent: one that begins must import first
_MOST_BYTES = 24 * 2**30  # of address space: what asks for terabytes fails at once


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: as a shell would say, 128 and more for signals.
        said: the last line that it printed.
        printed: all that it printed.
        seconds: until then, by the clock.
        processor_seconds: which do not tell how busy the machine is.
        gigabytes: more than its parent had.
        workers_left: whether a process of its own was alive 20 seconds later.
    """

    code: int
    said: str
    printed: str
    seconds: float
    processor_seconds: float
    gigabytes: float
    workers_left: bool

    def fault(self, *allowed: int) -> str:
        """What is wrong with it: empty for one sentence and exit code 2, or an allowed code."""
        if self.workers_left:
            return f"worker processes are left: {self.said}"
        if "Traceback (most recent call last)" in self.printed:
            return f"a traceback: {self.said}"
        if self.code not in (2, *allowed):
            return f"exit code {self.code}: {self.said}"
        if self.processor_seconds > SECONDS or self.gigabytes > GIGABYTES:
            return f"{self.processor_seconds:.0f} s and {self.gigabytes:.1f} GB: {self.said}"
        return ""


def run_forked(
    work: Callable[[], object],
    log: Path,
    *,
    file_bytes: int | None = None,
    kill_after: float = _PATIENCE,
    stop: tuple[int, ...] = (),
) -> Ending:
    """Run a function in a forked process, which imports nothing again.

    Args:
        work: may end in SystemExit, as commands do.
        log: gets what it prints.
        file_bytes: the size that no file may exceed, as on a full disk.
        kill_after: end it by SIGKILL after so many seconds, or by the signals of ``stop``.
        stop: signals, one after another.
    """
    return Started(work, log, file_bytes).end(kill_after, stop)


class Started:
    """A function in a forked process, which has a process group of its own."""

    def __init__(
        self, work: Callable[[], object], log: Path, file_bytes: int | None = None
    ) -> None:
        self.log, self.began, self.before = log, time.monotonic(), _memory()
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            _become(work, log, file_bytes)

    def end(self, kill_after: float = _PATIENCE, stop: tuple[int, ...] = ()) -> Ending:
        """Wait for its end, or bring it about; see `run_forked`."""
        status, used = _wait(self.process, self.began + kill_after, stop)
        lines = self.log.read_text(encoding="utf-8", errors="replace")
        said = next((line for line in reversed(lines.splitlines()) if line.strip()), "")
        code = os.waitstatus_to_exitcode(status)
        return Ending(
            128 - code if code < 0 else code,
            said[-300:],
            lines,
            time.monotonic() - self.began,
            used.ru_utime + used.ru_stime,
            max(0.0, used.ru_maxrss / 2**20 - self.before),
            _outlived_by_workers(self.process),
        )


def _outlived_by_workers(group: int) -> bool:
    """Whether processes of a group are there still, after they had time to end; then kill them."""
    end = time.monotonic() + _WORKERS_END
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    return True


def _become(work: Callable[[], object], log: Path, file_bytes: int | None) -> NoReturn:
    """Never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGTERM, signal.SIGINT):  # ignored by what runs in the background
            signal.signal(number, signal.SIG_DFL)
        faulthandler.dump_traceback_later(_PATIENCE / 2)  # says what a command waits for
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
        if file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with EFBIG
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(process: int, end: float, stop: tuple[int, ...]) -> tuple[int, resource.struct_rusage]:
    """The status of a process that has ended, killed or stopped at ``end``, and what it used."""
    left = list(stop)
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return status, usage
        if time.monotonic() > end + (_PATIENCE if stop and not left else 0.0):
            os.kill(process, left.pop(0) if left else signal.SIGKILL)
        time.sleep(0.002)


def _memory() -> float:
    """Of this process, in GB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE") / 2**30)
