"""Test-time augmentation and ensembles, as models with the interface of a single one.

They wrap the model, so they see chunks, not songs. For polarity and channel swap this makes no
difference, as both commute with chunking and overlap-add; shifts do not, so shifting each chunk
differs from shifting the whole song.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.separation.passes import ENSEMBLES, MIRRORS
from mss_shared.separation.separator import Wrapped

SHIFT_SECONDS = 0.5
N_FFT, HOP = 2048, 512  # of the spectrograms that ensembles combine


class Mirrored(Wrapped):
    """The average of a model's estimates of the mixture and of mirrored copies, mirrored back.

    Args:
        model: any model.
        mirrors: ``polarity`` (inverted) and ``channels`` (swapped; no effect on mono).

    Raises:
        ValueError: for an unknown mirror.
    """

    def __init__(self, model: Any, mirrors: Sequence[str] = MIRRORS) -> None:
        super().__init__(model)
        unknown = [mirror for mirror in mirrors if mirror not in MIRRORS]
        if unknown:
            raise ValueError(
                f"there is no {unknown[0]!r} to average: choose {' or '.join(MIRRORS)}"
            )
        self.mirrors = tuple(mirrors)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        passes = [self.model(mixture)]
        if "channels" in self.mirrors and self.channels > 1:
            passes.append(self.model(mixture.flip(1)).flip(2))
        if "polarity" in self.mirrors:
            passes.append(-self.model(-mixture))
        return _average(self.aligned(passes))


class Shifted(Wrapped):
    """The average of a model's estimates of the mixture and of delayed copies, shifted back.

    Copies are delayed by silence in front, so no sample is lost and a model that returns its input
    remains the identity. Delays are drawn once, from ``seed``: all chunks and all runs share them.

    Args:
        model: any model.
        passes: their total number; the first is not delayed, the others by up to half a second.
        seed: of the delays.

    Raises:
        ValueError: for fewer than one pass.
    """

    def __init__(self, model: Any, passes: int, seed: int = 0) -> None:
        super().__init__(model)
        if passes < 1:
            raise ValueError(f"--shifts is {passes}: give at least one pass")
        draw = random.Random(seed)
        longest = max(1, round(SHIFT_SECONDS * self.sample_rate))
        self.delays = (0, *(draw.randint(1, longest) for _ in range(passes - 1)))

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        passes = [
            self.model(nn.functional.pad(mixture, (delay, 0)))[..., delay:] for delay in self.delays
        ]
        return _average(self.aligned(passes))


class Ensemble(Wrapped):
    """Several models of the same stems as one; stems are in the order of the first model.

    Args:
        models: two or more.
        kind: ``mean`` or ``median`` of the samples; ``spec_mean`` or ``spec_median`` of the
            magnitude spectrograms, with the phase of the sum of the complex ones (whose mean would
            be the mean of the samples again).

    Raises:
        ValueError: for an unknown kind, fewer than two models, or models that differ in stems,
            sample rate or channels.
    """

    def __init__(self, models: Sequence[Any], kind: str = "mean") -> None:
        super().__init__(models[0])
        if kind not in ENSEMBLES:
            raise ValueError(f"there is no ensemble {kind!r}: choose from {', '.join(ENSEMBLES)}")
        if len(models) < 2:
            raise ValueError(f"--ensemble {kind} of one model: give two checkpoints or more")
        for model in models:
            _check_alike(models[0], model)
        self.models = nn.ModuleList(models)
        self.orders = [[model.stems.index(stem) for stem in self.stems] for model in models]
        self.kind = kind

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        by_model = [
            model(mixture)[:, order] for model, order in zip(self.models, self.orders, strict=True)
        ]
        estimates = torch.stack(self.aligned(by_model))
        if self.kind == "mean":
            return estimates.mean(dim=0)
        if self.kind == "median":
            return _median(estimates)
        return _by_magnitude(estimates.float(), self.kind)


def group_by_stems(stems: Sequence[Sequence[str]]) -> list[list[int]]:
    """Decide which checkpoints are joined, having different stems, and which form an ensemble.

    Args:
        stems: of each checkpoint, in the user's order.

    Returns:
        Groups of indices. Within a group all stems differ: its models are joined. All groups have
        the same stems: two or more of them form an ensemble.

    Raises:
        ValueError: if there is no such grouping.
    """
    groups: list[list[int]] = []
    for index, names in enumerate(stems):
        for group in groups:
            if not any(set(stems[other]) & set(names) for other in group):
                group.append(index)
                break
        else:
            groups.append([index])
    group_stems = [[stem for index in group for stem in stems[index]] for group in groups]
    for names in group_stems[1:]:
        if set(names) != set(group_stems[0]):
            raise ValueError(
                f"the checkpoints give {', '.join(group_stems[0])} and {', '.join(names)}: give "
                f"one checkpoint per stem, or several with the same stems for an ensemble"
            )
    return groups


def _check_alike(first: Any, other: Any) -> None:
    if set(first.stems) != set(other.stems):
        raise ValueError(
            f"the models of an ensemble have the stems {', '.join(first.stems)} and "
            f"{', '.join(other.stems)}: give checkpoints with the same stems"
        )
    forms = [(model.sample_rate, model.channels) for model in (first, other)]
    if forms[0] != forms[1]:
        raise ValueError(
            f"the models of an ensemble have {forms[0][1]} channels at {forms[0][0]} Hz and "
            f"{forms[1][1]} at {forms[1][0]} Hz: give checkpoints with the same rate and channels"
        )


def _average(passes: Sequence[Tensor]) -> Tensor:
    # The mean as differences from the first pass: bit-exact if all passes are equal.
    first = passes[0]
    return first + sum((other - first for other in passes[1:]), torch.zeros(())) / len(passes)


def _median(values: Tensor) -> Tensor:
    """Median over the first axis; torch's own takes the lower middle value of an even count."""
    ordered = values.sort(dim=0).values
    count = len(ordered)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def _by_magnitude(estimates: Tensor, kind: str) -> Tensor:
    """(model, batch, stem, channel, sample) -> (batch, stem, channel, sample)."""
    window = torch.hann_window(N_FFT, device=estimates.device)
    specs = torch.stft(
        estimates.flatten(0, -2),
        N_FFT,
        HOP,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    specs = specs.reshape(*estimates.shape[:-1], *specs.shape[-2:])
    magnitudes = specs.abs()
    level = magnitudes.mean(dim=0) if kind == "spec_mean" else _median(magnitudes)
    combined = torch.polar(level, specs.sum(dim=0).angle())
    samples = estimates.shape[-1]
    signals = torch.istft(combined.flatten(0, -3), N_FFT, HOP, window=window, length=samples)
    return signals.reshape(estimates.shape[1:])
