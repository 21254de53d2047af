"""Signal-to-distortion ratios without distortion filters: of whole stems, and frame by frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# k_sdr keeps SDR within these bounds, in dB.
K_SDR_LIMIT = 10.0


def usdr(reference: Tensor, estimate: Tensor, *, eps: float = 1e-7) -> Tensor:
    """Signal-to-distortion ratio of whole stems, in dB; higher is better. Differentiable.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem at the same sample rate.
        eps: added to both energies; 1e-7 is the challenges' own constant, 1e-8 that of ZFTurbo's
            training framework.

    Returns:
        (...) dB. A silent reference scores eps over the energy of the estimate.

    Raises:
        ValueError: if the shapes differ.

    Source: SDR of the Music Demixing Challenges 2021 and 2023 (Mitsufuji et al. 2022, eq. 2).
    """
    check_shapes(reference, estimate)
    energy = reference.square().sum(dim=(-2, -1)) + eps
    error = (reference - estimate).square().sum(dim=(-2, -1)) + eps
    return 10.0 * torch.log10(energy / error)


def frame_sdr(reference: Tensor, estimate: Tensor, *, window: int, hop: int) -> Tensor:
    """Plain SNR of every whole frame, in dB: the SDR of BSSEval v4 before its silence rule.

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
    return 10.0 * torch.log10(energy / error)


def chunk_sdr(reference: Tensor, estimate: Tensor, *, window: int, eps: float = 1e-7) -> Tensor:
    """Median of `usdr` over chunks side by side, in dB; higher is better. Differentiable.

    The cSDR of papers whose chunks are one second: but for eps and its silence rule, the SDR of
    BSSEval v4. A last incomplete chunk is dropped, unless it is the only one.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        window: chunk length in samples, usually the sample rate.
        eps: added to both energies of every chunk.

    Returns:
        (...) dB, never NaN or infinite for finite audio; of an even number of chunks, the mean of
        the two in the middle. Every chunk counts: a silent one scores eps over the energy of the
        estimate, or 0 dB if that is silent too, where BSSEval gives NaN.

    Raises:
        ValueError: if the shapes differ, there is no sample, or window or eps is not positive.

    Source: the SDR of `usdr`, framed as BSSEval v4 frames (Stöter et al. 2018), whole windows only.
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
    return _median(10.0 * torch.log10(energy / error))


def k_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """SDR of a whole stem on a scale from 0 to 100, logarithmic in dB; higher is better.

    SDR is held between -10 and 10 dB: outside, score and gradient stay as they are there.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.

    Returns:
        (...) without unit: 0 from -10 dB down, 100 from 10 dB up. A silent reference scores about
        0, unless the estimate is about silent too.

    Raises:
        ValueError: if the shapes differ.

    Source: the k_sdr of ZFTurbo's Music-Source-Separation-Training, K = 10, on `usdr` at eps 1e-8.
    """
    sdr = usdr(reference, estimate, eps=1e-8)
    above = (sdr + K_SDR_LIMIT).clamp(1e-6, 2 * K_SDR_LIMIT)
    return 100.0 * torch.log1p(above) / math.log1p(2 * K_SDR_LIMIT)


def _frame_energies(signal: Tensor, window: int, hop: int) -> Tensor:
    """(..., channel, sample) -> (..., frame) sums of squares over channels and whole frames."""
    return signal.square().sum(dim=-2).unfold(-1, window, hop).sum(dim=-1)


def _median(values: Tensor) -> Tensor:
    """(..., frame) -> (...); torch.median would give the lower of two values in the middle."""
    ordered = values.sort(dim=-1).values
    count = values.shape[-1]
    return (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2


def check_shapes(reference: Tensor, estimate: Tensor) -> None:
    """Raise ValueError, saying both, unless shapes are equal and (..., channel, sample), floats."""
    if not (reference.is_floating_point() and estimate.is_floating_point()):
        raise ValueError(
            f"the reference is {reference.dtype}, the estimate {estimate.dtype}: "
            f"pass floating point, since squares of integers overflow"
        )
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ValueError(
            f"the reference is {tuple(reference.shape)}, the estimate {tuple(estimate.shape)}: "
            f"both must be the same (..., channel, sample)"
        )
