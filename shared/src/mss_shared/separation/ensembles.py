"""Several passes or several models as one: the border of a model stays what it is.

Each works on what the model is given, a piece of a song. Polarity and channel swap commute with
cutting and overlap-add, so their average over a whole song is the same; shifts do not, and differ
from shifts of a whole song.
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
    """The average of a model's estimates and those of mirrored mixtures, mirrored back.

    Args:
        model: any model.
        mirrors: ``polarity`` (inverted), ``channels`` (in reverse order; nothing for one channel).

    Raises:
        ValueError: for another mirror.
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
    """The average over the mixture as it is and delayed copies of it, moved back.

    Silence goes in front, so that a model that returns its input still does, exactly. Delays are
    drawn once, from ``seed``: all pieces and all runs have the same.

    Args:
        model: any model.
        passes: how many in all; the first is not delayed, the others up to half a second.
        seed: of the delays.

    Raises:
        ValueError: for less than one pass.
    """

    def __init__(self, model: Any, passes: int, seed: int = 0) -> None:
        super().__init__(model)
        if passes < 1:
            raise ValueError(f"--shifts is {passes}: give at least one pass")
        draw = random.Random(seed)
        most = max(1, round(SHIFT_SECONDS * self.sample_rate))
        self.delays = (0, *(draw.randint(1, most) for _ in range(passes - 1)))

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        passes = [
            self.model(nn.functional.pad(mixture, (delay, 0)))[..., delay:] for delay in self.delays
        ]
        return _average(self.aligned(passes))


class Ensemble(Wrapped):
    """Models of the same stems as one, in the order of the first one's stems.

    Args:
        models: two or more.
        kind: ``mean`` or ``median`` of the samples; ``spec_mean`` or ``spec_median`` of the
            magnitudes of spectrograms, with the phase of their sum (the mean of complex
            spectrograms would be that of the samples).

    Raises:
        ValueError: for another kind, one model, or models of other stems, rates or channels.
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
        found = [
            model(mixture)[:, order] for model, order in zip(self.models, self.orders, strict=True)
        ]
        estimates = torch.stack(self.aligned(found))
        if self.kind == "mean":
            return estimates.mean(dim=0)
        if self.kind == "median":
            return _median(estimates)
        return _by_magnitude(estimates.float(), self.kind)


def group_by_stems(stems: Sequence[Sequence[str]]) -> list[list[int]]:
    """Which checkpoints complete each other and which compete.

    Args:
        stems: of each checkpoint, in the order given.

    Returns:
        Groups of positions. Within a group no stem comes twice: its models are joined. All groups
        have the same stems: they form an ensemble, if there is more than one.

    Raises:
        ValueError: if it can't be done.
    """
    groups: list[list[int]] = []
    for number, names in enumerate(stems):
        for group in groups:
            if not any(set(stems[other]) & set(names) for other in group):
                group.append(number)
                break
        else:
            groups.append([number])
    found = [[stem for number in group for stem in stems[number]] for group in groups]
    for names in found[1:]:
        if set(names) != set(found[0]):
            raise ValueError(
                f"the checkpoints give {', '.join(found[0])} and {', '.join(names)}: give one "
                f"checkpoint per stem, or several with the same stems for an ensemble"
            )
    return groups


def _check_alike(first: Any, other: Any) -> None:
    if set(first.stems) != set(other.stems):
        raise ValueError(
            f"an ensemble of models of {', '.join(first.stems)} and of {', '.join(other.stems)}: "
            f"give checkpoints with the same stems"
        )
    forms = [(model.sample_rate, model.channels) for model in (first, other)]
    if forms[0] != forms[1]:
        raise ValueError(
            f"an ensemble of models with {forms[0][1]} channels at {forms[0][0]} Hz and "
            f"{forms[1][1]} at {forms[1][0]} Hz: give checkpoints of one rate and channel count"
        )


def _average(passes: Sequence[Tensor]) -> Tensor:
    """The mean, by differences to the first: of equal passes it is that pass to the bit."""
    first = passes[0]
    return first + sum((other - first for other in passes[1:]), torch.zeros(())) / len(passes)


def _median(values: Tensor) -> Tensor:
    """Over the first axis; of an even number the mean of the two in the middle."""
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
    back = torch.istft(combined.flatten(0, -3), N_FFT, HOP, window=window, length=samples)
    return back.reshape(estimates.shape[1:])
