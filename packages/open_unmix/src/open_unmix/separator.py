"""All targets' networks behind one border: audio in, audio of every stem out.

`Separator` transforms the mixture, lets each network estimate its magnitudes, filters them together
and inverts. Songs pass through in short runs of frames; only the LSTM, which sees the future, is
run over the whole, on its narrow input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from open_unmix.model import ISTFT, STFT, ComplexNorm, OpenUnmix
from open_unmix.wiener import EPS, NORBERT_EPS, Piece, Wiener, filter_window

PIPELINES = ("1.0.0", "1.3.0")
FILTERS = ("torch", "norbert")
PIECE_FRAMES = 64  # a plane of so many frames of 2049 bins fits a core's cache
KEEP_FRAMES = 1024  # windows up to this are kept between iterations, longer ones are read again


class Separator(nn.Module):
    """Open-Unmix for several stems; keeps the border of all models here.

    Args:
        target_models: stem name to its network, in the order of the output.
        niter: iterations of the Wiener filter; 0 for none.
        softmask: first estimates by ratio.
        residual: one more stem of what is left: ``residual``, or ``accompaniment`` of one target.
        sample_rate: Hz.
        n_fft, n_hop: of the transform, in samples.
        nb_channels: of the networks; one-channel networks take audio of any channels.
        wiener_win_len: frames whose statistics are estimated together; None for the whole song.
        alpha: exponent of the ratios, with softmask only.
        eps: of the filter; None for the pipeline's own.
        pipeline: ``1.3.0``, or ``1.0.0``, the version of 2019 whose scores are published: float64,
            norbert's epsilon, the whole song in one window, the residual among the filtered
            magnitudes, and an inverse that ends with the last whole hop (then silence).
        wiener: ``torch``, or ``norbert``, the authors' library, slower and with the whole window in
            memory.

    Raises:
        ValueError: for one stem to filter, networks of other sizes, an unknown pipeline or filter.
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
        for value, legal in ((pipeline, PIPELINES), (wiener, FILTERS)):
            if value not in legal:
                raise ValueError(f"there is no {value!r}: choose {' or '.join(legal)}")
        # A buffer, for the sake of published weights, under the name of the property below.
        self._buffers["sample_rate"] = torch.as_tensor(sample_rate)
        self.stft = STFT(n_fft, n_hop, center=True)
        self.istft = ISTFT(n_fft, n_hop)
        self.target_models = nn.ModuleDict(target_models)
        self.complexnorm = ComplexNorm(mono=nb_channels == 1)
        self.channels, self.pipeline, self.wiener = nb_channels, pipeline, wiener
        self.wiener_win_len = None if pipeline == "1.0.0" else wiener_win_len or None
        kind = {"1.0.0": "magnitude", "1.3.0": "signal"}[pipeline] if residual else None
        default_eps = NORBERT_EPS if pipeline == "1.0.0" else EPS
        self.settings = Wiener(niter, softmask, alpha, kind, default_eps if eps is None else eps)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        rate = self._buffers["sample_rate"]
        assert rate is not None
        return round(rate.item())

    @property
    def targets(self) -> tuple[str, ...]:
        """The stems that have a network."""
        return tuple(self.target_models)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of the output, in order."""
        if self.settings.residual is None:
            return self.targets
        return (*self.targets, "residual" if len(self.targets) > 1 else "accompaniment")

    def freeze(self) -> None:
        """Evaluation mode, and no gradients from here on."""
        self.requires_grad_(False)
        self.eval()

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample), any length.

        Raises:
            ValueError: if the audio's channels are not the networks'.
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
        added = self.istft.added(shape, frames, padded)
        start = 0
        for spec in self._filtered(padded, features, frames):
            self.istft.add(added, spec.to(padded.dtype.to_complex()), start)
            start += spec.shape[-1]
        return self._finish(added, frames, audio.shape[-1])

    def to_dict(
        self, estimates: Tensor, aggregate_dict: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, Tensor]:
        """Name the estimates (batch, stem, channel, sample): stem -> (batch, channel, sample).

        ``aggregate_dict`` maps new names to the stems whose sum they are, and is then all there is.
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
        """What each network's LSTM makes of the mixture, (frame, batch, feature)."""
        embedded: list[list[Tensor]] = [[] for _ in self.target_models]
        for start, stop in self._runs(0, frames):
            magnitude = self.complexnorm(self.stft.frames(padded, start, stop)).permute(3, 0, 1, 2)
            for parts, network in zip(embedded, self.networks(), strict=True):
                parts.append(network.embed(magnitude))
        return [network.recur(torch.cat(embedded.pop(0))) for network in self.networks()]

    def networks(self) -> Iterator[OpenUnmix]:
        """The targets' networks, in order."""
        for network in self.target_models.values():
            assert isinstance(network, OpenUnmix)
            yield network

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut frames into short runs; batch norm in training must see them all at once."""
        step = stop - start if self.training else PIECE_FRAMES
        for first in range(start, stop, step):
            yield first, min(first + step, stop)

    def _filtered(self, padded: Tensor, features: list[Tensor], frames: int) -> Iterator[Tensor]:
        """Spectrograms of all stems, (batch, stem, channel, bin, frame), run after run."""

        def read(start: int, stop: int) -> Piece:
            mixture = self.stft.frames(padded, start, stop)
            magnitude = self.complexnorm(mixture).permute(3, 0, 1, 2)
            estimates = [
                network.mask(feature[start:stop]) * magnitude
                for feature, network in zip(features, self.networks(), strict=True)
            ]
            if self.pipeline == "1.0.0":
                mixture = mixture.to(torch.complex128)
            return torch.stack(estimates).permute(2, 0, 3, 4, 1), mixture

        length = self.wiener_win_len or frames
        for start in range(0, frames, length):
            yield from self._window(read, start, min(start + length, frames))

    def _window(self, read: Callable[[int, int], Piece], start: int, stop: int) -> Iterator[Tensor]:
        runs = list(self._runs(start, stop))
        if self.wiener == "norbert":
            from open_unmix.norbert_filter import norbert_window

            yield norbert_window([read(*run) for run in runs], self.settings)
        elif stop - start <= KEEP_FRAMES:
            kept = [read(*run) for run in runs]
            yield from filter_window(lambda: kept, self.settings)
        else:
            yield from filter_window(lambda: (read(*run) for run in runs), self.settings)

    def _finish(self, added: Tensor, frames: int, samples: int) -> Tensor:
        audio = self.istft.finish(added, frames, samples)
        if self.pipeline == "1.0.0":
            audio[..., samples // self.stft.n_hop * self.stft.n_hop :] = 0.0
        return audio


def check_aggregate(sums: Mapping[str, Sequence[str]], stems: Sequence[str]) -> None:
    """Raise ValueError unless every sum is of one stem or more that there is."""
    for name, parts in sums.items():
        unknown = [part for part in parts if part not in stems]
        if unknown or not parts:
            raise ValueError(
                f"aggregate {name!r} sums {', '.join(unknown) or 'nothing'}: choose from "
                f"{', '.join(stems)}"
            )


def _check(
    target_models: Mapping[str, Any], niter: int, residual: bool, n_fft: int, nb_channels: int
) -> None:
    if not target_models:
        raise ValueError("there are no target models: give one network per stem")
    if niter < 0 or (niter and len(target_models) == 1 and not residual):
        raise ValueError(
            f"niter={niter} with {len(target_models)} stem: a Wiener filter needs a second stem, "
            f"set niter=0, or residual"
        )
    for stem, network in target_models.items():
        sizes = (network.nb_bins, network.nb_channels)
        if sizes != (n_fft // 2 + 1, nb_channels):
            raise ValueError(
                f"the network of {stem} has {sizes[0]} bins and {sizes[1]} channels, the separator "
                f"{n_fft // 2 + 1} and {nb_channels}: choose n_fft and nb_channels alike"
            )
