"""BSSEval v4 (and v3), exact: SDR, ISR, SIR and SAR of separated stems, frame by frame.

Frames. An incomplete last frame is dropped; a window as long as the song makes one frame.

Silence. A signal is silent where its channels sum to exactly 0, so right = -left is silent, too. In
a frame throughout which any reference or estimate is silent, every ratio of every stem is NaN. A
stem whose reference or estimate is silent over the whole song is an error with silent="raise", as
in museval. With silent="nan", that stem is NaN in all frames and the others are scored:

- a reference that is silent over the whole song is not a regressor, and the rule for frames ignores
  it and its estimate;
- if only the estimate is silent over the whole song, the rule for frames ignores the estimate; the
  reference counts, and is still a regressor.

Dependence. Equal or opposite channels make no difference. If a reference is a filtered copy of
another in any other way, the filters are not unique, and ratios of frames shorter than the song
depend on rounding.

Infinities. A denominator of exactly 0 gives +inf, for instance the SDR of a perfect estimate.

Permutation. An undefined SIR makes the mean of every order NaN; the order is then left as it is.

Source: Vincent et al. 2007, "First stereo audio source separation evaluation campaign" (the
ratios); Stoeter, Liutkus and Ito 2018, "The 2018 Signal Separation Evaluation Campaign" (v4: one
set of filters per song). Conventions are those of museval 0.4.1, except for silent="nan".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from mss_shared.cores import cpu_count
from mss_shared.metrics.bsseval_correlations import Correlations, correlate
from mss_shared.metrics.bsseval_filters import equal_channels, independent, projection_filters
from mss_shared.metrics.bsseval_frames import (
    Energies,
    FilterBank,
    Filters,
    Frames,
    Levels,
    Task,
    add_energies,
    frame_levels,
    no_energies,
)
from mss_shared.metrics.bsseval_signals import (
    Array,
    Reader,
    Scenario,
    Signals,
    audible_somewhere,
    checked,
    frame_bounds,
)

__all__ = ["BssScores", "bsseval", "bsseval_with_accompaniment"]

METRICS = ("SDR", "ISR", "SIR", "SAR")


@dataclass(frozen=True)
class BssScores:
    """Ratios in dB, higher is better.

    Attributes:
        sdr, isr, sir, sar: (stem, frame) float64; NaN where undefined or not asked for.
        permutation: (stem, 1), or (stem, frame) with framewise filters: which estimate was scored
            against each reference.
        silent_references, silent_estimates: (stem,), whether they are silent over the whole song.
    """

    sdr: Array
    isr: Array
    sir: Array
    sar: Array
    permutation: NDArray[np.intp]
    silent_references: NDArray[np.bool_]
    silent_estimates: NDArray[np.bool_]


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
    workers: int | None

    def __post_init__(self) -> None:
        if not self.metrics or not set(self.metrics) <= set(METRICS):
            raise ValueError(f"metrics is {tuple(self.metrics)}: choose from {', '.join(METRICS)}")
        if self.taps < 1:
            raise ValueError(f"taps is {self.taps}: a filter needs at least 1")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}: pass at least 1 thread, or None")
        if self.silent not in ("nan", "raise"):
            raise ValueError(f"silent is {self.silent!r}: choose 'nan' or 'raise'")

    @property
    def threads(self) -> int:
        return self.workers or cpu_count()

    @property
    def needs_filters(self) -> bool:
        return set(self.metrics) != {"SDR"} or self.sources_version or self.permute


@dataclass(frozen=True)
class _Plan:
    """A scenario, and which of its references and estimates are audible in the song."""

    task: Task
    references: NDArray[np.bool_]
    estimates: NDArray[np.bool_]

    @property
    def stems(self) -> NDArray[np.bool_]:
        """Which stems are audible on both sides."""
        return self.references & self.estimates

    def valid(self, levels: Levels) -> NDArray[np.bool_]:
        """(frame,): whether everything that counts is audible."""
        heard = levels.reference_audible[self.references].all(axis=0)
        heard &= levels.estimate_audible[self.stems].all(axis=0)
        return np.logical_and(heard, self.stems.any())


def bsseval(
    references: ArrayLike | Reader,
    estimates: ArrayLike | Reader,
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
    """Score estimates against references; for silence, see the module.

    Args:
        references, estimates: (stem, channel, sample), finite, of one shape; an array, or a
            `Reader` that reads them in blocks, so that memory does not grow with the song.
        window, hop: samples per frame and from frame to frame; may be fractional or inf.
        metrics: which ratios to compute; SDR alone needs no filters.
        taps: length of the distortion filters in samples.
        framewise_filters: estimate the filters in each frame (BSSEval v3).
        sources_version: ratios of `bss_eval_sources`: SDR = own projection over the rest, no ISR.
        permute: match estimates to references by the largest mean SIR.
        silent: whether a stem that is silent over the whole song is NaN or an error.
        workers: threads, None for all CPUs of the process; scores are the same to the bit for any
            number.

    Raises:
        ValueError: if shapes differ, samples are missing or not finite, an argument is out of
            range, or, with silent="raise", a stem is silent.
    """
    options = _Options(
        window, hop, metrics, taps, framewise_filters, sources_version, permute, silent, workers
    )
    pair = _checked_pair(references, estimates)
    return _score(*pair, [Scenario.one_per_stem(pair[0].shape[0])], options)[0]


def bsseval_with_accompaniment(
    references: ArrayLike | Reader,
    estimates: ArrayLike | Reader,
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
    """Scores of all stems, and of vocals against accompaniment, in one pass.

    The accompaniment is the sum of all stems but vocals, on both sides; `vocals_index` is the index
    of the vocals. The other arguments are those of `bsseval`.

    Returns:
        (stem, frame) scores of the stems, then (2, frame) scores of vocals and accompaniment. The
        rules for silence apply within each of the two.

    Raises:
        ValueError: as `bsseval`; also for fewer than two stems or a `vocals_index` out of range.
    """
    options = _Options(window, hop, metrics, taps, framewise_filters, False, False, silent, workers)
    pair = _checked_pair(references, estimates)
    stems = pair[0].shape[0]
    if stems < 2 or not 0 <= vocals_index < stems:
        raise ValueError(
            f"vocals_index is {vocals_index} of {stems} stems: "
            f"pass the index of the vocals among at least two stems, counted from 0"
        )
    rest = tuple(stem for stem in range(stems) if stem != vocals_index)
    scenarios = [Scenario.one_per_stem(stems), Scenario(((vocals_index,), rest), stems)]
    first, second = _score(*pair, scenarios, options)
    return first, second


def _checked_pair(
    references: ArrayLike | Reader, estimates: ArrayLike | Reader
) -> tuple[Signals, Signals]:
    pair = checked(references, "references"), checked(estimates, "estimates")
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"references have shape {pair[0].shape} and estimates {pair[1].shape}: "
            f"both must be the same (stem, channel, sample)"
        )
    return pair


def _score(
    references: Signals, estimates: Signals, scenarios: Sequence[Scenario], options: _Options
) -> list[BssScores]:
    # One BLAS thread, so that rounding does not depend on the load or the number of cores, and
    # several songs at once do not compete for the cores.
    with threadpool_limits(limits=1, user_api="blas"):
        return _score_frames(references, estimates, scenarios, options)


def _score_frames(
    references: Signals, estimates: Signals, scenarios: Sequence[Scenario], options: _Options
) -> list[BssScores]:
    frames = frame_bounds(references.shape[2], options.window, options.hop)
    plans = [_plan(references, estimates, scenario, options) for scenario in scenarios]
    tasks = [plan.task for plan in plans]
    levels = frame_levels(references, estimates, frames, tasks, options.threads)
    valid = [plan.valid(level) for plan, level in zip(plans, levels, strict=True)]
    energies: list[Energies | None] = [None] * len(plans)
    if options.needs_filters:
        chosen = np.flatnonzero(np.any(valid, axis=0)).tolist()
        energies = [*_filtered(references, estimates, frames, chosen, plans, options)]
    parts = zip(plans, levels, energies, valid, strict=True)
    return [_assemble(*part, options=options) for part in parts]


def _plan(references: Signals, estimates: Signals, scenario: Scenario, options: _Options) -> _Plan:
    heard = [audible_somewhere(signals, scenario) for signals in (references, estimates)]
    if options.silent == "raise":
        for name, flags in zip(("reference", "estimate"), heard, strict=True):
            if not flags.all():
                raise ValueError(
                    f"{name} {int(np.argmin(flags))} is silent, its channels sum to 0 at all "
                    f"{references.shape[2]} samples: leave the stem out, or pass silent='nan' to "
                    f"bsseval"
                )
    stems = heard[0] & heard[1]
    scored = np.flatnonzero(stems).tolist()
    if options.permute:
        pairs = tuple((estimate, reference) for reference in scored for estimate in scored)
    else:
        pairs = tuple((stem, stem) for stem in scored)
    return _Plan(Task(scenario, pairs), *heard)


def _filtered(
    references: Signals,
    estimates: Signals,
    frames: Frames,
    chosen: Sequence[int],
    plans: Sequence[_Plan],
    options: _Options,
) -> list[Energies]:
    """Energies of the chosen frames, with filters of the whole song or of each frame."""
    sections = [((0, references.shape[2]), list(chosen))] if chosen else []
    if options.framewise_filters:
        sections = [(frames[frame], [frame]) for frame in chosen]
    tasks, threads = [plan.task for plan in plans], options.threads
    totals = [no_energies(task, len(frames)) for task in tasks]
    for bounds, members in sections:
        correlations = correlate(references, estimates, options.taps, bounds, threads)
        filters = [_filters(plan, correlations, references, bounds) for plan in plans]
        bank = FilterBank(filters, max(frames[i][1] - frames[i][0] for i in members))
        add_energies(totals, references, estimates, frames, members, tasks, bank, threads)
    return [Energies(*total) for total in totals]


def _filters(
    plan: _Plan, correlations: Correlations, references: Signals, bounds: tuple[int, int]
) -> Filters:
    scenario, channels = plan.task.scenario, references.shape[1]
    mixed = correlations.mixed(scenario)
    stems = len(scenario.groups)
    lanes = stems * channels
    auto = mixed.references.reshape(lanes, lanes, -1)
    cross = mixed.estimates.reshape(lanes, lanes, -1)
    equal = equal_channels(references, scenario, bounds)
    audible_lanes = [lane for lane in range(lanes) if plan.references[lane // channels]]
    joint = projection_filters(auto, cross, independent(audible_lanes, equal))
    own = np.zeros((stems, *joint.shape))
    for stem in np.flatnonzero(plan.stems):
        own_lanes = [lane for lane in audible_lanes if lane // channels == stem]
        own[stem] = projection_filters(auto, cross, independent(own_lanes, equal))
    shape = stems, channels, stems, channels, auto.shape[-1]
    by_pair = own.reshape(stems, *shape)[plan.task.second, plan.task.first]
    return Filters(*(scenario.spread(x) for x in (joint.reshape(shape), by_pair)))


def _ratio(numerator: Array, denominator: Array) -> Array:
    """The ratio in dB; +inf where the denominator is exactly 0."""
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
    *,
    options: _Options,
) -> BssScores:
    stems, frames = len(plan.task.scenario.groups), len(valid)
    ratios = {}
    for name, values in _ratios(levels, energies, options).items():
        ratios[name] = np.full((stems, stems, frames), np.nan)  # reference, estimate
        ratios[name][plan.task.second, plan.task.first] = np.where(valid, values, np.nan)
    order = np.tile(np.arange(stems)[:, None], (1, frames if options.framewise_filters else 1))
    if options.permute:
        order = _best_order(ratios["SIR"], options.framewise_filters)
    rows, columns = np.arange(stems)[:, None], np.arange(frames)[None]
    picked = {name: grid[rows, order, columns] for name, grid in ratios.items()}
    for name in set(METRICS) - set(options.metrics):
        picked[name] = np.full((stems, frames), np.nan)
    sdr, isr, sir, sar = (picked[name] for name in METRICS)
    return BssScores(sdr, isr, sir, sar, order, ~plan.references, ~plan.estimates)


def _best_order(sir: Array, framewise: bool) -> NDArray[np.intp]:
    """(reference, estimate, frame) dB -> (reference, 1 or frame) order of largest mean SIR."""
    stems = len(sir)
    orders = np.array(list(permutations(range(stems))))  # the original order comes first
    if not framewise:
        sir = sir.mean(axis=2, keepdims=True)
    values = sir[np.arange(stems), orders].mean(axis=1)  # (order, 1 or frame)
    # A NaN makes the means of all orders NaN, and argmax then returns the first.
    best: NDArray[np.intp] = orders[np.argmax(values, axis=0)].T
    return best
