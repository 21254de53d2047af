"""Moises-Light: a band-split U-Net on complex spectrograms (Hung et al. 2025, arXiv:2510.06785).

The paper was published without code, and only its abstract was read first-hand, so no section
numbers are cited. Docstrings use the paper's terms and name the source of each block: the paper, a
network it builds on (DTTNet, BS-RoFormer, SCNet), or a choice of the package moises-light.

Its releases "0.1.0" and "0.1.5" are incompatible: `ARCHITECTURES` in config.py says how they vary.

In shape comments c is the number of feature maps of a stage, f the bins of one band and t frames.
Bands are stacked along the channel axis, band-major (channel = band * channels_per_band + channel),
so that a group convolution with one group per band keeps them separate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from moises_light.config import ACT_NAMES, ModelConfig, TransformerParams
from moises_light.folded import (
    ConvNormAct,
    add,
    lies_channels_last,
    multiply,
    norm_and_activate,
    over_bins,
    own,
)
from moises_light.pretrained import Pretrained
from moises_light.recompute import Recomputing
from moises_light.transformer import RMSNorm, Transformer
from moises_light.watching import watched

NORMS = {
    "BatchNorm": lambda width: nn.BatchNorm2d(width),
    "InstanceNorm": lambda width: nn.InstanceNorm2d(width, affine=True),
    "LayerNorm": lambda width: nn.GroupNorm(1, width),
}

ACTIVATIONS = {name: getattr(nn, name) for name in ACT_NAMES}


def make_norm(config: ModelConfig, width: int) -> nn.Module:
    """The norm that `norm_name` selects, for (batch, width, f, t)."""
    return NORMS[config.norm_name](width)


def make_act(config: ModelConfig) -> nn.Module:
    """The activation that `act_name` selects."""
    return ACTIVATIONS[config.act_name]()


def lay_out(x: Tensor) -> Tensor:
    """Put (batch, c, f, t) into the memory format in which convolutions are fastest on its device.

    On a CPU that is channels-last (experiments/2026-11-moises-light-speed). In evaluation the two
    formats agree to rounding; in training torch's batch norm is less accurate in channels-last, by
    up to 7e-5 in that experiment.
    """
    cpu = x.device.type == "cpu"
    return x.contiguous(memory_format=torch.channels_last if cpu else torch.contiguous_format)


class SplitModule(ConvNormAct):
    """Band split: group convolution, norm and activation, one group per band.

    No band sees another, which is how the paper does without the band-split MLPs of BS-RoFormer.
    (batch, c_in, f, t) -> (batch, c_out, f, t).

    Source: paper, band split by group convolution; kernel shapes from the package moises-light.
    """

    def __init__(self, config: ModelConfig, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        size = (kernel, kernel if config.variant.square_kernels else 1)
        pad = (size[0] // 2, size[1] // 2)
        self.conv = nn.Conv2d(c_in, c_out, size, padding=pad, groups=config.n_bands)
        self.bn = make_norm(config, c_out)
        self.act = make_act(config)


class TDF(nn.Module):
    """TDF: a bottleneck of two linear layers over the bins of a band.

    The weights are shared by all channels, bands and frames.

    Source: TDF of DTTNet, which the paper starts from; `bn_factor` from the package moises-light.
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        bins, narrow = config.bins, config.bins // config.bn_factor
        self.fc1 = nn.Linear(bins, narrow)
        self.bn1 = make_norm(config, width)
        self.fc2 = nn.Linear(narrow, bins)
        self.bn2 = make_norm(config, width)
        self.act = make_act(config)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, f, t) -> (batch, c, f, t)."""
        layers = self.fc1, self.fc2
        biased = all(own(each, nn.Linear) and each.bias is not None for each in layers)
        if biased and lies_channels_last(x) and not watched(self):
            x = norm_and_activate(self.bn1, self.act, over_bins(self.fc1, x))
            return norm_and_activate(self.bn2, self.act, over_bins(self.fc2, x))
        x = rearrange(x, "b c f t -> b c t f")
        x = self.act(self.bn1(self.fc1(x)))
        x = self.act(self.bn2(self.fc2(x)))
        return rearrange(x, "b c t f -> b c f t")


class SplitAndMerge(nn.Module):
    """Split-and-Merge: group convolutions before and after a TDF, with two residual connections.

    Takes the place of the TFC-TDF v3 block of DTTNet.

    Source: paper, Split-and-Merge, repeated N_split times on either side of the TDF.
    """

    def __init__(self, config: ModelConfig, width: int, n_split: int) -> None:
        super().__init__()

        def convolutions(count: int) -> nn.Sequential:
            return nn.Sequential(*(SplitModule(config, width, width, 3) for _ in range(count)))

        self.res = SplitModule(config, width, width, 3)
        self.split1 = convolutions(n_split)
        self.tdf = TDF(config, width)
        self.split2 = convolutions(n_split)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, f, t) -> (batch, c, f, t)."""
        residual = self.res(x)
        x = self.split1(x)
        x = add(x, self.tdf(x), self)
        return add(residual, self.split2(x), self)


class TimeDownsample(ConvNormAct):
    """Encoder downsampling: half the frames, G more channels, the same bins.

    (batch, c_in, f, t) -> (batch, c_out, f, t / 2).

    Source: package moises-light, which downsamples in time only.
    """

    def __init__(self, config: ModelConfig, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, (1, 2), stride=(1, 2))
        self.bn = make_norm(config, c_out)
        self.act = make_act(config)


class TimeUpsample(ConvNormAct):
    """Decoder upsampling: twice the frames, G fewer channels, the same bins.

    (batch, c_in, f, t) -> (batch, c_out, f, 2 t).

    Source: package moises-light, which upsamples in time only.
    """

    def __init__(self, config: ModelConfig, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, (1, 2), stride=(1, 2))
        self.bn = make_norm(config, c_out)
        self.act = make_act(config)


class DualPath(nn.Module):
    """Dual-path block: one RoPE transformer along time, one along frequency.

    Positions on the frequency axis count the bins within a band. All bands share them, because
    bands are stacked in the channels.

    Source: paper, RoPE transformers in place of the dual-path RNN of DTTNet; the order of the two
    is the package moises-light's.
    """

    time_transformer: Transformer
    freq_transformer: Transformer

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        self.time_first = config.variant.time_first
        self.outer = config.variant.outer_residual
        # Built in the order of the package's state dicts, which the seeded weights depend on too.
        for name in ("time", "freq") if self.time_first else ("freq", "time"):
            self.add_module(f"{name}_transformer", Transformer(config, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, f, t, c) -> (batch, f, t, c)."""
        if self.time_first:
            return self.along_bins(self.along_frames(x))
        return self.along_frames(self.along_bins(x))

    def along_frames(self, x: Tensor) -> Tensor:
        """(batch, f, t, c) -> the same; each bin is a sequence of frames."""
        batch = x.shape[0]
        y = self.time_transformer(rearrange(x, "b f t c -> (b f) t c"))
        y = rearrange(y, "(b f) t c -> b f t c", b=batch)
        return add(x, y, self) if self.outer else y

    def along_bins(self, x: Tensor) -> Tensor:
        """(batch, f, t, c) -> the same; each frame is a sequence of bins."""
        batch = x.shape[0]
        y = self.freq_transformer(rearrange(x, "b f t c -> (b t) f c"))
        y = rearrange(y, "(b t) f c -> b f t c", b=batch)
        return add(x, y, self) if self.outer else y


class Bottleneck(Recomputing):
    """Bottleneck: Split-and-Merge at the lowest frame rate, then N_RoPE dual-path blocks.

    Source: paper, N_RoPE blocks; the RMSNorm at the end is the package moises-light's, from 0.1.4.
    """

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        self.split_merge = SplitAndMerge(config, dim, config.n_split_enc)
        self.rope_blocks = nn.Sequential(*(DualPath(config, dim) for _ in range(config.n_rope)))
        self.final_norm = RMSNorm(dim) if config.variant.norm_after_rope else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, f, t) -> (batch, c, f, t)."""
        x = rearrange(self.run(self.split_merge, x), "b c f t -> b f t c")
        for block in self.rope_blocks:
            x = self.run(block, x)
        return lay_out(rearrange(self.final_norm(x), "b f t c -> b c f t"))


class MoisesLight(Pretrained, Recomputing):
    """The band-split U-Net with its STFT: waveform in, one waveform per stem out.

    Args:
        sources: names of the stems, in output order.
        architecture: "0.1.0" or "0.1.5", see `ARCHITECTURES`; their weights are incompatible.
        audio_channels: channels of the mixture.
        n_fft, hop_size, win_size: STFT sizes in samples.
        freq_dim: number of bins processed, from zero up; the output is silent above them.
        n_bands: number of equal bands (N_band), each of freq_dim // n_bands bins; must divide G and
            freq_dim.
        G: channels of the first stage; stage i has G * (i + 1).
        n_enc: encoder stages (N_enc), each of which halves the frames.
        n_dec: decoder stages with a Split-and-Merge block (N_dec); the other n_enc - n_dec only
            upsample.
        dec_heavy_at: "first" for the deepest stages, "last" for those of the highest frame rate,
            "each" for a block at every stage (n_dec must be 1).
        n_split_enc, n_split_dec: convolutions on each side of a TDF (N_split).
        n_rope: dual-path blocks (N_RoPE).
        bn_factor: bottleneck factor of the TDF; None takes the architecture's (4 or 8).
        edge_kernel_size: odd kernel size of the first and last convolution; None takes the
            architecture's, 3 for 0.1.5. For 0.1.0 it must be 1.
        normalized: scale the STFT by 1 / sqrt(n_fft).
        normalize_input: the network sees spectrograms of mean 0 and standard deviation 1.
        use_mask: True multiplies the real and imaginary parts of the mixture by separate real
            masks; False, as in the paper, generates the spectrogram directly.
        norm_name: "BatchNorm", "InstanceNorm" or "LayerNorm" (over channels, bins and frames).
        act_name: "ReLU", "GELU", "LeakyReLU", "SiLU", "Mish" or "Softplus".
        transformer_params: None for heads 4, dim_head 32, ff_mult 2 and no dropout. A dictionary is
            completed from other defaults: heads 8, dim_head 64, ff_mult 4, dropouts 0.1. flash_attn
            (on by default) selects torch's fused attention, in the precision of its input.

    Every argument is an attribute too, None as the value it stands for.

    Raises:
        ValueError: if an argument is out of range, or inconsistent with another.

    Source: paper, an asymmetric encoder and decoder after SCNet around a dual-path bottleneck;
    masks, several stems in one network, light decoder stages and transformer sizes are choices of
    the package moises-light.
    """

    sample_rate = 44_100
    stft_window: Tensor
    freq_pad: Tensor

    def __init__(
        self,
        sources: Sequence[str] = ("vocals", "drums", "bass", "other"),
        *,
        architecture: str = "0.1.0",
        audio_channels: int = 2,
        n_fft: int = 6144,
        hop_size: int = 1024,
        win_size: int = 6144,
        freq_dim: int = 2048,
        n_bands: int = 4,
        G: int = 56,
        n_enc: int = 3,
        n_dec: int = 1,
        dec_heavy_at: str = "first",
        n_split_enc: int = 3,
        n_split_dec: int = 1,
        n_rope: int = 5,
        bn_factor: int | None = None,
        edge_kernel_size: int | None = None,
        normalized: bool = True,
        normalize_input: bool = True,
        use_mask: bool = True,
        norm_name: str = "BatchNorm",
        act_name: str = "ReLU",
        transformer_params: Mapping[str, Any] | TransformerParams | None = None,
    ) -> None:
        names = [field.name for field in fields(ModelConfig)]
        arguments = {key: value for key, value in locals().items() if key in names}
        super().__init__()
        self.config = config = ModelConfig.read(**arguments)
        vars(self).update({name: getattr(config, name) for name in names})
        parts = 2 * config.audio_channels  # a bin of a channel is a real and an imaginary part
        above = config.n_fft // 2 + 1 - config.freq_dim
        self.register_buffer("stft_window", torch.hann_window(config.win_size))
        self.register_buffer("freq_pad", torch.zeros(1, parts, above, 1))
        self._build_encoder(config, parts)
        self._build_decoder(config, parts)

    def _build_encoder(self, config: ModelConfig, parts: int) -> None:
        """Encoder (paper): N_enc times Split-and-Merge and downsampling, then bottleneck."""
        widths = [config.G * (i + 1) for i in range(config.n_enc + 1)]
        steps = list(zip(widths, widths[1:], strict=False))
        self.first_conv = SplitModule(
            config, config.n_bands * parts, config.G, config.edge_kernel_size
        )
        self.encoder_blocks = nn.ModuleList(
            SplitAndMerge(config, c, config.n_split_enc) for c, _ in steps
        )
        self.ds = nn.ModuleList(TimeDownsample(config, c, wider) for c, wider in steps)
        self.bottleneck = Bottleneck(config, widths[-1])

    def _build_decoder(self, config: ModelConfig, parts: int) -> None:
        """Decoder: N_dec heavy stages (paper) and light ones that only upsample.

        Which are heavy when N_dec < N_enc is not known: see the model card on `dec_heavy_at`.
        """
        widths = [config.G * (i + 1) for i in range(config.n_enc, -1, -1)]
        steps = list(zip(widths, widths[1:], strict=False))
        heavy, light = config.split_stages(steps)
        self.dec_heavy_us = nn.ModuleList(TimeUpsample(config, c, down) for c, down in heavy)
        self.dec_heavy_blocks = nn.ModuleList(
            SplitAndMerge(config, c, config.n_split_dec) for _, c in heavy
        )
        self.dec_light_us = nn.ModuleList(TimeUpsample(config, c, down) for c, down in light)
        c_out, kernel = config.n_bands * parts, config.edge_kernel_size
        if config.variant.final_norm_act:
            self.final_conv: nn.Module = SplitModule(config, config.G, c_out, kernel)
        else:
            self.final_conv = nn.Conv2d(
                config.G, c_out, kernel, padding=kernel // 2, groups=config.n_bands
            )
        if len(self.stems) > 1 or config.variant.head_for_one_stem:
            self.source_head: nn.Module = nn.Conv2d(parts, len(self.stems) * parts, 1)
        else:
            self.source_head = nn.Identity()

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems, in output order."""
        return self.config.sources

    @property
    def channels(self) -> int:
        """Channels of the audio, in and out."""
        return self.config.audio_channels

    def forward(
        self, mixture: Tensor, return_auxiliary_outputs: bool = False
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """(batch, channel, sample) -> (batch, stem, channel, sample), of any length.

        Args:
            mixture: audio at 44.1 kHz. The spectrogram is computed in float32 even under autocast.
            return_auxiliary_outputs: also return an empty dictionary, as some frameworks expect.

        Raises:
            ValueError: if the input is not (batch, audio_channels, sample) or is empty.
        """
        self._check_input(mixture)
        samples = mixture.shape[-1]
        spec = self.stft(F.pad(mixture, (0, self.padded_length(samples) - samples)))
        mean = spec.mean(dim=(1, 2, 3, 4), keepdim=True)
        std = spec.std(dim=(1, 2, 3, 4), keepdim=True)
        x = (spec - mean) / (std + 1e-5) if self.config.normalize_input else spec
        out = self.network(x.to(self.stft_window.dtype))
        with torch.autocast(spec.device.type, enabled=False):
            if self.config.use_mask:
                # Detached as in the package: the mixture is data here, not a path for gradients.
                made_by = self.final_conv, self.source_head
                out = multiply(spec.detach().unsqueeze(1), out, *made_by)
            elif self.config.normalize_input:
                out = out * std.unsqueeze(1) + mean.unsqueeze(1)
            estimate = self.istft(out)[..., :samples]
        return (estimate, {}) if return_auxiliary_outputs else estimate

    def _check_input(self, mixture: Tensor) -> None:
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or not mixture.numel():
            raise ValueError(
                f"the mixture has shape {tuple(mixture.shape)}: it must be (batch, channel, "
                f"sample) with {self.channels} channels and at least one sample"
            )

    def padded_length(self, samples: int) -> int:
        """Length in samples after zero padding at the end.

        The last hop is completed, or one added if it is complete; and more until 2**n_enc divides
        the frames and the audio is longer than the n_fft // 2 samples that the STFT reflects.
        """
        hop, n_fft = self.config.hop_size, self.config.n_fft
        hops = samples // hop + 1
        while (hops + 1) % 2**self.config.n_enc or 2 * hops * hop <= n_fft:
            hops += 1
        return hops * hop

    def window(self) -> Tensor:
        """The window in at least float32, in which models of half precision transform, too."""
        return self.stft_window.to(torch.promote_types(self.stft_window.dtype, torch.float32))

    def stft(self, mixture: Tensor) -> Tensor:
        """STFT (paper: 6144 samples, hop 1024, lowest 2048 bins).

        (batch, channel, sample) -> (batch, channel, frame, freq_dim, 2); frames before bins, the
        memory order of torch.stft and torch.istft, so that nothing is copied.
        """
        config = self.config
        with torch.autocast(mixture.device.type, enabled=False):
            window = self.window()
            spec = torch.stft(
                rearrange(mixture, "b c n -> (b c) n").to(window.dtype),
                config.n_fft,
                config.hop_size,
                config.win_size,
                window,
                normalized=config.normalized,
                return_complex=True,
            )
            reals = torch.view_as_real(spec[:, : config.freq_dim])
        return rearrange(reals, "(b c) f t r -> b c t f r", c=self.channels)

    def istft(self, spec: Tensor) -> Tensor:
        """(batch, stem, channel, frame, freq_dim, 2) -> (batch, stem, channel, padded sample)."""
        if spec.shape[1] > 1 and not torch.is_grad_enabled():  # a fraction of the memory
            return torch.cat([self.istft(stem) for stem in spec.split(1, dim=1)], dim=1)
        config = self.config
        batch, stems, _, frames, _, _ = spec.shape
        above = rearrange(self.freq_pad.to(spec.dtype), "1 (c r) f 1 -> 1 1 c 1 f r", r=2)
        above = above.expand(batch, stems, -1, frames, -1, -1)
        reals = rearrange(torch.cat([spec, above], dim=-2), "b s c t f r -> (b s c) f t r")
        window = self.window()
        if spec.device.type == "mps":  # no inverse STFT on this device
            reals, window = reals.cpu(), window.cpu()
        estimate = torch.istft(
            torch.view_as_complex(reals),
            config.n_fft,
            config.hop_size,
            config.win_size,
            window,
            normalized=config.normalized,
            length=(frames - 1) * config.hop_size,
        )
        return rearrange(estimate.to(spec.device), "(b s c) n -> b s c n", b=batch, s=stems)

    def network(self, spec: Tensor) -> Tensor:
        """U-Net between band split and band merge: the normalised spectrogram to masks or stems.

        (batch, channel, t, freq_dim, 2) -> (batch, stem, channel, t, freq_dim, 2).
        """
        bands = self.config.n_bands
        x = rearrange(spec, "b c t (k f) r -> b (k c r) f t", k=bands)
        x = self.decode(*self.encode(self.run(self.first_conv, lay_out(x))))
        x = rearrange(self.run(self.final_conv, x), "b (k n) f t -> b n t (k f)", k=bands)
        x = self.source_head(x)
        return rearrange(x, "b (s c r) t f -> b s c t f r", c=self.channels, r=2)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, G, f, t) -> the bottleneck's (batch, G (n_enc + 1), f, t / 2^n_enc), skips."""
        skips = []
        for block, downsample in zip(self.encoder_blocks, self.ds, strict=True):
            x = self.run(block, x)
            skips.append(x)
            x = self.run(downsample, x)
        self.bottleneck.activation_checkpointing = self.activation_checkpointing
        return self.bottleneck(x), skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """The bottleneck's output and the skips, which are multiplied -> (batch, G, f, t)."""
        heavy = zip(self.dec_heavy_us, self.dec_heavy_blocks, strict=True)
        light = ((upsample, nn.Identity()) for upsample in self.dec_light_us)
        last = self.config.dec_heavy_at == "last"
        for upsample, block in (*light, *heavy) if last else (*heavy, *light):
            x = self.run(block, self.run(upsample, x) * skips.pop())
        return x
