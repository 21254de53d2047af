"""From one track's references and estimates to frames of scores, one function per kind of protocol.

All is computed on numpy arrays; torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from threadpoolctl import threadpool_limits

from mss_shared.datasets.tracks import STEMS
from mss_shared.evaluation.score_files import Frame, TrackScores
from mss_shared.metrics.bleedfull import bleedless_fullness
from mss_shared.metrics.bsseval import METRICS, BssScores, bsseval, bsseval_with_accompaniment
from mss_shared.metrics.bsseval_signals import Array, Reader, Signals, samples
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.logwmse import log_wmse
from mss_shared.metrics.sdr import usdr
from mss_shared.metrics.sisdr import si_sdr

ACCOMPANIMENT = "accompaniment"
BSSEVAL_METRICS = ("SDR", "SIR", "SAR", "ISR")  # museval's order in files


@dataclass(frozen=True)
class Song:
    """One track and what a method made of it.

    Attributes:
        name: the track's.
        stems: what was estimated, in the order of the signals.
        references, estimates: (stem, channel, sample), full scale 1.0.
        mixture: (1, channel, sample).
        sample_rate: in Hz.
    """

    name: str
    stems: tuple[str, ...]
    references: Signals
    estimates: Signals
    mixture: Signals
    sample_rate: int

    @property
    def samples(self) -> int:
        """Length in samples per channel."""
        return int(self.references.shape[2])

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    def pair(self, targets: Sequence[str]) -> tuple[Signals, Signals]:
        """References and estimates of some stems; accompaniment is the sum of the others."""
        groups = [self._parts(target) for target in targets]
        return _sums(self.references, groups), _sums(self.estimates, groups)

    def _parts(self, target: str) -> tuple[int, ...]:
        if target == ACCOMPANIMENT and target not in self.stems:
            return tuple(n for n, stem in enumerate(self.stems) if stem != "vocals")
        return (self.stems.index(target),)


@dataclass(frozen=True)
class Engine:
    """Who computes BSSEval.

    Attributes:
        museval: museval instead of ours.
        workers: threads of ours, None for all CPUs; no bit of the scores depends on it.
    """

    museval: bool = False
    workers: int | None = None

    def bsseval(self, song: Song, targets: Sequence[str], *, framewise: bool = False) -> BssScores:
        """BSSEval of some stems together, in frames of 1 s."""
        second = song.sample_rate
        pair = song.pair(targets)
        if self.museval:
            from mss_shared.metrics import museval

            return museval.bsseval(*pair, window=second, hop=second, framewise_filters=framewise)
        return bsseval(
            *pair, window=second, hop=second, framewise_filters=framewise, workers=self.workers
        )


OURS = Engine()
Score = Callable[[Song, Sequence[str], Engine], TrackScores]
Values = Callable[[Array, Array, Song], dict[str, float]]


def _sums(signals: Signals, groups: Sequence[tuple[int, ...]]) -> Signals:
    if isinstance(signals, Reader):
        return signals.sums(groups)
    if [*groups] == [(n,) for n in range(len(signals))]:
        return signals
    return np.stack([signals[list(group)].sum(axis=0) for group in groups])


def in_best_order(song: Song) -> Song:
    """The song with its estimates in the order of the greatest mean SI-SDR."""
    references, estimates = (
        np.ascontiguousarray(samples(side, 0, song.samples), np.float64)
        for side in (song.references, song.estimates)
    )
    found = np.stack(
        [si_sdr(references, np.broadcast_to(one, references.shape)) for one in estimates]
    )
    places = range(len(found))
    best = max(
        permutations(places), key=lambda order: sum(float(found[order[n], n]) for n in places)
    )
    return replace(song, estimates=np.asarray(song.estimates)[list(best)])


def score_bsseval(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """BSSEval v4 of some stems together, in frames of 1 s, as museval does by default."""
    return _from_bsseval(song, targets, engine.bsseval(song, targets))


def score_bsseval_v3(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """The same with filters of each frame."""
    return _from_bsseval(song, targets, engine.bsseval(song, targets, framewise=True))


def score_sisec(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """Vocals and accompaniment against each other, drums, bass and other among all four.

    Source: SiSEC 2018; where both are there, museval takes vocals from the pair alone.
    """
    second, pair = song.sample_rate, ("vocals", ACCOMPANIMENT)
    if ACCOMPANIMENT not in song.stems and not engine.museval:
        found = bsseval_with_accompaniment(
            *song.pair(STEMS),
            STEMS.index("vocals"),
            window=second,
            hop=second,
            workers=engine.workers,
        )
        parts = [_from_bsseval(song, each, f) for each, f in zip((STEMS, pair), found, strict=True)]
    else:
        four = [STEMS] if set(STEMS) <= set(song.stems) else []
        parts = [score_bsseval(song, each, engine) for each in (*four, pair)]
    # The pair comes last, so that its vocals count.
    source = {stem: part for part in parts for stem in part.targets}
    frames = {stem: source[stem].targets[stem] for stem in targets}
    notes = {s: source[s].notes[s] for s in targets if s in source[s].notes}
    return TrackScores(song.name, frames, notes)


def _from_bsseval(song: Song, targets: Sequence[str], found: BssScores) -> TrackScores:
    values = {name: getattr(found, name.lower()) for name in METRICS}
    frames = {
        stem: [
            Frame(float(t), 1.0, {name: float(values[name][row, t]) for name in BSSEVAL_METRICS})
            for t in range(values["SDR"].shape[1])
        ]
        for row, stem in enumerate(targets)
    }
    notes = {}
    for row, stem in enumerate(targets):
        if found.silent_references[row]:
            notes[stem] = "the reference is silent over the whole track"
        elif found.silent_estimates[row]:
            notes[stem] = "the estimate is silent over the whole track"
        elif np.isnan(values["SDR"][row]).all():
            notes[stem] = "in every frame some stem is silent"
    return TrackScores(song.name, frames, notes)


def whole_track(values: Values) -> Score:
    """A protocol of one frame, the whole track, computed in float64, stem by stem."""

    def score(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
        frames = {
            stem: [Frame(0.0, song.seconds, _of_stem(values, song, stem, 0, song.samples))]
            for stem in targets
        }
        return TrackScores(song.name, frames)

    return score


def every_second(values: Values) -> Score:
    """A protocol of frames of 1 s; a last incomplete one is dropped unless it is the only one."""

    def score(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
        second = min(song.sample_rate, song.samples)
        starts = range(0, song.samples - second + 1, second)
        frames = {
            stem: [
                Frame(float(t), 1.0, _of_stem(values, song, stem, start, start + second))
                for t, start in enumerate(starts)
            ]
            for stem in targets
        }
        return TrackScores(song.name, frames)

    return score


def _of_stem(values: Values, song: Song, stem: str, start: int, stop: int) -> Mapping[str, float]:
    """The values of samples ``start`` up to ``stop`` of one stem, in float64."""
    reference, estimate = (
        np.ascontiguousarray(samples(side, start, stop)[0], np.float64)
        for side in song.pair((stem,))
    )
    return values(reference, estimate, song)


def usdr_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """uSDR in dB."""
    return {"uSDR": float(usdr(reference, estimate))}


def csdr_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """The same ratio of one chunk, in dB."""
    return {"cSDR": float(usdr(reference, estimate))}


def si_sdr_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """SI-SDR in dB, channels taken together."""
    return {"SI-SDR": float(si_sdr(reference, estimate))}


def l1_freq_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """L1Freq, up to 100."""
    return {"L1Freq": float(l1_freq(reference, estimate))}


def bleed_values(reference: Array, estimate: Array, song: Song) -> dict[str, float]:
    """Bleedless and fullness, up to 100."""
    # One thread for the products of bands: then no bit depends on the number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        found = bleedless_fullness(reference, estimate, sample_rate=song.sample_rate)
    return {"bleedless": float(found.bleedless), "fullness": float(found.fullness)}


def log_wmse_values(reference: Array, estimate: Array, song: Song) -> dict[str, float]:
    """logWMSE, up to 73.7; needs the whole track's mixture."""
    mixture = np.asarray(samples(song.mixture, 0, song.samples)[0], np.float64)
    pair = reference[None], estimate[None]
    return {"logWMSE": float(log_wmse(mixture, *pair, sample_rate=song.sample_rate)[0])}
