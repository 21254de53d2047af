"""The authors' openunmix 1.3.0, trained: network, data set class and transform of their wheel.

The loop is written after what is known of their training script, which the wheel lacks: Adam, mean
squared error of magnitudes, a plateau schedule, validation on whole songs one by one, statistics of
the training mixtures before. Values are those of ``recipe.yaml``.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parent / "stand_ins"))

from openunmix.data import MUSDBDataset, aug_from_str
from openunmix.model import OpenUnmix
from openunmix.transforms import ComplexNorm, make_filterbanks
from openunmix.utils import bandwidth_to_max_bin


def train(recipe: Any, root: Path, seed: int) -> Iterator[tuple[float, float]]:
    """The loss in training and in validation after each epoch.

    Args:
        recipe: ours.
        root: a folder of decoded songs, as musdb reads them.
        seed: of torch and of Python's ``random``.
    """
    torch.manual_seed(seed)
    random.seed(seed)
    training, validation = data_sets(recipe, root, seed)
    encoder = make_encoder(recipe)
    network = make_network(recipe, *input_statistics(training, encoder))
    values = recipe.training
    optimizer = torch.optim.Adam(
        network.parameters(), lr=values.lr, weight_decay=values.weight_decay
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=values.plateau_factor,
        patience=values.plateau_patience,
        cooldown=values.plateau_cooldown,
    )
    batches = DataLoader(training, batch_size=values.batch, shuffle=True)
    for _ in range(values.epochs):
        loss = train_epoch(network, encoder, optimizer, batches)
        check = validate(network, encoder, DataLoader(validation, batch_size=1))
        plateau.step(check)
        yield loss, check


def data_sets(recipe: Any, root: Path, seed: int) -> tuple[MUSDBDataset, MUSDBDataset]:
    """Random mixes of 80 songs, and 14 whole songs."""
    data = recipe.data
    [target] = recipe.model.targets
    common = {"root": str(root), "is_wav": True, "target": target, "seed": seed}
    training = MUSDBDataset(
        split="train",
        seq_duration=data.chunk_seconds,
        source_augmentations=aug_from_str(["gain", "channelswap"]),
        random_track_mix=True,
        **common,
    )
    training.samples_per_track = data.examples_per_epoch // len(training.mus.tracks)
    assert len(training) == data.examples_per_epoch, "an epoch is the same samples of every song"
    validation = MUSDBDataset(split="valid", samples_per_track=1, seq_duration=None, **common)
    return training, validation


def make_encoder(recipe: Any) -> nn.Module:
    """(batch, channel, sample) -> (batch, channel, bin, frame) magnitudes, not centred."""
    model = recipe.model
    stft, _ = make_filterbanks(
        n_fft=model.n_fft, n_hop=model.n_hop, sample_rate=model.sample_rate, center=False
    )
    return nn.Sequential(stft, ComplexNorm(mono=model.nb_channels == 1))


def make_network(recipe: Any, mean: Any, scale: Any) -> OpenUnmix:
    """Their network in the sizes of the recipe."""
    model = recipe.model
    return OpenUnmix(
        nb_bins=model.n_fft // 2 + 1,
        nb_channels=model.nb_channels,
        hidden_size=model.hidden_size,
        nb_layers=model.nb_layers,
        unidirectional=model.unidirectional,
        input_mean=mean,
        input_scale=scale,
        max_bin=bandwidth_to_max_bin(model.sample_rate, model.n_fft, model.bandwidth_hz),
    )


def input_statistics(training: MUSDBDataset, encoder: nn.Module) -> tuple[Any, Any]:
    """Mean and deviation of every bin over the whole training mixtures, without augmentation."""
    whole = copy.copy(training)
    whole.seq_duration, whole.samples_per_track = None, 1
    for track in whole.mus.tracks:
        track.chunk_start, track.chunk_duration = 0, None
    scaler = StandardScaler()
    for index in range(len(whole)):
        mixture, _ = whole[index]
        scaler.partial_fit(encoder(mixture[None]).mean(1)[0].T.numpy())
    return scaler.mean_, scaler.scale_.clip(min=1e-4 * scaler.scale_.max())


def train_epoch(
    network: nn.Module, encoder: nn.Module, optimizer: torch.optim.Optimizer, batches: Any
) -> float:
    """One pass over the training examples; the mean of the batches' losses."""
    network.train()
    losses = []
    for mixture, stem in batches:
        optimizer.zero_grad()
        loss = loss_of(network, encoder, mixture, stem)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def validate(network: nn.Module, encoder: nn.Module, songs: Any) -> float:
    """The mean of the songs' losses."""
    network.eval()
    losses = [loss_of(network, encoder, *song).item() for song in songs]
    return sum(losses) / len(losses)


def loss_of(network: nn.Module, encoder: nn.Module, mixture: Tensor, stem: Tensor) -> Tensor:
    """Mean squared error of the stem's magnitudes."""
    return mse_loss(network(encoder(mixture)), encoder(stem))
