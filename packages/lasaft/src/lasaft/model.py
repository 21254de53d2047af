"""LaSAFT-Net: the conditioned U-Net of the paper's Figure 1, and the separator around it.

``DenseCUNet.forward`` is the figure. Its blocks are in ``blocks.py``, FiLM and GPoCM in
``conditioning.py``; ``Separator`` cuts songs into windows and goes from audio to audio.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad

from lasaft.blocks import Modulation, activation
from lasaft.build_blocks import build_block, build_encoder_block, build_resampling
from lasaft.conditioning import ConditionGenerator
from lasaft.config import ModelConfig, check_config
from lasaft.folded import Folded
from lasaft.pretrained import Pretrained
from lasaft.recompute import Recomputing
from lasaft.shared_passes import estimate_stems


class DenseCUNet(Recomputing):
    """The conditioned U-Net (CUNet) with dense blocks, Figure 1 of the paper; `Dense_CUNet` of the
    authors' code.

    From the mixture's spectrogram and the index of a stem to the stem's spectrogram. The encoder,
    the middle and the decoder are made of blocks of one kind: TFC, TFC-TDF, LaSAFT or LightSAFT.
    The embedding of the condition reaches them in two ways: as the query of the attention in every
    LaSAFT and LightSAFT block, and through the condition generator, whose FiLM or GPoCM modulates
    the blocks that ``condition_to`` names, in the paper those of the decoder. The channel count is
    the same at all levels, and skips are concatenated.

    Without modulation it is the U-Net of 2020 for a single stem.

    Args:
        config: as ``check_config`` accepts it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_blocks = config.n_blocks
        self.modulated = config.modulated()
        channels, levels = config.internal_channels, config.levels
        bins, strides = config.bins(), config.strides()
        # The order of these layers is that of the published weights and of the random start.
        self.first_conv = Folded(
            nn.Conv2d(config.input_channels, channels, (1, 2)),
            nn.BatchNorm2d(channels),
            activation(config.first_conv_activation),
        )
        self.encoders = nn.ModuleList(build_encoder_block(config, bins[i]) for i in range(levels))
        self.downsamplings = nn.ModuleList(build_resampling(config, s, up=False) for s in strides)
        self.decoders = nn.ModuleList(
            build_block(config, 2 * channels, bins[levels - 1 - i]) for i in range(levels)
        )
        self.upsamplings = nn.ModuleList(
            build_resampling(config, s, up=True) for s in strides[::-1]
        )
        self.last_conv = nn.Sequential(
            nn.Conv2d(channels, config.input_channels, (1, 2), padding=(0, 1)),
            activation(config.last_activation),
        )
        self.mid_block = build_block(config, channels, bins[levels])
        if config.modulation is not None:
            self.embedding = nn.Embedding(config.control_input_dim, config.embedding_dim)
            self.condition_generator = ConditionGenerator(config, len(self.modulated))
        self._initialise(config)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """(item, channel, frame, bin), (item,) int64 -> (item, channel, frame, bin).

        Args:
            image: of the mixture, as ``Separator.image`` makes it.
            condition: index of each item's stem; None for a network without conditions. A single
                one serves all items. If there are several per item, items are repeated for them:
                the stems of an item are in a row.

        Raises:
            ValueError: if conditions and items do not fit, or the network has no conditions.
        """
        self.check(image, condition)
        if condition is not None:
            condition = condition.expand(len(image)) if len(condition) == 1 else condition
            image = repeat_items(image, len(condition))
        embedding, modulations = self._embed(condition)
        modulation = iter(modulations)  # one per block, in running order

        x = self.run(self.first_conv, image)
        skips = []
        for block, downsampling in zip(self.encoders, self.downsamplings, strict=True):
            x = self.run(block, x, embedding, next(modulation))
            skips.append(x)
            x = self.run(downsampling, x)
        x = self.run(self.mid_block, x, embedding, next(modulation))
        for block, upsampling in zip(self.decoders, self.upsamplings, strict=True):
            x = torch.cat((self.run(upsampling, x), skips.pop()), dim=1)
            x = self.run(block, x, embedding, next(modulation))
        estimate: Tensor = self.last_conv(x)
        return estimate

    def _embed(self, condition: Tensor | None) -> tuple[Tensor | None, list[Modulation | None]]:
        """The embedding of each item's condition, and the modulation of each block."""
        if condition is None:
            return None, [None] * self.n_blocks
        embedding = self.embedding(condition)
        return embedding, self.modulations(*self.condition_generator(embedding))

    def modulations(self, gammas: Tensor, betas: Tensor) -> list[Modulation | None]:
        """What the condition generator returned, as one modulation per block in running order.

        None stands for the blocks that are not modulated.
        """
        modulations = self.condition_generator.modulations(gammas, betas)
        by_block = dict(zip(self.modulated, modulations, strict=True))
        return [by_block.get(index) for index in range(self.n_blocks)]

    def block(self, index: int) -> nn.Module:
        """A block by its index in running order: encoder, middle, decoder."""
        levels = len(self.encoders)
        if index == levels:
            return self.mid_block
        return self.encoders[index] if index < levels else self.decoders[index - levels - 1]

    def check(self, image: Tensor, condition: Tensor | None) -> None:
        """Raise ValueError unless conditions and items fit, as ``forward`` describes."""
        conditioned = hasattr(self, "embedding")
        if (condition is not None) != conditioned:
            raise ValueError(
                f"the network has {'conditions' if conditioned else 'no conditions'} and was given "
                f"{'none' if condition is None else len(condition)}: pass (condition,) indices "
                f"to conditioned networks only"
            )
        if condition is None or len(condition) == 1:
            return
        if not len(condition) or len(condition) % len(image):
            raise ValueError(
                f"{len(condition)} conditions for {len(image)} items: give one, or as many for "
                f"each item"
            )

    def _initialise(self, config: ModelConfig) -> None:
        """Random start of all parameters of more than one dimension, by the last activation."""
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


class SharingCUNet(DenseCUNet):
    """``DenseCUNet``, the paper's CUNet, with a fast path for several stems: ``shared_passes.py``.

    Weights are the same, and in evaluation mode the estimates; for batch norm in training mode see
    ``estimate_stems``.
    """

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """As ``DenseCUNet.forward``; several conditions of one item share what they can."""
        if condition is None or len(condition) <= len(image):
            return super().forward(image, condition)
        self.check(image, condition)
        return estimate_stems(self, image, condition.view(len(image), -1))


class Transform(nn.Module):
    """Holds the STFT's window under the key of the published weights, ``stft.stft.window``."""

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.stft = Window(n_fft)


class Window(nn.Module):
    """A periodic Hann window that is not trained, as in the authors' code."""

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.window = nn.Parameter(torch.hann_window(n_fft), requires_grad=False)


class Separator(Pretrained, nn.Module):
    """From audio to stems: STFT, network and inverse STFT in windows over songs of any length, as
    ``separate_track`` of the authors' code.

    The stems are the conditions of one network; those of a window are estimated together.

    Args:
        config: sizes and kinds of network, transform and windows.

    Raises:
        ValueError: if the values of ``config`` do not fit together.
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
        self.spec2spec = SharingCUNet(config)

    @property
    def conditioned(self) -> bool:
        """Whether one network serves several stems."""
        return self.config.modulation is not None

    @property
    def activation_checkpointing(self) -> bool:
        """Whether the network's blocks are computed again in the backward pass."""
        return self.spec2spec.activation_checkpointing

    @activation_checkpointing.setter
    def activation_checkpointing(self, enabled: bool) -> None:
        self.spec2spec.activation_checkpointing = enabled

    def conditioning(self) -> Iterator[nn.Module]:
        """The layers of the condition generator; none in a network without conditions."""
        return self.spec2spec.condition_generator.modules() if self.conditioned else iter(())

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample), any length, any channels.

        Raises:
            ValueError: if the samples are not floating-point numbers.
        """
        return self._separate(mixture, range(len(self.stems)), self.window_overlap)

    def separate_track(
        self, mixture: Tensor, stem: str, overlap_ratio: float | None = None
    ) -> Tensor:
        """One stem of one song.

        Args:
            mixture: (channel, sample), any length and channel count.
            stem: one of ``stems``.
            overlap_ratio: share of a window that the next one covers, 0 to 0.5; None for
                ``window_overlap``.

        Returns:
            (channel, sample), with the length and dtype of the mixture.

        Raises:
            ValueError: for an unknown stem, an overlap out of range, or samples that are not
                floating-point numbers.
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
        audio = full_precision(mixture)  # windows are added up in it
        if channels == self.channels:
            return self._separate_windows(audio, conditions, overlap).to(mixture.dtype)
        # Each channel by itself, copied to as many channels as the network has.
        copies = rearrange(audio, "b c t -> (b c) 1 t").expand(-1, self.channels, -1)
        estimate = self._separate_windows(copies, conditions, overlap).mean(dim=2)
        return rearrange(estimate, "(b c) s t -> b s c t", b=batch).to(mixture.dtype)

    def _separate_windows(
        self, mixture: Tensor, conditions: Sequence[int], overlap: float
    ) -> Tensor:
        """Windows with their musical context on both sides; where two overlap, their mean."""
        batch, channels, samples = mixture.shape
        trim, useful = self.config.trim_samples, self.config.useful_samples
        starts = window_starts(samples, useful, overlap)
        behind = max(0, starts[-1] + useful + trim - samples)
        padded = pad(mixture, (trim, behind))
        total = mixture.new_zeros(batch, len(conditions), channels, samples)
        cover = mixture.new_zeros(samples)
        indices = torch.tensor([*conditions], device=mixture.device).repeat(batch)
        for start in starts:
            window = padded[..., start : start + self.config.window_samples]
            estimate = self.separate_window(window, indices if self.conditioned else None)
            size = min(useful, samples - start)
            stems = rearrange(estimate, "(b s) c t -> b s c t", b=batch)
            total[..., start : start + size] += stems[..., trim : trim + size]
            cover[start : start + size] += 1
        return total.div_(cover)

    def separate_window(self, audio: Tensor, condition: Tensor | None) -> Tensor:
        """(batch, channel, sample), (condition,) -> (condition, channel, sample).

        The estimates are a whole number of hops long; conditions as in ``DenseCUNet.forward``.
        """
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

        The real parts of all channels, then the imaginary parts; or the magnitudes.
        """
        if self.config.spec_type == "magnitude":
            return spec.abs().transpose(2, 3)
        return rearrange(torch.view_as_real(spec), "b c f t r -> b (r c) t f")

    def estimate(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Images of the mixture -> images of the stems, (condition, real channel, frame, bin)."""
        estimate: Tensor = self.spec2spec(image, condition)
        if self.config.spec_est_mode == "masking":  # a real factor each for real and imaginary part
            estimate = estimate * repeat_items(image, len(estimate))
        return estimate

    def waveform(self, image: Tensor, mixture: Tensor) -> Tensor:
        """Images of the stems and the mixture's spectrum -> (condition, channel, sample).

        The estimates have hop_length * (frames - 1) samples.
        """
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
        """The inverse of ``image``; magnitudes take the mixture's phase."""
        if self.config.spec_type == "magnitude":
            phase = repeat_items(mixture.angle(), len(image))
            return torch.polar(image.transpose(2, 3).contiguous(), phase)
        parts = rearrange(image, "b (r c) t f -> b c f t r", r=2)
        return torch.view_as_complex(parts.contiguous())


def full_precision(x: Tensor) -> Tensor:
    """Half precision to float32, the rest as it is: transforms are not computed in half."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def repeat_items(x: Tensor, count: int) -> Tensor:
    """(item, ...) -> (count, ...): each item repeated in a row, as often as it has conditions."""
    return x if len(x) == count else x.repeat_interleave(count // len(x), dim=0)


def window_starts(samples: int, useful: int, overlap: float) -> list[int]:
    """First useful sample of each window over a song; the windows cover every sample.

    Args:
        samples: of the song.
        useful: samples of a window that remain after trimming its ends.
        overlap: share of them that the next window covers, 0 to 0.5.

    Raises:
        ValueError: if the overlap is out of range, or trimming leaves nothing of a window.
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
    return [index * hop for index in range(count)]
