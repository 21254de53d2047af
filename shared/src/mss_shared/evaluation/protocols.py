"""Named, versioned protocols: metric, stems, frames, treatment of silence, averaging.

A score without its protocol's id means nothing, and no average mixes two ids.

BSSEval scores the stems of a track jointly: a frame in which one is silent counts for none, and SIR
depends on which other stems there are, as SI-SIR does. So the stems are part of the id:
``bsseval_v4@1`` stands for vocals, drums, bass and other; any other choice is spelt out, as in
``bsseval_v4.vocals+accompaniment@1``.

Interchangeable stems (permutation-invariant outputs), such as speakers, are scored in the order
with the greatest mean SI-SDR, track by track, and the id says so: ``si_sdr.best_order@1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mss_shared.datasets.tracks import STEMS
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.track_metrics import (
    ACCOMPANIMENT,
    BSSEVAL_METRICS,
    OURS,
    Engine,
    Score,
    Song,
    bleed_values,
    csdr_values,
    every_second,
    l1_freq_values,
    log_wmse_values,
    reorder_estimates,
    score_bsseval,
    score_bsseval_v3,
    score_si_bss_eval,
    score_si_sdr,
    score_sisec,
    score_usdr,
    whole_track,
)
from mss_shared.metrics.logwmse import load_published

__all__ = ["PROTOCOLS", "Protocol", "aggregate", "find_protocol", "mean_of_stems", "sort_stems"]

_ORDER = (*STEMS, ACCOMPANIMENT)
_SILENT_SONG = "a stem whose reference or estimate is silent over the whole track is NaN"
_SILENT_FRAME = "a frame in which a stem's reference or estimate is silent is NaN for all stems"
_BSSEVAL_SILENCE = f"{_SILENT_FRAME}; {_SILENT_SONG} and does not make the others so"


@dataclass(frozen=True)
class Protocol:
    """How a score is computed; its id is stored with every score.

    Attributes:
        name, version: part of the id; any change of the definition is a new version.
        metrics: names of a frame's metrics.
        unit: of all metrics.
        window: which frames there are.
        frames, tracks: how the frames of a track, and the tracks of a set, are averaged.
        silence: what happens where a reference or an estimate is silent.
        choose: the stems a method estimates -> the stems to score, in the order of the files;
            ValueError if the protocol can't be applied to them, ModuleNotFoundError without a
            package that it needs.
        score: (song, targets, engine) -> frames of every target, and why a target has no score.
        joint: whether a stem's score depends on which other stems there are.
        targets: the stems to score; empty until ``on`` has chosen them.
        best_order: whether estimates are first put in the order that fits the references best.
    """

    name: str
    version: int
    metrics: tuple[str, ...]
    unit: str
    window: str
    frames: str
    tracks: str
    silence: str
    choose: Callable[[Sequence[str]], tuple[str, ...]]
    score: Score
    joint: bool = False
    targets: tuple[str, ...] = ()
    best_order: bool = False

    @property
    def label(self) -> str:
        """The id without its version: the name of the protocol's folder."""
        words = [self.name]
        if self.joint and set(self.targets) not in (set(), set(STEMS)):
            words.append("+".join(self.targets))
        return ".".join([*words, "best_order"] if self.best_order else words)

    @property
    def id(self) -> str:
        """``name@version``, with the stems in between if they matter and are not the usual four."""
        return f"{self.label}@{self.version}"

    def on(self, stems: Sequence[str], *, best_order: bool = False) -> Protocol:
        """The protocol for a method that estimates these stems."""
        chosen = replace(self, targets=self.choose(stems))
        if not best_order:
            return chosen
        window = f"{self.window}; estimates in the order of the greatest mean SI-SDR of the track"
        return replace(chosen, best_order=True, window=window)

    def __call__(self, song: Song, engine: Engine = OURS) -> TrackScores:
        """Score one track; the result carries the id.

        Args:
            song: the track.
            engine: what computes BSSEval.
        """
        assert self.targets, "choose the stems first"
        if self.best_order:
            song = reorder_estimates(song)
        return replace(self.score(song, self.targets, engine), protocol=self.id)


def sort_stems(stems: Sequence[str]) -> tuple[str, ...]:
    """Vocals, drums, bass, other and accompaniment first, then all others by name."""
    known = tuple(stem for stem in _ORDER if stem in stems)
    return known + tuple(sorted(set(stems) - set(known)))


def _together(stems: Sequence[str]) -> tuple[str, ...]:
    """All stems, less the accompaniment if its parts are there: it is the sum of these."""
    chosen = sort_stems(stems)
    parts = [stem for stem in chosen if stem not in ("vocals", ACCOMPANIMENT)]
    return tuple(stem for stem in chosen if stem != ACCOMPANIMENT or not parts)


def _log_wmse_stems(stems: Sequence[str]) -> tuple[str, ...]:
    load_published()  # a missing package is reported before any track is scored
    return sort_stems(stems)


def _sisec(stems: Sequence[str]) -> tuple[str, ...]:
    four = set(STEMS) <= set(stems)
    if not four and not {"vocals", ACCOMPANIMENT} <= set(stems):
        raise ValueError(
            f"protocol sisec18 needs vocals and accompaniment, or all of {', '.join(STEMS)}, but "
            f"there is only {', '.join(stems)}: choose bsseval_v4"
        )
    return (*(STEMS[1:] if four else ()), "vocals", ACCOMPANIMENT)


_BSSEVAL = Protocol(
    "bsseval_v4",
    1,
    BSSEVAL_METRICS,
    unit="dB",
    window="1 s every 1 s, a last incomplete one dropped; filters of 512 taps from the whole track",
    frames="median",
    tracks="median",
    silence=_BSSEVAL_SILENCE,
    choose=_together,
    score=score_bsseval,
    joint=True,
)
_SISEC18 = replace(
    _BSSEVAL,
    name="sisec18",
    window=f"{_BSSEVAL.window}; vocals and accompaniment against each other, drums, bass and other "
    f"among the four stems",
    choose=_sisec,
    score=score_sisec,
    joint=False,
)
_BSSEVAL_V3 = replace(
    _BSSEVAL,
    name="bsseval_v3",
    window="1 s every 1 s, a last incomplete one dropped; filters of 512 taps from each frame",
    score=score_bsseval_v3,
)
_USDR = Protocol(
    "usdr",
    1,
    ("uSDR",),
    unit="dB",
    window="the whole track",
    frames="mean",
    tracks="mean",
    silence="a silent stem scores 1e-7 over the energy of its estimate",
    choose=sort_stems,
    score=score_usdr,
)
_CSDR = replace(
    _USDR,
    name="csdr",
    metrics=("cSDR",),
    window="1 s every 1 s, a last incomplete one dropped",
    frames="median",
    tracks="median",
    silence="1e-7 is added to both energies; silent frames count",
    score=every_second(csdr_values),
)
_SI_SDR = replace(
    _USDR,
    name="si_sdr",
    metrics=("SI-SDR",),
    silence="a silent stem scores 1e-8 over the energy of its estimate",
    score=score_si_sdr,
)
_SI_BSS_EVAL = replace(
    _SI_SDR,
    name="si_bss_eval",
    metrics=("SI-SDR", "SI-SIR", "SI-SAR"),
    silence=f"{_SI_SDR.silence}, or of that part of it",
    choose=_together,
    score=score_si_bss_eval,
    joint=True,
)
_L1_FREQ = replace(
    _USDR,
    name="l1_freq",
    metrics=("L1Freq",),
    unit="of 100",
    silence="a silent stem scores by the level of its estimate",
    score=whole_track(l1_freq_values),
)
_BLEED = replace(
    _L1_FREQ,
    name="bleed",
    metrics=("bleedless", "fullness"),
    score=whole_track(bleed_values),
)
_LOG_WMSE = replace(
    _USDR,
    name="log_wmse",
    choose=_log_wmse_stems,
    metrics=("logWMSE",),
    unit="of 73.7",
    silence="a silent stem scores by the level of its estimate against the mixture's",
    score=whole_track(log_wmse_values),
)

_ALL = (
    *(_BSSEVAL, _SISEC18, _BSSEVAL_V3),
    *(_USDR, _CSDR, _SI_SDR, _SI_BSS_EVAL, _L1_FREQ, _BLEED, _LOG_WMSE),
)
PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name; a ValueError lists all names."""
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name!r}: choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def find_protocols(names: Sequence[str]) -> list[Protocol]:
    """The protocols of these names, each once; the first is the headline.

    Raises:
        ValueError: for an unknown name, or none at all.
    """
    if not names:
        raise ValueError(f"no protocol is named: choose from {', '.join(PROTOCOLS)}")
    return [find_protocol(name) for name in dict.fromkeys(names)]


def aggregate(tracks: Sequence[TrackScores], protocol: Protocol) -> dict[str, dict[str, float]]:
    """Stem -> metric -> average over a set of tracks, by the protocol's rules.

    NaN is skipped; the average of nothing but NaN is NaN.

    Raises:
        ValueError: if a track was scored under another protocol id.
    """
    for track in tracks:
        if track.protocol != protocol.id:
            raise ValueError(
                f"track {track.name} was scored under {track.protocol}, the average is of "
                f"{protocol.id}: score all tracks under one protocol id"
            )
    return {
        stem: {
            metric: _reduce(
                [
                    _reduce(
                        [frame.metrics[metric] for frame in track.targets[stem]], protocol.frames
                    )
                    for track in tracks
                    if stem in track.targets
                ],
                protocol.tracks,
            )
            for metric in protocol.metrics
        }
        for stem in dict.fromkeys(stem for track in tracks for stem in track.targets)
    }


def mean_of_stems(values: Mapping[str, float]) -> float | None:
    """The mean over vocals, drums, bass and other; None for any other set of targets.

    A mean over fewer stems is not comparable, and one that has the accompaniment beside its own
    parts counts them twice.
    """
    if set(values) != set(STEMS):
        return None
    return sum(values.values()) / len(values)


def _reduce(values: Sequence[float], rule: str) -> float:
    numbers = [value for value in values if not np.isnan(value)]
    if not numbers:
        return float("nan")
    return float(np.median(numbers) if rule == "median" else np.mean(numbers))
