"""Correlations of references and estimates at the few lags that BSSEval's filters span."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mss_shared.metrics.bsseval_signals import Array, Scenario, Signals, map_in_order, samples

BLOCK = 4096  # transform length, eight times the usual 512 taps
BLOCKS_AT_ONCE = 12  # limits a batch to 20 MB of memory with four stereo stems


@dataclass(frozen=True)
class Correlations:
    """Correlations of each reference channel with later samples of every other channel.

    references: (stem, channel, stem, channel, lag): sum of r[a, c, n] r[b, d, n + lag].
    estimates: (stem, channel, stem, channel, lag): sum of r[a, c, n] e[b, d, n + lag].
    """

    references: Array
    estimates: Array

    def mixed(self, scenario: Scenario) -> "Correlations":
        """The correlations of sums of stems, which are sums of these correlations."""
        w = scenario.weights
        both = (self.references, self.estimates)
        return Correlations(*(np.einsum("ga,hb,acbdl->gchdl", w, w, x) for x in both))


def overlapping(signals: Array, size: int, hop: int) -> Array:
    """(lane, sample) -> (lane, block, size), a view; the last block ends with the signals."""
    return sliding_window_view(signals, size, axis=-1)[:, ::hop]


def block_spectra(blocks: Array) -> NDArray[np.complex128]:
    """(lane, block, sample) -> (bin, lane, block)."""
    # Bins outermost, because one small matrix product per bin follows; moved after the transform,
    # which is faster along memory.
    return np.ascontiguousarray(np.moveaxis(scipy.fft.rfft(blocks), -1, 0))


def correlate(
    references: Signals, estimates: Signals, taps: int, bounds: tuple[int, int], workers: int
) -> Correlations:
    """Linear correlations of the signals within `bounds`, at lags 0 ... taps - 1.

    Overlap-save: a zero-padded block of each reference is correlated with a block of every signal
    that is `taps - 1` samples longer, so that no lag wraps around.
    """
    stems, channels = references.shape[:2]
    length = bounds[1] - bounds[0]
    size = min(max(BLOCK, 8 * taps), scipy.fft.next_fast_len(length + taps - 1, real=True))
    batch = BLOCKS_AT_ONCE * (size - taps + 1)
    task = partial(_cross_spectra, references, estimates, taps, size, bounds)
    total: NDArray[np.complex128] | None = None
    for spectra in map_in_order(task, range(bounds[0], bounds[1], batch), workers):
        total = spectra if total is None else np.add(total, spectra, out=total)
    assert total is not None
    lags = scipy.fft.irfft(np.moveaxis(total, 0, -1), size)[..., :taps]
    lags = lags.reshape(stems, channels, 2, stems, channels, taps)
    return Correlations(lags[:, :, 0], lags[:, :, 1])


def _cross_spectra(
    references: Signals,
    estimates: Signals,
    taps: int,
    size: int,
    bounds: tuple[int, int],
    start: int,
) -> NDArray[np.complex128]:
    """(bin, reference lane, lane of references then estimates), summed over a batch of blocks."""
    hop = size - taps + 1
    blocks = min(BLOCKS_AT_ONCE, -(-(bounds[1] - start) // hop))
    stop = start + blocks * hop + taps - 1
    lanes = np.zeros((2, *references.shape[:2], stop - start))
    last = min(stop, bounds[1])
    for lane, signals in zip(lanes, (references, estimates), strict=True):
        lane[..., : last - start] = samples(signals, start, last)
    lanes = lanes.reshape(-1, stop - start)
    ahead = block_spectra(overlapping(lanes, size, hop))
    padded = np.zeros((len(lanes) // 2, blocks, size))
    padded[..., :hop] = lanes[: len(padded), : blocks * hop].reshape(len(padded), blocks, hop)
    behind = block_spectra(padded)
    product: NDArray[np.complex128] = np.matmul(np.conj(behind, out=behind), ahead.swapaxes(1, 2))
    return product
