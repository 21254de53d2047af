"""What the commands print: plain lines, progress, and errors in one sentence."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from io import BufferedWriter, RawIOBase, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mss_shared.names import printable
from mss_shared.stopping import stoppable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LONGEST = 4_000  # characters of a sentence; longer ones lose some in the middle
PLAIN_SECONDS = 10.0  # between two progress lines where there is no terminal

_silent = ContextVar("silent", default=False)

# Called to report progress: with what is being done, how many are done, and of how many.
Report = Callable[[str, int, int], None]


def say(text: str, file: TextIO | None = None) -> None:
    """Print a text and flush it, so that it appears at once in a file or a pipe too.

    What could command the terminal is escaped; line ends are kept, so that a name in which there
    could be one goes through ``printable`` first.

    Args:
        text: one line or several.
        file: where to; stdout by default.
    """
    if not _silent.get():
        print("\n".join(map(printable, text.split("\n"))), file=file, flush=True)


def warn(text: str) -> None:
    """Print one line on stderr that is no error: the work goes on."""
    say(f"warning: {printable(text)}", sys.stderr)


def count(number: int, word: str) -> str:
    """``1 device``, ``2 devices``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


@contextmanager
def silent(wanted: bool = True) -> Iterator[None]:
    """Print no lines and no progress in the block if ``wanted``; errors are still printed."""
    token = _silent.set(wanted or _silent.get())
    try:
        yield
    finally:
        _silent.reset(token)


def ask(question: str) -> bool | None:
    """Whether a person at the terminal answers a question with yes; None if nobody is there."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def json_alone(wanted: bool) -> Iterator[TextIO]:
    """Yield stdout for JSON; if ``wanted``, everything else is printed to stderr meanwhile."""
    results = sys.stdout
    if not wanted:
        yield results
        return
    with redirect_stdout(sys.stderr):
        yield results


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Yield a function of (what, done, total) that shows a bar, or lines if not on a terminal."""
    console = Console(stderr=True)
    if _silent.get():
        yield lambda what, done, total: None
        return
    if not console.is_terminal:
        yield _plain_report(title)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(title, total=None, what="")

        def update(what: str, done: int, total: int) -> None:
            bars.update(task, total=total, completed=done, what=printable(what))

        yield update


def _plain_report(title: str) -> Report:
    began = last = time.monotonic()

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS or done == total:
            last = now
            line = f"{title}: {done}/{total} {printable(what)} ({now - began:.0f} s)"
            say(line, sys.stderr)

    return report


@contextmanager
def one_sentence_errors(program: str) -> Iterator[None]:
    """Turn a mistake of the user into one sentence on stderr and exit code 2.

    Characters of file names that the terminal can't encode are escaped. If stderr can't be written,
    because it was closed or its reader or terminal is gone, the program continues in silence.
    Ctrl-C ends with exit code 130, SIGTERM with 143.
    """
    _open_missing()
    with _outlasting("stderr"):
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            with stoppable():
                yield
        except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(128 + signal.SIGPIPE) from None
        except KeyboardInterrupt:
            print(f"{program}: interrupted", file=sys.stderr)
            raise SystemExit(130) from None
        except (ValueError, OSError, ImportError) as error:
            say_error(program, sentence(error))
            raise SystemExit(2) from None


def say_error(program: str, text: str) -> None:
    """Print one line on stderr for what went wrong, also in a process that is silent."""
    print(f"{program}: error: {printable(text)}", file=sys.stderr, flush=True)


@contextmanager
def work_before_output() -> Iterator[None]:
    """Finish the work of the block even if stdout fails; its first error is raised at the end.

    Raises:
        OSError: that error, as BrokenPipeError if the reader of a pipe has closed it.
    """
    with _outlasting("stdout") as written:
        yield
    if written is not None and written.error is not None:
        raise OSError(written.error.errno, written.error.strerror, "stdout")


class _Unfailing(RawIOBase):
    """A descriptor that is written to up to its first error; what follows is dropped.

    Attributes:
        error: the first error.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Always, as ``io`` asks for it."""
        return True

    def fileno(self) -> int:
        """The descriptor, which stays open when this object is closed."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self.descriptor)

    def write(self, data: ReadableBuffer) -> int:
        """Write some of the bytes and return how many; all, if they are dropped."""
        while self.error is None:
            try:
                return os.write(self.descriptor, data)
            except BlockingIOError:  # a full pipe that was made non-blocking
                select.select([], [self.descriptor], [])
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


@contextmanager
def _outlasting(name: str) -> Iterator[_Unfailing | None]:
    """Replace ``sys.stdout`` or ``sys.stderr`` by a stream that does not fail.

    Yields:
        what it writes to; None if the stream is not the process's own, and is left alone.
    """
    stream = getattr(sys, name)
    if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, TextIOWrapper):
        yield None
        return
    raw = _Unfailing(stream.fileno())
    lasting = TextIOWrapper(
        BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )
    setattr(sys, name, lasting)
    try:
        yield raw
    finally:
        lasting.flush()
        setattr(sys, name, stream)


def _open_missing() -> None:
    """Open the null device in place of standard streams that the caller has closed.

    Otherwise the next file opened would get the descriptor, and what libraries print with it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if name != "stdin":
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def sentence(error: BaseException) -> str:
    """The message of an error on one printable line; those of the system with what to do."""
    line = printable(" ".join(_message(error).split()))
    return line if len(line) <= _LONGEST else f"{line[:3000]}...{line[-900:]}"


def _message(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        said = str(error)
        if said in ("embedded null byte", "embedded null character"):  # Python's, of a path
            return "a path has a NUL character, as no file has: write it without"
        return said
    path = error.filename if isinstance(error.filename, str | bytes) else ""  # or a descriptor
    named = os.fsdecode(path) or "an output file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk of {named}: free some, or choose another folder"
    if error.errno == errno.EFBIG:
        return f"{named} is too large for its disk or for ulimit -f: choose another folder"
    if not path:
        return f"{error.strerror}: check the paths, their permissions and their disks"
    return f"{error.strerror} ({named}): check the path and its permissions"
