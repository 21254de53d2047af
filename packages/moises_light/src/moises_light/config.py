"""The arguments of Moises-Light: what is legal, and what its two architectures differ in.

Imports no torch: recipes and presets are read without loading the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NORM_NAMES = ("BatchNorm", "InstanceNorm", "LayerNorm")
ACT_NAMES = ("ReLU", "GELU", "LeakyReLU", "SiLU", "Mish", "Softplus")


@dataclass(frozen=True)
class Architecture:
    """What the two readings of the paper disagree on."""

    square_kernels: bool  # group convolutions see K bins x K frames, or K bins of one frame
    edge_kernel_size: int  # kernel of the first and the last convolution
    bn_factor: int  # how much the TDF block narrows the frequency axis
    final_norm_act: bool  # the last convolution ends in norm and activation
    head_for_one_stem: bool  # the 1x1 source head exists even for a single stem
    time_first: bool  # order of the two transformers of a dual-path block
    outer_residual: bool  # each transformer's input is added once more around it
    norm_after_rope: bool  # RMSNorm at the end of the bottleneck
    zero_init_attention: bool  # attention starts as the identity


ARCHITECTURES = {
    "0.1.0": Architecture(
        square_kernels=False,
        edge_kernel_size=1,
        bn_factor=4,
        final_norm_act=True,
        head_for_one_stem=True,
        time_first=False,
        outer_residual=True,
        norm_after_rope=False,
        zero_init_attention=True,
    ),
    "0.1.5": Architecture(
        square_kernels=True,
        edge_kernel_size=3,
        bn_factor=8,
        final_norm_act=False,
        head_for_one_stem=False,
        time_first=True,
        outer_residual=False,
        norm_after_rope=True,
        zero_init_attention=False,
    ),
}


@dataclass(frozen=True)
class TransformerParams:
    """Sizes of the transformers in the bottleneck."""

    heads: int
    dim_head: int
    ff_mult: float  # width of the feed-forward layer over that of its input
    attn_dropout: float  # on the attention weights
    proj_dropout: float  # after the output projection of the attention
    ff_dropout: float  # after both feed-forward layers
    flash_attn: bool  # torch's fused attention; False writes the softmax out

    def __post_init__(self) -> None:
        if self.heads < 1 or self.dim_head < 2 or self.dim_head % 2:
            raise ValueError(
                f"heads={self.heads} and dim_head={self.dim_head}: heads must be positive, "
                f"dim_head positive and even"
            )
        if self.ff_mult <= 0:
            raise ValueError(f"ff_mult={self.ff_mult}: it must be positive")
        for name in ("attn_dropout", "proj_dropout", "ff_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 0, below 1")

    @classmethod
    def read(cls, given: "Mapping[str, Any] | TransformerParams | None") -> "TransformerParams":
        """The preset sizes if nothing is given; the gaps of a dictionary are filled differently."""
        if isinstance(given, TransformerParams):
            return given
        if given is None:
            return cls(
                4, 32, 2, attn_dropout=0.0, proj_dropout=0.0, ff_dropout=0.0, flash_attn=True
            )
        gaps: dict[str, Any] = {"heads": 8, "dim_head": 64, "ff_mult": 4, "flash_attn": True}
        gaps |= {"attn_dropout": 0.1, "proj_dropout": 0.1, "ff_dropout": 0.1}
        unknown = sorted(set(given) - set(gaps))
        if unknown:
            raise ValueError(f"transformer_params has {unknown}: its keys are {sorted(gaps)}")
        return cls(**{**gaps, **given})


@dataclass(frozen=True)
class ModelConfig:
    """The checked arguments of `MoisesLight`, which documents them."""

    sources: tuple[str, ...]
    architecture: str
    audio_channels: int
    n_fft: int
    hop_size: int
    win_size: int
    freq_dim: int
    n_bands: int
    G: int
    n_enc: int
    n_dec: int
    n_split_enc: int
    n_split_dec: int
    n_rope: int
    bn_factor: int
    edge_kernel_size: int
    normalized: bool
    use_mask: bool
    norm_name: str
    act_name: str
    transformer_params: TransformerParams

    @classmethod
    def read(
        cls,
        sources: Sequence[str],
        architecture: str,
        bn_factor: int | None,
        edge_kernel_size: int | None,
        transformer_params: Mapping[str, Any] | TransformerParams | None,
        **rest: Any,
    ) -> "ModelConfig":
        """Fill in what the architecture decides."""
        if isinstance(sources, str):  # a sequence, but of letters
            raise ValueError(f"sources is {sources!r}: it must list at least one stem name")
        variant = ARCHITECTURES.get(architecture, ARCHITECTURES["0.1.5"])  # else refused below
        return cls(
            sources=tuple(sources),
            architecture=architecture,
            bn_factor=variant.bn_factor if bn_factor is None else bn_factor,
            edge_kernel_size=(
                variant.edge_kernel_size if edge_kernel_size is None else edge_kernel_size
            ),
            transformer_params=TransformerParams.read(transformer_params),
            **rest,
        )

    def __post_init__(self) -> None:
        self.check_names()
        self.check_ranges()
        self.check_bands()

    def check_names(self) -> None:
        if not self.sources:
            raise ValueError(f"sources is {self.sources!r}: it must list at least one stem name")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"sources are {list(self.sources)}: every stem name must be unique")
        for name, legal in (
            ("architecture", ARCHITECTURES),
            ("norm_name", NORM_NAMES),
            ("act_name", ACT_NAMES),
        ):
            if getattr(self, name) not in legal:
                raise ValueError(f"{name}={getattr(self, name)!r}: it must be one of {[*legal]}")

    def check_ranges(self) -> None:
        for name in ("audio_channels", "n_bands", "G", "n_enc", "n_split_enc", "n_split_dec"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 1")
        if self.n_rope < 0:
            raise ValueError(f"n_rope={self.n_rope}: it must be at least 0")
        if not 0 <= self.n_dec <= self.n_enc:
            raise ValueError(f"n_dec={self.n_dec}: it must lie in 0..n_enc={self.n_enc}")
        if not 1 <= self.hop_size < self.win_size <= self.n_fft:
            raise ValueError(
                f"hop_size={self.hop_size}, win_size={self.win_size}, n_fft={self.n_fft}: they "
                f"must be positive with hop_size < win_size <= n_fft"
            )
        if self.edge_kernel_size < 1 or self.edge_kernel_size % 2 == 0:
            raise ValueError(
                f"edge_kernel_size={self.edge_kernel_size}: it must be odd and positive"
            )
        if self.architecture == "0.1.0" and self.edge_kernel_size != 1:
            raise ValueError(
                f"edge_kernel_size={self.edge_kernel_size} with architecture='0.1.0': its first "
                f"and last kernels are 1, leave the argument out or choose '0.1.5'"
            )

    def check_bands(self) -> None:
        if self.G % self.n_bands:
            below = self.G - self.G % self.n_bands
            near = [g for g in (below, below + self.n_bands) if g > 0]
            raise ValueError(
                f"G={self.G} must be divisible by n_bands={self.n_bands}: "
                f"the nearest valid values of G are {near}"
            )
        bins = self.n_fft // 2 + 1
        if not 1 <= self.freq_dim <= bins or self.freq_dim % self.n_bands:
            raise ValueError(
                f"freq_dim={self.freq_dim}: it must be a multiple of n_bands={self.n_bands} no "
                f"larger than n_fft // 2 + 1 = {bins}"
            )
        if self.bn_factor < 1 or self.bins // self.bn_factor < 1:
            raise ValueError(
                f"bn_factor={self.bn_factor} with {self.bins} bins per band: "
                f"it must lie in 1..{self.bins}"
            )

    @property
    def variant(self) -> Architecture:
        return ARCHITECTURES[self.architecture]

    @property
    def bins(self) -> int:
        """Bins of one band."""
        return self.freq_dim // self.n_bands
