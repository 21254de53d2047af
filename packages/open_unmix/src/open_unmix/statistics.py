"""Mean and standard deviation of every bin over the training mixtures, before the first step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mss_shared.datasets import Dataset, Track
from open_unmix.model import STFT
from open_unmix.recipe import Recipe
from open_unmix.separator import Separator

FRAMES_AT_ONCE = 1024
LEAST_SCALE = 1e-4  # of the largest standard deviation


def set_statistics(model: Separator, dataset: Dataset, recipe: Recipe) -> None:
    """Give every network the statistics of the training set, as the authors' script does."""
    mean, scale = input_statistics(dataset.split("train"), recipe.model.n_fft, recipe.model.n_hop)
    for network in model.networks():
        network.set_statistics(mean, scale)


def input_statistics(tracks: Sequence[Track], n_fft: int, n_hop: int) -> tuple[Tensor, Tensor]:
    """Statistics of whole mixtures, unaltered.

    Args:
        tracks: the training tracks.
        n_fft, n_hop: of the transform, not centred.

    Returns:
        (bin,) mean and population standard deviation in float64 of the magnitudes, averaged over
        channels, every frame of every track counting once. A bin that never varies has 1.0; none
        is below 1e-4 of the largest.

    Raises:
        ValueError: if no track is as long as a frame.
    """
    frames = 0
    mean = torch.zeros(n_fft // 2 + 1, dtype=torch.float64)
    squares = torch.zeros_like(mean)
    stft = STFT(n_fft, n_hop)
    for track in tracks:
        for start in range(0, track.info.samples - n_fft + 1, FRAMES_AT_ONCE * n_hop):
            wanted = n_fft + (FRAMES_AT_ONCE - 1) * n_hop
            samples = min(wanted, track.info.samples - start)
            spec = stft(torch.from_numpy(track.read_mixture(start, samples)))
            found = spec.abs().mean(dim=0).double()  # (bin, frame)
            frames, mean, squares = _add(frames, mean, squares, found)
    if not frames:
        raise ValueError(f"no training track is as long as a frame of {n_fft}: choose a less n_fft")
    scale = (squares / frames).sqrt()
    scale = torch.where(scale == 0, 1.0, scale)
    return mean, scale.clamp(min=LEAST_SCALE * scale.max().item())


def _add(frames: int, mean: Tensor, squares: Tensor, found: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, mean and summed squared deviations with (bin, frame) more values."""
    count = found.shape[1]
    own = found.mean(dim=1)
    total = frames + count
    apart = own - mean
    squares = squares + (found - own[:, None]).square().sum(dim=1)
    return total, mean + apart * count / total, squares + apart.square() * frames * count / total
