"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from mss_shared.recipe import DataConfig, EvaluationConfig, InferenceConfig, LoopConfig


@dataclass(frozen=True)
class TransformerConfig:
    """The RoPE transformers of the bottleneck.

    Args:
        heads: attention heads.
        dim_head: width of a head.
        ff_mult: width of the feed-forward layer over that of its input.
        attn_dropout: dropout of the attention weights.
        proj_dropout: dropout after the attention's output projection.
        ff_dropout: dropout of the feed-forward layers.
    """

    heads: int
    dim_head: int
    ff_mult: int
    attn_dropout: float
    proj_dropout: float
    ff_dropout: float


@dataclass(frozen=True)
class ModelConfig:
    """Keyword arguments of ``MoisesLight``; see its docstring for shapes.

    Args:
        architecture: ``0.1.5``, the corrected one, or ``0.1.0``.
        sources: the stems that the model estimates.
        audio_channels: channels of the mixture.
        n_fft: samples of the transform.
        hop_size: samples between two frames.
        win_size: samples of the window.
        normalized: divide the transform by the root of n_fft.
        freq_dim: lowest bins that are processed; above them the output is silent.
        n_bands: equal bands of these bins.
        G: channels of the first stage, added once more at each further one.
        n_enc: encoder stages, each halving time.
        n_dec: decoder stages with layers of their own.
        n_split_enc: convolutions before and after the TDF of an encoder block.
        n_split_dec: the same of a decoder block.
        n_rope: dual-path transformer blocks.
        bn_factor: a TDF's narrowing of the band's bins.
        edge_kernel_size: kernel of the first and the last convolution.
        use_mask: multiply the mixture's spectrogram instead of generating the stem's.
        norm_name: ``BatchNorm``, ``InstanceNorm`` or ``LayerNorm``.
        act_name: name of the activation.
        transformer_params: the transformers' sizes.
    """

    architecture: str
    sources: tuple[str, ...]
    audio_channels: int
    n_fft: int
    hop_size: int
    win_size: int
    normalized: bool
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
    use_mask: bool
    norm_name: str
    act_name: str
    transformer_params: TransformerConfig


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Loss, optimizer and schedule.

    Args:
        waveform_weight: weight of the mean absolute error of samples.
        spec_weight: weight of that of the complex spectrogram at the model's own resolution.
        multi_spec_weight: weight of the mean of that at the resolutions below.
        multi_n_fft: their transform sizes; the hop is a quarter.
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay.
        schedule: ``plateau`` of the validation loss, or ``cosine`` to zero over all steps.
        plateau_factor: the learning rate's factor on a plateau.
        plateau_patience: epochs without gain that make a plateau.
    """

    waveform_weight: float
    spec_weight: float
    multi_spec_weight: float
    multi_n_fft: tuple[int, ...]
    lr: float
    weight_decay: float
    schedule: str
    plateau_factor: float
    plateau_patience: int


@dataclass(frozen=True)
class Recipe:
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: the network.
        training: loss, optimizer, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """

    reproduces: str | None
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    inference: InferenceConfig
    evaluation: EvaluationConfig
