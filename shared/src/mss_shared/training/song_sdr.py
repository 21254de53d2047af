"""The SDR of validation songs, or of excerpts from them, during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mss_shared.datasets import Track
from mss_shared.metrics.sdr import usdr
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.overlap_add import separate
from mss_shared.separation.permutation import align_stems
from mss_shared.separation.separator import interchangeable
from mss_shared.training.criteria import SDR


class SongSdr(Callback):
    """Logs ``val/sdr`` and ``val/sdr_<stem>`` after every validation, in dB.

    A stem's SDR is the mean of ``usdr`` over all songs in which it is not silent, ``val/sdr`` the
    mean over stems. Devices share the songs; each value comes from one of them, so that the means
    are the same to the bit for any number of devices that separate alike.

    Args:
        tracks: the validation songs.
        model: to be trained; it separates them as the evaluation does.
        inference: how songs are cut.
        seconds: length of the excerpt from the middle of each song; 0.0 for whole songs.
    """

    def __init__(
        self, tracks: Sequence[Track], model: Any, inference: InferenceConfig, seconds: float
    ) -> None:
        self.tracks = tracks
        self.model = model
        self.inference = inference
        self.seconds = seconds

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the means; the weights are those of the moving average, if there is one.

        Raises:
            ValueError: if every stem of every song is silent.
        """
        table = torch.zeros(len(self.tracks), len(self.model.stems), 2, dtype=torch.float64)
        for index in range(trainer.global_rank, len(self.tracks), trainer.world_size):
            table[index] = self._measure(self.tracks[index])
        if trainer.world_size > 1:
            table = trainer.strategy.reduce(table.to(pl_module.device), reduce_op="sum").cpu()
        sums, counts = table.sum(dim=0).unbind(dim=-1)
        means = [float(total / n) for total, n in zip(sums, counts, strict=True) if n]
        names = [stem for stem, n in zip(self.model.stems, counts, strict=True) if n]
        if not means:
            _refuse(trainer)
        for name, value in zip(names, means, strict=True):
            pl_module.log(f"{SDR.name}_{name}", value, batch_size=1, sync_dist=True)
        pl_module.log(SDR.name, sum(means) / len(means), batch_size=1, sync_dist=True)

    def _measure(self, track: Track) -> Tensor:
        """(stem, 2): the SDR of each stem in dB, and 1; both 0 for a silent one."""
        samples = track.info.samples
        excerpt = max(1, round(self.seconds * track.info.sample_rate))
        count = min(samples, excerpt) if self.seconds else samples
        start = (samples - count) // 2
        mixture = torch.from_numpy(track.read_mixture(start, count))
        estimates = separate(self.model, mixture, self.inference)
        references = torch.from_numpy(track.read_stems(self.model.stems, start, count))
        if interchangeable(self.model):
            estimates = align_stems(estimates[None], references[None])[0]
        values = usdr(references.double(), estimates.double())
        sounds = references.flatten(1).any(dim=1)
        return torch.stack([values.where(sounds, 0.0), sounds.double()], dim=1)


def _refuse(trainer: pl.Trainer) -> None:
    if not trainer.is_global_zero:
        raise SystemExit(2)
    raise ValueError(
        "every stem of the model is silent in all validation songs, where it is measured: give "
        "others, or set training.val_sdr_seconds to 0.0 for whole songs"
    )
