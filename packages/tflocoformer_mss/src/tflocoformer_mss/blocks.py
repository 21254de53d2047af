"""The block of TF-Locoformer (Saijo et al., IWAENC 2024): norm, FFN, attention, the two paths.

All tensors have the features last: (batch, frame, bin, feature) between the blocks, and
(sequence, place, feature) within a path, whose places are bins (or bands) or frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from tflocoformer_mss.config import BlockConfig, FFNConfig, PathConfig

# Of the sequences that go through a path together, unless all is kept for the gradient; on a CPU as
# many as leave what lies between in the cache.
PLACES_AT_ONCE = {"cpu": 2**13}


class RMSGroupNorm(nn.Module):
    """Divide each group of features by its root mean square, in float32 (paper, sec. 2.2)."""

    def __init__(self, groups: int, dim: int, eps: float) -> None:
        super().__init__()
        self.groups = groups
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., feature) -> (..., feature) float32."""
        with full_precision(x):
            parts = x.float().unflatten(-1, (self.groups, -1))
            norm = torch.linalg.vector_norm(parts, dim=-1, keepdim=True)
            # eps is added to the root mean square, outside the root.
            rms = norm * parts.shape[-1] ** -0.5 + self.eps
            return (parts / rms).flatten(-2) * self.gamma


class ConvSwiGLU(nn.Module):
    """SwiGLU with convolutions in place of linear layers (paper, sec. 2.3)."""

    def __init__(self, dim: int, config: FFNConfig, dropout: float) -> None:
        super().__init__()
        self.shift = config.shift
        self.kernel = config.kernel
        self.conv1d = nn.Conv1d(dim, 2 * config.hidden, config.kernel, config.shift)
        self.deconv1d = nn.ConvTranspose1d(config.hidden, dim, config.kernel, config.shift)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d)."""
        places, lead = x.shape[1], self.kernel - self.shift
        steps = -(-(places + lead - self.shift) // self.shift)
        tail = steps * self.shift + self.kernel - places - lead
        value, gate = convolve(F.pad(x, (0, 0, lead, tail)), self.conv1d).chunk(2, dim=-1)
        return self.dropout(self.spread(self.dropout(value * F.silu(gate)), places, lead))

    def spread(self, hidden: Tensor, places: int, lead: int) -> Tensor:
        """(n, steps, h) -> (n, l, d), the transposed convolution without its padding."""
        weight, bias = self.deconv1d.weight, self.deconv1d.bias
        if self.shift == 1:
            # Then what is left of it is a convolution with the mirrored kernel, which is faster.
            return channels_last_conv(hidden, weight.transpose(0, 1).flip(-1), bias, 1)
        spread: Tensor = self.deconv1d(hidden.mT).mT
        return spread[:, lead : lead + places]


class ConvSiLU(nn.Module):
    """The FFN without gate or padding, which keeps all places only if kernel and shift agree.

    ESPnet's form has it; no published configuration uses it.
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
            ValueError: if the kernel does not fit the sequence a whole number of times.
        """
        if self.kernel != self.shift or x.shape[1] % self.kernel:
            raise ValueError(
                f"conv1d_kernel={self.kernel}, conv1d_shift={self.shift} on {x.shape[1]} places: "
                f"ffn_type conv1d needs them equal and a divisor of the places"
            )
        out: Tensor = self.net(x.mT).mT
        return out


FFNS: dict[str, Callable[..., nn.Module]] = {"swiglu_conv1d": ConvSwiGLU, "conv1d": ConvSiLU}


def convolve(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """(n, l, features in) -> (n, steps, features out) by the layer's weights."""
    return channels_last_conv(x, layer.weight, layer.bias, layer.stride[0])


def channels_last_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """A convolution along l whose features stay last in memory, as the rest of a path has them.

    Args:
        x: (n, l, features in).
        weight: (features out, features in, kernel).
        bias: (features out,).
        stride: in places.
    """
    weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(rearrange(x, "n l d -> n d 1 l"), weight, bias, stride=(1, stride))
    return rearrange(out, "n d 1 l -> n l d")


class Rotary(nn.Module):
    """Rotary positions of interleaved pairs; positions and angles are float32 in any precision.

    The package whose key `freqs` this keeps counts positions in the precision of the query: under
    bfloat16, places above 256 share positions.
    """

    freqs: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        exponents = torch.arange(0, dim, 2).float() / dim
        self.register_buffer("freqs", 1.0 / 10_000**exponents)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotary:
        """Move to another device, but keep the frequencies exact if the model is cast."""
        exact = self.freqs
        super()._apply(fn, recurse)
        self.freqs = exact.to(self.freqs.device)
        return self

    def forward(self, places: int) -> Tensor:
        """(l, feature / 2) complex64: the rotation of each pair at each place."""
        with full_precision(self.freqs):
            positions = torch.arange(places, device=self.freqs.device, dtype=torch.float32)
            angles = torch.outer(positions, self.freqs)
            return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """(n, l, h, feature) -> the same, its pairs turned by (l, feature / 2)."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(pairs * rotation[:, None]).flatten(-2)
    return turned.to(x.dtype)


class Attention(nn.Module):
    """Multi-head self-attention along a path (paper, sec. 2.3)."""

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
        q, k, v = rearrange(self.qkv(x), "n l (p h a) -> p n l h a", p=3, h=self.heads).unbind()
        if self.rope is not None:
            rotation = self.rope(x.shape[1])
            q, k = rotate(q, rotation), rotate(k, rotation)
        dropout = self.dropout if self.training else 0.0
        q, k, v = (rearrange(part, "n l h a -> n h l a") for part in (q, k, v))
        with self.kernels(q):
            out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        merged: Tensor = self.aggregate_heads(rearrange(out, "n h l a -> n l (h a)"))
        return merged

    def kernels(self, q: Tensor) -> AbstractContextManager[object]:
        """The kernels that `flash_attention` allows; it acts on CUDA and changes no result."""
        if q.device.type != "cuda":
            return nullcontext()
        if self.flash and q.dtype != torch.float32:
            return sdpa_kernel(SDPBackend.FLASH_ATTENTION)
        return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


class Path(nn.Module):
    """FFN, attention, FFN along one axis, each after a norm and added to its input (paper, fig. 1).

    The paper halves what the FFNs add; the code and the published weights do not.
    """

    def __init__(self, config: PathConfig) -> None:
        super().__init__()
        # Last first, as in the published weights: index 0 follows attention, 1 precedes it.
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
    """The norm before a sub-layer."""
    if config.norm == "layernorm":
        return nn.LayerNorm(config.dim, config.eps)
    return RMSGroupNorm(config.groups, config.dim, config.eps)


class Block(nn.Module):
    """A path along bins and one along frames (paper, fig. 1)."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.order = config.order
        self.freq_path = Path(config.freq)
        self.frame_path = Path(config.frame)
        self.activation_checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, f, d) -> (b, t, f, d)."""
        for axis in self.order:
            x = self.along_bins(x) if axis == "f" else self.along_frames(x)
        return x

    def along_bins(self, x: Tensor) -> Tensor:
        """(b, t, f, d) -> (b, t, f, d), every frame for itself."""
        out = self.run(self.freq_path, rearrange(x, "b t f d -> (b t) f d"))
        return rearrange(out, "(b t) f d -> b t f d", b=x.shape[0])

    def along_frames(self, x: Tensor) -> Tensor:
        """(b, t, f, d) -> (b, t, f, d), every bin for itself."""
        out = self.run(self.frame_path, rearrange(x, "b t f d -> (b f) t d"))
        return rearrange(out, "(b f) t d -> b t f d", b=x.shape[0])

    def run(self, path: Path, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, l, d), computed again in the backward pass if memory is to be saved.

        Then, and without a gradient, a few sequences at a time: they do not see each other, and
        what lies between takes many times their memory.
        """
        again = self.activation_checkpointing and self.training
        if torch.is_grad_enabled() and not again:
            return path(x)
        places = PLACES_AT_ONCE.get(x.device.type, 2**17)
        parts = x.split(max(1, places // x.shape[1]))
        if torch.is_grad_enabled():
            return torch.cat([checkpoint(path, part, use_reentrant=False) for part in parts])
        return torch.cat([path(part) for part in parts])


def build_blocks(config: BlockConfig, count: int) -> nn.ModuleList:
    """So many blocks in a row."""
    return nn.ModuleList(Block(config) for _ in range(count))


def run_blocks(blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
    """(b, t, f, d) -> (b, t, f, d)."""
    for block in blocks:
        x = block(x)
    return x


def full_precision(like: Tensor) -> torch.autocast:
    """Autocast switched off on the tensor's device."""
    return torch.autocast(like.device.type, enabled=False)
