"""BSSEval's input: checked arrays, excerpts in float64, sums of stems, silence."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mss_shared.cores import Threads
from mss_shared.metrics.axes import refuse_swapped

Array = NDArray[np.float64]


@runtime_checkable
class Reader(Protocol):
    """Signals that are not in memory, such as files; read from several threads at once.

    shape: (stem, channel, sample).
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """(stem, channel, stop - start) finite real samples; ValueError if they are not."""

    def sums(self, groups: Sequence[Sequence[int]]) -> "Reader":
        """Signals whose stems are sums of these stems."""


Signals = NDArray[Any] | Reader  # (stem, channel, sample), any real dtype
Item = TypeVar("Item")
Result = TypeVar("Result")

_ORDER = (
    "(stem, channel, sample) audio, or museval's (stem, sample, channel) to mss_shared.metrics."
    "bss_eval"
)

# Samples per read when a whole song is scanned: it is never copied to float64 as a whole.
CHUNK = 1 << 17


@dataclass(frozen=True)
class Scenario:
    """The stems to score: entry i is the sum of the input stems `groups[i]`."""

    groups: tuple[tuple[int, ...], ...]
    stems: int  # number of input stems

    @classmethod
    def one_per_stem(cls, stems: int) -> "Scenario":
        return cls(tuple((stem,) for stem in range(stems)), stems)

    @property
    def weights(self) -> Array:
        """(scored stem, input stem): 1 if the input stem is part of the sum, else 0."""
        weights = np.zeros((len(self.groups), self.stems))
        for row, group in zip(weights, self.groups, strict=True):
            row[list(group)] = 1.0
        return weights

    def mix(self, signals: Array) -> Array:
        """(input stem, ...) -> (scored stem, ...)."""
        if self == Scenario.one_per_stem(self.stems):
            return signals
        return np.stack([signals[list(group)].sum(axis=0) for group in self.groups])

    def spread(self, filters: Array) -> Array:
        """Filters on sums of stems as filters on the stems; the third axis from the end."""
        spread: Array = np.einsum("gj,...gcn->...jcn", self.weights, filters)
        return spread


def checked(signals: ArrayLike | Reader, name: str) -> Signals:
    """The signals themselves; ValueError unless a plausible (stem, channel, sample), real, finite.

    Readers check their samples themselves as they read.
    """
    array: NDArray[Any] | Reader = signals if isinstance(signals, Reader) else np.asarray(signals)
    if len(array.shape) != 3 or 0 in array.shape:
        raise ValueError(
            f"{name} have shape {array.shape}: pass a non-empty (stem, channel, sample) array"
        )
    stems, channels, length = array.shape
    refuse_swapped(f"{name} have", {"channels": channels, "stems": stems}, length, _ORDER)
    if isinstance(array, Reader):
        return array
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} have dtype {array.dtype}: pass real samples, float32 or float64")
    for start in range(0, array.shape[2], CHUNK):
        finite = np.isfinite(array[:, :, start : start + CHUNK])
        if not finite.all():
            bad = ~np.atleast_2d(finite.all(axis=1))
            stem, sample = _first_bad(bad)
            raise ValueError(
                f"{name}[{stem}] is NaN or infinite first at sample {start + sample}: "
                f"fix the audio of stem {stem} before scoring"
            )
    return array


def _first_bad(bad: NDArray[np.bool_]) -> tuple[int, int]:
    stem = int(np.argmax(bad.any(axis=1)))
    return stem, int(np.argmax(bad[stem]))


def excerpt(signals: Signals, start: int, stop: int, bounds: tuple[int, int]) -> Array:
    """(stem, channel, stop - start) float64 from `start`; zeros outside `bounds`."""
    out = np.zeros((*signals.shape[:-1], stop - start))
    first, last = max(start, bounds[0]), min(stop, bounds[1])
    if first < last:
        out[..., first - start : last - start] = samples(signals, first, last)
    return out


def samples(signals: Signals, start: int, stop: int) -> NDArray[Any]:
    """(stem, channel, stop - start) in their own dtype, from memory or through the reader."""
    if isinstance(signals, Reader):
        return signals.read(start, stop)
    return signals[..., start:stop]


def audible(signals: Array) -> NDArray[np.bool_]:
    """(stem, channel, sample) -> (stem,): whether the sum of the channels is ever nonzero."""
    heard: NDArray[np.bool_] = (signals.sum(axis=1) != 0).any(axis=-1)
    return heard


def audible_somewhere(signals: Signals, scenario: Scenario) -> NDArray[np.bool_]:
    """(scored stem,): whether it is audible anywhere in the song; reads until all are."""
    samples = signals.shape[2]
    heard = np.zeros(len(scenario.groups), bool)
    for start in range(0, samples, CHUNK):
        stop = min(start + CHUNK, samples)
        heard |= audible(scenario.mix(excerpt(signals, start, stop, (0, samples))))
        if heard.all():
            break
    return heard


def energy(signals: Array) -> float:
    """Sum of squares over (channel, ..., sample)."""
    return float(np.einsum("...n,...n->...", signals, signals).sum())


def frame_bounds(samples: int, window: float, hop: float) -> list[tuple[int, int]]:
    """First and one-past-last sample of each complete frame; one frame if the window is longer."""
    for name, value in (("window", window), ("hop", hop)):
        if not value >= 1:
            raise ValueError(f"{name} is {value} samples: pass a length of at least 1 sample")
    if window >= samples:
        return [(0, samples)]
    count = 1 if math.isinf(hop) else math.floor((samples - window + hop) / hop)
    starts = [0.0, *(frame * hop for frame in range(1, count))]
    return [(math.floor(start), math.floor(min(start + window, samples))) for start in starts]


def map_in_order(
    task: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Map a task over items on threads; results keep the order of the items, so that sums do not
    depend on the number of threads, and no more than two for each thread wait to be taken."""
    # A pool even for one thread: in the main thread, glibc returns buffers to the system after
    # every item, and the page faults took a third of the time.
    with Threads(workers) as pool:
        ahead: deque[Future[Result]] = deque()
        for item in items:
            if len(ahead) == 2 * workers:
                yield ahead.popleft().result()
            ahead.append(pool.submit(task, item))
        while ahead:
            yield ahead.popleft().result()
