"""BS-RoFormer (Lu et al. 2023, arXiv:2309.02612) and Mel-Band RoFormer (Wang et al. 2023,
arXiv:2310.01809). From input to output of the papers' figure:

    STFT                            Roformer.stft
    band-split module               BandSplit; with mel bands after MelBandRoformer.to_bands
    RoPE Transformer blocks         transformer.Block, L of them, from make_blocks
    multi-band mask estimation      MaskEstimator; with mel bands then MelBandRoformer.from_bands
    mask (complex ideal ratio mask) Roformer.mask_spec
    inverse STFT                    Roformer.istft
    loss                            Roformer.loss

What third-party networks add is in files of its own: hyper_connections.py and value_residual.py
(layout "1.2"), pope.py, linear_attention.py. cpu_speed.py makes a built model faster on a CPU,
written_gradients.py the gradient of the loss.

Letters in shape comments: b batch, s stem, c channel, n sample, f bin, t frame, k band, d feature,
r real and imaginary part.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bs_roformer.config import Layout12Config, ModelConfig, read_arguments
from bs_roformer.hyper_connections import make_branched_blocks, run_branched_blocks
from bs_roformer.linear_attention import LinearAttention
from bs_roformer.mel_bands import mel_bands
from bs_roformer.pope import PolarEmbedding
from bs_roformer.pretrained import Pretrained
from bs_roformer.rope import RotaryEmbedding
from bs_roformer.transformer import Attention, Block, RMSNorm, Transformer
from bs_roformer.watching import decided_once
from bs_roformer.written_gradients import short_time_spectrum

Breakdown = tuple[Tensor, tuple[Tensor, Tensor]]


class BandSplit(nn.Module):
    """Band-split module (paper): turn each band into one token per frame, with an RMSNorm and a
    linear layer of its own.

    Args:
        widths: real numbers per band and frame.
        dim: features per token (D).
    """

    def __init__(self, widths: Sequence[int], dim: int) -> None:
        super().__init__()
        self.widths = [*widths]
        self.to_features = nn.ModuleList(
            nn.Sequential(RMSNorm(width), nn.Linear(width, dim)) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, sum of widths) -> (b, t, k, d)."""
        bands = x.split(self.widths, dim=-1)
        return torch.stack([f(b) for f, b in zip(self.to_features, bands, strict=True)], dim=-2)


def make_blocks(config: ModelConfig, extras: Layout12Config | None) -> list[nn.Module]:
    """The RoPE Transformer blocks; attention along the same axis shares its position embedding.

    Args:
        config: sizes and layout.
        extras: what layout "1.2" adds, None for the other two.
    """
    positions = {
        axis: PolarEmbedding(config.heads, config.dim_head)
        if config.use_pope
        else RotaryEmbedding(config.dim_head)
        for axis in ("time", "freq")
    }
    if extras is not None:
        return make_branched_blocks(config, extras, positions)
    attention: dict[str, Callable[[], nn.Module]] = {
        "linear": partial(LinearAttention, config),
        "time": partial(Attention, config, positions["time"]),
        "freq": partial(Attention, config, positions["freq"]),
    }
    return [
        Block(Transformer(config, depth, attention[axis]) for axis, depth in config.depths.items())
        for _ in range(config.depth)
    ]


class MaskEstimator(nn.Module):
    """Multi-band mask estimation module (paper) of one stem: per band an MLP that ends in a gated
    linear unit.

    The mask is complex and unbounded. The paper has an RMSNorm before each MLP, public weights do
    not.

    Args:
        config: sizes and layout.
        widths: real numbers per band and frame.
    """

    def __init__(self, config: ModelConfig, widths: Sequence[int]) -> None:
        super().__init__()
        # Public weights count linear layers with split bands and hidden layers with mel bands.
        hidden = config.mask_estimator_depth - (config.kind == "bs")
        sizes = [config.dim, *[config.dim * config.mlp_expansion_factor] * hidden]
        self.to_freqs = nn.ModuleList(
            nn.Sequential(mask_mlp([*sizes, 2 * width]), nn.GLU(dim=-1)) for width in widths
        )
        norms = (RMSNorm(config.dim) for _ in widths) if config.parts.mask_norms else ()
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, k, d) -> (b, t, sum of widths)."""
        bands = [*x.unbind(dim=-2)]
        if self.norms:
            bands = [norm(band) for norm, band in zip(self.norms, bands, strict=True)]
        masks = [f(band) for f, band in zip(self.to_freqs, bands, strict=True)]
        return torch.cat(masks, dim=-1)


def mask_mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of these sizes, with a Tanh between each two."""
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


WindowFunction = Callable[..., Tensor]
WINDOW_FUNCTIONS = ("stft_window_fn", "multi_stft_window_fn")


def make_window(function: WindowFunction, samples: int, like: Tensor) -> Tensor:
    """(samples): a window in float32 or wider, on the device of ``like``."""
    exact = torch.promote_types(like.dtype, torch.float32)
    if function is torch.hann_window:  # computed in that precision, not rounded to it
        return torch.hann_window(samples, device=like.device, dtype=exact)
    return function(samples, device=like.device).to(exact)


class Roformer(Pretrained, nn.Module):
    """What both models share: STFT, band split, blocks, masks, inverse STFT and loss (papers'
    figure).

    Args:
        kind: "bs" or "mel".
        arguments: those of the constructor, by name: `ModelConfig`'s; and, as in the package,
            stft_window_fn and multi_stft_window_fn, called with samples and device, for other
            windows than Hann's, and use_torch_checkpoint, to compute blocks again for gradients.
    """

    def __init__(self, kind: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        functions = {key: arguments.get(key) or torch.hann_window for key in WINDOW_FUNCTIONS}
        self.stft_window_fn, self.multi_stft_window_fn = functions.values()
        self.activation_checkpointing = bool(arguments.get("use_torch_checkpoint", False))
        rest = {k: v for k, v in arguments.items() if k not in (*functions, "use_torch_checkpoint")}
        config, extras = read_arguments(kind, rest)
        self.config, self.extras = config, extras
        self.first_bin, self.end_bin = (extras and extras.freq_range) or (0, config.bins)
        self.layers = nn.ModuleList(make_blocks(config, extras))
        ends = config.kind == "bs" and config.parts.final_norm
        self.final_norm = RMSNorm(config.dim) if ends else nn.Identity()
        widths = [2 * config.channels * (last + 1 - first) for first, last in self.bands()]
        self.band_split = BandSplit(widths, config.dim)
        self.mask_estimators = nn.ModuleList(MaskEstimator(config, widths) for _ in config.stems)

    def bands(self) -> list[tuple[int, int]]:
        """First and last bin of every band, counted from the first bin that is processed."""
        raise NotImplementedError

    def to_bands(self, features: Tensor) -> Tensor:
        """(..., f c r) bin by bin -> (..., sum of widths) band by band."""
        return features

    def from_bands(self, masks: Tensor) -> Tensor:
        """(..., sum of widths) band by band -> (..., f c r) bin by bin."""
        return masks

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems, in output order."""
        return self.config.stems

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio in Hz."""
        return self.config.sample_rate

    @property
    def channels(self) -> int:
        """Channels of the audio, in and out."""
        return self.config.channels

    def forward(
        self, mixture: Tensor, target: Tensor | None = None, return_loss_breakdown: bool = False
    ) -> Tensor | Breakdown:
        """(batch, channel, sample) -> (batch, stem, channel, sample), or a loss.

        Args:
            mixture: audio of any length; a mono model also takes (batch, sample). The spectrogram
                is computed in float32 even under autocast.
            target: the true stems (batch, stem, channel, sample); the stem axis may be left out
                for a single stem, the channel axis for mono.
            return_loss_breakdown: with a target, return (total, (L1, spectral)).

        Returns:
            Without a target the estimate, with one the loss, a scalar.

        Raises:
            ValueError: if a shape does not fit the model, or the mixture is empty.
        """
        estimate = self.separate(self._check_mixture(mixture))
        if target is None:
            return estimate
        target = self._check_target(target, len(mixture), mixture.shape[-1])
        loss = self.loss(estimate, target[..., : estimate.shape[-1]])
        return loss if return_loss_breakdown else loss[0]

    def _check_mixture(self, mixture: Tensor) -> Tensor:
        audio = mixture.unsqueeze(1) if mixture.ndim == 2 and self.channels == 1 else mixture
        if audio.ndim != 3 or audio.shape[1] != self.channels or not audio.numel():
            raise ValueError(
                f"the mixture has shape {tuple(mixture.shape)}: it must be (batch, channel, "
                f"sample) with {self.channels} channels (stereo={self.config.stereo}) and at "
                f"least one sample"
            )
        return audio

    def _check_target(self, target: Tensor, batch: int, samples: int) -> Tensor:
        wanted = (batch, len(self.stems), self.channels, samples)
        single = [axis for axis in (1, 2) if wanted[axis] == 1]
        full = target
        for axis in single[: 4 - target.ndim] if target.ndim < 4 else ():
            full = full.unsqueeze(axis)
        if tuple(full.shape) != wanted:
            raise ValueError(
                f"the target has shape {tuple(target.shape)}: it must be (batch, stem, channel, "
                f"sample) = {wanted}"
            )
        return full

    def separate(self, mixture: Tensor) -> Tensor:
        """(b, c, n) -> (b, s, c, n)."""
        samples = mixture.shape[-1]
        # The STFT reflects the ends, which takes more samples than half a window.
        mixture = F.pad(mixture, (0, max(0, self.config.stft_n_fft // 2 + 1 - samples)))
        spec = self.stft(mixture)
        masks = self.masks(torch.view_as_real(spec).flatten(-3))
        estimate = self.istft(self.mask_spec(masks, spec), mixture.shape[-1])
        hop = self.config.stft_hop_length
        kept = samples if self.config.match_input_audio_length else samples // hop * hop
        return estimate[..., :kept]

    def stft(self, mixture: Tensor) -> Tensor:
        """(b, c, n) -> (b, t, f, c) complex: the bins that are processed, frequency major."""
        window = self._window(mixture)
        spec = torch.stft(
            rearrange(mixture, "b c n -> (b c) n").to(window.dtype),
            **self._stft_sizes(window),
            return_complex=True,
        )
        spec = spec[:, self.first_bin : self.end_bin]
        return rearrange(spec, "(b c) f t -> b t f c", c=self.channels).contiguous()

    def istft(self, spec: Tensor, samples: int) -> Tensor:
        """(b, s, t, f, c) complex -> (b, s, c, n); bins that are not processed are silent."""
        batch, stems = spec.shape[:2]
        if self.config.zero_dc and self.first_bin == 0:
            spec = torch.cat([torch.zeros_like(spec[..., :1, :]), spec[..., 1:, :]], dim=-2)
        spec = F.pad(spec, (0, 0, self.first_bin, self.config.bins - self.end_bin))
        spec = rearrange(spec, "b s t f c -> (b s c) t f").contiguous().mT
        device = spec.device
        if device.type == "mps":  # which has no inverse STFT
            spec = spec.cpu()
        window = self._window(spec.real)
        estimate = torch.istft(spec, **self._stft_sizes(window), length=samples).to(device)
        return rearrange(estimate, "(b s c) n -> b s c n", b=batch, s=stems)

    def _window(self, like: Tensor) -> Tensor:
        """(sample): the window in float32 or wider, on the device of ``like``."""
        return make_window(self.stft_window_fn, self.config.stft_win_length, like)

    def _stft_sizes(self, window: Tensor) -> dict[str, Any]:
        config = self.config
        return {
            "n_fft": config.stft_n_fft,
            "hop_length": config.stft_hop_length,
            "win_length": config.stft_win_length,
            "window": window,
            "normalized": config.stft_normalized,
        }

    def masks(self, features: Tensor) -> Tensor:
        """(b, t, f c r) real -> one mask per stem (b, s, t, f c r)."""
        features = features.to(next(self.band_split.parameters()).dtype)
        x = self.blocks(self.band_split(self.to_bands(features)))
        masks = [self.from_bands(estimator(x)) for estimator in self.mask_estimators]
        return torch.stack(masks, dim=1)

    def blocks(self, x: Tensor) -> Tensor:
        """(b, t, k, d) -> the same shape, through all blocks and the final norm."""
        if self.extras is not None:
            return self.final_norm(run_branched_blocks(self.layers, x, self.extras, self.run_block))
        skipped = None
        for block in self.layers:
            x = self.run_block(block, x, skipped)
            if self.config.skip_connection:
                skipped = x if skipped is None else skipped + x
        return self.final_norm(x)

    def run_block(self, block: nn.Module, *arguments: Any) -> Any:
        """The block's output; with activation checkpointing it is computed again for gradients."""
        if not (self.activation_checkpointing and self.training):
            return block(*arguments)
        return checkpoint(decided_once(block), *arguments, use_reentrant=False)

    def mask_spec(self, masks: Tensor, spec: Tensor) -> Tensor:
        """Masks (b, s, t, f c r) times (b, t, f, c) complex -> (b, s, t, f, c) complex.

        Real and imaginary part of a mask are its last axis: the paper's complex ideal ratio mask
        (cIRM).
        """
        parts = masks.to(spec.real.dtype).unflatten(-1, (-1, self.channels, 2))
        return torch.view_as_complex(parts.contiguous()) * spec.unsqueeze(1)

    def loss(self, estimate: Tensor, target: Tensor) -> Breakdown:
        """The paper's loss: L1 of the waveform plus L1 of spectrograms at several resolutions.

        Args:
            estimate, target: (b, s, c, n).

        Returns:
            total, (L1, sum over resolutions of the mean modulus of the complex difference).
        """
        exact = torch.promote_types(estimate.dtype, torch.float32)
        error = estimate.to(exact) - target.to(exact)
        waveform = error.abs().mean()
        flat = error.flatten(0, -2)
        sizes = self.config.multi_stft_resolutions_window_sizes
        spectral = sum((self.spec_error(flat, size) for size in sizes), waveform.new_zeros(()))
        total = waveform + self.config.multi_stft_resolution_loss_weight * spectral
        return total, (waveform, spectral)

    def spec_error(self, error: Tensor, size: int) -> Tensor:
        """(batch, sample) error -> scalar: mean modulus of its STFT with a window of ``size``."""
        n_fft = max(size, self.config.stft_n_fft)
        error = F.pad(error, (0, max(0, n_fft // 2 + 1 - error.shape[-1])))
        window = make_window(self.multi_stft_window_fn, size, error)
        if len(window) != size:
            raise ValueError(f"multi_stft_window_fn made {len(window)} samples, not {size}")
        scale = n_fft**-0.5 if self.config.multi_stft_normalized else 1.0
        return scale * short_time_spectrum(error, n_fft, self.loss_hop(size), window).abs().mean()

    def loss_hop(self, size: int) -> int:
        """Hop of the spectral loss in samples, for a window of ``size`` samples."""
        if self.extras is not None and self.config.kind == "mel":
            return max(self.config.multi_stft_hop_size, size // 4)
        return self.config.multi_stft_hop_size


class BSRoformer(Roformer):
    """BS-RoFormer (paper: Lu et al. 2023): bands that do not overlap.

    Args:
        dim: features per band and frame (D).
        depth: number of blocks (L).
        arguments: any field of `ModelConfig`, and with layout="1.2" of `Layout12Config`, by name.
            `DEFAULTS` in config.py has the values of those left out. num_stems may replace stems
            that have no names.

    Raises:
        ValueError: if an argument is unknown or out of range, or two contradict each other.
    """

    def __init__(self, dim: int, *, depth: int, **arguments: Any) -> None:
        super().__init__("bs", {"dim": dim, "depth": depth, **arguments})

    def bands(self) -> list[tuple[int, int]]:
        """First and last bin of every band, counted from the first bin that is processed."""
        sizes = self.config.freqs_per_bands or ()
        ends = [*accumulate(sizes)]
        if ends[-1] != self.end_bin - self.first_bin:
            raise ValueError(
                f"freqs_per_bands cover {ends[-1]} bins, there are "
                f"{self.end_bin - self.first_bin}: they must sum to stft_n_fft // 2 + 1, or to "
                f"the length of freq_range"
            )
        return [(end - size, end - 1) for end, size in zip(ends, sizes, strict=True)]


class MelBandRoformer(Roformer):
    """Mel-Band RoFormer (paper: Wang et al. 2023): mel bands overlap, and the masks of a bin are
    averaged over its bands.

    The arguments are those of `BSRoformer`, with num_bands instead of freqs_per_bands.
    """

    source: Tensor
    overlap: Tensor

    def __init__(self, dim: int, *, depth: int, **arguments: Any) -> None:
        super().__init__("mel", {"dim": dim, "depth": depth, **arguments})
        bins = [bin_ for first, last in self.bands() for bin_ in range(first, last + 1)]
        parts = range(2 * self.channels)  # values per bin
        source = [bin_ * len(parts) + part for bin_ in bins for part in parts]
        overlap = [bins.count(bin_) for bin_ in range(self.config.bins) for _ in parts]
        # Not in the state dictionary, since they follow from the arguments.
        self.register_buffer("source", torch.tensor(source), persistent=False)
        self.register_buffer("overlap", torch.tensor(overlap), persistent=False)

    def bands(self) -> list[tuple[int, int]]:
        """First and last bin of every mel band; neighbours overlap."""
        config = self.config
        return mel_bands(config.sample_rate, config.stft_n_fft, config.num_bands or 0)

    def to_bands(self, features: Tensor) -> Tensor:
        """(..., f c r) bin by bin -> (..., sum of widths) band by band."""
        return features.index_select(-1, self.source)

    def from_bands(self, masks: Tensor) -> Tensor:
        """(..., sum of widths) band by band -> (..., f c r): the mean over a bin's bands."""
        total = masks.new_zeros(*masks.shape[:-1], len(self.overlap))
        return total.index_add(-1, self.source, masks) / self.overlap


def build(kind: str, **arguments: Any) -> Roformer:
    """The model of a recipe's model section: its kind, "bs" or "mel", and all other fields."""
    return {"bs": BSRoformer, "mel": MelBandRoformer}[kind](**arguments)
