"""Magnitudes of long signals, in blocks of frames: never a whole song's spectrogram at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

# Windowed samples transformed at once, over all leading dimensions.
BLOCK_VALUES = 1 << 22

Padding = Literal["reflect", "zeros"]


def magnitude_blocks(
    signal: Tensor, *, window: Tensor, hop: int, padding: Padding
) -> Iterator[Tensor]:
    """Magnitudes of the centred STFT, unscaled, frame t being centred on sample t * hop.

    Args:
        signal: (..., sample) audio.
        window: (n_fft,) in the signal's dtype and on its device.
        hop: samples between the centres of two frames.
        padding: what stands before the first and after the last sample: the signal mirrored at
            that sample, or zeros.

    Yields:
        (..., bin, frame): n_fft // 2 + 1 bins; over all blocks 1 + sample // hop frames.

    Raises:
        ValueError: if the signal is too short to be padded.
    """
    n_fft, samples = len(window), signal.shape[-1]
    least = n_fft // 2 + 1 if padding == "reflect" else 1
    if samples < least:
        raise ValueError(
            f"the signal has {samples} samples: frames of {n_fft} need at least {least}"
        )
    frames = 1 + samples // hop
    lanes = max(1, signal.numel() // samples)
    per_block = max(1, BLOCK_VALUES // (lanes * n_fft))
    for first in range(0, frames, per_block):
        last = min(first + per_block, frames) - 1
        start = first * hop - n_fft // 2
        stretch = _stretch(signal, start, last * hop - n_fft // 2 + n_fft, padding)
        yield torch.fft.rfft(stretch.unfold(-1, n_fft, hop) * window).abs().mT


def _stretch(signal: Tensor, start: int, end: int, padding: Padding) -> Tensor:
    """(..., sample) -> (..., end - start), where both ends may lie outside the signal."""
    samples = signal.shape[-1]
    if padding == "zeros":
        inside = signal[..., max(start, 0) : min(end, samples)]
        return F.pad(inside, (max(-start, 0), max(end - samples, 0)))
    places = torch.arange(start, end, device=signal.device).abs()
    return signal[..., torch.minimum(places, 2 * (samples - 1) - places)]
