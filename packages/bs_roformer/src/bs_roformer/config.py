"""What the two networks can be built from, and what is legal. Imports no torch.

Three layouts of the same idea are in use; `LAYOUTS` says what they disagree on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args, get_origin

# 62 bands of the 1025 bins of n_fft 2048 (paper, sec. 3: narrow at the bottom, the rest halved).
DEFAULT_BANDS = (*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129)


# What a value of a type is called, alone and in a list.
WORDS = {
    bool: ("true or false", ""),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
}


def check_types(config: Any) -> None:
    """Raise ValueError for the first field of a dataclass with a value of another type."""
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
    """What the layouts disagree on."""

    gates: bool  # a sigmoid gate per attention head
    mask_norms: bool  # an RMSNorm before the mask MLP of each band, instead of the norms below
    final_norm: bool  # band split: one RMSNorm after all blocks
    transformer_norm: bool  # mel bands: one RMSNorm at the end of every transformer
    branches: bool  # sub-layers hang under "branch" in the state dictionary


LAYOUTS = {
    # The papers' own networks; no weights were published.
    "paper": Layout(
        gates=False, mask_norms=True, final_norm=False, transformer_norm=False, branches=False
    ),
    # What all public weights have.
    "checkpoint": Layout(
        gates=True, mask_norms=False, final_norm=True, transformer_norm=True, branches=False
    ),
    # The package BS-RoFormer from 1.0 on; no public weights.
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
        flash_attn: torch's fused attention; False writes the softmax out.
        use_pope: polar positions instead of rotary ones.
        freqs_per_bands: bins of each band; None for mel bands.
        num_bands: how many mel bands; None for the band split.
        stft_n_fft, stft_hop_length, stft_win_length: samples.
        stft_normalized: scale the STFT by 1 / sqrt(n_fft).
        zero_dc: silence bin 0 of the estimate.
        mask_estimator_depth: linear layers of a mask MLP ("bs"), or its hidden layers ("mel").
        mlp_expansion_factor: width of those hidden layers over dim.
        skip_connection: every block also sees the outputs of all blocks before it.
        match_input_audio_length: False ends the estimate with the last whole hop, as the package
            BS-RoFormer does; then the model does not keep the length of its input.
        multi_stft_resolution_loss_weight: weight of the spectral loss.
        multi_stft_resolutions_window_sizes: its windows, samples; none leaves it out.
        multi_stft_hop_size: its hop, samples.
        multi_stft_normalized: scale its STFTs.
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
        # At half the window and beyond, the last samples of some lengths lie under its zero edge.
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
        given = (self.freqs_per_bands is not None, self.num_bands is not None)
        if given != (self.kind == "bs", self.kind == "mel"):
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
        return LAYOUTS[self.layout]

    @property
    def channels(self) -> int:
        return 2 if self.stereo else 1

    @property
    def bins(self) -> int:
        """Bins of the STFT."""
        return self.stft_n_fft // 2 + 1


@dataclass(frozen=True)
class NewerConfig:
    """What layout "1.2" adds.

    Args:
        num_residual_streams: parallel residual streams (R) of hyper-connections; 1 for none.
        mc_hyper_conn_sinkhorn_iters: rounds that balance their mixing weights.
        add_value_residual: from the second block on, attention also sees the values of the first.
        exchanged_value_mix: mix v + first (m - v), as the package's mel network does, in place of
            v + m (first - v).
        freq_range: first bin that is processed and the one after the last; None for all.
    """

    num_residual_streams: int
    mc_hyper_conn_sinkhorn_iters: int
    add_value_residual: bool
    exchanged_value_mix: bool
    freq_range: tuple[int, int] | None

    def __post_init__(self) -> None:
        check_types(self)
        if self.num_residual_streams < 1 or self.mc_hyper_conn_sinkhorn_iters < 0:
            raise ValueError(
                f"num_residual_streams={self.num_residual_streams} and "
                f"mc_hyper_conn_sinkhorn_iters={self.mc_hyper_conn_sinkhorn_iters}: they must be "
                f"at least 1 and 0"
            )


# Of the constructors, as users of the checkpoint layout know them.
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
NEWER_DEFAULTS: dict[str, Any] = {"num_residual_streams": 4, "mc_hyper_conn_sinkhorn_iters": 2}
NEWER_KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "bs": {"add_value_residual": True, "exchanged_value_mix": False, "freq_range": None},
    "mel": {"add_value_residual": True, "exchanged_value_mix": True, "freq_range": None},
}
SEQUENCES = ("freqs_per_bands", "multi_stft_resolutions_window_sizes", "freq_range")
IGNORED = ("dim_freqs_in",)  # existing configurations have it, no code reads it


def name_stems(stems: Sequence[str] | None, num_stems: int | None) -> tuple[str, ...]:
    """The stems' names; numbered ones if only their count is given.

    Raises:
        ValueError: if the two disagree, or one is of another type.
    """
    if num_stems is not None and (not _is_of(num_stems, int) or num_stems < 1):
        raise ValueError(f"num_stems={num_stems!r}: it must be a whole number of at least 1")
    if stems is None:
        return tuple(f"stem_{number + 1}" for number in range(num_stems or 1))
    if isinstance(stems, str) or not isinstance(stems, Sequence):  # a text is one, of letters
        raise ValueError(f"stems is {stems!r}: it must list stem names")
    if num_stems is not None and num_stems != len(stems):
        raise ValueError(f"num_stems={num_stems} with stems {[*stems]}: leave num_stems out")
    return tuple(stems)


def read_arguments(kind: str, given: Mapping[str, Any]) -> tuple[ModelConfig, NewerConfig | None]:
    """Fill the gaps of a constructor's arguments with its defaults.

    Raises:
        ValueError: if an argument is unknown, belongs to another layout, or is out of range.
    """
    given = {key: value for key, value in given.items() if key not in IGNORED}
    lists = {key: given.get(key) for key in SEQUENCES}
    given |= {
        key: tuple(value)
        for key, value in lists.items()
        if isinstance(value, Sequence) and not isinstance(value, str)
    }
    if given.pop("num_residual_fracs", 1) != 1:
        raise ValueError("num_residual_fracs is not 1: streams cut into fractions are not built")
    stems = name_stems(given.pop("stems", None), given.pop("num_stems", None))
    newer_defaults = NEWER_DEFAULTS | NEWER_KIND_DEFAULTS[kind]
    newer = {key: given.pop(key) for key in newer_defaults if key in given}
    values = {**DEFAULTS, **KIND_DEFAULTS[kind], "kind": kind, "stems": stems}
    if given.get("layout") == "1.2":
        values["linear_transformer_depth"] = int(kind == "mel")
    unknown = sorted(set(given) - set(ModelConfig.__dataclass_fields__))
    if unknown:
        raise ValueError(
            f"there is no argument {unknown[0]}: choose from "
            f"{', '.join([*ModelConfig.__dataclass_fields__, *newer_defaults])}"
        )
    config = ModelConfig(**{**values, **given})
    if config.layout != "1.2" and newer:
        raise ValueError(f"{[*newer][0]} with layout={config.layout!r}: only '1.2' has it")
    if config.layout != "1.2":
        return config, None
    added = NewerConfig(**{**newer_defaults, **newer})
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
