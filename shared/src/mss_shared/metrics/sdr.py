"""Signal-to-distortion ratios without distortion filters: of whole stems, and frame by frame."""

from __future__ import annotations

import torch
from torch import Tensor


def usdr(reference: Tensor, estimate: Tensor, *, eps: float = 1e-7) -> Tensor:
    """Signal-to-distortion ratio of whole stems, in dB; higher is better. Differentiable.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem at the same sample rate.
        eps: added to both energies; the challenges' own constant.

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
    energy = reference.square().sum(dim=-2).unfold(-1, window, hop).sum(dim=-1)
    error = (estimate - reference).square().sum(dim=-2).unfold(-1, window, hop).sum(dim=-1)
    return 10.0 * torch.log10(energy / error)


def check_shapes(reference: Tensor, estimate: Tensor) -> None:
    """Raise ValueError, with both shapes, unless they are equal and (..., channel, sample)."""
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ValueError(
            f"the reference is {tuple(reference.shape)}, the estimate {tuple(estimate.shape)}: "
            f"both must be the same (..., channel, sample)"
        )
