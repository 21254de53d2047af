"""The arguments of both networks, their defaults and their checks. Imports no torch.

Three variants of the network are in use; `LAYOUTS` says how they differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args, get_origin

# Bins of each of the 62 bands at n_fft 2048, 1025 in all (paper: 2 bins below 1 kHz, then 4, 12, 24
# and 48 from 1, 2, 4 and 8 kHz up, and the rest above 16 kHz in two halves).
DEFAULT_BANDS = (*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129)

# How error messages call a value of a type, alone and in a list.
WORDS = {
    bool: ("true or false", ""),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
}


def check_types(config: Any) -> None:
    """Raise ValueError for the first field of a dataclass whose value has the wrong type."""
    for field in fields(config):
        value = getattr(config, field.name)
        if not _is_of(value, field.type):
            raise ValueError(f"{field.name}={value!r}: it must be {_name(field.type)}")


def _is_of(value: Any, legal: Any) -> bool:
    if get_origin(legal) is UnionType:
        return any(_is_of(value, one) for one in get_args(legal))
    if get_origin(legal) is tuple:
        items = get_args(legal)
        sized = isinstance(value, tuple) and (... in items or len(value) == len(items))
        return sized and all(_is_of(item, items[0]) for item in value)
    if legal in (int, float):
        return isinstance(value, Integral if legal is int else Real) and not isinstance(value, bool)
    return isinstance(value, legal)


def _name(legal: Any) -> str:
    if get_origin(legal) is UnionType:
        return f"{_name(get_args(legal)[0])}, or None"
    if get_origin(legal) is tuple:
        items = get_args(legal)
        count = "" if ... in items else f"{len(items)} "
        return f"a list of {count}{WORDS[items[0]][1]}"
    return WORDS[legal][0]


@dataclass(frozen=True)
class Layout:
    """How a layout differs from the others."""

    gates: bool  # a sigmoid gate per attention head
    mask_norms: bool  # an RMSNorm before the mask MLP of each band, instead of the norms below
    final_norm: bool  # BSRoformer: one RMSNorm after all blocks
    transformer_norm: bool  # MelBandRoformer: one RMSNorm at the end of every transformer
    branches: bool  # keys of sub-layers contain "branch"


LAYOUTS = {
    # The papers' networks; no weights were published.
    "paper": Layout(
        gates=False, mask_norms=True, final_norm=False, transformer_norm=False, branches=False
    ),
    # All public weights.
    "checkpoint": Layout(
        gates=True, mask_norms=False, final_norm=True, transformer_norm=True, branches=False
    ),
    # The package BS-RoFormer from 1.0 on; there are no public weights.
    "1.2": Layout(
        gates=True, mask_norms=False, final_norm=True, transformer_norm=True, branches=True
    ),
}


@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `BSRoformer` (kind "bs") and `MelBandRoformer` ("mel").

    Args:
        kind: "bs" or "mel".
        layout: "paper", "checkpoint" or "1.2", see `LAYOUTS`.
        stems: names of the stems, in output order.
        stereo: two channels, or one.
        sample_rate: Hz; the mel bands depend on it.
        dim: features per band and frame (D).
        depth: blocks (L).
        time_transformer_depth, freq_transformer_depth: layers along frames and along bands.
        linear_transformer_depth: layers of linear attention over both at once; 0 for none.
        heads, dim_head: attention heads and their width.
        attn_dropout, ff_dropout: probabilities.
        flash_attn: use torch's fused attention; False computes the softmax step by step.
        use_pope: polar position embedding (PoPE) instead of RoPE.
        freqs_per_bands: bins of each band; None for mel bands.
        num_bands: number of mel bands; None for the band split.
        stft_n_fft, stft_hop_length, stft_win_length: samples.
        stft_normalized: scale the STFT by 1 / sqrt(n_fft).
        zero_dc: silence bin 0 of the estimate.
        mask_estimator_depth: linear layers of a mask MLP ("bs"), or its hidden layers ("mel").
        mlp_expansion_factor: width of those hidden layers as a multiple of dim.
        skip_connection: the input of every block also contains the outputs of all earlier ones.
        match_input_audio_length: False ends the estimate after the last whole hop, as the package
            BS-RoFormer does; it is then shorter than the mixture.
        multi_stft_resolution_loss_weight: weight of the spectral loss.
        multi_stft_resolutions_window_sizes: its windows, in samples; an empty list turns it off.
        multi_stft_hop_size: its hop, in samples.
        multi_stft_normalized: scale its STFTs by 1 / sqrt(n_fft).

    Raises:
        ValueError: if a value has the wrong type or is out of range, or two contradict each other.
    """

    kind: str
    layout: str
    stems: tuple[str, ...]
    stereo: bool
    sample_rate: int
    dim: int
    depth: int
    time_transformer_depth: int
    freq_transformer_depth: int
    linear_transformer_depth: int
    heads: int
    dim_head: int
    attn_dropout: float
    ff_dropout: float
    flash_attn: bool
    use_pope: bool
    freqs_per_bands: tuple[int, ...] | None
    num_bands: int | None
    stft_n_fft: int
    stft_hop_length: int
    stft_win_length: int
    stft_normalized: bool
    zero_dc: bool
    mask_estimator_depth: int
    mlp_expansion_factor: int
    skip_connection: bool
    match_input_audio_length: bool
    multi_stft_resolution_loss_weight: float
    multi_stft_resolutions_window_sizes: tuple[int, ...]
    multi_stft_hop_size: int
    multi_stft_normalized: bool

    def __post_init__(self) -> None:
        check_types(self)
        self.check_names()
        self.check_sizes()
        self.check_stft()
        self.check_bands()

    def check_names(self) -> None:
        for name, legal in (("kind", ("bs", "mel")), ("layout", tuple(LAYOUTS))):
            if getattr(self, name) not in legal:
                raise ValueError(f"{name}={getattr(self, name)!r}: it must be one of {[*legal]}")
        if not self.stems or len(set(self.stems)) < len(self.stems):
            raise ValueError(f"stems are {[*self.stems]}: give one or more names, each once")

    def check_sizes(self) -> None:
        least = dict.fromkeys(("dim", "depth", "heads", "sample_rate", "mask_estimator_depth"), 1)
        least |= dict.fromkeys(("mlp_expansion_factor", "time_transformer_depth"), 1)
        least |= {"freq_transformer_depth": 1, "linear_transformer_depth": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least {bound}")
        if self.dim_head < 2 or self.dim_head % 2:
            raise ValueError(f"dim_head={self.dim_head}: it must be positive and even")
        for name in ("attn_dropout", "ff_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 0, below 1")
        if self.layout == "1.2" and self.skip_connection:
            raise ValueError("skip_connection=True with layout='1.2': that layout has none")

    def check_stft(self) -> None:
        sizes = (self.stft_hop_length, self.stft_win_length, self.stft_n_fft)
        # With a hop of half the window or more, the last samples of some lengths would lie where
        # the window is zero.
        if not 1 <= 2 * sizes[0] < sizes[1] <= sizes[2] or sizes[2] % 2:
            raise ValueError(
                f"stft_hop_length={sizes[0]}, stft_win_length={sizes[1]}, stft_n_fft={sizes[2]}: "
                f"the hop must be below half the window, the window at most n_fft, n_fft even"
            )
        windows = self.multi_stft_resolutions_window_sizes
        if min((self.multi_stft_hop_size, *windows)) < 1:
            raise ValueError(
                f"multi_stft_hop_size={self.multi_stft_hop_size} and "
                f"multi_stft_resolutions_window_sizes={[*windows]}: they must be positive"
            )

    def check_bands(self) -> None:
        stated = (self.freqs_per_bands is not None, self.num_bands is not None)
        if stated != (self.kind == "bs", self.kind == "mel"):
            raise ValueError(
                f"kind={self.kind!r} with freqs_per_bands={self.freqs_per_bands} and "
                f"num_bands={self.num_bands}: 'bs' takes freqs_per_bands alone, 'mel' num_bands"
            )
        if self.freqs_per_bands is not None and min(self.freqs_per_bands, default=0) < 1:
            raise ValueError(
                f"freqs_per_bands={[*self.freqs_per_bands]}: every band must have at least 1 bin"
            )

    @property
    def parts(self) -> Layout:
        """What the layout consists of."""
        return LAYOUTS[self.layout]

    @property
    def depths(self) -> dict[str, int]:
        """Layers of each transformer of a block, in order; those without layers are left out."""
        depths = {
            "linear": self.linear_transformer_depth,
            "time": self.time_transformer_depth,
            "freq": self.freq_transformer_depth,
        }
        return {axis: depth for axis, depth in depths.items() if depth}

    @property
    def channels(self) -> int:
        return 2 if self.stereo else 1

    @property
    def bins(self) -> int:
        """Bins of the STFT."""
        return self.stft_n_fft // 2 + 1


@dataclass(frozen=True)
class Layout12Config:
    """What layout "1.2" adds.

    Args:
        num_residual_streams: parallel residual streams (R) of hyper-connections; 1 for none.
        num_residual_fracs: fractions (F) into which each stream's features are divided.
        mc_hyper_conn_sinkhorn_iters: rounds that balance their mixing weights.
        add_value_residual: from the second block on, attention also sees the values of the first.
        exchanged_value_mix: mix v + first (m - v), as the package's mel network does, instead of
            v + m (first - v).
        freq_range: first bin that is processed and the one after the last; None for all.

    Raises:
        ValueError: if a value has the wrong type or is out of range.
    """

    num_residual_streams: int
    num_residual_fracs: int
    mc_hyper_conn_sinkhorn_iters: int
    add_value_residual: bool
    exchanged_value_mix: bool
    freq_range: tuple[int, int] | None

    def __post_init__(self) -> None:
        check_types(self)
        for name, least in (
            ("num_residual_streams", 1),
            ("num_residual_fracs", 1),
            ("mc_hyper_conn_sinkhorn_iters", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least {least}")


# Defaults of the constructors, those that users of public weights know.
DEFAULTS: dict[str, Any] = {
    "layout": "checkpoint",
    "stereo": False,
    "sample_rate": 44_100,
    "time_transformer_depth": 2,
    "freq_transformer_depth": 2,
    "linear_transformer_depth": 0,
    "heads": 8,
    "dim_head": 64,
    "flash_attn": True,
    "use_pope": False,
    "freqs_per_bands": None,
    "num_bands": None,
    "stft_n_fft": 2048,
    "stft_hop_length": 512,
    "stft_win_length": 2048,
    "stft_normalized": False,
    "zero_dc": False,
    "mlp_expansion_factor": 4,
    "skip_connection": False,
    "match_input_audio_length": True,
    "multi_stft_resolution_loss_weight": 1.0,
    "multi_stft_resolutions_window_sizes": (4096, 2048, 1024, 512, 256),
    "multi_stft_hop_size": 147,
    "multi_stft_normalized": False,
}
KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "bs": {
        "freqs_per_bands": DEFAULT_BANDS,
        "attn_dropout": 0.0,
        "ff_dropout": 0.0,
        "mask_estimator_depth": 2,
    },
    "mel": {"num_bands": 60, "attn_dropout": 0.1, "ff_dropout": 0.1, "mask_estimator_depth": 1},
}
LAYOUT_12_DEFAULTS: dict[str, Any] = {
    "num_residual_streams": 4,
    "num_residual_fracs": 1,
    "mc_hyper_conn_sinkhorn_iters": 2,
}
LAYOUT_12_KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "bs": {"add_value_residual": True, "exchanged_value_mix": False, "freq_range": None},
    "mel": {"add_value_residual": True, "exchanged_value_mix": True, "freq_range": None},
}
SEQUENCES = ("freqs_per_bands", "multi_stft_resolutions_window_sizes", "freq_range")
IGNORED = ("dim_freqs_in",)  # accepted because existing configurations state it; without effect


def name_stems(stems: Sequence[str] | None, num_stems: int | None) -> tuple[str, ...]:
    """The stems' names: ``stems``, or stem_1, stem_2, ... if only their number is known.

    Raises:
        ValueError: if the two disagree, or one has the wrong type.
    """
    if num_stems is not None and (not _is_of(num_stems, int) or num_stems < 1):
        raise ValueError(f"num_stems={num_stems!r}: it must be a whole number of at least 1")
    if stems is None:
        return tuple(f"stem_{number + 1}" for number in range(num_stems or 1))
    if isinstance(stems, str) or not isinstance(stems, Sequence):  # a str is a Sequence too
        raise ValueError(f"stems is {stems!r}: it must list stem names")
    if num_stems is not None and num_stems != len(stems):
        raise ValueError(f"num_stems={num_stems} with stems {[*stems]}: leave num_stems out")
    return tuple(stems)


def _as_tuple(key: str, value: Any) -> Any:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if key in SEQUENCES and is_list else value


def read_arguments(
    kind: str, arguments: Mapping[str, Any]
) -> tuple[ModelConfig, Layout12Config | None]:
    """A constructor's arguments with its defaults for those left out.

    Args:
        kind: "bs" or "mel".
        arguments: by name, as passed to the constructor.

    Returns:
        The configuration, and what layout "1.2" adds, or None with another layout.

    Raises:
        ValueError: if an argument is unknown, belongs to another layout, or is out of range.
    """
    values = {k: _as_tuple(k, value) for k, value in arguments.items() if k not in IGNORED}
    stems = name_stems(values.pop("stems", None), values.pop("num_stems", None))
    extra_defaults = LAYOUT_12_DEFAULTS | LAYOUT_12_KIND_DEFAULTS[kind]
    extras = {key: values.pop(key) for key in extra_defaults if key in values}
    unknown = sorted(set(values) - set(ModelConfig.__dataclass_fields__))
    if unknown:
        raise ValueError(
            f"there is no argument {unknown[0]}: choose from "
            f"{', '.join([*ModelConfig.__dataclass_fields__, *extra_defaults])}"
        )
    defaults = {**DEFAULTS, **KIND_DEFAULTS[kind], "kind": kind, "stems": stems}
    if values.get("layout") == "1.2":
        defaults["linear_transformer_depth"] = int(kind == "mel")
    config = ModelConfig(**{**defaults, **values})
    if config.layout != "1.2":
        if extras:
            raise ValueError(f"{[*extras][0]} with layout={config.layout!r}: only '1.2' has it")
        return config, None
    added = Layout12Config(**{**extra_defaults, **extras})
    if config.dim % added.num_residual_fracs:
        raise ValueError(
            f"dim={config.dim} with num_residual_fracs={added.num_residual_fracs}: choose "
            f"fractions that divide dim"
        )
    check_range(config, added.freq_range)
    return config, added


def check_range(config: ModelConfig, bins: tuple[int, int] | None) -> None:
    """Raise ValueError unless ``freq_range`` lies within the spectrum of a band-split model."""
    if bins is None:
        return
    if config.kind == "mel":
        raise ValueError(
            f"freq_range={bins} with mel bands, which cover all bins: leave it out, or take "
            f"BSRoformer"
        )
    if not 0 <= bins[0] < bins[1] <= config.bins:
        raise ValueError(
            f"freq_range={bins} of {config.bins} bins: it must be the first bin and the one after "
            f"the last"
        )
