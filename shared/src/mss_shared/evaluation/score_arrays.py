"""Score one song in memory, without files: references and estimates as arrays. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.arrays import read_numbers
from mss_shared.audio.sound import check_sound
from mss_shared.evaluation.protocols import find_protocol
from mss_shared.evaluation.score_files import TrackScores, to_json
from mss_shared.evaluation.track_metrics import Engine, Song
from mss_shared.metrics.axes import refuse_swapped
from mss_shared.names import check_file_name

Values = NDArray[np.float64]


@dataclass(frozen=True)
class SongScores:
    """The scores of one song under one protocol.

    Attributes:
        protocol: its id, without which a score means nothing.
        track: the frames as they are written to score files.
    """

    protocol: str
    track: TrackScores

    def __repr__(self) -> str:
        """The medians, under their protocol."""
        rows = (
            f"{stem} " + ", ".join(f"{name} {value:.2f}" for name, value in values.items())
            for stem, values in self.median().items()
        )
        return f"<{self.protocol}: {'; '.join(rows)}>"

    @property
    def frames(self) -> dict[str, dict[str, Values]]:
        """Stem -> metric -> (frame,) values; one frame if the protocol scores whole songs."""
        return {
            stem: {
                name: np.array([frame.metrics[name] for frame in frames])
                for name in (frames[0].metrics if frames else ())
            }
            for stem, frames in self.track.targets.items()
        }

    @property
    def notes(self) -> Mapping[str, str]:
        """Stem -> why it has no score, such as silence."""
        return self.track.notes

    def median(self) -> dict[str, dict[str, float]]:
        """Stem -> metric -> the median over frames; NaN frames are skipped, as in museval."""
        return {
            stem: {name: _median(values) for name, values in metrics.items()}
            for stem, metrics in self.frames.items()
        }

    def to_museval(self) -> dict[str, Any]:
        """museval's own layout, that of ``museval.TrackStore(...).scores``, with 5 decimals."""
        store: dict[str, Any] = json.loads(to_json(self.track))
        return store


def score(
    reference: Any,
    estimate: Any,
    protocol: str = "bsseval_v4",
    *,
    sample_rate: int,
    stems: Sequence[str] | None = None,
    mixture: Any = None,
    bsseval: str = "ours",
) -> SongScores:
    """Score the estimates of one song.

    Args:
        reference, estimate: stem -> (channel, sample); or (stem, channel, sample); or (channel,
            sample) of a single stem. Numpy arrays or torch tensors, as floats with full scale 1.0,
            or int16 or int32.
        protocol: a name of `mss_shared.evaluation.protocols`, such as ``usdr``.
        sample_rate: in Hz.
        stems: names of the stems of arrays without names; by default ``stem_1``, ``stem_2``, ...
            BSSEval scores stems jointly, so its id names those that are not the usual four.
        mixture: (channel, sample), for ``log_wmse``; by default the sum of the references.
        bsseval: ``ours``, or ``museval`` for museval itself.

    Raises:
        ValueError: if names or shapes differ, axes are in another order, samples are NaN, or the
            protocol is unknown or does not apply to the stems.
    """
    if isinstance(sample_rate, bool) or int(sample_rate) != sample_rate or sample_rate < 1:
        raise ValueError(f"sample_rate is {sample_rate!r}: pass a positive whole number of Hz")
    if bsseval not in ("ours", "museval"):
        raise ValueError(f"bsseval is {bsseval!r}: choose from ours, museval")
    found = find_protocol(protocol)
    names, references = _read(reference, stems, "the reference")
    theirs, estimates = _read(estimate, stems, "the estimate")
    if set(names) != set(theirs):
        raise ValueError(
            f"the reference has {', '.join(names)}, the estimate {', '.join(theirs)}: pass the "
            f"same stems"
        )
    estimates = estimates[[theirs.index(name) for name in names]]
    if references.shape != estimates.shape:
        raise ValueError(
            f"the reference is {references.shape}, the estimate {estimates.shape}: both must be "
            f"the same (stem, channel, sample)"
        )
    mixed = references.sum(axis=0) if mixture is None else read_numbers(mixture, "the mixture")
    if mixed.shape != references.shape[1:]:
        raise ValueError(
            f"the mixture is {mixed.shape}, a stem {references.shape[1:]}: both must be the same "
            f"(channel, sample)"
        )
    song = Song("song", names, references, estimates, mixed[None], int(sample_rate))
    chosen = found.on(names)
    return SongScores(chosen.id, chosen(song, Engine(museval=bsseval == "museval")))


def _read(
    signals: Any, stems: Sequence[str] | None, what: str
) -> tuple[tuple[str, ...], NDArray[np.floating]]:
    """The names of the stems, and (stem, channel, sample) floats."""
    if isinstance(signals, Mapping):
        named = {str(stem): read_numbers(each, f"{what} {stem}") for stem, each in signals.items()}
        if stems is not None:
            raise ValueError(f"{what} names its stems, {', '.join(named)}: leave out stems")
        shapes = {stem: each.shape for stem, each in named.items()}
        if not named or len({*shapes.values()}) > 1:
            raise ValueError(
                f"{what} has stems of the shapes {shapes}: pass equal ones, at least one"
            )
        values = np.stack([*named.values()])
    else:
        named, values = {}, read_numbers(signals, what)
        values = values[None] if values.ndim == 2 else values
    _check_axes(values, what, axes="(channel, sample)" if named else "(stem, channel, sample)")
    for signal in values:
        check_sound(signal, what)
    names = tuple(named) or tuple(stems or (f"stem_{n + 1}" for n in range(len(values))))
    if len(names) != len(values) or len({*names}) < len(names):
        raise ValueError(
            f"stems has {', '.join(names)}, {what} {len(values)} stems: name each once"
        )
    return tuple(check_file_name(name, "the name of a stem") for name in names), values


def _check_axes(values: NDArray[np.floating], what: str, axes: str) -> None:
    if values.ndim != 3 or not values.size:
        shape = values.shape[1:] if axes == "(channel, sample)" else values.shape
        raise ValueError(
            f"{what} is {shape}: pass {axes} audio with at least one sample, which is array[None] "
            f"for one channel"
        )
    stems, channels, samples = values.shape
    instead = f"{axes} audio, the samples last"
    refuse_swapped(f"{what} has", {"stems": stems, "channels": channels}, samples, instead)


def _median(values: Values) -> float:
    numbers = values[~np.isnan(values)]
    return float(np.median(numbers)) if len(numbers) else float("nan")
