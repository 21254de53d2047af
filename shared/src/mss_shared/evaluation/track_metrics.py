"""From one track's references and estimates to frames of scores, one function per kind of protocol.

Everything here works on numpy arrays; torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mss_shared.datasets.tracks import STEMS
from mss_shared.evaluation.score_files import Frame, TrackScores
from mss_shared.metrics.bleedfull import bleedless_fullness
from mss_shared.metrics.bsseval import METRICS, BssScores, bsseval, bsseval_with_accompaniment
from mss_shared.metrics.bsseval_signals import Array, Reader, Signals, samples
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.logwmse import log_wmse
from mss_shared.metrics.sdr import usdr, usdr_of_blocks
from mss_shared.metrics.sibss import BLOCK, si_bss_eval_of_blocks
from mss_shared.metrics.sisdr import si_sdr_of_blocks

ACCOMPANIMENT = "accompaniment"
BSSEVAL_METRICS = ("SDR", "SIR", "SAR", "ISR")  # museval's order in files


@dataclass(frozen=True)
class Song:
    """One track and a method's estimates of its stems.

    Attributes:
        name: the track's name.
        stems: the estimated stems, in the order of the signals.
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
        """Samples per channel."""
        return int(self.references.shape[2])

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate

    def pair(self, targets: Sequence[str]) -> tuple[Signals, Signals]:
        """References and estimates of some stems; accompaniment is the sum of all but vocals."""
        groups = [self._parts(target) for target in targets]
        return _sums(self.references, groups), _sums(self.estimates, groups)

    def _parts(self, target: str) -> tuple[int, ...]:
        if target == ACCOMPANIMENT and target not in self.stems:
            return tuple(n for n, stem in enumerate(self.stems) if stem != "vocals")
        return (self.stems.index(target),)


@dataclass(frozen=True)
class Engine:
    """What computes BSSEval.

    Attributes:
        museval: museval instead of our implementation.
        workers: threads of ours, None for all CPUs; scores are the same to the bit for any number.
    """

    museval: bool = False
    workers: int | None = None

    def bsseval(self, song: Song, targets: Sequence[str], *, framewise: bool = False) -> BssScores:
        """BSSEval of some stems jointly, in frames of 1 s."""
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


def reorder_estimates(song: Song) -> Song:
    """Put a song's estimates in the order with the greatest mean SI-SDR."""
    stems = range(len(song.stems))
    scores = np.stack(  # (estimate, reference)
        [
            si_sdr_of_blocks(partial(_blocks, song, song.references, _sums(song.estimates, group)))
            for group in ([(one,) for _ in stems] for one in stems)
        ]
    )
    best = max(
        permutations(stems), key=lambda order: sum(float(scores[order[n], n]) for n in stems)
    )
    return replace(song, estimates=_sums(song.estimates, [(n,) for n in best]))


def _blocks(song: Song, *sides: Signals) -> Iterator[tuple[Array, Array]]:
    """References and estimates of a whole song, block by block in float64."""
    for start in range(0, song.samples, BLOCK):
        span = start, min(start + BLOCK, song.samples)
        references, estimates = (np.asarray(samples(side, *span), float) for side in sides)
        yield references, estimates


def score_bsseval(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """BSSEval v4 of some stems jointly, in frames of 1 s, as in museval by default."""
    return _from_bsseval(song, targets, engine.bsseval(song, targets))


def score_bsseval_v3(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """BSSEval v3: as v4, but with filters estimated in each frame."""
    return _from_bsseval(song, targets, engine.bsseval(song, targets, framewise=True))


def score_sisec(song: Song, targets: Sequence[str], engine: Engine = OURS) -> TrackScores:
    """Vocals and accompaniment scored as a pair, drums, bass and other among all four stems.

    Source: SiSEC 2018. Vocals occur in both; like museval, this takes their scores from the pair.
    """
    second, pair = song.sample_rate, ("vocals", ACCOMPANIMENT)
    if ACCOMPANIMENT not in song.stems and not engine.museval:
        scores = bsseval_with_accompaniment(
            *song.pair(STEMS),
            STEMS.index("vocals"),
            window=second,
            hop=second,
            workers=engine.workers,
        )
        parts = [_from_bsseval(song, *part) for part in zip((STEMS, pair), scores, strict=True)]
    else:
        four = [STEMS] if set(STEMS) <= set(song.stems) else []
        parts = [score_bsseval(song, each, engine) for each in (*four, pair)]
    # The pair comes last, so its vocals replace those of the four.
    source = {stem: part for part in parts for stem in part.targets}
    frames = {stem: source[stem].targets[stem] for stem in targets}
    notes = {s: source[s].notes[s] for s in targets if s in source[s].notes}
    return TrackScores(song.name, frames, notes)


def _from_bsseval(song: Song, targets: Sequence[str], scores: BssScores) -> TrackScores:
    values = {name: getattr(scores, name.lower()) for name in METRICS}
    frames = {
        stem: [
            Frame(float(t), 1.0, {name: float(values[name][row, t]) for name in BSSEVAL_METRICS})
            for t in range(values["SDR"].shape[1])
        ]
        for row, stem in enumerate(targets)
    }
    notes = {}
    for row, stem in enumerate(targets):
        if scores.silent_references[row]:
            notes[stem] = "the reference is silent over the whole track"
        elif scores.silent_estimates[row]:
            notes[stem] = "the estimate is silent over the whole track"
        elif np.isnan(values["SDR"][row]).all():
            notes[stem] = "in every frame some stem is silent"
    return TrackScores(song.name, frames, notes)


def score_si_bss_eval(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
    """SI-SDR, SI-SIR and SI-SAR of some stems jointly, over whole tracks, in float64."""
    # One BLAS thread, so that scores are the same to the bit on any number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        scores = si_bss_eval_of_blocks(partial(_blocks, song, *song.pair(targets)))
    names = ("SI-SDR", "SI-SIR", "SI-SAR")
    frames = {
        stem: [Frame(0.0, song.seconds, dict(zip(names, map(float, values), strict=True)))]
        for stem, *values in zip(targets, *scores, strict=True)
    }
    return TrackScores(song.name, frames)


def score_usdr(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
    """uSDR of whole tracks, in dB, in float64."""
    return _whole(song, targets, "uSDR", usdr_of_blocks(_blocks(song, *song.pair(targets))))


def score_si_sdr(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
    """SI-SDR of whole tracks, in dB, in float64; all channels are taken as one signal."""
    blocks = partial(_blocks, song, *song.pair(targets))
    return _whole(song, targets, "SI-SDR", si_sdr_of_blocks(blocks))


def _whole(
    song: Song, targets: Sequence[str], metric: str, values: NDArray[np.floating]
) -> TrackScores:
    """One frame per stem."""
    frames = {
        stem: [Frame(0.0, song.seconds, {metric: float(value)})]
        for stem, value in zip(targets, values, strict=True)
    }
    return TrackScores(song.name, frames)


def whole_track(values: Values) -> Score:
    """Score whole tracks: one frame per stem, computed in float64; one stem is held in memory."""

    def score(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
        frames = {
            stem: [Frame(0.0, song.seconds, _score_excerpt(values, song, stem, 0, song.samples))]
            for stem in targets
        }
        return TrackScores(song.name, frames)

    return score


def every_second(values: Values) -> Score:
    """Score frames of 1 s; an incomplete last frame is dropped unless it is the only one."""

    def score(song: Song, targets: Sequence[str], _: Engine = OURS) -> TrackScores:
        second = min(song.sample_rate, song.samples)
        starts = range(0, song.samples - second + 1, second)
        frames = {
            stem: [
                Frame(float(t), 1.0, _score_excerpt(values, song, stem, start, start + second))
                for t, start in enumerate(starts)
            ]
            for stem in targets
        }
        return TrackScores(song.name, frames)

    return score


def _score_excerpt(
    values: Values, song: Song, stem: str, start: int, stop: int
) -> Mapping[str, float]:
    """The values of samples ``start`` up to ``stop`` of one stem, in float64."""
    reference, estimate = (
        np.ascontiguousarray(samples(side, start, stop)[0], np.float64)
        for side in song.pair((stem,))
    )
    return values(reference, estimate, song)


def csdr_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """cSDR of one chunk, in dB: the ratio of uSDR."""
    return {"cSDR": float(usdr(reference, estimate))}


def l1_freq_values(reference: Array, estimate: Array, _: Song) -> dict[str, float]:
    """L1Freq, out of 100."""
    return {"L1Freq": float(l1_freq(reference, estimate))}


def bleed_values(reference: Array, estimate: Array, song: Song) -> dict[str, float]:
    """Bleedless and fullness, out of 100."""
    # One BLAS thread, so that scores are the same to the bit on any number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        scores = bleedless_fullness(reference, estimate, sample_rate=song.sample_rate)
    return {"bleedless": float(scores.bleedless), "fullness": float(scores.fullness)}


def log_wmse_values(reference: Array, estimate: Array, song: Song) -> dict[str, float]:
    """logWMSE, up to 73.7; needs the whole track's mixture."""
    mixture = np.asarray(samples(song.mixture, 0, song.samples)[0], np.float64)
    pair = reference[None], estimate[None]
    return {"logWMSE": float(log_wmse(mixture, *pair, sample_rate=song.sample_rate)[0])}
