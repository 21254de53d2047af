"""STFT magnitudes of long signals, in blocks of frames: no spectrogram is ever held whole."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Literal

from array_api_compat import device

from mss_shared.metrics.arrays import Signal, get_array_functions, split_frames

# Windowed samples transformed at once, over all leading dimensions.
BLOCK_VALUES = 1 << 22

Padding = Literal["reflect", "zeros"]


def magnitude_blocks(
    signal: Signal, *, window: Signal, hop: int, padding: Padding
) -> Iterator[Signal]:
    """Magnitudes of the unscaled STFT; frame t is centred on sample t * hop.

    Args:
        signal: (..., sample) audio.
        window: (n_fft,) in the signal's dtype and on its device.
        hop: samples between the centres of two frames.
        padding: what precedes the first sample and follows the last: the signal mirrored at that
            sample, or zeros.

    Yields:
        (..., bin, frame): n_fft // 2 + 1 bins; over all blocks 1 + sample // hop frames.

    Raises:
        ValueError: if the signal is too short to be padded.
    """
    xp, n_fft, samples = get_array_functions(signal, window), len(window), signal.shape[-1]
    least = n_fft // 2 + 1 if padding == "reflect" else 1
    if samples < least:
        raise ValueError(
            f"the signal has {samples} samples: frames of {n_fft} need at least {least}"
        )
    frames = 1 + samples // hop
    lanes = max(1, prod(signal.shape[:-1]))
    per_block = max(1, BLOCK_VALUES // (lanes * n_fft))
    for first in range(0, frames, per_block):
        last = min(first + per_block, frames) - 1
        start = first * hop - n_fft // 2
        stretch = _stretch(signal, start, last * hop - n_fft // 2 + n_fft, padding)
        spec = xp.fft.rfft(split_frames(stretch, n_fft, hop) * window)
        yield xp.matrix_transpose(xp.abs(spec))


def _stretch(signal: Any, start: int, end: int, padding: Padding) -> Any:
    """(..., sample) -> (..., end - start), where both ends may lie outside the signal."""
    xp, samples = get_array_functions(signal), signal.shape[-1]
    if padding == "zeros":
        inside = signal[..., max(start, 0) : min(end, samples)]
        lead, rest = (
            xp.zeros((*signal.shape[:-1], count), dtype=signal.dtype, device=device(signal))
            for count in (max(-start, 0), max(end - samples, 0))
        )
        return xp.concat([lead, inside, rest], axis=-1)
    indices = xp.abs(xp.arange(start, end, device=device(signal)))
    return xp.take(signal, xp.minimum(indices, 2 * (samples - 1) - indices), axis=-1)
