"""Random mixes for training, whole songs for validation, as in the authors' training script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.utils.data import Dataset as TorchDataset

from mss_shared.datasets import Dataset, Track
from mss_shared.interfaces import Example, ExampleSets
from open_unmix.separator import Separator


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


def song_examples(default: ExampleSets, dataset: Dataset, model: Separator) -> ExampleSets:
    """Random mixes for training; for validation whole songs, one per batch since lengths differ.

    Args:
        default, dataset, model: as in ``Paper.choose_examples``.
    """
    return replace(default, valid=WholeTracks(dataset.valid, model.stems), valid_batch=1)
