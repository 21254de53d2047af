"""Losses of the music model, of unified separation and of the speech recipes.

Audio is (batch, stem, channel, sample); each loss is a number per item and stem, lower is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

SNR_MAX_DB = 30.0
TFD_WINDOWS = (256, 512, 768, 1024)


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio, dB; higher is better.

    Args:
        estimate, reference: (..., channel, sample); channels and samples count as one signal.

    Returns:
        (...); without meaning where the reference is silent.

    Source: the music model's code.
    """
    e, s = centred(estimate), centred(reference)
    alpha = (e * s).sum(-1, keepdim=True) / (s.square().sum(-1, keepdim=True) + 1e-8)
    target = alpha * s
    noise = e - target
    ratio = (target.square().sum(-1) + 1e-8) / (noise.square().sum(-1) + 1e-8)
    return 10.0 * ratio.log10()


def centred(audio: Tensor) -> Tensor:
    """(..., channel, sample) -> (..., channel sample) without its mean."""
    flat = audio.flatten(-2)
    return flat - flat.mean(-1, keepdim=True)


def si_sdr_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """(b, s, c, n) each -> (b, s) negative SI-SDR; of silent stems, what `snr_loss` takes there.

    The music model's code takes SI-SDR there too, which then outweighs all else.
    """
    silent = reference.square().sum((-2, -1)) == 0.0
    return torch.where(silent, leak(estimate, reference), -si_sdr(estimate, reference))


def leak(estimate: Tensor, reference: Tensor, snr_max_db: float = SNR_MAX_DB) -> Tensor:
    """(b, s, c, n) each -> (b, s): level of the estimate, down to a share of the mixture's."""
    floor = reference.sum(1, keepdim=True).square().sum((-2, -1)) * 10.0 ** (-snr_max_db / 10.0)
    return 0.1 * 10.0 * (estimate.square().sum((-2, -1)) + floor + 1e-7).log10()


def snr_loss(estimate: Tensor, reference: Tensor, *, snr_max_db: float = SNR_MAX_DB) -> Tensor:
    """(b, s, c, n) each -> (b, s) negative signal-to-noise ratio, in dB, that saturates.

    Of silent stems, the estimate's own level. Source: Task-Aware Unified Source Separation, whose
    loss is the mean over stems.
    """
    energy = reference.square().sum((-2, -1))
    noise = (estimate - reference).square().sum((-2, -1))
    bounded = noise + energy * 10.0 ** (-snr_max_db / 10.0)
    ratio = 10.0 * (bounded + 1e-7).log10() - 10.0 * (energy + 1e-7).log10()
    return torch.where(energy > 0.0, ratio, leak(estimate, reference, snr_max_db))


def l1_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """(b, s, c, n) each -> (b, s) mean absolute error."""
    return (estimate - reference).abs().mean((-2, -1))


def l2_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """(b, s, c, n) each -> (b, s) mean squared error."""
    return (estimate - reference).square().mean((-2, -1))


def spectral_loss(
    estimate: Tensor, reference: Tensor, sizes: Sequence[int] = (2048,), *, log: bool = True
) -> Tensor:
    """(b, s, c, n) each -> (b, s) mean error of magnitudes, or of log(1 + magnitude).

    Args:
        estimate, reference: the sound.
        sizes: of Hann windows, samples; their hop is half of it. Several are averaged.
        log: compare logarithms.

    Source: the music model's code.
    """
    errors = []
    for size in sizes:
        window = torch.hann_window(size, device=estimate.device)
        specs = [magnitude(audio, size, window) for audio in (estimate, reference)]
        specs = [spec.log1p() for spec in specs] if log else specs
        errors.append((specs[0] - specs[1]).abs().mean((-3, -2, -1)))
    return torch.stack(errors).mean(0)


def magnitude(audio: Tensor, size: int, window: Tensor) -> Tensor:
    """(..., sample) -> (..., bin, frame)."""
    flat = audio.flatten(0, -2)
    # Reflection at the ends needs more samples than half a window.
    flat = F.pad(flat, (0, max(0, size // 2 + 1 - flat.shape[-1])))
    spec = torch.stft(flat, size, size // 2, window=window, return_complex=True).abs()
    return spec.unflatten(0, audio.shape[:-1])


def tfd_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """(b, s, c, n) each -> (b, s) absolute errors in time and of magnitudes, at the best gain.

    Half the sum over samples, half the mean over four rectangular windows of the sum over bins and
    frames. Source: `mr_l1_tfd` of the DNS recipe.
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
    """The weighted sum of losses, in float32.

    Args:
        estimate, reference: (b, s, c, n).
        weights: of the terms by name, see `TERMS`; those of zero are not computed.
        permute: of all orders of an item's stems, take the one of least loss (for speakers).

    Returns:
        Sum over stems, mean over items; and each term as (s,), mean over items, without weight.

    Raises:
        ValueError: if the shapes differ or no weight is above zero.
    """
    if estimate.shape != reference.shape:
        raise ValueError(
            f"the estimate is {tuple(estimate.shape)}, the reference {tuple(reference.shape)}: "
            f"they must agree"
        )
    used = {name: weight for name, weight in weights.items() if weight}
    if not used:
        raise ValueError("all 0 of the loss's weights are above zero: give one")
    estimate, reference = estimate.float(), reference.float()
    if permute:
        estimate = reorder(estimate, reference, used)
    parts = {name: TERMS[name](estimate, reference).mean(0) for name in used}
    total = torch.stack([used[name] * part.sum() for name, part in parts.items()]).sum()
    return total, parts


def reorder(estimate: Tensor, reference: Tensor, weights: Mapping[str, float]) -> Tensor:
    """The estimates (b, s, c, n) of each item in the order of least loss."""
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
