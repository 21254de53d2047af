"""Configuration of blocks and models: fields, valid values, table of bands. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NORMS = ("rmsgroupnorm", "layernorm")
POSITIONS = ("rope", "nope")
ORDERS = ("ft", "tf")
FFN_TYPES = ("swiglu_conv1d", "conv1d")
KINDS = ("tf", "bs", "stack", "tuss")
INITS = ("torch", "xavier_uniform")
STEMS = ("vocals", "drums", "bass", "other")

# Lower and upper frequency of a range, and bins per band within it (authors' code, release 1.1.0).
BAND_RANGES_HZ = (
    (0, 1_000, 2),
    (1_000, 2_000, 4),
    (2_000, 4_000, 12),
    (4_000, 8_000, 24),
    (8_000, 16_000, 48),
)
# Of the stand-alone separators, in order. The authors' default of norm_type is misspelt and raises.
DEFAULTS: dict[str, Any] = {
    "emb_dim": 128,
    "norm_type": "rmsgroupnorm",
    "num_groups": 4,
    "tf_order": "ft",
    "n_heads": 4,
    "flash_attention": False,
    "attention_dim": 128,
    "pos_enc": "rope",
    "ffn_type": "swiglu_conv1d",
    "ffn_hidden_dim": 384,
    "conv1d_kernel": 4,
    "conv1d_shift": 1,
    "dropout": 0.0,
    "eps": 1e-5,
}


@dataclass(frozen=True)
class FFNConfig:
    """One feed-forward network (FFN) with convolutions along the sequence.

    Args:
        kind: "swiglu_conv1d" (ConvSwiGLU), or "conv1d" without gate and padding.
        hidden: features between the two convolutions (h).
        kernel: size of their kernels (k), in bins, bands or frames.
        shift: their stride (s).
    """

    kind: str
    hidden: int
    kernel: int
    shift: int

    def __post_init__(self) -> None:
        check_choice("ffn_type", self.kind, FFN_TYPES)
        for name, value in (("ffn_hidden_dim", self.hidden), ("conv1d_shift", self.shift)):
            check_at_least(name, value, 1)
        if self.kernel < self.shift:
            raise ValueError(
                f"conv1d_kernel={self.kernel} with conv1d_shift={self.shift}: the kernel must be "
                f"at least as long as the shift"
            )


@dataclass(frozen=True)
class PathConfig:
    """One path of a block: attention along bins or along frames, with its FFNs.

    Args:
        dim: features per bin and frame (D).
        norm: "rmsgroupnorm" or "layernorm".
        groups: of RMSGroupNorm (G).
        heads: of attention (H).
        attention_dim: features of all heads together (A).
        flash: on CUDA, only use the flash attention kernel.
        positions: positional encoding, "rope" or "nope".
        ffns: one FFN, after attention, or two, before and after it (macaron style).
        dropout: probability.
        eps: of the norms.
    """

    dim: int
    norm: str
    groups: int
    heads: int
    attention_dim: int
    flash: bool
    positions: str
    ffns: tuple[FFNConfig, ...]
    dropout: float
    eps: float

    def __post_init__(self) -> None:
        check_choice("norm_type", self.norm, NORMS)
        check_choice("pos_enc", self.positions, POSITIONS)
        for name, value in (("emb_dim", self.dim), ("attention_dim", self.attention_dim)):
            check_at_least(name, value, 1)
        for names, whole, part in (
            (("emb_dim", "num_groups"), self.dim, self.groups),
            (("attention_dim", "n_heads"), self.attention_dim, self.heads),
        ):
            if part < 1 or whole % part:
                raise ValueError(
                    f"{names[0]}={whole} with {names[1]}={part}: {names[1]} must divide {names[0]}"
                )
        if self.positions == "rope" and self.attention_dim // self.heads % 2:
            raise ValueError(
                f"attention_dim={self.attention_dim} with n_heads={self.heads}: rotary positions "
                f"need an even number of features per head"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout}: it must be at least 0 and below 1")
        if len(self.ffns) not in (1, 2):
            raise ValueError(f"{len(self.ffns)} feed-forward networks: set one or two ffn_type")


@dataclass(frozen=True)
class BlockConfig:
    """The two paths of a TF block and their order.

    `freq` runs along bins or bands, `frame` along frames; `order` "ft" means frequency first.
    """

    freq: PathConfig
    frame: PathConfig
    order: str

    def __post_init__(self) -> None:
        check_choice("tf_order", self.order, ORDERS)


def check_choice(name: str, value: Any, valid: Sequence[str]) -> None:
    """Raise ValueError if the value is not valid."""
    if value not in valid:
        raise ValueError(f"{name}={value!r}: it must be one of {', '.join(valid)}")


def check_at_least(name: str, value: int, bound: int) -> None:
    """Raise ValueError if the value is below the bound."""
    if value < bound:
        raise ValueError(f"{name}={value}: it must be at least {bound}")


def block_config(arguments: Mapping[str, Any]) -> BlockConfig:
    """Block configuration from arguments of the stand-alone separators; both paths are the same.

    Missing arguments have the values in `DEFAULTS`.

    Raises:
        ValueError: if an argument is unknown, invalid, or inconsistent with another.
    """
    unknown = sorted(set(arguments) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"unknown argument {unknown[0]}: choose from {', '.join(DEFAULTS)}")
    values = {**DEFAULTS, **arguments}
    kinds, sizes = values["ffn_type"], values["ffn_hidden_dim"]
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if len(kinds) != len(sizes):
        raise ValueError(
            f"ffn_type has {len(kinds)} entries and ffn_hidden_dim {len(sizes)}: make them equal"
        )
    path = PathConfig(
        dim=values["emb_dim"],
        norm=values["norm_type"],
        groups=values["num_groups"],
        heads=values["n_heads"],
        attention_dim=values["attention_dim"],
        flash=values["flash_attention"],
        positions=values["pos_enc"],
        ffns=tuple(
            FFNConfig(kind, hidden, values["conv1d_kernel"], values["conv1d_shift"])
            for kind, hidden in zip(kinds, sizes, strict=True)
        ),
        dropout=values["dropout"],
        eps=values["eps"],
    )
    return BlockConfig(freq=path, frame=path, order=values["tf_order"])


def merge_arguments(positional: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a block by name, from positional ones in the order of `DEFAULTS` and named ones.

    Raises:
        TypeError: if there are too many positional arguments, or one is also named.
    """
    if len(positional) > len(DEFAULTS):
        raise TypeError(f"{len(positional)} positional arguments: a block takes {len(DEFAULTS)}")
    merged = dict(zip(DEFAULTS, positional, strict=False))
    repeated = sorted(set(merged) & set(named))
    if repeated:
        raise TypeError(f"{repeated[0]} is passed both by position and by name: omit one")
    return {**merged, **named}


def stack_block_config(arguments: Mapping[str, Any], eps: float) -> BlockConfig:
    """Block configuration from arguments of the TUSS code, where each path has its own FFNs.

    Args:
        arguments: emb_dim, num_groups, tf_order, n_heads, flash_attention, attention_dim, and
            freq_ffn_config and frame_ffn_config, lists of {"conf": {"dim_inner", "conv1d_kernel",
            "conv1d_shift"}}.
        eps: of the norms.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.
    """

    def path(name: str) -> PathConfig:
        confs = [entry["conf"] for entry in arguments[name]]
        return PathConfig(
            dim=arguments["emb_dim"],
            norm="rmsgroupnorm",
            groups=arguments["num_groups"],
            heads=arguments["n_heads"],
            attention_dim=arguments["attention_dim"],
            flash=arguments["flash_attention"],
            positions="rope",
            ffns=tuple(
                FFNConfig("swiglu_conv1d", c["dim_inner"], c["conv1d_kernel"], c["conv1d_shift"])
                for c in confs
            ),
            dropout=0.0,
            eps=eps,
        )

    return BlockConfig(path("freq_ffn_config"), path("frame_ffn_config"), arguments["tf_order"])


def band_sizes(sample_rate: int, n_fft: int) -> tuple[int, ...]:
    """Number of bins of each band of BS-Locoformer; bands are narrower at low frequencies.

    Args:
        sample_rate: Hz.
        n_fft: samples.

    Raises:
        ValueError: if no bins are left for the bands above 16 kHz.

    Source: authors' code, release 1.1.0; the paper is TUSS.
    """
    bins = n_fft // 2 + 1
    bin_hz = sample_rate // 2 / bins  # integer division first, as in the authors' code
    sizes: list[int] = []
    for low, high, width in BAND_RANGES_HZ:
        sizes += [width] * -int(-(high - low) // (width * bin_hz))
    parts = 4 if sample_rate == 48_000 else 2
    rest = bins - sum(sizes)
    if rest < parts:
        raise ValueError(
            f"sample_rate={sample_rate} with n_fft={n_fft} leaves {rest} bins above 16 kHz, the "
            f"bands need {parts}: choose a higher rate or a larger n_fft"
        )
    last = rest - (parts - 1) * (rest // parts)
    return (*sizes, *[rest // parts] * (parts - 1), last)


@dataclass(frozen=True)
class ModelConfig:
    """The model section of a recipe.

    Args:
        kind: "tf" (TF-Locoformer), "bs" (BS-Locoformer), "stack" (that in two stacks) or "tuss".
        stems: names, in output order; for "tuss" each must be one of `prompts`.
        sample_rate: Hz.
        channels: 1 or 2; "bs" processes both together, the other kinds one at a time.
        n_fft, hop_length: of the STFT, in samples.
        window: "hann" or "sqrt_hann".
        padding: of the STFT at both ends, "reflect" or "constant" (zeros).
        normalize_variance: scale the mixture to unit standard deviation, and the stems back.
        n_layers: number of blocks, in the first stack if there are two.
        emb_dim: features per bin or band and frame (D).
        norm_type: "rmsgroupnorm" or "layernorm".
        num_groups: of RMSGroupNorm (G).
        tf_order: "ft" for frequency first, "tf" for time first.
        n_heads: of attention (H).
        flash_attention: on CUDA in half precision, only use the flash attention kernel.
        attention_dim: features of all heads together (A).
        pos_enc: positional encoding, "rope" or "nope".
        ffn_type, ffn_hidden_dim: of the FFNs before and after attention, or of one after it.
        conv1d_kernel: kernel size of the FFNs' convolutions.
        frame_conv1d_kernel: the same along frames, in the first of two stacks; else null.
        conv1d_shift: stride of the FFNs' convolutions.
        dropout: probability.
        eps: of the norms.
        init: initial weights, "torch" for each layer's default or "xavier_uniform" as in ESPnet.
        masking: the network estimates complex masks, otherwise spectrograms (mapping).
        n_second_layers, second_attention_dim, second_ffn_hidden_dim: of the second stack, if any.
        prompts: the stems that "tuss" has prompts for; else none.
    """

    kind: str
    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    n_fft: int
    hop_length: int
    window: str
    padding: str
    normalize_variance: bool
    n_layers: int
    emb_dim: int
    norm_type: str
    num_groups: int
    tf_order: str
    n_heads: int
    flash_attention: bool
    attention_dim: int
    pos_enc: str
    ffn_type: tuple[str, ...]
    ffn_hidden_dim: tuple[int, ...]
    conv1d_kernel: int
    frame_conv1d_kernel: int | None
    conv1d_shift: int
    dropout: float
    eps: float
    init: str
    masking: bool
    n_second_layers: int
    second_attention_dim: int
    second_ffn_hidden_dim: tuple[int, ...]
    prompts: tuple[str, ...]

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_choice("init", self.init, INITS)
        if not self.stems:
            raise ValueError("stems has 0 entries: name one or more")
        if self.channels not in (1, 2) or self.sample_rate < 1:
            raise ValueError(
                f"channels={self.channels}, sample_rate={self.sample_rate}: there must be 1 or 2 "
                f"channels and a positive rate"
            )
        self.check_masking()
        for name, value in self.unused().items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} with kind={self.kind!r}: this kind only "
                    f"supports {value!r}"
                )
        unknown = sorted(set(self.stems) - set(self.prompts))
        if self.kind == "tuss" and unknown:
            raise ValueError(
                f"stems has {unknown[0]!r}, prompts has {', '.join(self.prompts) or 'none'}: every "
                f"stem needs a prompt"
            )

    def check_masking(self) -> None:
        """Raise ValueError if the kind cannot estimate what `masking` says."""
        if self.masking and self.kind == "tf":
            raise ValueError(
                "masking=True with kind='tf': this kind maps to stems, set masking to false"
            )
        if not self.masking and self.kind in ("stack", "tuss"):
            raise ValueError(
                f"masking=False with kind={self.kind!r}: this kind estimates masks, set it to true"
            )

    def unused(self) -> dict[str, Any]:
        """Fields that this kind does not use, with the value that they must have."""
        if self.kind in ("tf", "bs"):
            second = {"n_second_layers": 0, "second_attention_dim": 0, "second_ffn_hidden_dim": ()}
            return {**second, "frame_conv1d_kernel": None, "prompts": ()}
        fixed: dict[str, Any] = {"norm_type": "rmsgroupnorm", "pos_enc": "rope", "dropout": 0.0}
        fixed |= {"ffn_type": ("swiglu_conv1d",) * len(self.ffn_hidden_dim)}
        return fixed if self.kind == "tuss" else {**fixed, "prompts": ()}

    def single_stack(self) -> dict[str, Any]:
        """Arguments of a separator with one stack, without those for stems and bands."""
        return {"n_layers": self.n_layers, **{name: getattr(self, name) for name in DEFAULTS}}

    def two_stacks(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of the blocks of both stacks, in the form of the TUSS code."""
        same = ("emb_dim", "num_groups", "tf_order", "n_heads", "flash_attention")
        shared = {name: getattr(self, name) for name in same}
        frame_kernel = self.frame_conv1d_kernel or self.conv1d_kernel

        def networks(sizes: tuple[int, ...], kernel: int) -> list[dict[str, Any]]:
            shift = self.conv1d_shift
            return [
                {"conf": {"dim_inner": n, "conv1d_kernel": kernel, "conv1d_shift": shift}}
                for n in sizes
            ]

        first = {
            "attention_dim": self.attention_dim,
            "freq_ffn_config": networks(self.ffn_hidden_dim, self.conv1d_kernel),
            "frame_ffn_config": networks(self.ffn_hidden_dim, frame_kernel),
        }
        second = {
            "attention_dim": self.second_attention_dim,
            "freq_ffn_config": networks(self.second_ffn_hidden_dim, self.conv1d_kernel),
            "frame_ffn_config": networks(self.second_ffn_hidden_dim, self.conv1d_kernel),
        }
        return {**shared, **first}, {**shared, **second}
