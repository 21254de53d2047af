"""SI-SDR and its two parts: what the error takes from other stems, and what from none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, NamedTuple

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions
from mss_shared.metrics.axes import refuse_swapped

__all__ = ["SiBssScores", "si_bss_eval", "si_bss_eval_of_blocks"]

# Samples per block: what is computed sample by sample never fills memory for the whole song.
BLOCK = 1 << 16
# Directions of the references' span, each reference at energy 1, that have less energy than this
# many times the precision's epsilon are left out: rounding decides where they point.
LEAST = 1e3

Blocks = Callable[[], Iterable[tuple[Signal, Signal]]]


class SiBssScores(NamedTuple, Generic[Signal]):
    """Ratios in dB, each of shape (..., stem); higher is better."""

    si_sdr: Signal
    si_sir: Signal
    si_sar: Signal


def si_bss_eval(references: Signal, estimates: Signal, *, eps: float = 1e-8) -> SiBssScores[Signal]:
    """SI-SDR, SI-SIR and SI-SAR of stems that are scored jointly. Differentiable.

    As in `si_sdr`, all channels of a stem together are one signal, whose mean is removed first; so
    there is one scale for both channels, and each stem is one direction. The target is the
    estimate's projection onto its reference; what remains is split into interference, its
    projection onto the span of all references, and artifacts, the rest. All three ratios have the
    target in the numerator, so 10^(-SI-SDR/10) = 10^(-SI-SIR/10) + 10^(-SI-SAR/10), up to eps.

    Args:
        references: (..., stem, channel, sample) true stems.
        estimates: (..., stem, channel, sample) separated stems, in the same order.
        eps: added to the reference's energy and to both energies of each ratio, as in `si_sdr`.

    Returns:
        Three ratios of shape (..., stem) in dB. A silent reference scores eps over the energy of
        the error, and of its two parts, and is no interference to others. Where nothing interferes,
        as with one stem, SI-SIR is the target's energy over eps. References that depend on each
        other span what the independent ones among them do.

    Raises:
        ValueError: if the shapes differ, there is no sample, or there are so many channels or stems
            that the axes must be in another order.

    Source: Le Roux et al. 2019, with channels and constants as in `si_sdr`. fast_bss_eval's SI-SAR
    (Scheibler 2022) has the interference in the numerator, too, as BSSEval has; its other two are
    these for mono.
    """
    check_shapes(references, estimates)
    if references.ndim < 3:
        raise ValueError(
            f"the references are {tuple(references.shape)}: pass (..., stem, channel, sample)"
        )
    stems, _, samples = references.shape[-3:]
    if samples < 1:
        raise ValueError("the references have no sample: pass at least one")
    order = "(..., stem, channel, sample) audio"  # channels are checked above
    refuse_swapped("the references have", {"stems": stems}, samples, order)
    return si_bss_eval_of_blocks(partial(_cut, references, estimates), eps=eps)


def si_bss_eval_of_blocks(blocks: Blocks[Signal], *, eps: float = 1e-8) -> SiBssScores[Signal]:
    """`si_bss_eval` of songs that are not in memory.

    Args:
        blocks: () -> references and estimates, each (..., stem, channel, sample), block by block;
            called three times, for the means, the products and the energies.
        eps: as in `si_bss_eval`.

    Returns:
        As `si_bss_eval`.
    """
    means = _means(blocks)
    products: Any = sum(side @ _transposed(side) for side in _centred(blocks, means))
    stems = products.shape[-1] // 2
    scales, shares = _projections(products[..., :stems, :], eps)
    target, error, interference, artifacts = (
        energy + eps for energy in _energies(_centred(blocks, means), scales, shares)
    )
    xp = get_array_functions(target)
    return SiBssScores(*(10.0 * xp.log10(target / x) for x in (error, interference, artifacts)))


def _cut(references: Signal, estimates: Signal) -> Iterable[tuple[Signal, Signal]]:
    for start in range(0, references.shape[-1], BLOCK):
        span = slice(start, start + BLOCK)
        yield references[..., span], estimates[..., span]


def _means(blocks: Blocks[Any]) -> Any:
    """(..., 2 * stem, 1): of the references, then of the estimates."""
    total: Any = 0.0
    count = 0
    for signals in map(_joined, blocks()):
        xp = get_array_functions(signals)
        total = total + xp.sum(signals, axis=-1, keepdims=True)
        count += signals.shape[-1]
    return total / count


def _centred(blocks: Blocks[Any], means: Any) -> Iterable[Any]:
    return (_joined(pair) - means for pair in blocks())


def _joined(pair: tuple[Any, Any]) -> Any:
    """Two of (..., stem, channel, sample) -> (..., 2 * stem, channel * sample)."""
    both = get_array_functions(*pair).concat(pair, axis=-3)
    return both.reshape(*both.shape[:-2], -1)


def _transposed(matrices: Any) -> Any:
    return get_array_functions(matrices).matrix_transpose(matrices)


def _projections(products: Any, eps: float) -> tuple[Any, Any]:
    """From inner products to the target and the interference as sums of references.

    Args:
        products: (..., reference, reference then estimate).
        eps: as in `si_bss_eval`.

    Returns:
        (..., stem, 1), the scale of each stem's reference, and (..., stem, reference), the weights
        of its interference.
    """
    xp, stems = get_array_functions(products), products.shape[-2]
    gram, cross = products[..., :stems], _transposed(products[..., stems:])
    energies, own = (xp.linalg.diagonal(matrix)[..., None] for matrix in (gram, cross))
    scales = own / (energies + eps)
    rest = cross - scales * gram  # (..., estimate, reference): products with the error
    # All at energy 1, so that a quiet stem counts like a loud one.
    norms = xp.sqrt(energies + xp.astype(energies == 0, energies.dtype))
    unit = gram / norms / _transposed(norms)
    inverse = xp.linalg.pinv(unit, rtol=LEAST * float(xp.finfo(unit.dtype).eps))
    return scales, rest / _transposed(norms) @ inverse / _transposed(norms)


def _energies(blocks: Iterable[Any], scales: Any, shares: Any) -> list[Any]:
    """(..., stem) energies of the target, of the error, and of the error's two parts."""
    stems = shares.shape[-1]
    totals: list[Any] = [0.0] * 4
    for signals in blocks:
        xp = get_array_functions(signals)
        references, estimates = signals[..., :stems, :], signals[..., stems:, :]
        target, interference = scales * references, shares @ references
        error = estimates - target
        parts = (target, error, interference, error - interference)
        totals = [t + xp.sum(x**2, axis=-1) for t, x in zip(totals, parts, strict=True)]
    return totals
