"""The fields of a model's configuration, and which values fit together. Plain Python, no torch."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = ("TFC", "TDC", "TDF", "TFC_TDF", "TFC_LaSAFT", "TFC_LightSAFT", "TFC_RNN", "TDC_RNN")
CONDITIONED = ("TFC", "TFC_TDF", "TFC_LaSAFT", "TFC_LightSAFT")  # the others serve one stem
ATTENTIVE = ("TFC_LaSAFT", "TFC_LightSAFT")
FREQUENCY_ALONE = ("TDF", "TDC", "TDC_RNN")  # of 2020: their levels halve only frequency
CHOICES: dict[str, tuple[str | None, ...]] = {
    "spec_type": ("complex", "magnitude"),
    "spec_est_mode": ("mapping", "masking"),
    "block": BLOCKS,
    "encoder_block": (None, *CONDITIONED),
    "modulation": ("FiLM", "PoCM", "GPoCM", None),
    "control_vector_type": ("embedding", "one_hot_mode"),
    "control_type": ("dense",),
    "condition_to": ("encoder", "decoder", "full"),
    "film_type": ("complex", "simple"),
    "pocm_type": ("matmul", "naive"),
    "pocm_norm": ("batch_norm", None),
}
POSITIVE = (
    "sample_rate",
    "internal_channels",
    "n_internal_layers",
    "kernel_size_t",
    "kernel_size_f",
    "min_bn_units",
    "num_tdfs",
    "dk",
    "control_input_dim",
    "embedding_dim",
)


@dataclass(frozen=True)
class ModelConfig:
    """Network, transform and windows; fields are named as on the authors' command line.

    Args:
        stems: names in the order of the conditions; one for a network without conditions.
        sample_rate: in Hz.
        n_fft: samples per frame.
        hop_length: samples from one frame to the next.
        num_frame: frames per window; a window has hop_length * (num_frame - 1) samples.
        window_overlap: share of a window's useful samples that the next one covers, 0 to 0.5.
        spec_type: ``complex`` or ``magnitude``.
        spec_est_mode: ``mapping`` or ``masking``.
        block: one of ``BLOCKS``.
        encoder_block: another of them for the encoder, or null; with conditions only.
        modulation: ``FiLM``, ``PoCM``, ``GPoCM``, or null for a network without conditions.
        n_blocks: odd: encoder and decoder have n_blocks // 2 each, one is in the middle.
        input_channels: 2 per audio channel if complex, 1 if magnitude.
        internal_channels: channels of every block's output.
        first_conv_activation, last_activation, block_activation: see ``blocks.ACTIVATIONS``.
        t_down_layers: levels that halve time, or null for all. Must be null for the blocks of
            ``FREQUENCY_ALONE``, whose levels never halve time.
        f_down_layers: levels that halve frequency, or null for all. Must be null for the blocks
            of ``FREQUENCY_ALONE``, whose levels always do.
        n_internal_layers: convolutions per block.
        kernel_size_t, kernel_size_f: of the convolutions, along frames and along bins; odd.
        bn_factor: bins per unit of a TDF's bottleneck, or null for no bottleneck.
        min_bn_units: smallest number of units of a bottleneck.
        tdf_bias: whether the linear layers along frequency have biases.
        num_tdfs: latent sources.
        dk: size of queries and keys.
        control_vector_type: ``embedding``, or ``one_hot_mode``: an embedding that starts as the
            identity.
        control_input_dim: number of conditions.
        embedding_dim: size of each condition's embedding.
        condition_to: which blocks are modulated: ``encoder``, ``decoder``, ``full``.
        control_n_layer: one more than the control block's linear layers.
        control_type: ``dense``.
        film_type: ``complex``: a gamma and a beta per channel; ``simple``: per block.
        gamma_activation, beta_activation: of FiLM's gamma and beta.
        pocm_type: ``matmul``, which the published weights need; ``naive`` transposes the matrices.
        pocm_norm: ``batch_norm`` of the gamma and beta of PoCM and GPoCM, or null.
    """

    stems: tuple[str, ...]
    sample_rate: int
    n_fft: int
    hop_length: int
    num_frame: int
    window_overlap: float
    spec_type: str
    spec_est_mode: str
    block: str
    encoder_block: str | None
    modulation: str | None
    n_blocks: int
    input_channels: int
    internal_channels: int
    first_conv_activation: str
    last_activation: str
    t_down_layers: tuple[int, ...] | None
    f_down_layers: tuple[int, ...] | None
    n_internal_layers: int
    kernel_size_t: int
    kernel_size_f: int
    block_activation: str
    bn_factor: int | None
    min_bn_units: int
    tdf_bias: bool
    num_tdfs: int
    dk: int
    control_vector_type: str
    control_input_dim: int
    embedding_dim: int
    condition_to: str
    control_n_layer: int
    control_type: str
    film_type: str
    gamma_activation: str
    beta_activation: str
    pocm_type: str
    pocm_norm: str | None

    @property
    def levels(self) -> int:
        """Blocks of the encoder, and of the decoder."""
        return self.n_blocks // 2

    def strides(self) -> list[tuple[int, int]]:
        """The (time, frequency) factor by which each level makes the features smaller."""
        levels = range(self.levels)
        if self.block in FREQUENCY_ALONE:
            return [(1, 2) for _ in levels]
        time = levels if self.t_down_layers is None else self.t_down_layers
        frequency = levels if self.f_down_layers is None else self.f_down_layers
        return [(1 + (i in time), 1 + (i in frequency)) for i in levels]

    def bins(self) -> list[int]:
        """Bins at each level, and last in the middle."""
        bins = [self.n_fft // 2]
        for _, stride in self.strides():
            bins.append(bins[-1] // stride)
        return bins

    def modulated(self) -> tuple[int, ...]:
        """Indices of the modulated blocks in running order: encoder, middle, decoder."""
        levels = self.levels
        indices = {
            "encoder": range(levels),
            "decoder": range(levels + 1, self.n_blocks),
            "full": range(self.n_blocks),
        }
        return () if self.modulation is None else tuple(indices[self.condition_to])

    @property
    def audio_channels(self) -> int:
        """Channels of the audio."""
        return self.input_channels // (2 if self.spec_type == "complex" else 1)

    @property
    def window_samples(self) -> int:
        """Audio samples of a window, which the network sees at once."""
        return self.hop_length * (self.num_frame - 1)

    @property
    def trim_samples(self) -> int:
        """Samples cut off each end of a window: at least 5000 and two hops (code)."""
        return self.hop_length * max(2, -(-5000 // self.hop_length))

    @property
    def useful_samples(self) -> int:
        """Samples of a window that remain after trimming both ends."""
        return self.window_samples - 2 * self.trim_samples


def read_layers(layers: Sequence[int] | str | None) -> tuple[int, ...] | None:
    """Levels as a tuple; None stands for all.

    Args:
        layers: a sequence, or text such as ``[0, 1]`` or ``None``, as on the old command line.

    Raises:
        ValueError: if it is not a list of whole numbers.
    """
    if isinstance(layers, str):
        try:
            layers = ast.literal_eval(layers)
        except (ValueError, SyntaxError):
            layers = (None,)  # type: ignore[assignment]
    if layers is None:
        return None
    if not isinstance(layers, list | tuple) or not all(type(level) is int for level in layers):
        raise ValueError(f"the layers are {layers}: write a list of levels such as [0, 1], or null")
    return tuple(layers)


def check_config(config: ModelConfig) -> None:
    """Raise ValueError, naming the field, unless the values fit together and make a network."""
    for name, choices in CHOICES.items():
        if getattr(config, name) not in choices:
            listed = ", ".join("null" if choice is None else choice for choice in choices)
            raise ValueError(f"{name} is {getattr(config, name)!r}: choose from {listed}")
    for name in POSITIVE:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}: give at least 1")
    if config.bn_factor is not None and config.bn_factor < 1:
        raise ValueError(f"bn_factor is {config.bn_factor}: give at least 1, or null")
    _check_unet(config)
    _check_window(config)
    if config.modulation is None:
        _check_unconditioned(config)
    else:
        _check_conditioned(config)


def _check_unet(config: ModelConfig) -> None:
    if config.n_blocks < 3 or config.n_blocks % 2 == 0:
        raise ValueError(f"n_blocks is {config.n_blocks}: give an odd number of at least 3")
    for name in ("kernel_size_t", "kernel_size_f"):
        if getattr(config, name) % 2 == 0:
            raise ValueError(f"{name} is {getattr(config, name)}: give an odd number")
    for name in ("t_down_layers", "f_down_layers"):
        _check_layers(config, name, getattr(config, name))
    per_channel = 2 if config.spec_type == "complex" else 1
    if config.input_channels < 1 or config.input_channels % per_channel:
        raise ValueError(
            f"input_channels is {config.input_channels}: spec_type {config.spec_type} needs "
            f"{per_channel} per audio channel"
        )
    if config.spec_type == "magnitude" and config.input_channels > 2:
        raise ValueError(
            f"input_channels is {config.input_channels}: spec_type magnitude needs 2 for stereo, "
            f"1 for mono"
        )


def _check_layers(config: ModelConfig, name: str, layers: tuple[int, ...] | None) -> None:
    if layers is not None and config.block in FREQUENCY_ALONE:
        raise ValueError(
            f"{name} is {list(layers)}, all levels of block {config.block} halve frequency and "
            f"none halves time: give null"
        )
    for level in layers or ():
        if not 0 <= level < config.levels:
            raise ValueError(
                f"{name} has {level}, the network has levels 0 to {config.levels - 1}: give "
                f"only those"
            )


def _check_window(config: ModelConfig) -> None:
    for what, size, axis in (
        ("num_frame", config.num_frame, 0),
        ("n_fft // 2", config.n_fft // 2, 1),
    ):
        factor = 1
        for stride in config.strides():
            factor *= stride[axis]
        if size < factor or size % factor:
            raise ValueError(
                f"{what} is {size}, the levels divide it by {factor}: choose a multiple of {factor}"
            )
    if config.window_samples <= config.n_fft // 2:
        raise ValueError(
            f"a window of {config.num_frame} frames has {config.window_samples} samples, n_fft "
            f"{config.n_fft} needs more than {config.n_fft // 2}: raise num_frame or hop_length"
        )
    if not 1 <= config.hop_length < config.n_fft:
        raise ValueError(
            f"hop_length is {config.hop_length}, n_fft is {config.n_fft}: frames must overlap, "
            f"choose a hop_length below n_fft"
        )
    if not 0.0 <= config.window_overlap <= 0.5:
        raise ValueError(f"window_overlap is {config.window_overlap}: give 0 to 0.5")


def _check_unconditioned(config: ModelConfig) -> None:
    if config.encoder_block is not None:
        raise ValueError(
            f"encoder_block {config.encoder_block} without modulation: give null, or set modulation"
        )
    if config.block in ATTENTIVE or len(config.stems) != 1:
        raise ValueError(
            f"block {config.block} for {len(config.stems)} stems without modulation: choose a "
            f"block without attention and one stem, or set modulation"
        )


def _check_conditioned(config: ModelConfig) -> None:
    if config.block not in CONDITIONED:
        raise ValueError(
            f"block {config.block} with modulation {config.modulation}: choose one of "
            f"{', '.join(CONDITIONED)}, or modulation null"
        )
    if not 1 <= len(config.stems) <= config.control_input_dim:
        raise ValueError(
            f"{len(config.stems)} stems for control_input_dim {config.control_input_dim}: raise "
            f"it to one condition per stem"
        )
    if config.control_n_layer < 2:
        raise ValueError(f"control_n_layer is {config.control_n_layer}: give at least 2")
    for block in (config.block, config.encoder_block):
        if block in ATTENTIVE and config.bn_factor is None:
            raise ValueError(f"block {block} with bn_factor null: it needs a bottleneck")
    one_hot = config.control_vector_type == "one_hot_mode"
    if one_hot and config.embedding_dim != config.control_input_dim:
        raise ValueError(
            f"one_hot_mode with control_input_dim {config.control_input_dim} and embedding_dim "
            f"{config.embedding_dim}: make them equal"
        )
