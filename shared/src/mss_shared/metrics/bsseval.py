"""BSSEval v4 (and v3), exact: SDR, ISR, SIR and SAR of separated stems, frame by frame.

Source: Vincent et al. 2007, "First stereo audio source separation evaluation campaign" (the
image ratios); Stoeter, Liutkus and Ito 2018, "The 2018 Signal Separation Evaluation Campaign" (v4:
filters from the whole song). Conventions are those of museval 0.4.1; what differs is said below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mss_shared.metrics.bsseval_correlations import Correlations, correlate
from mss_shared.metrics.bsseval_filters import equal_channels, independent, projection_filters
from mss_shared.metrics.bsseval_frames import (
    Energies,
    Filters,
    Frames,
    Levels,
    Task,
    frame_levels,
    projection_energies,
)
from mss_shared.metrics.bsseval_signals import (
    Array,
    Scenario,
    Signals,
    audible_somewhere,
    checked,
    cpu_count,
    frame_bounds,
)

METRICS = ("SDR", "ISR", "SIR", "SAR")


@dataclass(frozen=True)
class BssScores:
    """Ratios in dB, higher is better.

    sdr, isr, sir, sar: (stem, frame) float64; NaN where undefined or not asked for.
    permutation: (stem, 1), or (stem, frame) if filters are framewise: the estimate that was
        scored against each reference.
    """

    sdr: Array
    isr: Array
    sir: Array
    sar: Array
    permutation: NDArray[np.intp]


@dataclass(frozen=True)
class _Options:
    window: float
    hop: float
    metrics: Sequence[str]
    taps: int
    framewise_filters: bool
    sources_version: bool
    permute: bool
    silent: str
    workers: int

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise ValueError(f"metrics is {tuple(self.metrics)}: choose from {', '.join(METRICS)}")
        if self.taps < 1 or self.workers < 1:
            raise ValueError(
                f"taps is {self.taps} and workers is {self.workers}: both must be at least 1"
            )
        if self.silent not in ("nan", "raise"):
            raise ValueError(f"silent is {self.silent!r}: choose 'nan' or 'raise'")

    @property
    def needs_filters(self) -> bool:
        return tuple(self.metrics) != ("SDR",) or self.sources_version or self.permute


@dataclass(frozen=True)
class _Plan:
    """A scenario with what the whole song says about it.

    references, stems: which references are audible, and which stems are so on both sides.
    """

    task: Task
    references: NDArray[np.bool_]
    stems: NDArray[np.bool_]

    def valid(self, levels: Levels) -> NDArray[np.bool_]:
        """(frame,): whether all that counts is audible."""
        heard = levels.reference_audible[self.references].all(axis=0)
        heard &= levels.estimate_audible[self.stems].all(axis=0)
        return np.logical_and(heard, self.stems.any())


def bsseval(
    references: ArrayLike,
    estimates: ArrayLike,
    *,
    window: float,
    hop: float,
    metrics: Sequence[str] = METRICS,
    taps: int = 512,
    framewise_filters: bool = False,
    sources_version: bool = False,
    permute: bool = False,
    silent: Literal["nan", "raise"] = "nan",
    workers: int | None = None,
) -> BssScores:
    """Score estimates against references, with filters of the whole song (BSSEval v4).

    Args:
        references: (stem, channel, sample) true stems, finite, at any scale.
        estimates: same shape, separated stems.
        window: samples per frame, may be fractional or inf; the song is one frame if shorter.
        hop: samples from frame to frame; a last incomplete frame is dropped.
        metrics: which ratios to compute; SDR alone needs no filters and reads the audio twice.
        taps: length of the distortion filters in samples.
        framewise_filters: estimate the filters in every frame anew (BSSEval v3).
        sources_version: the ratios of `bss_eval_sources`: SDR = own projection over the rest of
            the estimate, ISR undefined (NaN).
        permute: match estimates to references by the largest mean SIR, over the song or, with
            framewise filters, per frame.
        silent: what to do about a stem that is silent over the whole song, see below.
        workers: threads; all CPUs of the process if None. It does not change the scores.

    Silence: a signal is silent where its channels sum to exactly 0, so right = -left is. If in a
    frame any reference or estimate is silent, every ratio of every stem is NaN there. A perfect
    estimate has SDR +inf. A stem whose reference or estimate is silent over the whole song raises
    with silent="raise", as in museval. With "nan" that stem is NaN in all frames and the others
    are scored: a reference silent throughout is no regressor, and neither it nor its estimate
    counts in the rule for frames; if only the estimate is silent throughout, its reference still
    is a regressor and counts, its estimate does not. One NaN makes `permute` keep the given order.

    Raises:
        ValueError: shapes differ, nothing to score, samples not finite, an argument out of range,
            or a silent stem with silent="raise".
    """
    options = _Options(
        window,
        hop,
        metrics,
        taps,
        framewise_filters,
        sources_version,
        permute,
        silent,
        workers or cpu_count(),
    )
    pair = _checked_pair(references, estimates)
    return _score(*pair, [Scenario.as_given(len(pair[0]))], options)[0]


def bsseval_with_accompaniment(
    references: ArrayLike,
    estimates: ArrayLike,
    vocals_index: int,
    *,
    window: float,
    hop: float,
    metrics: Sequence[str] = METRICS,
    taps: int = 512,
    framewise_filters: bool = False,
    silent: Literal["nan", "raise"] = "nan",
    workers: int | None = None,
) -> tuple[BssScores, BssScores]:
    """Scores of the given stems, and of vocals against accompaniment, from one pass.

    The accompaniment is the sum of all stems but vocals, on both sides. Arguments are those of
    `bsseval`; `vocals_index` says which stem is vocals.

    Returns:
        (stem, frame) scores of the stems, then (2, frame) scores of vocals and accompaniment. The
        rules for silence hold within each of the two.

    Raises:
        ValueError: as `bsseval`, or fewer than two stems, or no stem `vocals_index`.
    """
    options = _Options(
        window,
        hop,
        metrics,
        taps,
        framewise_filters,
        False,
        False,
        silent,
        workers or cpu_count(),
    )
    pair = _checked_pair(references, estimates)
    stems = len(pair[0])
    if stems < 2 or not 0 <= vocals_index < stems:
        raise ValueError(
            f"vocals_index is {vocals_index} of {stems} stems: "
            f"name the vocals among at least two stems, counted from 0"
        )
    rest = tuple(stem for stem in range(stems) if stem != vocals_index)
    scenarios = [Scenario.as_given(stems), Scenario(((vocals_index,), rest), stems)]
    first, second = _score(*pair, scenarios, options)
    return first, second


def _checked_pair(references: ArrayLike, estimates: ArrayLike) -> tuple[Signals, Signals]:
    pair = np.asarray(references), np.asarray(estimates)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"references have shape {pair[0].shape} and estimates {pair[1].shape}: "
            f"bring both to the same (stem, channel, sample)"
        )
    return checked(pair[0], "references"), checked(pair[1], "estimates")


def _score(
    references: Signals, estimates: Signals, scenarios: Sequence[Scenario], options: _Options
) -> list[BssScores]:
    frames = frame_bounds(references.shape[2], options.window, options.hop)
    plans = [_plan(references, estimates, scenario, options) for scenario in scenarios]
    tasks = [plan.task for plan in plans]
    levels = frame_levels(references, estimates, frames, tasks, options.workers)
    valid = [plan.valid(level) for plan, level in zip(plans, levels, strict=True)]
    energies: list[Energies | None] = [None] * len(plans)
    if options.needs_filters:
        chosen = np.flatnonzero(np.any(valid, axis=0)).tolist()
        energies[:] = _filtered(references, estimates, frames, chosen, plans, options)
    return [
        _assemble(plan, *parts, options)
        for plan, *parts in zip(plans, levels, energies, valid, strict=True)
    ]


def _plan(references: Signals, estimates: Signals, scenario: Scenario, options: _Options) -> _Plan:
    heard = [audible_somewhere(signals, scenario) for signals in (references, estimates)]
    if options.silent == "raise":
        for name, flags in zip(("reference", "estimate"), heard, strict=True):
            if not flags.all():
                raise ValueError(
                    f"{name} {int(np.argmin(flags))} is silent, its channels sum to 0 at all "
                    f"{references.shape[2]} samples: leave the stem out or pass silent='nan'"
                )
    stems = heard[0] & heard[1]
    scored = np.flatnonzero(stems).tolist()
    if options.permute:
        pairs = tuple((estimate, reference) for reference in scored for estimate in scored)
    else:
        pairs = tuple((stem, stem) for stem in scored)
    return _Plan(Task(scenario, pairs), heard[0], stems)


def _filtered(
    references: Signals,
    estimates: Signals,
    frames: Frames,
    chosen: Sequence[int],
    plans: Sequence[_Plan],
    options: _Options,
) -> list[Energies]:
    """Energies of the chosen frames, with filters of the song or of each frame."""
    sections = [((0, references.shape[2]), list(chosen))]
    if options.framewise_filters:
        sections = [(frames[frame], [frame]) for frame in chosen]
    tasks = [plan.task for plan in plans]
    size = len(frames)
    totals = [[np.zeros((len(t.pairs), size)) for _ in Energies._fields] for t in tasks]
    for bounds, members in sections:
        if members:
            correlations = correlate(references, estimates, options.taps, bounds, options.workers)
            filters = [_filters(plan, correlations, references, bounds) for plan in plans]
            found = projection_energies(
                references, estimates, frames, members, tasks, filters, options.workers
            )
            for total, part in zip(totals, found, strict=True):
                for field, values in zip(total, part, strict=True):
                    field += values
    return [Energies(*total) for total in totals]


def _filters(
    plan: _Plan, correlations: Correlations, references: Signals, bounds: tuple[int, int]
) -> Filters:
    scenario, channels = plan.task.scenario, references.shape[1]
    mixed = correlations.mixed(scenario)
    lanes = len(scenario.groups) * channels
    auto = mixed.references.reshape(lanes, lanes, -1)
    cross = mixed.estimates.reshape(lanes, lanes, -1)
    equal = equal_channels(references, scenario, bounds)
    every = [lane for lane in range(lanes) if plan.references[lane // channels]]
    joint = projection_filters(auto, cross, independent(every, equal))
    own = np.zeros((len(scenario.groups), *joint.shape))
    for stem in {reference for _, reference in plan.task.pairs}:
        mine = [lane for lane in every if lane // channels == stem]
        own[stem] = projection_filters(auto, cross, independent(mine, equal))
    shape = len(scenario.groups), channels, len(scenario.groups), channels, auto.shape[-1]
    joint, own = joint.reshape(shape), own.reshape(-1, *shape)
    own = np.stack([own[reference, estimate] for estimate, reference in plan.task.pairs])
    spread = [np.einsum("gj,xcgdl->xcjdl", scenario.weights, x) for x in (joint, own)]
    return Filters(*spread)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """10 log10; +inf where the denominator is exactly 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = 10 * np.log10(numerator / denominator)
    return np.where(denominator == 0, np.inf, ratio)


def _ratios(levels: Levels, energies: Energies | None, options: _Options) -> dict[str, Array]:
    """(pair, frame) of each ratio."""
    ratios = {name: np.full(levels.error.shape, np.nan) for name in METRICS}
    if not options.sources_version:
        ratios["SDR"] = _ratio(levels.reference, levels.error)
    if energies is not None:
        ratios["SIR"] = _ratio(energies.own, energies.interference)
        ratios["SAR"] = _ratio(energies.joint, energies.artifacts)
        if options.sources_version:
            ratios["SDR"] = _ratio(energies.own, energies.residual)
        else:
            ratios["ISR"] = _ratio(levels.reference, energies.spatial)
    return ratios


def _assemble(
    plan: _Plan,
    levels: Levels,
    energies: Energies | None,
    valid: NDArray[np.bool_],
    options: _Options,
) -> BssScores:
    stems, frames = len(plan.task.scenario.groups), len(valid)
    ratios = {}
    for name, values in _ratios(levels, energies, options).items():
        grid = np.full((stems, stems, frames), np.nan)  # reference, estimate
        for (estimate, reference), row in zip(plan.task.pairs, values, strict=True):
            grid[reference, estimate] = np.where(valid, row, np.nan)
        ratios[name] = grid
    order = np.tile(np.arange(stems)[:, None], (1, frames if options.framewise_filters else 1))
    if options.permute:
        order = _best_order(ratios["SIR"], options.framewise_filters)
    rows, columns = np.arange(stems)[:, None], np.arange(frames)[None]
    picked = {name: grid[rows, order, columns] for name, grid in ratios.items()}
    for name in set(METRICS) - set(options.metrics):
        picked[name] = np.full((stems, frames), np.nan)
    sdr, isr, sir, sar = (picked[name] for name in METRICS)
    return BssScores(sdr, isr, sir, sar, order)


def _best_order(sir: Array, framewise: bool) -> NDArray[np.intp]:
    """(reference, estimate, frame) dB -> (reference, 1 or frame) order of largest mean SIR."""
    stems = len(sir)
    orders = np.array(list(permutations(range(stems))))  # the given order comes first
    if not framewise:
        sir = sir.mean(axis=2, keepdims=True)
    values = sir[np.arange(stems), orders].mean(axis=1)  # (order, 1 or frame)
    # A NaN hides every order at once, and argmax then gives the first.
    best: NDArray[np.intp] = orders[np.argmax(values, axis=0)].T
    return best
