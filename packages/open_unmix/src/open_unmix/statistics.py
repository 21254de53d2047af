"""Input statistics: mean and standard deviation of each bin over the training mixtures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mss_shared.datasets import Dataset, Track
from open_unmix.model import STFT
from open_unmix.recipe import Recipe
from open_unmix.separator import Separator

FRAMES_AT_ONCE = 1024
LEAST_SCALE = 1e-4  # relative to the largest standard deviation


def set_statistics(model: Separator, dataset: Dataset, recipe: Recipe) -> None:
    """Set the input scaling of every network before training, as the authors' script does."""
    mean, scale = input_statistics(dataset.split("train"), recipe.model.n_fft, recipe.model.n_hop)
    for network in model.networks():
        network.set_statistics(mean, scale)


def input_statistics(tracks: Sequence[Track], n_fft: int, n_hop: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of magnitudes over whole mixtures, without augmentation.

    Args:
        tracks: the training tracks.
        n_fft, n_hop: of the STFT in samples; it is not centred.

    Returns:
        (bin,) mean and population standard deviation, float64, of the magnitudes averaged over
        channels; each frame of each track has the same weight. The deviation is 1.0 for a constant
        bin, and at least 1e-4 of the largest, so that scaling does not blow up empty bins.

    Raises:
        ValueError: if every track is shorter than a frame.

    Source: authors' training script.
    """
    frames = 0
    mean = torch.zeros(n_fft // 2 + 1, dtype=torch.float64)
    squares = torch.zeros_like(mean)
    stft = STFT(n_fft, n_hop)
    for track in tracks:
        for start in range(0, track.info.samples - n_fft + 1, FRAMES_AT_ONCE * n_hop):
            run = n_fft + (FRAMES_AT_ONCE - 1) * n_hop
            samples = min(run, track.info.samples - start)
            spec = stft(torch.from_numpy(track.read_mixture(start, samples)))
            magnitudes = spec.abs().mean(dim=0).double()  # (bin, frame)
            frames, mean, squares = _update(frames, mean, squares, magnitudes)
    if not frames:
        raise ValueError(f"no training track has n_fft={n_fft} samples: choose a smaller n_fft")
    scale = (squares / frames).sqrt()
    scale = torch.where(scale == 0, 1.0, scale)
    return mean, scale.clamp(min=LEAST_SCALE * scale.max().item())


def _update(
    frames: int, mean: Tensor, squares: Tensor, magnitudes: Tensor
) -> tuple[int, Tensor, Tensor]:
    """Update count, mean and sum of squared deviations with (bin, frame) more values.

    Deviations are taken from each run's own mean and then merged (Chan et al.). A sum of squares
    minus a squared mean would cancel most digits for bins with little variance.
    """
    count = magnitudes.shape[1]
    run_mean = magnitudes.mean(dim=1)
    total = frames + count
    delta = run_mean - mean
    squares = squares + (magnitudes - run_mean[:, None]).square().sum(dim=1)
    return total, mean + delta * count / total, squares + delta.square() * frames * count / total
