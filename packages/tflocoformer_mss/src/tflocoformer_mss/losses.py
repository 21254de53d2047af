"""Losses of the music fork, of TUSS and of the speech recipes.

In shapes b is batch, s stem, c channel, n sample. A loss has one value per item and stem; lower is
better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

SNR_MAX_DB = 30.0  # the thresholded SNR saturates there
TFD_WINDOWS = (256, 512, 768, 1024)


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio, dB; higher is better.

    Args:
        estimate, reference: (..., channel, sample); the channels are treated as one signal.

    Returns:
        (...) dB; meaningless where the reference is silent.

    Source: code of the music fork.
    """
    estimate, reference = remove_mean(estimate), remove_mean(reference)
    energy = reference.square().sum(-1, keepdim=True)
    alpha = (estimate * reference).sum(-1, keepdim=True) / (energy + 1e-8)
    target = alpha * reference
    noise = estimate - target
    ratio = (target.square().sum(-1) + 1e-8) / (noise.square().sum(-1) + 1e-8)
    return 10.0 * ratio.log10()


def remove_mean(audio: Tensor) -> Tensor:
    """(..., channel, sample) -> (..., channel * sample) with zero mean."""
    flat = audio.flatten(-2)
    return flat - flat.mean(-1, keepdim=True)


def si_sdr_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Negative SI-SDR, (b, s, c, n) each -> (b, s); silent stems as in `snr_loss`.

    The SI-SDR of a silent reference is meaningless and large enough to dominate the loss, as it
    does in the music fork.
    """
    silent = reference.square().sum((-2, -1)) == 0.0
    silent_loss = silent_stem_loss(estimate, reference)
    return torch.where(silent, silent_loss, -si_sdr(estimate, reference))


def silent_stem_loss(estimate: Tensor, reference: Tensor, snr_max_db: float = SNR_MAX_DB) -> Tensor:
    """Level of the estimate of a silent stem, (b, s, c, n) each -> (b, s).

    A tenth of its energy in dB; what lies ``snr_max_db`` below the mixture hardly counts.

    Source: paper (TUSS), SNR with zero references.
    """
    floor = reference.sum(1, keepdim=True).square().sum((-2, -1)) * 10.0 ** (-snr_max_db / 10.0)
    return 0.1 * 10.0 * (estimate.square().sum((-2, -1)) + floor + 1e-7).log10()


def snr_loss(estimate: Tensor, reference: Tensor, *, snr_max_db: float = SNR_MAX_DB) -> Tensor:
    """Negative thresholded SNR in dB, (b, s, c, n) each -> (b, s).

    It saturates at ``snr_max_db``. For silent stems it is the level of the estimate.

    Source: paper (TUSS), SNR with zero references; the authors take the mean over stems.
    """
    energy = reference.square().sum((-2, -1))
    noise = (estimate - reference).square().sum((-2, -1))
    bounded = noise + energy * 10.0 ** (-snr_max_db / 10.0)
    ratio = 10.0 * (bounded + 1e-7).log10() - 10.0 * (energy + 1e-7).log10()
    return torch.where(energy > 0.0, ratio, silent_stem_loss(estimate, reference, snr_max_db))


def l1_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute error of samples, (b, s, c, n) each -> (b, s)."""
    return (estimate - reference).abs().mean((-2, -1))


def l2_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Mean squared error of samples, (b, s, c, n) each -> (b, s)."""
    return (estimate - reference).square().mean((-2, -1))


def spectral_loss(
    estimate: Tensor, reference: Tensor, sizes: Sequence[int] = (2048,), *, log: bool = True
) -> Tensor:
    """Mean absolute error of magnitudes, or of log(1 + magnitude), (b, s, c, n) each -> (b, s).

    Args:
        estimate, reference: (b, s, c, n).
        sizes: STFT sizes in samples, with Hann windows and a hop of half; averaged if several.
        log: compare log(1 + magnitude).

    Source: code of the music fork.
    """
    errors = []
    for size in sizes:
        window = torch.hann_window(size, device=estimate.device)
        specs = [magnitude(audio, size, window) for audio in (estimate, reference)]
        specs = [spec.log1p() for spec in specs] if log else specs
        errors.append((specs[0] - specs[1]).abs().mean((-3, -2, -1)))
    return torch.stack(errors).mean(0)


def magnitude(audio: Tensor, size: int, window: Tensor) -> Tensor:
    """Magnitude of the STFT with a hop of half a window, (..., sample) -> (..., bin, frame)."""
    flat = audio.flatten(0, -2)
    # Reflection padding needs more samples than half a window.
    flat = F.pad(flat, (0, max(0, size // 2 + 1 - flat.shape[-1])))
    spec = torch.stft(flat, size, size // 2, window=window, return_complex=True).abs()
    return spec.unflatten(0, audio.shape[:-1])


def tfd_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Multi-resolution L1 loss in time and frequency, (b, s, c, n) each -> (b, s).

    The estimate is first scaled by the gain ⟨estimate, reference⟩ / |estimate|^2. Half of the loss
    is the sum of absolute errors of samples, the other half the sum of absolute errors of
    magnitudes, averaged over STFTs with four rectangular windows.

    Source: `mr_l1_tfd` of the authors' DNS recipe.
    """
    energy = estimate.square().sum((-2, -1), keepdim=True)
    gain = (estimate * reference).sum((-2, -1), keepdim=True) / (energy + 1e-8)
    scaled = gain * estimate
    time = (scaled - reference).abs().sum((-2, -1))
    spectral = []
    for size in TFD_WINDOWS:
        window = torch.ones(size, device=estimate.device)
        specs = [magnitude(audio, size, window) for audio in (scaled, reference)]
        spectral.append((specs[0] - specs[1]).abs().sum((-3, -2, -1)))
    return 0.5 * time + 0.5 * torch.stack(spectral).mean(0)


Term = Callable[[Tensor, Tensor], Tensor]
TERMS: dict[str, Term] = {
    "si_sdr": si_sdr_loss,
    "l1": l1_loss,
    "l2": l2_loss,
    "spectral": spectral_loss,
    "snr": snr_loss,
    "tfd": tfd_loss,
}


def combine(
    estimate: Tensor, reference: Tensor, weights: Mapping[str, float], *, permute: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of losses, computed in float32.

    Args:
        estimate, reference: (b, s, c, n).
        weights: of the terms by name, see `TERMS`; terms with weight zero are not computed.
        permute: permutation invariant training (PIT), for interchangeable stems such as speakers:
            take the order of an item's stems with the lowest loss.

    Returns:
        The total, summed over stems and averaged over items; and each term without its weight,
        (s,), averaged over items.

    Raises:
        ValueError: if the shapes differ or all weights are zero.
    """
    if estimate.shape != reference.shape:
        raise ValueError(
            f"the estimate is {tuple(estimate.shape)}, the reference {tuple(reference.shape)}: "
            f"they must agree"
        )
    used = {name: weight for name, weight in weights.items() if weight}
    if not used:
        raise ValueError("0 of the loss weights are above zero: set at least one")
    estimate, reference = estimate.float(), reference.float()
    if permute:
        estimate = reorder(estimate, reference, used)
    parts = {name: TERMS[name](estimate, reference).mean(0) for name in used}
    total = torch.stack([used[name] * part.sum() for name, part in parts.items()]).sum()
    return total, parts


def reorder(estimate: Tensor, reference: Tensor, weights: Mapping[str, float]) -> Tensor:
    """PIT: the estimates (b, s, c, n), each item's stems in the order with the lowest loss."""
    orders = torch.tensor([*permutations(range(estimate.shape[1]))], device=estimate.device)
    with torch.no_grad():
        losses = [
            torch.stack(
                [
                    w * TERMS[name](estimate[:, order], reference).sum(1)
                    for name, w in weights.items()
                ]
            ).sum(0)
            for order in orders
        ]
        best = orders[torch.stack(losses).argmin(0)]
    return estimate[torch.arange(len(estimate), device=estimate.device)[:, None], best]
