"""The blocks and resampling layers that a configuration names, ready for the U-Net."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from lasaft.blocks import TDF, TFC, TFC_TDF, Block, TFC_LaSAFT, TFC_LightSAFT, bottleneck
from lasaft.config import FREQUENCY_ALONE, ModelConfig
from lasaft.folded import Folded
from lasaft.svs2020 import (
    TDC,
    TFC_TIF,
    TIF,
    FrequencyResampling,
    Recurrent,
    TDFBlock,
    TDFDecoderBlock,
)


def build_encoder_block(config: ModelConfig, bins: int) -> nn.Module:
    """A new block of the encoder: ``config.encoder_block``, or ``config.block`` like the others."""
    kind = config.encoder_block or config.block
    return build_block(replace(config, block=kind), config.internal_channels, bins)


def build_block(config: ModelConfig, in_channels: int, bins: int) -> nn.Module:
    """A new block of the kind ``config.block``, for features of ``bins`` bins.

    It maps (item, in_channels, frame, bin) to (item, internal_channels, frame, bin).
    """
    kind, act = config.block, config.block_activation
    if kind == "TDF":
        return _tdf_block(config, in_channels, bins)
    if kind in ("TDC", "TDC_RNN"):
        tdc = TDC(
            in_channels,
            config.n_internal_layers,
            config.internal_channels,
            config.kernel_size_f,
            act,
        )
        return tdc if kind == "TDC" else _recurrent(config, ("tic", tdc), bins)
    tfc = TFC(
        in_channels,
        config.n_internal_layers,
        config.internal_channels,
        config.kernel_size_t,
        config.kernel_size_f,
        act,
    )
    if kind == "TFC":
        return tfc
    if kind == "TFC_RNN":
        return _recurrent(config, ("tfc", tfc), bins)
    if kind == "TFC_TDF":
        return _tfc_tdf(config, tfc, bins)
    return _attentive(config, tfc, bins)


def _tdf_settings(config: ModelConfig) -> tuple[int | None, bool, int, str]:
    """What TDF and TIF take after their bins."""
    return config.bn_factor, config.tdf_bias, config.min_bn_units, config.block_activation


def _tdf_block(config: ModelConfig, in_channels: int, bins: int) -> nn.Module:
    block = TDFBlock(TIF(in_channels, bins, bins, *_tdf_settings(config)).tif)
    if in_channels == config.internal_channels:
        return block
    return TDFDecoderBlock(block, nn.Conv2d(in_channels, config.internal_channels, 1))


def _tfc_tdf(config: ModelConfig, tfc: TFC, bins: int) -> Block:
    channels = config.internal_channels
    if config.modulation is None:  # the network of 2020
        return TFC_TIF(tfc, TIF(channels, bins, bins, *_tdf_settings(config)))
    return TFC_TDF(tfc, TDF(channels, bins, bins, *_tdf_settings(config)))


def _recurrent(config: ModelConfig, convolutions: tuple[str, Block], bins: int) -> Block:
    assert config.bn_factor is not None or config.min_bn_units
    hidden = bottleneck(bins, config.bn_factor or 1, config.min_bn_units)
    kind, name = (TDF, "tdf_f1_to_f2") if convolutions[0] == "tfc" else (TIF, "tif_f1_to_f2")
    tdf = kind(config.internal_channels, 2 * hidden, bins, *_tdf_settings(config))
    return Recurrent(convolutions, (name, tdf), config.internal_channels, bins, hidden)


def _attentive(config: ModelConfig, tfc: TFC, bins: int) -> Block:
    kind = TFC_LaSAFT if config.block == "TFC_LaSAFT" else TFC_LightSAFT
    assert config.bn_factor is not None
    return kind(
        tfc,
        config.internal_channels,
        bins,
        config.bn_factor,
        config.min_bn_units,
        config.tdf_bias,
        config.embedding_dim,
        config.num_tdfs,
        config.dk,
        config.block_activation,
    )


def build_resampling(config: ModelConfig, stride: tuple[int, int], up: bool) -> nn.Module:
    """A new layer from one level of the U-Net to the next, without activation.

    Args:
        config: channels, and whether the block's networks resample frequency only.
        stride: the factor along frames and along bins.
        up: whether the layer makes the features larger.
    """
    channels = config.internal_channels
    if config.block in FREQUENCY_ALONE:
        return FrequencyResampling(channels, up)
    kind = nn.ConvTranspose2d if up else nn.Conv2d
    return Folded(kind(channels, channels, stride, stride), nn.BatchNorm2d(channels))
