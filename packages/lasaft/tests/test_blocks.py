"""Blocks by themselves against the authors' code."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from lasaft.blocks import DTFC, TDF, TFC, TFC_TDF, TFC_LaSAFT, TFC_LightSAFT, activation
from lasaft.svs2020 import TDC, TFC_TIF, TIF, FrequencyResampling, Recurrent

Config = Mapping[str, Any]
TFC_SIZES = ("in_channels", "num_layers", "gr", "kt", "kf")
TDF_SIZES = ("bn_factor", "bias", "min_bn_units")


def pick(config: Config, names: tuple[str, ...]) -> list[Any]:
    return [config[name] for name in names]


def tfc(config: Config) -> TFC:
    return TFC(*pick(config, TFC_SIZES))


def tdf(config: Config) -> TDF:
    f = config.get("f", 0)
    sizes = pick(config, TDF_SIZES)
    return TDF(config["channels"], config.get("f1", f), config.get("f2", f), *sizes)


def tif(config: Config) -> TIF:
    return TIF(config["channels"], config["f"], config["f"], *pick(config, TDF_SIZES))


def tfc_tdf(config: Config) -> TFC_TDF:
    return TFC_TDF(tfc(config), tdf({**config, "channels": config["gr"]}))


def tfc_tif(config: Config) -> TFC_TIF:
    return TFC_TIF(tfc(config), tif({**config, "channels": config["gr"]}))


def attentive(kind: type[nn.Module]) -> Callable[[Config], nn.Module]:
    names = ("f", "bn_factor", "min_bn_units", "bias", "condition_dim", "num_tdfs", "dk")
    return lambda config: kind(tfc(config), config["gr"], *pick(config, names))


def tfc_rnn(config: Config) -> Recurrent:
    # The last transformation's bottleneck keeps the default minimum of 16 units.
    f, gr = config["f"], config["gr"]
    hidden = max(f // config["bn_factor_rnn"], config["min_bn_units_rnn"])
    mapping = TDF(gr, 2 * hidden, f, config["bn_factor_tdf"], config["bias_tdf"], 16)
    layers = {**config, "num_layers": config["num_layers_tfc"]}
    return Recurrent(("tfc", tfc(layers)), ("tdf_f1_to_f2", mapping), gr, f, hidden)


def tdc_rnn(config: Config) -> Recurrent:
    f, gr = config["f"], config["gr"]
    hidden = max(f // config["bn_factor_rnn"], config["min_bn_units_rnn"])
    mapping = TIF(gr, 2 * hidden, f, config["bn_factor_tif"], config["bias_tif"], 16)
    layers = TDC(config["in_channels"], config["num_layers_tic"], gr, config["kf"])
    return Recurrent(("tic", layers), ("tif_f1_to_f2", mapping), gr, f, hidden)


def resampling(config: Config) -> FrequencyResampling:
    return FrequencyResampling(config["in_channels"], config["mode"] == "upsampling")


LATER: dict[str, Callable[[Config], nn.Module]] = {
    "TFC": tfc,
    "TDF": tdf,
    "TDF_single": tdf,
    "TDF_min_units": tdf,
    "TFC_TDF": tfc_tdf,
    "TDF_f1_to_f2": tdf,
    "TFC_LaSAFT": attentive(TFC_LaSAFT),
    "TFC_LightSAFT": attentive(TFC_LightSAFT),
    "TFC_RNN": tfc_rnn,
    "DTFC": lambda config: DTFC(**config),
}
OF_2020: dict[str, Callable[[Config], nn.Module]] = {
    "tfc": tfc,
    "tdc": lambda config: TDC(*pick(config, ("in_channels", "num_layers", "gr", "kf"))),
    "tdf": tif,
    "tdf_bias": tif,
    "tfc_tdf": tfc_tif,
    "tfc_tdf_bias": tfc_tif,
    "tdc_downsampling": resampling,
    "tdc_upsampling": resampling,
    "tdc_rnn": tdc_rnn,
}


@pytest.mark.parametrize(
    ("file", "name"),
    [("blocks", name) for name in LATER] + [("blocks_svs2020", name) for name in OF_2020],
)
def test_a_block_is_the_authors(file: str, name: str, golden: Any) -> None:
    found = golden(file)
    assert set(found.about["config"]) == set(LATER if file == "blocks" else OF_2020)
    block = {**LATER, **OF_2020}[name](found.about["config"][name]).eval()
    block.load_state_dict(found.below(f"param.{name}."), strict=True)
    x = found.tensors.get(f"input.{name}", found["input"])
    with torch.no_grad():
        if name in ("TFC_LaSAFT", "TFC_LightSAFT"):
            found.check(f"output.{name}", block(x, found["condition"]))
        else:
            found.check(f"output.{name}", block(x))


@pytest.mark.parametrize(("kt", "kf"), [(1, 3), (3, 1), (5, 3)])
def test_unequal_kernels_run_along_their_own_axes_and_keep_the_size(kt: int, kf: int) -> None:
    # One impulse: a layer of ones answers kt frames and kf bins wide, and nowhere else.
    block = TFC(1, 1, 1, kt, kf, "identity").eval()
    image = torch.zeros(1, 1, 9, 11)
    image[..., 4, 5] = 1.0
    with torch.no_grad():
        block.H[0][0].weight.fill_(1.0)
        block.H[0][0].bias.zero_()
        answer = block(image)
    assert answer.shape == image.shape
    assert (answer[0, 0] > 0.5).any(dim=1).sum() == kt
    assert (answer[0, 0] > 0.5).any(dim=0).sum() == kf


def test_frequency_resampling_takes_any_channel_count() -> None:
    assert FrequencyResampling(8, up=False)(torch.randn(2, 8, 5, 16)).shape == (2, 8, 5, 8)
    assert FrequencyResampling(8, up=True)(torch.randn(2, 8, 5, 16)).shape == (2, 8, 5, 32)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation 'swish' is unknown: choose from identity"):
        activation("swish")
