"""Random mixes for training, whole songs for validation, as in the authors' training script."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mss_shared.datasets import Dataset, Track
from mss_shared.recipe_sections import DataConfig, LoopConfig
from mss_shared.training.data import Examples
from mss_shared.training.random_mixes import Example


class WholeTracks(TorchDataset[Example]):
    """Each track at full length, with its own mixture file rather than the sum of its stems."""

    def __init__(self, tracks: Sequence[Track], targets: Sequence[str]) -> None:
        self.tracks, self.targets = tuple(tracks), tuple(targets)

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, index: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, float32."""
        track = self.tracks[index]
        stems = torch.from_numpy(track.read_stems(self.targets))
        return {"mixture": torch.from_numpy(track.read_mixture()), "stems": stems}


class SongExamples(Examples):
    """Random mixes for training; for validation whole songs, one per batch since lengths differ."""

    def __init__(
        self,
        dataset: Dataset,
        config: DataConfig,
        loop: LoopConfig,
        targets: Sequence[str],
        seed: int,
        workers: int | None,
    ) -> None:
        super().__init__(dataset, config, loop, targets, seed, workers)
        self.songs = WholeTracks(dataset.valid, targets)

    def val_dataloader(self) -> DataLoader[Example]:
        """This rank's share of the validation songs."""
        rank, world = self._rank()
        return self._loader(self.songs, range(rank, len(self.songs), world), batch=1)
