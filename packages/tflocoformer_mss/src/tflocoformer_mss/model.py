"""TF-Locoformer and BS-Locoformer, and the models from waveform to waveform around them.

Source: Saijo et al., "TF-Locoformer", IWAENC 2024, and its authors' code, release 1.1.0, which also
has the variants without positional encoding (NoPE: Saijo and Ogawa, EUSIPCO 2025) and with bands
(BS-Locoformer: Saijo et al., TUSS, ICASSP 2025). Their parts are in blocks.py and bands.py, the
models of the TUSS code in unified.py.
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
    band_sizes,
    block_config,
    check_at_least,
    check_choice,
    merge_arguments,
)
from tflocoformer_mss.pretrained import Pretrained
from tflocoformer_mss.unified import BSLocoformerStack, TussModel


class TFLocoformerSeparator(Pretrained, nn.Module):
    """TF-Locoformer: encoder, stack of TF blocks, decoder, from complex to complex spectrograms.

    Complex spectral mapping: the decoder estimates the real and imaginary part of each stem,
    without masks. Encoder and decoder are 3 x 3 convolutions; a global layer norm (gLN) follows the
    encoder. Both stay in float32 under autocast.

    Args:
        num_spk: number of stems.
        n_layers: number of blocks.
        positional, block: the following arguments, in this order or by name; `DEFAULTS` in
            config.py has their defaults.
        emb_dim: features per bin and frame (D).
        norm_type: "rmsgroupnorm" or "layernorm".
        num_groups: of RMSGroupNorm (G).
        tf_order: "ft" for frequency modeling first, "tf" for temporal modeling first.
        n_heads: of attention (H).
        flash_attention: on CUDA in half precision, only use the flash attention kernel.
        attention_dim: features of all heads together (A); may differ from emb_dim.
        pos_enc: positional encoding, "rope" or "nope".
        ffn_type, ffn_hidden_dim: a name and a size for one FFN after attention, or two of each for
            FFNs before and after it.
        conv1d_kernel, conv1d_shift: kernel size and stride of the FFNs' convolutions.
        dropout: probability.
        eps: of the norms.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.

    Source: paper, TF-Locoformer; layers, authors' code.
    """

    def __init__(
        self,
        num_spk: int = 2,
        n_layers: int = 6,
        *positional: Any,
        **block: Any,
    ) -> None:
        super().__init__()
        check_at_least("num_spk", num_spk, 1)
        check_at_least("n_layers", n_layers, 1)
        config = block_config(merge_arguments(positional, block))
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


class BSLocoformerSeparator(Pretrained, nn.Module):
    """BS-Locoformer of the stand-alone code (form A): the TF blocks on bands instead of bins.

    Args:
        num_spk: number of stems.
        n_layers: number of blocks.
        sample_rate, stft_size: Hz and samples; they determine the bands.
        masking: estimate complex masks and multiply the mixture by them; False estimates the stems.
        stereo: process both channels together.
        block: as for `TFLocoformerSeparator`.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.

    Source: paper (TUSS), BS-Locoformer; layers, authors' code.
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
        check_at_least("num_spk", num_spk, 1)
        check_at_least("n_layers", n_layers, 1)
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
    """Raise ValueError unless the spectrogram is complex with this number of axes."""
    if spec.ndim != axes or not spec.is_complex():
        names = "(batch, frame, bin)" if axes == 3 else "(batch, 2, frame, bin)"
        raise ValueError(
            f"the spectrogram is {tuple(spec.shape)} of {spec.dtype}: pass a complex {names}"
        )


class Transform:
    """STFT and inverse STFT around a separator.

    Args:
        n_fft: samples per frame and window.
        hop_length: samples from one frame to the next; at most half a frame.
        window: "hann", or "sqrt_hann", its square root (TUSS).
        padding: "reflect", or "constant" for zeros, which also complete the last hop.

    Raises:
        ValueError: if a value is invalid.

    Source: authors' code: centred, one-sided, not normalised.
    """

    def __init__(
        self, n_fft: int, hop_length: int, window: str = "hann", padding: str = "reflect"
    ) -> None:
        check_choice("window", window, ("hann", "sqrt_hann"))
        check_choice("padding", padding, ("reflect", "constant"))
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
        # Reflection padding needs more samples than half a frame.
        target = max(samples, self.n_fft // 2 + 1)
        if self.padding == "constant" or 4 * self.hop_length > self.n_fft:
            # With fewer than four frames over each sample, the inverse would divide the samples
            # after the last whole hop by a window near zero.
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
        """Arguments that torch.stft and torch.istft share, on the device of a tensor."""
        window = torch.hann_window(self.n_fft, device=like.device)
        return {
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "window": window.sqrt() if self.square_root else window,
        }


class TFLocoformerMSS(TFLocoformerSeparator):
    """TF-Locoformer for music with its STFT: waveform in, a dictionary of stems out.

    Channels are separated independently, with the same weights.

    Args:
        n_fft, hop_length: of the STFT, in samples.
        n_sources: number of stems.
        positional, separator: further arguments of `TFLocoformerSeparator`, in order or by name.
        stems: their names.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.

    Source: the music fork mss-tf-locoformer.
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
                f"n_sources={n_sources} with stems {', '.join(stems)}: name n_sources stems"
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
            By stem, audio of the mixture's shape, or its complex spectrogram with (bin, frame) in
            place of the sample axis.

        Raises:
            ValueError: if the mixture has other axes or is empty.
        """
        if mixture.ndim not in (2, 3) or not mixture.numel():
            raise ValueError(
                f"the mixture is {tuple(mixture.shape)}: pass (batch, sample) or "
                f"(batch, channel, sample) with at least one sample"
            )
        lead, samples = mixture.shape[:-1], mixture.shape[-1]
        estimates = super().forward(self.transform.stft(mixture.reshape(-1, samples)))
        by_stem = {}
        for stem, spec in zip(self.stems, estimates.unbind(dim=1), strict=True):
            out = self.transform.istft(spec, samples) if return_time_domain else spec.mT
            by_stem[stem] = out.reshape(*lead, *out.shape[1:])
        return by_stem


class WaveformModel(Pretrained, nn.Module):
    """Waveform in, stems out: STFT, any of the separators, inverse STFT. What recipes build.

    State-dict keys are `separator.*`, as in the published files.

    Args:
        separator: network on spectrograms, (b, t, f) -> (b, s, t, f), or with a channel axis
            before t.
        transform: its STFT.
        stems: names, in output order.
        sample_rate: Hz.
        channels: of the audio.
        normalize: divide the mixture by its standard deviation and multiply the stems by it
            (`normalize_variance` of ESPnet).
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

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Choose the stems of a prompted model; repeated names are numbered in `stems`.

        Raises:
            ValueError: if the separator takes no prompts, or lacks one of these.
        """
        if not isinstance(self.separator, TussModel):
            raise ValueError(
                f"the model separates {', '.join(self.stems)} and takes no prompts: omit "
                f"--prompts, or pass a checkpoint of a prompted model"
            )
        self.separator.get_prompts([prompts], 1)  # raises for an unknown name
        self.prompts = tuple(prompts)
        self.stems = tuple(
            f"{name}{prompts[: i + 1].count(name)}" if prompts.count(name) > 1 else name
            for i, name in enumerate(prompts)
        )

    def freeze_unused_prompts(self) -> None:
        """Exclude prompts of stems that are not separated from training: they get no gradient."""
        if isinstance(self.separator, TussModel):
            for name, prompt in self.separator.prompts.items():
                prompt.requires_grad_(name in self.prompts)

    @property
    def activation_checkpointing(self) -> bool:
        """Whether paths are recomputed in the backward pass."""
        return any(block.activation_checkpointing for block in self.blocks())

    @activation_checkpointing.setter
    def activation_checkpointing(self, enabled: bool) -> None:
        for block in self.blocks():
            block.activation_checkpointing = enabled

    def assume_accelerator(self) -> None:
        """Recompute as many positions at once as on a GPU, to estimate the memory of a step."""
        for block in self.blocks():
            block.positions_at_once = {}

    def blocks(self) -> list[Block]:
        """All TF blocks of the separator."""
        return [module for module in self.modules() if isinstance(module, Block)]

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample).

        Raises:
            ValueError: if the mixture has other axes or channels, or is empty.
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
        """Whether the separator processes both channels of stereo together."""
        return isinstance(self.separator, BSLocoformerSeparator) and self.separator.stereo

    def level(self, mixture: Tensor) -> Tensor:
        """Standard deviation of each input of the separator, (b, c, n) -> (b, c or 1, 1)."""
        axes = (1, 2) if self.sees_both_channels else (2,)
        samples = mixture[0].numel() // (1 if self.sees_both_channels else self.channels)
        std = mixture.float().std(dim=axes, keepdim=True, correction=min(1, samples - 1))
        return std + 1e-8

    def separate(self, spec: Tensor) -> Tensor:
        """(b, c, t, f) complex -> (b, s, c, t, f) complex."""
        if self.sees_both_channels:
            stereo: Tensor = self.separator(spec)
            return stereo
        flat = rearrange(spec, "b c t f -> (b c) t f")
        if isinstance(self.separator, TussModel):
            estimate = self.separator(flat, [self.prompts] * len(flat))
        else:
            estimate = self.separator(flat)
        return rearrange(estimate, "(b c) s t f -> b s c t f", c=self.channels)


def build(**fields: Any) -> WaveformModel:
    """Build the model of a recipe.

    Args:
        fields: of `ModelConfig`.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.
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
    """Initialise as ESPnet: Xavier-uniform matrices and kernels, zero biases; gains stay one."""
    for name, parameter in separator.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif name.endswith(".bias"):
            nn.init.zeros_(parameter)


def build_separator(config: ModelConfig) -> nn.Module:
    """The separator that a recipe's `kind` selects."""
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
