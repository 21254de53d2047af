"""Sound files from which many excerpts are read."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import NamedTuple

from mss_shared.audio.reader import open_sound
from mss_shared.audio.sndfile_reader import Reader
from mss_shared.audio.sound import Audio

# Systems allow a process 256 open files and more; any others are opened for each excerpt.
MOST = 64
State = tuple[int, ...]  # of a file on disk


class _Kept(NamedTuple):
    reader: Reader
    state: State
    alone: Lock


class KeptOpen:
    """Opens each file once, which takes longer than reading a second of sound.

    Threads may read at the same time, but only one from the same file. Files are closed, and what
    was decoded for them removed, when the ``with`` block ends.
    """

    def __init__(self) -> None:
        self._opening = Lock()
        self._kept: dict[Path, _Kept] = {}
        self._stack = ExitStack()

    def __enter__(self) -> KeptOpen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def read(self, path: Path, start: int, samples: int) -> Audio:
        """As ``audio.read``; ValueError if the file is no longer what it was when it was opened."""
        kept = self._open(path)
        if kept is None:
            with open_sound(path) as sound:
                return sound.read(start, samples)
        with kept.alone:
            found = kept.reader.read(start, samples)
        if _state(path) != kept.state:
            raise ValueError(f"{path} was changed while it was read: run the command again")
        return found

    def samples(self, path: Path) -> int:
        """Samples per channel of a file."""
        kept = self._open(path)
        if kept is None:
            with open_sound(path) as sound:
                return sound.info.samples
        return kept.reader.info.samples

    def _open(self, path: Path) -> _Kept | None:
        """None if there are too many."""
        with self._opening:
            if path not in self._kept and len(self._kept) < MOST:
                state = _state(path)
                reader = self._stack.enter_context(open_sound(path))
                self._kept[path] = _Kept(reader, state, Lock())
            return self._kept.get(path)


def _state(path: Path) -> State:
    """What changes if a file is written or replaced."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
