"""The stem files of a song, written block by block; they appear all complete, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from mss_shared.atomic import replace_all
from mss_shared.audio.formats import Format
from mss_shared.audio.sound import Exact
from mss_shared.audio.tags import Tags
from mss_shared.audio.writer import SoundWriter, read_back
from mss_shared.cores import Threads, cpu_count

# What takes so long to write that files go side by side; threads would slow down mere copies.
_ENCODED = ("FLAC", "MP3")


class StemFiles:
    """The files of one song; leaving the ``with`` block without ``publish`` removes them.

    So are the folders that were created for them. Those of an encoded format are written side by
    side, as a network waits meanwhile.

    Attributes:
        files: in order.
        peak: the largest magnitude written so far.
    """

    def __init__(
        self,
        targets: Sequence[Path],
        form: Format,
        rate: int,
        channels: int,
        samples: int,
        prefix: str | None = None,
        tags: Sequence[Tags] = (),
    ) -> None:
        """Create them, with ``tags`` for each if there are any."""
        self.prefix = prefix
        self.files: list[SoundWriter] = []
        self.new_folders: list[Path] = []
        self.peak = 0.0
        self.form = form
        self._pool, self._stop = Threads(cpu_count()), Event()
        try:
            for target, each in zip(targets, tags or [Tags()] * len(targets), strict=True):
                self.new_folders = missing_folders(target.parent) + self.new_folders
                self.files.append(SoundWriter(target, form, rate, channels, samples, prefix, each))
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> StemFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, values: NDArray[np.floating]) -> None:
        """Append (file, channel, sample) values."""
        self.peak = max(self.peak, find_peak(values))
        signals = dict(zip(self.files, values, strict=True))
        self._for_each(lambda file: file.write(signals[file]))

    def change_format(self, form: Format, gain: float = 1.0) -> None:
        """Continue all files in another format, as ``SoundWriter.change_format``."""
        self.form = form
        self._for_each(lambda file: file.change_format(form, gain, self._stop))

    def _for_each(self, act: Callable[[SoundWriter], None]) -> None:
        """Act on all files; raise what the first of them does, if any, and end the others."""
        if self.form.container not in _ENCODED:
            for file in self.files:
                act(file)
            return
        running = [self._pool.submit(act, file) for file in self.files]
        done = wait(running, return_when=FIRST_EXCEPTION).done
        for each in running:
            if each in done and (error := each.exception()) is not None:
                self._stop.set()
                raise error

    def close(self) -> None:
        """Close all files; errors as in ``SoundWriter.close``."""
        for file in self.files:
            file.close()

    def publish(self, mask: int = 0) -> None:
        """Finish the headers of all closed files, then rename them to their targets: all or none.

        Args:
            mask: which loudspeaker each channel is for, as in ``channel_layout``.

        Raises:
            OSError: if a file can't be changed or renamed.
        """
        for file in self.files:
            file.finish_header(mask)
        replace_all([(file.part, file.target) for file in self.files], prefix=self.prefix)

    def discard(self) -> None:
        """Remove unpublished files, and the folders created for them."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        for file in self.files:
            file.discard()
        remove_empty(self.new_folders)


def find_peak(values: NDArray[np.floating]) -> float:
    """The largest magnitude of the values; 0 if there are none."""
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def missing_folders(folder: Path) -> list[Path]:
    """A folder and its parents that do not exist yet, deepest first."""
    return list(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those folders that are empty, in the given order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def null_depth(parts: Sequence[Path], song: Iterator[Exact]) -> float:
    """Peak of a song minus the sum of its files, in dBFS; minus infinity if they are equal.

    A null test as a listener would run it: the files are read back and added up in order, in
    float64. That is free of rounding if their partial sums fit in 53 bits, as ``fits`` ensures.
    """
    worst = 0.0
    readers = [read_back(part) for part in parts]
    # Blocks of the files and of the song differ in length: what is read ahead waits here.
    pending = [np.zeros((0, 0))] * len(parts)
    for mixture in song:
        total = np.zeros_like(mixture)
        for index, reader in enumerate(readers):
            block = pending[index]
            while block.shape[-1] < mixture.shape[-1]:
                block = (
                    np.concatenate([block, next(reader)], axis=1) if block.size else next(reader)
                )
            total += block[:, : mixture.shape[-1]]
            pending[index] = block[:, mixture.shape[-1] :]
        worst = max(worst, float(np.abs(mixture - total).max()))
    return 20.0 * math.log10(worst) if worst else -math.inf
