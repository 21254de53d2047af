"""Mixture consistency: distribute the residual, mixture minus stems, over the stems by bin.

In each time-frequency bin, every stem gets a share of the residual in proportion to its energy, so
that what the model missed goes to the stems that are loud there. The shares add up to the residual
only up to float32 rounding; ``exact_sums`` makes the sum exact afterwards, on integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mss_shared.audio.streams import Sliding
from mss_shared.console import Report
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import find_lookback
from mss_shared.separation.overlap_add import separate_blocks
from mss_shared.separation.separator import Separator

Exact = NDArray[np.float64]
Pair = tuple[Exact, Exact]

_N_FFT = 4096
_HOP = _N_FFT // 2

# In a bin where all stems are silent, shares follow the stems' energy in the whole frame; in a
# frame where all are silent, they are equal.
_FRAME_SHARE = 1e-6
_FLOOR = 1e-14


class Spreader:
    """Splits a stream of residual into shares, one per stem, by the stems' energy in each bin.

    Frames of 4096 samples with a sine window for both analysis and synthesis: the product is a
    squared sine, which adds up to one at half overlap, so the shares add up to the residual.
    """

    def __init__(self) -> None:
        positions = torch.arange(_N_FFT, dtype=torch.float64)
        self.window = torch.sin(torch.pi * (positions + 0.5) / _N_FFT).float()
        self.pending: Tensor | None = None  # (residual and weights, channel, sample)
        self.tail: Tensor | None = None  # (stem, channel, hop): second half of the last frame

    def push(self, residual: Tensor, weights: Tensor, floors: Tensor) -> Tensor:
        """Take a block and return the shares of all samples that are complete.

        Args:
            residual: (channel, sample) float32.
            weights: (stem, channel, sample) signals whose energy decides the shares.
            floors: (stem, channel, sample) signals that decide where all weights are silent.

        Returns:
            (stem, channel, sample), delayed by up to a frame.
        """
        signals = (
            [residual[None], weights] if floors is weights else [residual[None], weights, floors]
        )
        block = torch.cat(signals)
        if self.pending is None:
            self.pending = block.new_zeros((*block.shape[:2], _HOP))
            self.tail = block.new_zeros((len(weights), block.shape[1], _HOP))
            self.first = True
        self.pending = torch.cat([self.pending, block], dim=-1)
        count = (self.pending.shape[-1] - _HOP) // _HOP
        if count < 1:
            return weights.new_zeros((*weights.shape[:2], 0))
        frames = self.pending[..., : (count + 1) * _HOP].unfold(-1, _N_FFT, _HOP)
        self.pending = self.pending[..., count * _HOP :]
        shares = self._shares(frames, len(weights))
        done = self._overlap(shares)
        if self.first:  # drop the half frame before the song
            done, self.first = done[..., _HOP:], False
        return done

    def finish(self) -> Tensor:
        """(stem, channel, sample) the remaining shares, followed by zeros."""
        assert self.pending is not None and self.tail is not None
        stems, channels = self.tail.shape[:2]
        silence = self.pending.new_zeros((channels, _N_FFT))
        signals = len(self.pending) - 1
        silent_signals = silence.expand(signals, channels, _N_FFT)
        weights, floors = silent_signals[:stems], silent_signals[stems:]
        return self.push(silence, weights, floors if len(floors) else weights)

    def _shares(self, frames: Tensor, stems: int) -> Tensor:
        """(signal, channel, frame, sample) -> (stem, channel, frame, sample)."""
        specs = torch.fft.rfft(frames * self.window)
        reals = torch.view_as_real(specs[1:])
        energies = reals[..., 0].square() + reals[..., 1].square()
        weights, floors = energies[:stems], energies[-stems:]
        weights = weights + _FRAME_SHARE * floors.mean(dim=-1, keepdim=True) + _FLOOR
        masks = weights / weights.sum(dim=0)
        shares: Tensor = torch.fft.irfft(masks * specs[0], n=_N_FFT) * self.window
        return shares

    def _overlap(self, shares: Tensor) -> Tensor:
        """(stem, channel, frame, sample) -> (stem, channel, frame * hop); keeps the last half."""
        assert self.tail is not None
        first, second = shares[..., :_HOP], shares[..., _HOP:]
        before = torch.cat([self.tail[:, :, None], second[:, :, :-1]], dim=2)
        self.tail = second[:, :, -1]
        return (first + before).flatten(2)


def make_consistent(pairs: Iterator[Pair], stems: int) -> Iterator[Pair]:
    """Make stems add up to their mixture, up to float32 rounding of the residual.

    Args:
        pairs: blocks of the mixture, (channel, sample), and of the estimates, (stem, channel,
            sample): ``stems`` stems, and after ``rerun`` as many again that are the second pass
            alone. The energies of the second pass then decide the shares, else the stems' own.
        stems: number of stems.

    Yields:
        The same signals in blocks of other lengths, with the stems alone. A single stem stays
        unchanged, and the residual follows it as a second one.
    """
    if stems == 1:
        for mixture, estimates in pairs:
            yield mixture, np.stack([estimates[0], mixture - estimates[0]])
        return
    spreader = Spreader()
    # The spreader lags behind: blocks wait here for their shares of the residual.
    waiting: list[Pair] = []
    for mixture, estimates in pairs:
        own = estimates[:stems]
        residual = _single(mixture - own.sum(axis=0))
        floors = _single(own)
        weights = floors if len(estimates) == stems else _single(estimates[stems:])
        shares = spreader.push(residual, weights, floors)
        waiting.append((mixture, own))
        yield from _add_shares(waiting, shares.numpy())
    if waiting:
        yield from _add_shares(waiting, spreader.finish().numpy())


def _single(signal: Exact) -> Tensor:
    # Single precision is enough: its rounding error is relative to the residual, itself small.
    return torch.from_numpy(signal.astype(np.float32))


def _add_shares(waiting: list[Pair], shares: NDArray[np.float32]) -> Iterator[Pair]:
    """Add the shares to the waiting blocks and yield those that are complete."""
    while waiting and shares.shape[-1]:
        mixture, stems = waiting.pop(0)
        count = min(mixture.shape[-1], shares.shape[-1])
        yield mixture[:, :count], stems[..., :count] + shares[..., :count]
        shares = shares[..., count:]
        if count < mixture.shape[-1]:
            waiting.insert(0, (mixture[:, count:], stems[..., count:]))


def rerun_blocks(
    model: Separator,
    read: Callable[[int, int], Tensor],
    samples: int,
    config: InferenceConfig,
    *,
    batch: int = 1,
    progress: Report | None = None,
) -> Iterator[Tensor]:
    """Separate a song, then separate the residual of the first pass with the same model.

    Both passes are interleaved: the second reads the residual as soon as the first has produced it.

    Args:
        model, read, samples, config, batch: as in ``separate_blocks``; ``read`` must still know as
            many past samples as ``chunks.find_lookback`` says.
        progress: as there; counts the chunks of the second pass.

    Yields:
        (2 * stem, channel, sample): the sum of both passes, then the second alone.
    """
    keep = find_lookback(samples, config, model.sample_rate, batch, rerun=True)
    first_pass = Sliding(_with_residual(model, read, samples, config, batch), keep)

    def residual(start: int, count: int) -> Tensor:
        return torch.from_numpy(first_pass.read(start, count)[-1].copy())

    done = 0
    for block in separate_blocks(model, residual, samples, config, batch=batch, progress=progress):
        count = block.shape[-1]
        stems = torch.from_numpy(first_pass.read(done, count)[:-1])
        yield torch.cat([stems + block, block])
        done += count


def _with_residual(
    model: Separator,
    read: Callable[[int, int], Tensor],
    samples: int,
    config: InferenceConfig,
    batch: int,
) -> Iterator[NDArray[np.float32]]:
    """(stem + 1, channel, sample) blocks: the stems, then the residual."""
    done = 0
    for block in separate_blocks(model, read, samples, config, batch=batch):
        mixture = read(done, block.shape[-1])
        done += block.shape[-1]
        yield torch.cat([block, (mixture - block.sum(dim=0))[None]]).numpy()
