"""The TF-Locoformer block (Saijo et al., IWAENC 2024) and its parts, under the paper's names.

RMSGroupNorm, ConvSwiGLU, multi-head self-attention (MHSA) with RoPE or NoPE, the macaron-style
sub-block along one axis, and the TF block of two of them. Section numbers are not cited: the full
text of the paper was not read, and details are those of the authors' code, release 1.1.0.

All tensors have the features last: (batch, frame, bin, feature) between blocks and
(sequence, position, feature) within a path, where positions are bins (or bands) or frames.
Axis letters: n sequence, l position, d feature, h head, b batch, t frame, f bin or band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from tflocoformer_mss.config import BlockConfig, FFNConfig, PathConfig
from tflocoformer_mss.convolutions import called, channels_last_conv, convolve
from tflocoformer_mss.watching import decided_once, hooked
from tflocoformer_mss.written_gradients import (
    GroupNormGradient,
    HeadsGradient,
    SwiGLUGradient,
    worth_it,
)

# Positions that go through a path together, all their sequences counted, if the activations are not
# kept for a gradient. On a CPU, few enough for the activations of a path to stay in the cache.
POSITIONS_AT_ONCE = {"cpu": 2**13}
OTHER_DEVICES_AT_ONCE = 2**17


class RMSGroupNorm(nn.Module):
    """RMSGroupNorm: divide each group of features by its root mean square, in float32.

    Source: paper, RMSGroupNorm; where eps is added, authors' code.
    """

    def __init__(self, groups: int, dim: int, eps: float) -> None:
        super().__init__()
        self.groups = groups
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., feature) -> (..., feature) float32."""
        arguments = x, self.gamma, self.groups, self.eps
        if not worth_it(x) or self.gamma.dtype != x.dtype or self.gamma.shape != x.shape[-1:]:
            return rms_group_norm(*arguments)
        y: Tensor = GroupNormGradient.apply(rms_group_norm, *arguments)
        return y


def rms_group_norm(x: Tensor, gamma: Tensor, groups: int, eps: float) -> Tensor:
    """`RMSGroupNorm` with a gain gamma, (..., feature), (feature) -> (..., feature) float32."""
    with full_precision(x):
        grouped = x.float().unflatten(-1, (groups, -1))
        norm = torch.linalg.vector_norm(grouped, dim=-1, keepdim=True)
        # eps is added to the root mean square itself, not to the mean square under the root.
        rms = norm * grouped.shape[-1] ** -0.5 + eps
        return (grouped / rms).flatten(-2) * gamma


class ConvSwiGLU(nn.Module):
    """ConvSwiGLU: a SwiGLU feed-forward network (FFN) with convolutions instead of linear layers.

    Source: paper, ConvSwiGLU, the local modeling of TF-Locoformer; padding, authors' code.
    """

    def __init__(self, dim: int, config: FFNConfig, dropout: float) -> None:
        super().__init__()
        self.shift = config.shift
        self.kernel = config.kernel
        self.conv1d = nn.Conv1d(dim, 2 * config.hidden, config.kernel, config.shift)
        self.deconv1d = nn.ConvTranspose1d(config.hidden, dim, config.kernel, config.shift)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d)."""
        # Padded so that as many windows cover the first and last positions as any other, and so
        # that the windows end with the sequence whatever the shift.
        length, left = x.shape[1], self.kernel - self.shift
        steps = -(-(length + left - self.shift) // self.shift)
        right = steps * self.shift + self.kernel - length - left
        hidden = swiglu(convolve(x, self.conv1d, (left, right)))
        return self.dropout(self.deconvolve(self.dropout(hidden), length, left))

    def deconvolve(self, hidden: Tensor, length: int, left: int) -> Tensor:
        """Transposed convolution, cropped to the unpadded positions, (n, steps, h) -> (n, l, d)."""
        as_made = self.shift == 1 and not called(self.deconv1d, nn.ConvTranspose1d)
        if as_made and self.deconv1d.stride == (1,) and self.deconv1d.kernel_size == (self.kernel,):
            weight, bias = self.deconv1d.weight, self.deconv1d.bias
            # After cropping it equals a convolution with the mirrored kernel, which is faster and
            # does not compute what is cropped.
            return channels_last_conv(hidden, weight.transpose(0, 1).flip(-1), bias, 1)
        full: Tensor = self.deconv1d(hidden.mT).mT
        return full[:, left : left + length]


def swiglu(both: Tensor) -> Tensor:
    """Features that hold values and gates, (..., 2 h), -> value * silu(gate), (..., h)."""
    if not worth_it(both):
        return swiglu_formula(both)
    y: Tensor = SwiGLUGradient.apply(swiglu_formula, both)
    return y


def swiglu_formula(both: Tensor) -> Tensor:
    """`swiglu` as torch differentiates it."""
    value, gate = both.chunk(2, dim=-1)
    return value * F.silu(gate)


class ConvSiLU(nn.Module):
    """FFN without gate or padding; its output has the input's length only if kernel equals shift.

    Source: `conv1d` of the authors' code in ESPnet. No published configuration uses it.
    """

    def __init__(self, dim: int, config: FFNConfig, dropout: float) -> None:
        super().__init__()
        self.kernel, self.shift = config.kernel, config.shift
        self.net = nn.Sequential(
            nn.Conv1d(dim, config.hidden, config.kernel, config.shift),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.ConvTranspose1d(config.hidden, dim, config.kernel, config.shift),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d).

        Raises:
            ValueError: if kernel and shift differ, or do not divide the length of the sequence.
        """
        if self.kernel != self.shift or x.shape[1] % self.kernel:
            raise ValueError(
                f"conv1d_kernel={self.kernel}, conv1d_shift={self.shift} on a sequence of length "
                f"{x.shape[1]}: ffn_type conv1d needs them equal, and a divisor of the length"
            )
        out: Tensor = self.net(x.mT).mT
        return out


FFNS: dict[str, Callable[..., nn.Module]] = {"swiglu_conv1d": ConvSwiGLU, "conv1d": ConvSiLU}


class Rotary(nn.Module):
    """RoPE, rotary positional encoding of interleaved pairs, with angles in float32.

    The package that the authors use counts positions in the precision of the query. bfloat16 rounds
    integers above 256, so that neighbours there would share a position
    (experiments/2026-12-rotary-positions).

    Source: paper, RoPE; the state-dict key `freqs` is that of rotary-embedding-torch.
    """

    freqs: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        exponents = torch.arange(0, dim, 2).float() / dim
        self.register_buffer("freqs", 1.0 / 10_000**exponents)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotary:
        """Follow the model to another device, but stay in float32 if the model is cast."""
        freqs = self.freqs
        super()._apply(fn, recurse)
        self.freqs = freqs.to(self.freqs.device)
        return self

    def forward(self, length: int) -> Tensor:
        """Rotation of each pair at each position, (length, feature / 2) complex64."""
        with full_precision(self.freqs):
            positions = torch.arange(length, device=self.freqs.device, dtype=torch.float32)
            angles = torch.outer(positions, self.freqs)
            return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Apply RoPE: (n, l, h, feature) -> the same shape, pairs multiplied by (l, feature / 2)."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    rotated = torch.view_as_real(pairs * rotation[:, None]).flatten(-2)
    return rotated.to(x.dtype)


class Attention(nn.Module):
    """MHSA: multi-head self-attention along one axis, with RoPE, or without positions (NoPE).

    Source: paper, MHSA; NoPE, Saijo and Ogawa, EUSIPCO 2025; projections, authors' code.
    """

    def __init__(self, config: PathConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.flash = config.flash
        self.qkv = nn.Linear(config.dim, 3 * config.attention_dim, bias=False)
        if config.positions == "rope":
            self.rope: Rotary | None = Rotary(config.attention_dim // config.heads)
        else:
            self.rope = None
        self.dropout = config.dropout
        self.aggregate_heads = nn.Sequential(
            nn.Linear(config.attention_dim, config.dim, bias=False), nn.Dropout(config.dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d)."""
        q, k, v = self.positioned(
            rearrange(self.qkv(x), "n l (p h a) -> n l p h a", p=3, h=self.heads)
        )
        dropout = self.dropout if self.training else 0.0
        q, k, v = (rearrange(each, "n l h a -> n h l a") for each in (q, k, v))
        with self.kernels(q):
            out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        merged: Tensor = self.aggregate_heads(rearrange(out, "n h l a -> n l (h a)"))
        return merged

    def positioned(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, l, 3, h, a) -> queries and keys, turned by their positions, and values."""
        if self.rope is None:
            q, k, v = qkv.unbind(2)
            return q, k, v
        rotation = self.rope(qkv.shape[1])
        if worth_it(qkv) and not rotation.requires_grad:
            q, k, v = HeadsGradient.apply(qkv, rotation)
            return q, k, v
        q, k, v = qkv.unbind(2)
        return rotate(q, rotation), rotate(k, rotation), v

    def kernels(self, q: Tensor) -> AbstractContextManager[object]:
        """Select the attention kernels that `flash_attention` allows, on CUDA only.

        The kernels agree to rounding. Flash attention does not support float32.
        """
        if q.device.type != "cuda":
            return nullcontext()
        if self.flash and q.dtype != torch.float32:
            return sdpa_kernel(SDPBackend.FLASH_ATTENTION)
        return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


class Path(nn.Module):
    """Macaron-style sub-block along one axis: FFN, MHSA, FFN, each pre-norm with a residual.

    `freq_path` models frequency, `frame_path` time. The paper multiplies the output of each FFN by
    1/2; the authors' code and the published weights do not, and neither does this.

    Source: paper, macaron-style FFNs before and after MHSA; authors' code for the missing 1/2.
    """

    def __init__(self, config: PathConfig) -> None:
        super().__init__()
        # In reverse, as in the published weights: ffn.0 follows attention, ffn.1 precedes it.
        reversed_ffns = config.ffns[::-1]
        self.ffn_norm = nn.ModuleList(build_norm(config) for _ in reversed_ffns)
        self.ffn = nn.ModuleList(
            FFNS[ffn.kind](config.dim, ffn, config.dropout) for ffn in reversed_ffns
        )
        self.attn_norm = build_norm(config)
        self.attn = Attention(config)

    def forward(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d)."""
        if len(self.ffn) == 2:
            x = x + self.ffn[1](self.ffn_norm[1](x))
        x = x + self.attn(self.attn_norm(x))
        out: Tensor = x + self.ffn[0](self.ffn_norm[0](x))
        return out


def build_norm(config: PathConfig) -> nn.Module:
    """The norm before an FFN or attention, as `norm_type` selects it."""
    if config.norm == "layernorm":
        return nn.LayerNorm(config.dim, config.eps)
    return RMSGroupNorm(config.groups, config.dim, config.eps)


class Block(nn.Module):
    """TF-Locoformer block: frequency modeling, then temporal modeling, or the other way round.

    Source: paper, TF-domain dual-path block.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.order = config.order
        self.freq_path = Path(config.freq)
        self.frame_path = Path(config.frame)
        self.activation_checkpointing = False
        self.positions_at_once = POSITIONS_AT_ONCE

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, f, d) -> (b, t, f, d)."""
        for axis in self.order:
            x = self.along_bins(x) if axis == "f" else self.along_frames(x)
        return x

    def along_bins(self, x: Tensor) -> Tensor:
        """Frequency modeling, (b, t, f, d) -> (b, t, f, d); each frame is a sequence of bins."""
        out = self.run(self.freq_path, rearrange(x, "b t f d -> (b t) f d"))
        return rearrange(out, "(b t) f d -> b t f d", b=x.shape[0])

    def along_frames(self, x: Tensor) -> Tensor:
        """Temporal modeling, (b, t, f, d) -> (b, t, f, d); each bin is a sequence of frames."""
        out = self.run(self.frame_path, rearrange(x, "b t f d -> (b f) t d"))
        return rearrange(out, "(b f) t d -> b t f d", b=x.shape[0])

    def run(self, path: Path, x: Tensor) -> Tensor:
        """Apply a path, (n, l, d) -> (n, l, d).

        With activation checkpointing and without a gradient, a few sequences at a time: sequences
        are independent, and the activations within a path take many times the memory of its input.
        Not so if parts are of other classes or have hooks.
        """
        recorded = torch.is_grad_enabled()
        recompute = self.activation_checkpointing and self.training
        if recorded and not recompute:
            return path(x)
        parts = self.few_at_once(x) if item_by_item(path) else [x]
        if recorded:
            once = decided_once(path)
            outs = [checkpoint(once, part, use_reentrant=False) for part in parts]
        else:
            outs = [path(part) for part in parts]
        return torch.cat(outs) if len(outs) > 1 else outs[0]

    def few_at_once(self, x: Tensor) -> Sequence[Tensor]:
        """(n, l, d) in parts of a few sequences."""
        positions = self.positions_at_once.get(x.device.type, OTHER_DEVICES_AT_ONCE)
        return x.split(max(1, positions // max(1, x.shape[1])))


def item_by_item(path: nn.Module) -> bool:
    """Whether a path treats each sequence by itself, as these classes do, and no hook waits for a
    part of it. What is traced must be of any length.
    """
    parts = [*path.modules()]
    known = all(type(part) in ITEM_BY_ITEM and "forward" not in vars(part) for part in parts)
    return known and not hooked(path) and not torch.jit.is_tracing()


ITEM_BY_ITEM = {Path, RMSGroupNorm, ConvSwiGLU, ConvSiLU, Attention, Rotary}
ITEM_BY_ITEM |= {nn.LayerNorm, nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.SiLU, nn.Dropout}
ITEM_BY_ITEM |= {nn.Sequential, nn.ModuleList}


def build_blocks(config: BlockConfig, count: int) -> nn.ModuleList:
    """A stack of ``count`` blocks."""
    return nn.ModuleList(Block(config) for _ in range(count))


def run_blocks(blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply a stack of blocks, (b, t, f, d) -> (b, t, f, d)."""
    for block in blocks:
        x = block(x)
    return x


def full_precision(like: Tensor) -> torch.autocast:
    """A context in which autocast is off on the tensor's device."""
    return torch.autocast(like.device.type, enabled=False)
