"""The conditioned U-Net (Dense CUNet) and the separator around it, audio in and audio out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad

from lasaft.blocks import (
    TDF,
    TFC,
    TFC_TDF,
    Block,
    Modulation,
    TFC_LaSAFT,
    TFC_LightSAFT,
    activation,
    bottleneck,
)
from lasaft.conditioning import ConditionGenerator
from lasaft.config import FREQUENCY_ALONE, ModelConfig, check_config
from lasaft.svs2020 import TDC, TFC_TIF, TIF, FrequencyResampling, Recurrent, TDFBlock


def build_block(config: ModelConfig, in_channels: int, bins: int) -> nn.Module:
    """A block of the configuration's kind for ``bins`` bins."""
    kind, act = config.block, config.block_activation
    if kind == "TDF":
        return _tdf_block(config, in_channels, bins)
    if kind in ("TDC", "TDC_RNN"):
        tdc = TDC(
            in_channels,
            config.n_internal_layers,
            config.internal_channels,
            config.kernel_size_f,
            act,
        )
        return tdc if kind == "TDC" else _recurrent(config, ("tic", tdc), bins)
    tfc = TFC(
        in_channels,
        config.n_internal_layers,
        config.internal_channels,
        config.kernel_size_t,
        config.kernel_size_f,
        act,
    )
    if kind == "TFC":
        return tfc
    if kind == "TFC_RNN":
        return _recurrent(config, ("tfc", tfc), bins)
    if kind == "TFC_TDF":
        return _tfc_tdf(config, tfc, bins)
    return _attentive(config, tfc, bins)


def _transformation(config: ModelConfig) -> tuple[int | None, bool, int, str]:
    """What TDF and TIF take after their bins."""
    return config.bn_factor, config.tdf_bias, config.min_bn_units, config.block_activation


def _tdf_block(config: ModelConfig, in_channels: int, bins: int) -> nn.Module:
    block = TDFBlock(TIF(in_channels, bins, bins, *_transformation(config)).tif)
    if in_channels == config.internal_channels:
        return block
    return nn.Sequential(block, nn.Conv2d(in_channels, config.internal_channels, 1))


def _tfc_tdf(config: ModelConfig, tfc: TFC, bins: int) -> Block:
    channels = config.internal_channels
    if config.modulation is None:  # the net of 2020
        return TFC_TIF(tfc, TIF(channels, bins, bins, *_transformation(config)))
    return TFC_TDF(tfc, TDF(channels, bins, bins, *_transformation(config)))


def _recurrent(config: ModelConfig, convolutions: tuple[str, Block], bins: int) -> Block:
    assert config.bn_factor is not None or config.min_bn_units
    hidden = bottleneck(bins, config.bn_factor or 1, config.min_bn_units)
    kind, name = (TDF, "tdf_f1_to_f2") if convolutions[0] == "tfc" else (TIF, "tif_f1_to_f2")
    mapping = kind(config.internal_channels, 2 * hidden, bins, *_transformation(config))
    return Recurrent(convolutions, (name, mapping), config.internal_channels, bins, hidden)


def _attentive(config: ModelConfig, tfc: TFC, bins: int) -> Block:
    kind = TFC_LaSAFT if config.block == "TFC_LaSAFT" else TFC_LightSAFT
    assert config.bn_factor is not None
    return kind(
        tfc,
        config.internal_channels,
        bins,
        config.bn_factor,
        config.min_bn_units,
        config.tdf_bias,
        config.embedding_dim,
        config.num_tdfs,
        config.dk,
        config.block_activation,
    )


def resampling(config: ModelConfig, stride: tuple[int, int], up: bool) -> nn.Module:
    """From one level to the next, without activation."""
    channels = config.internal_channels
    if config.block in FREQUENCY_ALONE:
        return FrequencyResampling(channels, up)
    kind = nn.ConvTranspose2d if up else nn.Conv2d
    return nn.Sequential(kind(channels, channels, stride, stride), nn.BatchNorm2d(channels))


class DenseCUNet(nn.Module):
    """U-Net over spectrogram images, with or without conditions (paper, fig. 1).

    The channel count stays the same at all levels; skips are concatenated. Attention acts in every
    block, modulation where ``condition_to`` says.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.modulated = config.modulated()
        self.shared = config.shared()
        channels, levels = config.internal_channels, config.levels
        bins, strides = config.bins(), config.strides()
        self.first_conv = nn.Sequential(
            nn.Conv2d(config.input_channels, channels, (1, 2)),
            nn.BatchNorm2d(channels),
            activation(config.first_conv_activation),
        )
        self.encoders = nn.ModuleList(build_block(config, channels, bins[i]) for i in range(levels))
        self.downsamplings = nn.ModuleList(resampling(config, s, up=False) for s in strides)
        self.decoders = nn.ModuleList(
            build_block(config, 2 * channels, bins[levels - 1 - i]) for i in range(levels)
        )
        self.upsamplings = nn.ModuleList(resampling(config, s, up=True) for s in strides[::-1])
        self.last_conv = nn.Sequential(
            nn.Conv2d(channels, config.input_channels, (1, 2), padding=(0, 1)),
            activation(config.last_activation),
        )
        self.mid_block = build_block(config, channels, bins[levels])
        if config.modulation is not None:
            self.embedding = nn.Embedding(config.control_input_dim, config.embedding_dim)
            self.condition_generator = ConditionGenerator(config, len(self.modulated))
        self._initialise(config)

    def _initialise(self, config: ModelConfig) -> None:
        """All parameters of more than one dimension, by the last activation (code)."""
        for parameter in self.parameters():
            if parameter.ndim < 2:
                continue
            if config.last_activation == "relu":
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            elif config.last_activation == "leaky_relu":
                nn.init.kaiming_normal_(parameter, nonlinearity="leaky_relu")
            else:
                nn.init.xavier_normal_(parameter)
        if config.modulation is not None and config.control_vector_type == "one_hot_mode":
            nn.init.eye_(self.embedding.weight)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """(item, channel, frame, bin), (condition,) int64 -> (condition, channel, frame, bin).

        There are as many conditions as items or a multiple: then each item is estimated for its
        share of conditions in a row, and what does not depend on them is computed once. A single
        condition serves all items. Without conditions the first axis stays.

        Raises:
            ValueError: if conditions and items do not fit, or the network has no conditions.
        """
        conditions = self._check(image, condition)
        skips: list[Tensor] = []
        x = image
        for place in range(self.shared):
            x = self.block(place)(self._enter(place, x, skips))
            self._leave(place, x, skips)
        if conditions is None:
            alone: Tensor = self.last_conv(x)
            return alone
        return self._for_each(conditions, self._enter(self.shared, x, skips), skips)

    def _for_each(self, conditions: Tensor, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """(item, share) conditions of what enters the first block that they change.

        One after the other: batches of them are slower on a CPU and take more memory.
        """
        embedding = self.embedding(conditions.flatten())
        values = (embedding, *self.condition_generator(embedding))
        first = self.block(self.shared)
        assert isinstance(first, Block)
        prepared = first.prepare(x, self.shared in self.modulated)
        estimates = []
        for number in range(conditions.shape[1]):
            own, factors, shifts = (v.unflatten(0, conditions.shape)[:, number] for v in values)
            modulations = self.condition_generator.modulations(factors, shifts)
            by_place = dict(zip(self.modulated, modulations, strict=True))
            estimates.append(self._finish(first, prepared, [*skips], own, by_place))
        return torch.stack(estimates, dim=1).flatten(0, 1)

    def _finish(
        self,
        first: Block,
        prepared: tuple[Tensor, ...],
        skips: list[Tensor],
        embedding: Tensor,
        modulations: Mapping[int, Modulation],
    ) -> Tensor:
        """From the first block that depends on the condition to the estimate."""
        x = first.finish(prepared, embedding, modulations.get(self.shared))
        self._leave(self.shared, x, skips)
        for place in range(self.shared + 1, 2 * len(self.encoders) + 1):
            x = self._enter(place, x, skips)
            x = self.block(place)(x, embedding, modulations.get(place))
            self._leave(place, x, skips)
        estimate: Tensor = self.last_conv(x)
        return estimate

    def block(self, place: int) -> nn.Module:
        """The block of a place: encoders, middle, decoders, in the order they run."""
        levels = len(self.encoders)
        if place == levels:
            return self.mid_block
        return self.encoders[place] if place < levels else self.decoders[place - levels - 1]

    def _enter(self, place: int, x: Tensor, skips: list[Tensor]) -> Tensor:
        """What a block reads, from the one before it."""
        levels = len(self.encoders)
        if place <= levels:
            below: Tensor = (self.downsamplings[place - 1] if place else self.first_conv)(x)
            return below
        return torch.cat((self.upsamplings[place - levels - 1](x), skips.pop()), dim=1)

    def _leave(self, place: int, x: Tensor, skips: list[Tensor]) -> None:
        """Keep what an encoder made for its decoder."""
        if place < len(self.encoders):
            skips.append(x)

    def _check(self, image: Tensor, condition: Tensor | None) -> Tensor | None:
        """(item, share) conditions, or None for a network without."""
        known = hasattr(self, "embedding")
        if (condition is not None) != known:
            raise ValueError(
                f"the network has {'conditions' if known else 'no conditions'} and was given "
                f"{'none' if condition is None else len(condition)}: pass (condition,) indices "
                f"to conditioned networks alone"
            )
        if condition is None:
            return None
        if len(condition) == 1:
            condition = condition.expand(len(image)).contiguous()
        if not len(condition) or len(condition) % len(image):
            raise ValueError(
                f"{len(condition)} conditions for {len(image)} items: give one, or as many for "
                f"each item"
            )
        return condition.view(len(image), -1)


class Transform(nn.Module):
    """Holds the frozen window where published weights have it, as ``stft.stft.window``."""

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.stft = Window(n_fft)


class Window(nn.Module):
    """A periodic Hann window that is not trained."""

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.window = nn.Parameter(torch.hann_window(n_fft), requires_grad=False)


class Separator(nn.Module):
    """From audio to the stems: STFT, network, inverse, windows over songs of any length.

    Stems are conditions: the network runs once per window for all of them.

    Raises:
        ValueError: if the configuration's numbers make no network.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_config(config)
        self.config = config
        self.stems = tuple(config.stems)
        self.sample_rate = config.sample_rate
        self.channels = config.audio_channels
        self.window_overlap = config.window_overlap
        self.stft = Transform(config.n_fft)
        self.spec2spec = DenseCUNet(config)

    @property
    def conditioned(self) -> bool:
        """Whether one network serves several stems."""
        return self.config.modulation is not None

    def conditioning(self) -> Iterator[nn.Module]:
        """The layers that see conditions and no music; none in a network without conditions."""
        return self.spec2spec.condition_generator.modules() if self.conditioned else iter(())

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample), any length, any channels.

        Raises:
            ValueError: if the samples are no floating-point numbers.
        """
        return self._separate(mixture, range(len(self.stems)), self.window_overlap)

    def separate_track(
        self, mixture: Tensor, stem: str, overlap_ratio: float | None = None
    ) -> Tensor:
        """One stem of one song.

        Args:
            mixture: (channel, sample), any length and channel count.
            stem: one of ``stems``.
            overlap_ratio: 0 to 0.5; ``window_overlap`` if not given.

        Returns:
            (channel, sample), as long as the mixture and of its type.

        Raises:
            ValueError: for a stem the model does not know, an overlap out of range, or samples
                that are no floating-point numbers.
        """
        if stem not in self.stems:
            raise ValueError(f"there is no stem {stem}: choose from {', '.join(self.stems)}")
        overlap = self.window_overlap if overlap_ratio is None else overlap_ratio
        return self._separate(mixture[None], [self.stems.index(stem)], overlap)[0, 0]

    def _separate(self, mixture: Tensor, conditions: Sequence[int], overlap: float) -> Tensor:
        """(batch, channel, sample) -> (batch, condition, channel, sample)."""
        if not mixture.is_floating_point():
            raise ValueError(
                f"the samples are {mixture.dtype}: give floating-point numbers, full scale at 1"
            )
        batch, channels, samples = mixture.shape
        audio = full_precision(mixture)  # in which windows are added up
        if channels == self.channels:
            return self._separate_windows(audio, conditions, overlap).to(mixture.dtype)
        # Each channel by itself, through as many equal ones as the network has.
        alone = rearrange(audio, "b c t -> (b c) 1 t").expand(-1, self.channels, -1)
        estimate = self._separate_windows(alone, conditions, overlap).mean(dim=2)
        return rearrange(estimate, "(b c) s t -> b s c t", b=batch).to(mixture.dtype)

    def _separate_windows(
        self, mixture: Tensor, conditions: Sequence[int], overlap: float
    ) -> Tensor:
        """Windows with real context on either side; where two overlap, their mean."""
        batch, channels, samples = mixture.shape
        trim, useful = self.config.trim_samples, self.config.useful_samples
        starts = window_starts(samples, useful, overlap)
        behind = max(0, starts[-1] + useful + trim - samples)
        padded = pad(mixture, (trim, behind))
        total = mixture.new_zeros(batch, len(conditions), channels, samples)
        cover = mixture.new_zeros(samples)
        wanted = torch.tensor([*conditions], device=mixture.device).repeat(batch)
        for start in starts:
            window = padded[..., start : start + self.config.window_samples]
            estimate = self.separate_window(window, wanted if self.conditioned else None)
            size = min(useful, samples - start)
            found = rearrange(estimate, "(b s) c t -> b s c t", b=batch)
            total[..., start : start + size] += found[..., trim : trim + size]
            cover[start : start + size] += 1
        return total / cover

    def separate_window(self, audio: Tensor, condition: Tensor | None) -> Tensor:
        """(batch, channel, sample), (condition,) -> (condition, channel, hop * whole hops)."""
        spec = self.spectrum(audio)
        return self.waveform(self.estimate(self.image(spec), condition), spec)

    def spectrum(self, audio: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, channel, bin, frame) complex."""
        with torch.autocast(audio.device.type, enabled=False):
            window = self.stft.stft.window
            spec = torch.stft(
                full_precision(audio).flatten(0, 1),
                self.config.n_fft,
                self.config.hop_length,
                window=window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
        return spec.unflatten(0, audio.shape[:2])

    def image(self, spec: Tensor) -> Tensor:
        """(batch, channel, bin, frame) complex -> (batch, real channel, frame, bin).

        Real parts of all channels, then imaginary parts; or magnitudes.
        """
        if self.config.spec_type == "magnitude":
            return spec.abs().transpose(2, 3)
        return rearrange(torch.view_as_real(spec), "b c f t r -> b (r c) t f")

    def estimate(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Images of the mixture -> images of the stems, (condition, real channel, frame, bin)."""
        found: Tensor = self.spec2spec(image, condition)
        if self.config.spec_est_mode == "masking":  # per real number, not a complex product
            found = found * spread(image, len(found))
        return found

    def waveform(self, image: Tensor, mixture: Tensor) -> Tensor:
        """Images and the mixture's spectrum -> (condition, channel, hop * (frame - 1))."""
        with torch.autocast(image.device.type, enabled=False):
            spec = self._complex(full_precision(image), mixture)
            audio = torch.istft(
                spec.flatten(0, 1),
                self.config.n_fft,
                self.config.hop_length,
                window=self.stft.stft.window,
                center=True,
            )
        return audio.unflatten(0, spec.shape[:2])

    def _complex(self, image: Tensor, mixture: Tensor) -> Tensor:
        """Back from images; magnitudes take the mixture's phase."""
        if self.config.spec_type == "magnitude":
            phase = spread(mixture.angle(), len(image))
            return torch.polar(image.transpose(2, 3).contiguous(), phase)
        parts = rearrange(image, "b (r c) t f -> b c f t r", r=2)
        return torch.view_as_complex(parts.contiguous())


def full_precision(x: Tensor) -> Tensor:
    """float32 for what mixed precision left in half; no transform is computed in half."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def spread(x: Tensor, count: int) -> Tensor:
    """(item, ...) -> (count, ...): every item as often in a row as it has conditions."""
    return x if len(x) == count else x.repeat_interleave(count // len(x), dim=0)


def window_starts(samples: int, useful: int, overlap: float) -> list[int]:
    """First useful sample of each window over a song; every sample is covered once or twice.

    Raises:
        ValueError: if the overlap is out of range, or windows have nothing but their trims.
    """
    if not 0.0 <= overlap <= 0.5:
        raise ValueError(f"overlap_ratio is {overlap}: give 0 to 0.5")
    if useful < 1:
        raise ValueError(
            f"a window keeps {useful} samples after trimming: raise num_frame, so that it has "
            f"more than 10000 samples and four hops"
        )
    hop = max(1, int(useful * (1.0 - overlap)))
    count = math.ceil(max(0, samples - useful) / hop) + 1
    return [number * hop for number in range(count)]
