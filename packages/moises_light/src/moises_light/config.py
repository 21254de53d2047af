"""Arguments of Moises-Light: their valid values, and how its two architectures differ.

Imports no torch, so that recipes and presets are read without loading the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NORM_NAMES = ("BatchNorm", "InstanceNorm", "LayerNorm")
# Where the heavy decoder stages stand, from the bottleneck to the full frame rate.
DEC_HEAVY_AT = ("first", "last", "each")
ACT_NAMES = ("ReLU", "GELU", "LeakyReLU", "SiLU", "Mish", "Softplus")


@dataclass(frozen=True)
class Architecture:
    """Where the two implementations of the paper differ."""

    square_kernels: bool  # group convolutions see K bins x K frames, or K bins of one frame
    edge_kernel_size: int  # kernel of the first and the last convolution
    bn_factor: int  # bottleneck factor of the TDF, along frequency
    final_norm_act: bool  # norm and activation after the last convolution
    head_for_one_stem: bool  # keep the 1x1 source head even for a single stem
    time_first: bool  # order of the two transformers of a dual-path block
    outer_residual: bool  # a second residual connection around each transformer
    norm_after_rope: bool  # RMSNorm at the end of the bottleneck
    zero_init_attention: bool  # zero output projection: the residual block starts as the identity


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
    """Sizes and dropouts of the transformers in the bottleneck."""

    heads: int
    dim_head: int
    ff_mult: float  # hidden size of the feed-forward network, relative to its input
    attn_dropout: float  # on the attention weights
    proj_dropout: float  # after the output projection of the attention
    ff_dropout: float  # after each feed-forward layer
    flash_attn: bool  # torch's fused attention; False computes the softmax explicitly

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
    def read(cls, params: "Mapping[str, Any] | TransformerParams | None") -> "TransformerParams":
        """The presets' sizes for None; a dictionary is completed from other defaults.

        The two sets of defaults are the package's: its own for no argument at all, those of its
        transformer for entries missing from a dictionary.
        """
        if isinstance(params, TransformerParams):
            return params
        if params is None:
            return cls(
                4, 32, 2, attn_dropout=0.0, proj_dropout=0.0, ff_dropout=0.0, flash_attn=True
            )
        defaults: dict[str, Any] = {"heads": 8, "dim_head": 64, "ff_mult": 4, "flash_attn": True}
        defaults |= {"attn_dropout": 0.1, "proj_dropout": 0.1, "ff_dropout": 0.1}
        unknown = sorted(set(params) - set(defaults))
        if unknown:
            raise ValueError(f"transformer_params has {unknown}: its keys are {sorted(defaults)}")
        return cls(**{**defaults, **params})


@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `MoisesLight`, validated; documented there."""

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
    dec_heavy_at: str
    n_split_enc: int
    n_split_dec: int
    n_rope: int
    bn_factor: int
    edge_kernel_size: int
    normalized: bool
    normalize_input: bool
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
        """Replace None by the architecture's value.

        Raises:
            ValueError: as `MoisesLight` does.
        """
        if isinstance(sources, str):  # a string is a sequence too, of its letters
            raise ValueError(f"sources is {sources!r}: it must list at least one stem name")
        # An unknown name gets any values here: check_names refuses it below.
        variant = ARCHITECTURES.get(architecture, ARCHITECTURES["0.1.5"])
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
        """Raise ValueError for stem names, architecture, norm or activation that are invalid."""
        if not self.sources:
            raise ValueError(f"sources is {self.sources!r}: it must list at least one stem name")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"sources are {list(self.sources)}: every stem name must be unique")
        for name, valid in (
            ("architecture", ARCHITECTURES),
            ("norm_name", NORM_NAMES),
            ("act_name", ACT_NAMES),
            ("dec_heavy_at", DEC_HEAVY_AT),
        ):
            if getattr(self, name) not in valid:
                raise ValueError(f"{name}={getattr(self, name)!r}: it must be one of {[*valid]}")

    def check_ranges(self) -> None:
        """Raise ValueError for a size that is out of range."""
        for name in ("audio_channels", "n_bands", "G", "n_enc", "n_split_enc", "n_split_dec"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 1")
        if self.n_rope < 0:
            raise ValueError(f"n_rope={self.n_rope}: it must be at least 0")
        if not 0 <= self.n_dec <= self.n_enc:
            raise ValueError(f"n_dec={self.n_dec}: it must lie in 0..n_enc={self.n_enc}")
        if self.dec_heavy_at == "each" and self.n_dec != 1:
            raise ValueError(
                f"n_dec={self.n_dec} with dec_heavy_at='each', which has a block at every stage: "
                f"n_dec must be 1"
            )
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
                f"and last kernel is always 1, leave the argument out or choose '0.1.5'"
            )

    def check_bands(self) -> None:
        """Raise ValueError unless the bands divide channels and bins evenly."""
        if self.G % self.n_bands:
            below = self.G - self.G % self.n_bands
            nearest = [g for g in (below, below + self.n_bands) if g > 0]
            raise ValueError(
                f"G={self.G} must be divisible by n_bands={self.n_bands}: "
                f"the nearest valid values of G are {nearest}"
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

    def split_stages(self, stages: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The heavy and the light ones of the decoder's stages, given from the bottleneck up."""
        if self.dec_heavy_at == "each":
            return stages, ()
        if self.dec_heavy_at == "last":
            cut = self.n_enc - self.n_dec
            return stages[cut:], stages[:cut]
        return stages[: self.n_dec], stages[self.n_dec :]

    @property
    def variant(self) -> Architecture:
        """The differences that `architecture` selects."""
        return ARCHITECTURES[self.architecture]

    @property
    def bins(self) -> int:
        """Number of bins in one band."""
        return self.freq_dim // self.n_bands
