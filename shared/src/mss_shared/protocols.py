"""Named, versioned protocols: which metric, on which frames, silence how, averaged how.

A number without its protocol's id means nothing, and two ids never share an average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mss_shared.metrics.bsseval import bsseval
from mss_shared.metrics.sdr import usdr
from mss_shared.metrics.sisdr import si_sdr
from mss_shared.scores import Frame, TrackScores

Signals = NDArray[np.float32]


@dataclass(frozen=True)
class Protocol:
    """What a number under this id is.

    Attributes:
        name, version: together the id; any change of the definition is a new version.
        metrics: names of the metrics a frame holds.
        frames, tracks: how frames of a track, and tracks of a set, become one number.
        silence: what happens where a reference or an estimate is silent.
        score: (references, estimates, stems, sample_rate) -> TrackScores, arrays being
            (stem, channel, sample).
    """

    name: str
    version: int
    metrics: tuple[str, ...]
    frames: str
    tracks: str
    silence: str
    score: Callable[[Signals, Signals, Sequence[str], int], TrackScores]

    @property
    def id(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


def _score_bsseval(
    references: Signals, estimates: Signals, stems: Sequence[str], sample_rate: int
) -> TrackScores:
    window = min(sample_rate, references.shape[-1])
    scores = bsseval(references, estimates, window=window, hop=sample_rate, metrics=("SDR",))
    seconds = window / sample_rate
    return {
        stem: [Frame(float(t), seconds, {"SDR": float(v)}) for t, v in enumerate(values)]
        for stem, values in zip(stems, scores.sdr, strict=True)
    }


def _score_whole(
    name: str, metric: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Callable[[Signals, Signals, Sequence[str], int], TrackScores]:
    """A protocol with one frame, the whole track; computed in float64."""

    def score(
        references: Signals, estimates: Signals, stems: Sequence[str], sample_rate: int
    ) -> TrackScores:
        seconds = references.shape[-1] / sample_rate
        scores = {}
        for stem, reference, estimate in zip(stems, references, estimates, strict=True):
            value = metric(
                torch.from_numpy(reference).double(), torch.from_numpy(estimate).double()
            )
            scores[stem] = [Frame(0.0, seconds, {name: float(value)})]
        return scores

    return score


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "bsseval_v4",
            1,
            ("SDR",),
            frames="median",
            tracks="median",
            silence="a frame with a silent stem counts for no stem; a stem silent throughout is "
            "left out",
            score=_score_bsseval,
        ),
        Protocol(
            "usdr",
            1,
            ("uSDR",),
            frames="mean",
            tracks="mean",
            silence="a silent stem scores 1e-7 over the energy of its estimate",
            score=_score_whole("uSDR", usdr),
        ),
        Protocol(
            "si_sdr",
            1,
            ("SI-SDR",),
            frames="mean",
            tracks="mean",
            silence="a silent stem scores 1e-8 over the energy of its estimate",
            score=_score_whole("SI-SDR", si_sdr),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name; ValueError listing the names there are."""
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name!r}: choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def aggregate(tracks: Sequence[TrackScores], protocol: Protocol) -> dict[str, dict[str, float]]:
    """Stem -> metric -> dB over a set of tracks, by the protocol's own rule; NaN is skipped.

    A number that no frame supports is NaN.
    """
    stems = list(dict.fromkeys(stem for scores in tracks for stem in scores))
    result: dict[str, dict[str, float]] = {}
    for stem in stems:
        result[stem] = {}
        for metric in protocol.metrics:
            per_track = [
                _reduce([f.metrics[metric] for f in scores[stem]], protocol.frames)
                for scores in tracks
                if stem in scores
            ]
            result[stem][metric] = _reduce(per_track, protocol.tracks)
    return result


def _reduce(values: Sequence[float], rule: str) -> float:
    numbers = [value for value in values if not np.isnan(value)]
    if not numbers:
        return float("nan")
    return float(np.median(numbers) if rule == "median" else np.mean(numbers))
