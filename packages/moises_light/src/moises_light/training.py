"""Loss, optimizer and schedule of Moises-Light."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from moises_light.model import MoisesLight
from moises_light.recipe import TrainingConfig
from mss_shared.training import TrainingModule


class Training(TrainingModule):
    """Complex-spectrogram MAE, multi-resolution MAE and waveform MAE, with AdamW.

    The learning rate follows a plateau of the validation loss, or a cosine.

    Source: paper (second-hand, see the model card) for complex-spectrogram MAE plus
    multi-resolution complex-spectrogram MAE; everything else is the recipe's.
    """

    def __init__(self, model: MoisesLight, config: TrainingConfig) -> None:
        super().__init__()
        if config.schedule not in ("plateau", "cosine"):
            raise ValueError(f"training.schedule is {config.schedule!r}: choose plateau or cosine")
        if not any((config.waveform_weight, config.spec_weight, config.multi_spec_weight)):
            raise ValueError(
                "training.waveform_weight, spec_weight and multi_spec_weight are 0: set one above"
            )
        if config.multi_spec_weight and not config.multi_n_fft:
            raise ValueError(
                f"training.multi_spec_weight is {config.multi_spec_weight} and multi_n_fft empty: "
                f"give sizes, or weight 0.0"
            )
        if min(config.multi_n_fft, default=4) < 4:
            raise ValueError(f"training.multi_n_fft is {[*config.multi_n_fft]}: give at least 4")
        self.model = model
        self.config = config

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss = self.loss(self.model(batch["mixture"]), batch["stems"])
        self.log_mean("train/loss", loss, len(batch["mixture"]))
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on the validation chunks."""
        loss = self.loss(self.model(batch["mixture"]), batch["stems"])
        self.log_mean("val/loss", loss, len(batch["mixture"]))

    def loss(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """(batch, stem, channel, sample) each -> the weighted sum of the errors."""
        config, sizes = self.config, self.model.config
        terms = []
        if config.waveform_weight:
            terms.append(config.waveform_weight * l1_loss(estimate, reference))
        if config.spec_weight:
            error = spec_error(estimate, reference, sizes.n_fft, sizes.hop_size)
            terms.append(config.spec_weight * error)
        if config.multi_spec_weight:
            errors = [spec_error(estimate, reference, n, n // 4) for n in config.multi_n_fft]
            terms.append(config.multi_spec_weight * torch.stack(errors).mean())
        return torch.stack(terms).sum()

    def configure_optimizers(self) -> Any:
        """AdamW and its schedule."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        if config.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            return [optimizer], [{"scheduler": cosine, "interval": "step"}]
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]


def spec_error(estimate: Tensor, reference: Tensor, n_fft: int, hop: int) -> Tensor:
    """Complex-spectrogram MAE: mean absolute error of real and imaginary parts, in float32.

    Args:
        estimate, reference: (batch, stem, channel, sample), longer than n_fft // 2 samples.
        n_fft, hop: of the STFT in samples; normalised, periodic Hann window of n_fft.

    Source: paper, second-hand.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        window = torch.hann_window(n_fft, device=estimate.device)
        # The STFT is linear: one transform of the difference instead of two.
        difference = (estimate.float() - reference.float()).flatten(0, 2)
        spec = torch.stft(
            difference, n_fft, hop, window=window, normalized=True, return_complex=True
        )
        return torch.view_as_real(spec).abs().mean()
