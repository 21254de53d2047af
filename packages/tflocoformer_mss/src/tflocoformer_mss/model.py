"""TF-Locoformer and BS-Locoformer, and the models of sound around them.

Source: Saijo et al., "TF-Locoformer", IWAENC 2024, and its code, release 1.1.0, which also has the
variants without positions (Saijo and Ogawa, EUSIPCO 2025) and with bands (Saijo et al., ICASSP
2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tflocoformer_mss.bands import BandSplit
from tflocoformer_mss.blocks import Block, build_blocks, full_precision, run_blocks
from tflocoformer_mss.config import (
    STEMS,
    ModelConfig,
    at_least,
    band_sizes,
    block_config,
    by_name,
    choose,
)
from tflocoformer_mss.unified import BSLocoformerStack, TussModel


class TFLocoformerSeparator(nn.Module):
    """TF-Locoformer: the real and imaginary part of each stem from those of the mixture, no masks.

    Args:
        num_spk: stems.
        n_layers: blocks.
        block: by name or in this order, with the values of `DEFAULTS` in config.py if not given:
        emb_dim: features per bin and frame (D).
        norm_type: "rmsgroupnorm" or "layernorm".
        num_groups: of the group norm.
        tf_order: "ft" attends along bins first, "tf" along frames.
        n_heads: of attention.
        flash_attention: on CUDA in half precision, the flash kernel alone.
        attention_dim: features of all heads together; needs not be D.
        pos_enc: "rope" or "nope".
        ffn_type, ffn_hidden_dim: a name and a size for one FFN after attention, or two each for
            one before and one after.
        conv1d_kernel, conv1d_shift: of the FFNs' convolutions.
        dropout: probability.
        eps: of the norms.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
    """

    def __init__(
        self,
        num_spk: int = 2,
        n_layers: int = 6,
        *positional: Any,
        **block: Any,
    ) -> None:
        super().__init__()
        at_least("num_spk", num_spk, 1)
        at_least("n_layers", n_layers, 1)
        config = block_config(by_name(positional, block))
        dim = config.freq.dim
        self.conv = nn.Sequential(
            nn.Conv2d(2, dim, 3, padding=1), nn.GroupNorm(1, dim, config.freq.eps)
        )
        self.blocks = build_blocks(config, n_layers)
        self.deconv = nn.ConvTranspose2d(dim, 2 * num_spk, 3, padding=1)

    def forward(self, spec: Tensor) -> Tensor:
        """(b, t, f) complex -> (b, s, t, f) complex.

        Raises:
            ValueError: if the spectrogram is not (batch, frame, bin).
        """
        check_spec(spec, 3)
        with full_precision(spec):
            reals = rearrange(torch.view_as_real(spec.to(torch.complex64)), "b t f r -> b r t f")
            x = self.conv(reals)
        x = run_blocks(self.blocks, rearrange(x, "b d t f -> b t f d").contiguous())
        with full_precision(spec):
            out = self.deconv(rearrange(x.float(), "b t f d -> b d t f"))
            return torch.view_as_complex(
                rearrange(out, "b (s r) t f -> b s t f r", r=2).contiguous()
            )


class BSLocoformerSeparator(nn.Module):
    """BS-Locoformer of the stand-alone code: the blocks on bands instead of bins.

    Args:
        sample_rate, stft_size: Hz and samples; they make the bands.
        masking: multiply the mixture by the estimate, a complex mask; False takes it as it is.
        stereo: two channels through one network.
        block: as for `TFLocoformerSeparator`.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
    """

    def __init__(
        self,
        num_spk: int = 2,
        n_layers: int = 6,
        sample_rate: int = 44_100,
        stft_size: int = 2048,
        masking: bool = True,
        stereo: bool = False,
        **block: Any,
    ) -> None:
        super().__init__()
        at_least("num_spk", num_spk, 1)
        at_least("n_layers", n_layers, 1)
        config = block_config(block)
        self.masking = masking
        self.stereo = stereo
        self.band_split_module = BandSplit(
            band_sizes(sample_rate, stft_size), 1 + stereo, num_spk, config.freq.dim, "A"
        )
        self.blocks = build_blocks(config, n_layers)

    def forward(self, spec: Tensor) -> Tensor:
        """(b, t, f) complex -> (b, s, t, f), or in stereo (b, 2, t, f) -> (b, s, 2, t, f).

        Raises:
            ValueError: if the spectrogram has other axes, or its bins are not the bands'.
        """
        check_spec(spec, 4 if self.stereo else 3)
        spec = spec if self.stereo else spec.unsqueeze(1)
        x = run_blocks(self.blocks, self.band_split_module.encode(spec))
        estimate = self.band_split_module.decode(x)
        if self.masking:
            estimate = estimate * spec.unsqueeze(1)
        return estimate if self.stereo else estimate.squeeze(2)


def check_spec(spec: Tensor, axes: int) -> None:
    """Raise ValueError unless the spectrogram is complex and has so many axes."""
    if spec.ndim != axes or not spec.is_complex():
        names = "(batch, frame, bin)" if axes == 3 else "(batch, 2, frame, bin)"
        raise ValueError(
            f"the spectrogram is {tuple(spec.shape)} of {spec.dtype}: give {names} complex"
        )


class Transform:
    """The short-time Fourier transform around a separator, as torch has it.

    Args:
        n_fft: samples of a frame, and of its window.
        hop_length: samples from frame to frame; at most half a frame.
        window: "hann", or "sqrt_hann", its square root (Task-Aware Unified Source Separation).
        padding: "reflect", or "constant": zeros at both ends, and at the end up to a whole hop.

    Raises:
        ValueError: if a value is illegal.
    """

    def __init__(
        self, n_fft: int, hop_length: int, window: str = "hann", padding: str = "reflect"
    ) -> None:
        choose("window", window, ("hann", "sqrt_hann"))
        choose("padding", padding, ("reflect", "constant"))
        if n_fft % 2 or not 1 <= hop_length <= n_fft // 2:
            raise ValueError(
                f"hop_length={hop_length} with n_fft={n_fft}: n_fft must be even and the hop at "
                f"most half of it"
            )
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.square_root = window == "sqrt_hann"
        self.padding = padding

    def stft(self, audio: Tensor) -> Tensor:
        """(n, sample) -> (n, frame, bin) complex64."""
        samples = audio.shape[-1]
        # Reflection needs more samples than half a frame.
        target = max(samples, self.n_fft // 2 + 1)
        if self.padding == "constant" or 4 * self.hop_length > self.n_fft:
            # With few frames over each sample, the inverse would divide the last ones of a length
            # that is no multiple of the hop by a window near zero.
            target = -(-target // self.hop_length) * self.hop_length
        audio = F.pad(audio.float(), (0, target - samples))
        spec = torch.stft(
            audio, **self.arguments(audio), pad_mode=self.padding, return_complex=True
        )
        return spec.mT.contiguous()

    def istft(self, spec: Tensor, samples: int) -> Tensor:
        """(n, frame, bin) complex -> (n, sample)."""
        return torch.istft(spec.mT, **self.arguments(spec.real), length=samples)

    def arguments(self, like: Tensor) -> dict[str, Any]:
        window = torch.hann_window(self.n_fft, device=like.device)
        return {
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "window": window.sqrt() if self.square_root else window,
        }


class TFLocoformerMSS(TFLocoformerSeparator):
    """TF-Locoformer for music: sound in, a dictionary of stems out.

    The channels of stereo sound go through the same weights, each for itself.

    Args:
        n_fft, hop_length: of the transform, samples.
        n_sources: how many stems.
        stems: their names, if they are not vocals, drums, bass and other.
        separator: its other arguments, by name or in order, as for `TFLocoformerSeparator`.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
    """

    def __init__(
        self,
        n_fft: int = 2048,
        hop_length: int = 1024,
        n_sources: int = 4,
        *positional: Any,
        stems: Sequence[str] = STEMS,
        **separator: Any,
    ) -> None:
        if len(stems) != n_sources:
            raise ValueError(
                f"n_sources={n_sources} with stems {', '.join(stems)}: name as many stems"
            )
        super().__init__(n_sources, *positional, **separator)
        self.stems = tuple(stems)
        self.transform = Transform(n_fft, hop_length)

    def forward(self, mixture: Tensor, return_time_domain: bool = True) -> dict[str, Tensor]:  # type: ignore[override]
        """Separate.

        Args:
            mixture: (batch, sample) or (batch, channel, sample).
            return_time_domain: False returns spectrograms.

        Returns:
            Per stem the mixture's shape, or with (bin, frame) complex in place of its samples.

        Raises:
            ValueError: if the mixture has other axes or no sample.
        """
        if mixture.ndim not in (2, 3) or not mixture.numel():
            raise ValueError(
                f"the mixture is {tuple(mixture.shape)}: give (batch, sample) or "
                f"(batch, channel, sample) with at least one sample"
            )
        lead, samples = mixture.shape[:-1], mixture.shape[-1]
        estimates = super().forward(self.transform.stft(mixture.reshape(-1, samples)))
        found = {}
        for stem, spec in zip(self.stems, estimates.unbind(dim=1), strict=True):
            out = self.transform.istft(spec, samples) if return_time_domain else spec.mT
            found[stem] = out.reshape(*lead, *out.shape[1:])
        return found


class WaveformModel(nn.Module):
    """Sound in, stems out, around any of the separators; what recipes build.

    Weights are named `separator.*`, as those of the published files.

    Args:
        separator: of spectrograms: (b, t, f) -> (b, s, t, f), or with a channel axis before t.
        transform: its transform.
        stems: names, in output order.
        sample_rate: Hz.
        channels: of the sound.
        normalize: divide the mixture by its standard deviation and multiply the stems by it.
    """

    def __init__(
        self,
        separator: nn.Module,
        transform: Transform,
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        normalize: bool,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.transform = transform
        self.stems = tuple(stems)
        self.prompts = self.stems
        self.sample_rate = sample_rate
        self.channels = channels
        self.normalize = normalize

    def ask(self, prompts: Sequence[str]) -> None:
        """Separate these stems from now on; a name that comes again gets a number.

        Raises:
            ValueError: if the separator takes no prompts, or has not these.
        """
        if not isinstance(self.separator, TussModel):
            raise ValueError(
                f"the model separates {', '.join(self.stems)} and takes no prompts: leave "
                f"--prompts out, or give a checkpoint of a prompted model"
            )
        self.separator.look_up([prompts], 1)
        self.prompts = tuple(prompts)
        self.stems = tuple(
            f"{name}{prompts[: place + 1].count(name)}" if prompts.count(name) > 1 else name
            for place, name in enumerate(prompts)
        )

    def freeze_unasked(self) -> None:
        """Exclude from training the prompts of stems that are not separated, which don't act."""
        if isinstance(self.separator, TussModel):
            for name, prompt in self.separator.prompts.items():
                prompt.requires_grad_(name in self.prompts)

    @property
    def activation_checkpointing(self) -> bool:
        """Whether paths are computed again in the backward pass."""
        return any(part.activation_checkpointing for part in self.blocks())

    @activation_checkpointing.setter
    def activation_checkpointing(self, wanted: bool) -> None:
        for part in self.blocks():
            part.activation_checkpointing = wanted

    def blocks(self) -> list[Block]:
        """All blocks of the separator."""
        return [part for part in self.modules() if isinstance(part, Block)]

    def forward(self, mixture: Tensor) -> Tensor:
        """(b, c, n) -> (b, s, c, n).

        Raises:
            ValueError: if the mixture has other axes or channels, or no sample.
        """
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or not mixture.numel():
            raise ValueError(
                f"the mixture is {tuple(mixture.shape)}, the model takes (batch, {self.channels}, "
                f"sample): pass at least one sample"
            )
        with full_precision(mixture):
            scale = self.level(mixture) if self.normalize else mixture.new_ones(1, 1, 1)
            spec = self.transform.stft(rearrange(mixture / scale, "b c n -> (b c) n"))
        estimate = self.separate(rearrange(spec, "(b c) t f -> b c t f", c=self.channels))
        with full_precision(mixture):
            flat = rearrange(estimate, "b s c t f -> (b s c) t f")
            audio = self.transform.istft(flat, mixture.shape[-1])
            shape = (*estimate.shape[:3], mixture.shape[-1])
            return audio.reshape(shape) * scale.unsqueeze(1)

    @property
    def sees_both_channels(self) -> bool:
        """Whether the separator takes stereo sound as one item and not as two."""
        return isinstance(self.separator, BSLocoformerSeparator) and self.separator.stereo

    def level(self, mixture: Tensor) -> Tensor:
        """(b, c, n) -> (b, c or 1, 1) standard deviation of what the separator takes as an item."""
        axes = (1, 2) if self.sees_both_channels else (2,)
        samples = mixture[0].numel() // (1 if self.sees_both_channels else self.channels)
        std = mixture.float().std(dim=axes, keepdim=True, correction=min(1, samples - 1))
        return std + 1e-8

    def separate(self, spec: Tensor) -> Tensor:
        """(b, c, t, f) complex -> (b, s, c, t, f) complex."""
        if self.sees_both_channels:
            both: Tensor = self.separator(spec)
            return both
        flat = rearrange(spec, "b c t f -> (b c) t f")
        if isinstance(self.separator, TussModel):
            estimate = self.separator(flat, [self.prompts] * len(flat))
        else:
            estimate = self.separator(flat)
        return rearrange(estimate, "(b c) s t f -> b s c t f", c=self.channels)


def build(**fields: Any) -> WaveformModel:
    """The model of a recipe.

    Args:
        fields: of `ModelConfig`.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
    """
    config = ModelConfig(**fields)
    separator = build_separator(config)
    if config.init == "xavier_uniform":
        initialize(separator)
    return WaveformModel(
        separator,
        Transform(config.n_fft, config.hop_length, config.window, config.padding),
        config.stems,
        config.sample_rate,
        config.channels,
        config.normalize_variance,
    )


@torch.no_grad()
def initialize(separator: nn.Module) -> None:
    """Matrices and kernels Xavier-uniform, biases zero, gains of norms one, as in ESPnet."""
    for name, parameter in separator.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif name.endswith(".bias"):
            nn.init.zeros_(parameter)


def build_separator(config: ModelConfig) -> nn.Module:
    """What a recipe calls tf, bs, stack or tuss."""
    if config.kind == "tf":
        return TFLocoformerSeparator(len(config.stems), **config.single_stack())
    bands: dict[str, Any] = {"sample_rate": config.sample_rate, "stft_size": config.n_fft}
    if config.kind == "bs":
        return BSLocoformerSeparator(
            len(config.stems),
            **config.single_stack(),
            **bands,
            masking=config.masking,
            stereo=config.channels == 2,
        )
    first, second = config.two_stacks()
    counts = (config.n_layers, config.n_second_layers)
    if config.kind == "stack":
        return BSLocoformerStack(
            len(config.stems), counts[0], first, counts[1], second, **bands, eps=config.eps
        )
    return TussModel(config.prompts, counts[0], first, counts[1], second, **bands, eps=config.eps)
