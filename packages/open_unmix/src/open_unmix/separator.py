"""All targets' networks and the Wiener filter behind one interface: audio in, stems out.

`Separator` computes the STFT, each network estimates its target's magnitudes, a multichannel Wiener
filter combines them, and the inverse STFT returns audio. A song is processed in short runs of
frames, to bound the memory. Only the LSTM runs over all frames at once, because it sees the future;
its input and output are narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from open_unmix.model import ISTFT, STFT, ComplexNorm, OpenUnmix
from open_unmix.pretrained import Pretrained
from open_unmix.wiener import EPS, NORBERT_EPS, Piece, Wiener, filter_window

PIPELINES = ("1.0.0", "1.3.0")
FILTERS = ("torch", "norbert")
PIECE_FRAMES = 64  # frames per run: a float32 plane of 2049 bins then fits in a core's cache
MOST_ITERATIONS = 1000  # more is a mistake, as are longer windows
MOST_FRAMES = 1_000_000
KEEP_FRAMES = 1024  # longer windows are not kept in memory but computed again per iteration


class Separator(Pretrained, nn.Module):
    """Separator: STFT, one network per target, multichannel Wiener filter, inverse STFT.

    Args:
        target_models: network by stem name, in the order of the output.
        niter: iterations of the Wiener filter; 0 for none.
        softmask: start the filter from ratio masks instead of the networks' magnitudes.
        residual: add a stem with what is left of the mixture. It is named ``residual``, or
            ``accompaniment`` if there is only one target.
        sample_rate: Hz.
        n_fft, n_hop: of the STFT, in samples.
        nb_channels: of the networks. Networks with one channel accept audio with any number.
        wiener_win_len: window of the filter in frames; None for the whole song.
        alpha: exponent of the ratio masks; unused without softmask.
        eps: of the filter; None for the pipeline's own.
        pipeline: ``1.3.0``, or ``1.0.0``, the version of 2019 that the published scores were made
            with: float64, norbert's eps, one window for the whole song, a residual of magnitudes
            that is filtered with the other stems, and output that ends with the last whole hop and
            is zero after it.
        wiener: ``torch``, or ``norbert``, the authors' library, which is slower and keeps the whole
            window in memory.

    Raises:
        ValueError: if there is a single stem to filter, a network has other sizes, pipeline or
            filter are unknown, or niter or wiener_win_len is out of range.

    Source: paper, one independent network per target and a multichannel Wiener filter; authors'
    code, `Separator` (1.3.0) and `separate` (1.0.0).
    """

    def __init__(
        self,
        target_models: Mapping[str, OpenUnmix],
        niter: int = 0,
        softmask: bool = False,
        residual: bool = False,
        sample_rate: float = 44100.0,
        n_fft: int = 4096,
        n_hop: int = 1024,
        nb_channels: int = 2,
        wiener_win_len: int | None = 300,
        *,
        alpha: float = 1.0,
        eps: float | None = None,
        pipeline: str = "1.3.0",
        wiener: str = "torch",
    ) -> None:
        super().__init__()
        _check(target_models, niter, residual, n_fft, nb_channels)
        check_filter(niter, wiener_win_len)
        for name, value, valid in (("pipeline", pipeline, PIPELINES), ("wiener", wiener, FILTERS)):
            if value not in valid:
                raise ValueError(f"{name} is {value!r}: choose {' or '.join(valid)}")
        # A buffer because it is part of the authors' state dict; set directly because
        # register_buffer refuses the name of the property below.
        self._buffers["sample_rate"] = torch.as_tensor(sample_rate)
        self.stft = STFT(n_fft, n_hop, center=True)
        self.istft = ISTFT(n_fft, n_hop)
        self.target_models = nn.ModuleDict(target_models)
        self.complexnorm = ComplexNorm(mono=nb_channels == 1)
        self.channels, self.pipeline, self.wiener = nb_channels, pipeline, wiener
        self.wiener_win_len = None if pipeline == "1.0.0" else wiener_win_len or None
        residual_kind = {"1.0.0": "magnitude", "1.3.0": "signal"}[pipeline] if residual else None
        default_eps = NORBERT_EPS if pipeline == "1.0.0" else EPS
        eps = default_eps if eps is None else eps
        self.settings = Wiener(niter, softmask, alpha, residual_kind, eps)

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
        rate = self._buffers["sample_rate"]
        assert rate is not None
        return round(rate.item())

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the stems that have a network."""
        return tuple(self.target_models)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the output's stems, in order."""
        if self.settings.residual is None:
            return self.targets
        return (*self.targets, "residual" if len(self.targets) > 1 else "accompaniment")

    def freeze(self) -> None:
        """Switch to evaluation mode and stop gradients."""
        self.requires_grad_(False)
        self.eval()

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample), of any length.

        Raises:
            ValueError: if the audio has another number of channels than the networks.
        """
        if audio.ndim != 3 or self.channels not in (1, audio.shape[1]):
            raise ValueError(
                f"the audio is {tuple(audio.shape)}, the networks take (batch, {self.channels}, "
                f"sample): check the channels"
            )
        padded = self.stft.pad(audio)
        frames = self.stft.count(padded.shape[-1])
        features = self._features(padded, frames)
        shape = (len(audio), len(self.stems), audio.shape[1])
        buffer = self.istft.make_buffer(shape, frames, padded)
        start = 0
        for spec in self._filter_windows(padded, features, frames):
            self.istft.add_frames(buffer, spec.to(padded.dtype.to_complex()), start)
            start += spec.shape[-1]
        return self._finish(buffer, frames, audio.shape[-1])

    def to_dict(
        self, estimates: Tensor, aggregate_dict: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, Tensor]:
        """Estimates by stem name.

        Args:
            estimates: (batch, stem, channel, sample).
            aggregate_dict: new names with the stems to sum for each; only the sums are returned.

        Returns:
            (batch, channel, sample) by name.

        Raises:
            ValueError: if a sum has no stem, or one that does not exist.
        """
        named = dict(zip(self.stems, estimates.unbind(dim=1), strict=True))
        if aggregate_dict is None:
            return named
        check_aggregate(aggregate_dict, self.stems)
        return {
            name: torch.stack([named[stem] for stem in parts]).sum(dim=0)
            for name, parts in aggregate_dict.items()
        }

    def _features(self, padded: Tensor, frames: int) -> list[Tensor]:
        """Input and output of each network's LSTM, (frame, batch, 2 feature)."""
        embedded: list[list[Tensor]] = [[] for _ in self.target_models]
        for start, stop in self._runs(0, frames):
            magnitude = self.complexnorm(self.stft.frames(padded, start, stop)).permute(3, 0, 1, 2)
            for parts, network in zip(embedded, self.networks(), strict=True):
                parts.append(network.embed(magnitude))
        # Popped so that each network's list is freed before the next LSTM runs.
        return [network.recur(torch.cat(embedded.pop(0))) for network in self.networks()]

    @property
    def activation_checkpointing(self) -> bool:
        """Whether the networks compute their linear layers again in the backward pass."""
        return any(network.activation_checkpointing for network in self.networks())

    @activation_checkpointing.setter
    def activation_checkpointing(self, enabled: bool) -> None:
        for network in self.networks():
            network.activation_checkpointing = enabled

    def networks(self) -> Iterator[OpenUnmix]:
        """The networks in the order of `targets`."""
        for network in self.target_models.values():
            assert isinstance(network, OpenUnmix)
            yield network

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split frames into short runs; into one in training, where batch norm needs them all."""
        step = stop - start if self.training else PIECE_FRAMES
        for first in range(start, stop, step):
            yield first, min(first + step, stop)

    def _filter_windows(
        self, padded: Tensor, features: list[Tensor], frames: int
    ) -> Iterator[Tensor]:
        """Spectrograms of all stems, (batch, stem, channel, bin, frame), one run after the other.

        Windows are independent of each other: each has its own statistics.
        """

        def read(start: int, stop: int) -> Piece:
            mixture = self.stft.frames(padded, start, stop)
            level = mixture.abs()
            magnitude = self.complexnorm.mix(level).permute(3, 0, 1, 2)
            estimates = [
                network.mask(feature[start:stop]) * magnitude
                for feature, network in zip(features, self.networks(), strict=True)
            ]
            if self.pipeline == "1.0.0":
                mixture = mixture.to(torch.complex128)
                level = mixture.abs()
            return torch.stack(estimates).permute(2, 0, 3, 4, 1), mixture, level

        length = self.wiener_win_len or frames
        for start in range(0, frames, length):
            yield from self._filter_window(read, start, min(start + length, frames))

    def _filter_window(
        self, read: Callable[[int, int], Piece], start: int, stop: int
    ) -> Iterator[Tensor]:
        """One window; a long one is read again for every iteration instead of kept."""
        runs = list(self._runs(start, stop))
        if self.wiener == "norbert":
            from open_unmix.norbert_filter import norbert_window

            yield norbert_window([read(*run) for run in runs], self.settings)
        elif stop - start <= KEEP_FRAMES:
            kept = [read(*run) for run in runs]
            yield from filter_window(lambda: kept, self.settings)
        else:
            yield from filter_window(lambda: (read(*run) for run in runs), self.settings)

    def _finish(self, buffer: Tensor, frames: int, samples: int) -> Tensor:
        """Audio of so many samples from the overlap-add buffer."""
        audio = self.istft.normalize(buffer, frames, samples)
        if self.pipeline == "1.0.0":  # scipy's inverse dropped the last incomplete hop
            audio[..., samples // self.stft.n_hop * self.stft.n_hop :] = 0.0
        return audio


def check_aggregate(sums: Mapping[str, Sequence[str]], stems: Sequence[str]) -> None:
    """Raise ValueError if a sum is empty or has an unknown stem."""
    for name, parts in sums.items():
        unknown = [part for part in parts if part not in stems]
        if unknown or not parts:
            raise ValueError(
                f"aggregate {name!r} sums {', '.join(unknown) or 'nothing'}: choose from "
                f"{', '.join(stems)}"
            )


def check_filter(niter: int, window: int | None, owner: str = "") -> None:
    """Raise ValueError for iterations or a window in frames that no filter has.

    Args:
        niter: the iterations.
        window: wiener_win_len.
        owner: what has them, for the sentence: ``separator.json has``.
    """
    has = f"{owner} " if owner else ""
    if not 0 <= niter <= MOST_ITERATIONS:
        raise ValueError(f"{has}niter {niter}: it must be from 0 to {MOST_ITERATIONS}")
    if window is not None and not 0 <= window <= MOST_FRAMES:
        raise ValueError(f"{has}wiener_win_len {window}: it must be from 0 to {MOST_FRAMES}")


def _check(
    target_models: Mapping[str, Any], niter: int, residual: bool, n_fft: int, nb_channels: int
) -> None:
    """Raise ValueError unless there are networks of these sizes, and enough stems to filter."""
    if not target_models:
        raise ValueError("target_models is empty: pass one network per stem")
    if niter and len(target_models) == 1 and not residual:
        raise ValueError(
            f"niter={niter} with {len(target_models)} stem: a Wiener filter needs a second stem, "
            f"set niter=0, or residual"
        )
    for stem, network in target_models.items():
        sizes = (network.nb_bins, network.nb_channels)
        if sizes != (n_fft // 2 + 1, nb_channels):
            raise ValueError(
                f"the network of {stem} has {sizes[0]} bins and {sizes[1]} channels, the separator "
                f"{n_fft // 2 + 1} and {nb_channels}: n_fft and nb_channels must match the network"
            )
