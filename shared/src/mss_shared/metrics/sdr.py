"""Signal-to-distortion ratios without distortion filters: of whole stems, and frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions, split_frames

__all__ = ["chunk_sdr", "frame_sdr", "k_sdr", "usdr", "usdr_of_blocks"]

# k_sdr keeps SDR within these bounds, in dB.
K_SDR_LIMIT = 10.0


def usdr(reference: Signal, estimate: Signal, *, eps: float = 1e-7) -> Signal:
    """Signal-to-distortion ratio of whole stems, in dB; higher is better. Differentiable.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem at the same sample rate.
        eps: added to both energies; 1e-7 is the challenges' constant, 1e-8 that of ZFTurbo's
            training framework.

    Returns:
        (...) dB. For a silent reference, the ratio is eps over the energy of the estimate.

    Raises:
        ValueError: if the shapes differ.

    Source: SDR of the Music Demixing Challenges 2021 and 2023 (Mitsufuji et al. 2022, eq. 2).
    """
    check_shapes(reference, estimate)
    return usdr_of_blocks([(reference, estimate)], eps=eps)


def usdr_of_blocks(blocks: Iterable[tuple[Signal, Signal]], *, eps: float = 1e-7) -> Signal:
    """`usdr` of songs that are not in memory.

    Args:
        blocks: references and estimates, each (..., channel, sample), block by block.
        eps: as in `usdr`.

    Returns:
        As `usdr`.
    """
    energy: Any = 0.0
    error: Any = 0.0
    for reference, estimate in blocks:
        xp = get_array_functions(reference)
        energy = energy + xp.sum(reference**2, axis=(-2, -1))
        error = error + xp.sum((reference - estimate) ** 2, axis=(-2, -1))
    ratio: Signal = 10.0 * get_array_functions(energy).log10((energy + eps) / (error + eps))
    return ratio


def frame_sdr(reference: Signal, estimate: Signal, *, window: int, hop: int) -> Signal:
    """Plain SNR of every complete frame, in dB: the SDR of BSSEval v4 before its silence rule.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        window: frame length in samples.
        hop: samples between the starts of two frames.

    Returns:
        (..., frame) dB; NaN where both energies are 0, +inf where only the error's is.

    Raises:
        ValueError: if the shapes differ or the signal is shorter than a frame.

    Source: e_spat + e_interf + e_artif = estimate - reference in BSSEval v4 (Stöter et al. 2018).
    """
    check_shapes(reference, estimate)
    if reference.shape[-1] < window:
        raise ValueError(
            f"the signal has {reference.shape[-1]} samples, a frame {window}: use a shorter window"
        )
    energy = _frame_energies(reference, window, hop)
    error = _frame_energies(estimate - reference, window, hop)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Signal = 10.0 * get_array_functions(reference).log10(energy / error)
    return ratio


def chunk_sdr(reference: Signal, estimate: Signal, *, window: int, eps: float = 1e-7) -> Signal:
    """Median of `usdr` over adjacent chunks, in dB; higher is better. Differentiable.

    With chunks of one second this is the cSDR of papers: the SDR of BSSEval v4, except for eps and
    the treatment of silence. An incomplete last chunk is dropped unless it is the only one.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        window: chunk length in samples, usually the sample rate.
        eps: added to both energies of every chunk.

    Returns:
        (...) dB, never NaN or infinite for finite audio; for an even number of chunks, the mean of
        the two in the middle. Every chunk counts: for a silent one the ratio is eps over the energy
        of the estimate, or 0 dB if that is silent, too, where BSSEval gives NaN.

    Raises:
        ValueError: if the shapes differ, there is no sample, or window or eps is not positive.

    Source: the ratio of `usdr` in the frames of BSSEval v4 (Stöter et al. 2018).
    """
    check_shapes(reference, estimate)
    samples = reference.shape[-1]
    if samples < 1 or window < 1 or not eps > 0:
        raise ValueError(
            f"{samples} samples in chunks of {window} with eps {eps}: "
            f"each must be above 0, set window to the sample rate"
        )
    chunk = min(window, samples)
    energy = _frame_energies(reference, chunk, chunk) + eps
    error = _frame_energies(estimate - reference, chunk, chunk) + eps
    median: Signal = _median(10.0 * get_array_functions(reference).log10(energy / error))
    return median


def k_sdr(reference: Signal, estimate: Signal) -> Signal:
    """SDR of a whole stem on a scale from 0 to 100, logarithmic in dB; higher is better.

    SDR is clipped at -10 and 10 dB.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.

    Returns:
        (...) without unit: 0 at -10 dB and below, 100 at 10 dB and above. A silent reference scores
        about 0, unless the estimate is nearly silent, too.

    Raises:
        ValueError: if the shapes differ.

    Source: the k_sdr of ZFTurbo's Music-Source-Separation-Training, K = 10, on `usdr` at eps 1e-8.
    """
    xp = get_array_functions(reference)
    above = xp.clip(usdr(reference, estimate, eps=1e-8) + K_SDR_LIMIT, 1e-6, 2 * K_SDR_LIMIT)
    score: Signal = 100.0 * xp.log1p(above) / math.log1p(2 * K_SDR_LIMIT)
    return score


def _frame_energies(signal: Signal, window: int, hop: int) -> Signal:
    """(..., channel, sample) -> (..., frame) sums of squares over channels and samples."""
    xp = get_array_functions(signal)
    energies: Signal = xp.sum(split_frames(xp.sum(signal**2, axis=-2), window, hop), axis=-1)
    return energies


def _median(values: Signal) -> Signal:
    """(..., frame) -> (...); torch.median would return the lower of two values in the middle."""
    ordered = get_array_functions(values).sort(values, axis=-1)
    count = values.shape[-1]
    middle: Signal = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    return middle
