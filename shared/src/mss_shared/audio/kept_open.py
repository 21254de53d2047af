"""Sound files from which many excerpts are read."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from mss_shared.audio.reader import open_sound
from mss_shared.audio.sndfile_reader import Reader
from mss_shared.audio.sound import Audio

# Systems allow a process 256 open files and more; any others are opened for each excerpt.
MOST = 64


class KeptOpen:
    """Opens each file once, which takes longer than reading a second of sound.

    Threads may read at the same time, but only one from the same file. Files are closed, and what
    was decoded for them removed, with the object.
    """

    def __init__(self) -> None:
        self._opening = Lock()
        self._opened: dict[Path, tuple[Reader, Lock]] = {}
        self._stack = ExitStack()
        weakref.finalize(self, self._stack.close)

    def read(self, path: Path, start: int, samples: int) -> Audio:
        """As ``audio.read``."""
        with self._opening:
            if path not in self._opened and len(self._opened) < MOST:
                self._opened[path] = self._stack.enter_context(open_sound(path)), Lock()
            kept = self._opened.get(path)
        if kept is None:
            with open_sound(path) as sound:
                return sound.read(start, samples)
        reader, alone = kept
        with alone:
            return reader.read(start, samples)
