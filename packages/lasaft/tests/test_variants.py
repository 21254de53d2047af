"""Networks, conditioning and waveforms against the authors' code; keys and counts of all names."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lasaft
from lasaft.blocks import TFC, Attentive
from lasaft.variants import PRESETS, VARIANTS

COUNTS = {  # with the frozen window, which the lists of the 2020 nets lack
    "CUNET_TFC_FiLM": 722_724,
    "CUNET_TFC_FiLM_TDF": 1_071_556,
    "CUNET_TFC_FiLM_LaSAFT": 8_000_484,
    "CUNET_TFC_GPoCM": 1_148_316,
    "CUNET_TFC_GPoCM_TDF": 1_497_148,
    "CUNET_TFC_GPoCM_LaSAFT": 8_426_076,
    "CUNET_TFC_GPoCM_LightSAFT": 2_376_284,
    "CUNET_TFC_GPoCM_LaSAFT_bias": 8_449_740,
    "lasaft_net": 8_426_076,
    "lightsaft_net": 2_376_284,
    "lasaft_net_large": 31_546_004,
    "lightsaft_small_2020": 4_161_892,
    "lightsaft_mdx_7blocks": 3_876_372,
    "lightsaft_mdx_medium": 9_140_916,
    "svs2020_tfc_net": 639_316,
    "svs2020_tdc_net": 217_684,
    "svs2020_tdf_net": 359_492,
    "svs2020_tfc_tdf_net": 987_476,
}
CONDITIONED = [
    *(f"CUNET_TFC_FiLM{tail}_small" for tail in ("", "_TDF", "_LaSAFT", "_LaSAFT_full")),
    *(f"CUNET_TFC_GPoCM{tail}_small" for tail in ("", "_TDF", "_LaSAFT", "_LightSAFT")),
    "CUNET_TFC_GPoCM_TDF_full_small",
    *(f"CUNET_TFC_GPoCM_LaSAFT_{tail}_small" for tail in ("bias", "encoder", "nonorm")),
    "magnitude_masking_sigmoid_small",
    "magnitude_mapping_relu_small",
    "complex_masking_tanh_small",
]
STAGED = [
    "CUNET_TFC_GPoCM_small",
    "CUNET_TFC_FiLM_TDF_small",
    "CUNET_TFC_FiLM_LaSAFT_full_small",
    "CUNET_TFC_GPoCM_LaSAFT_small",
    "CUNET_TFC_GPoCM_LightSAFT_small",
]
ALONE = ["tfc_net", "tdc_net", "tdf_net", "tfc_tdf_net"]


def build(name: str) -> lasaft.Separator:
    name = name.removeprefix("svs2020_")
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.init, "xavier_normal_", lambda parameter: parameter)
        if name.endswith("_bias"):
            return VARIANTS[name.removesuffix("_bias")](tfc_tdf_bias=True)
        return VARIANTS[name]()


@pytest.mark.parametrize("name", COUNTS)
def test_keys_shapes_order_and_count_are_the_authors(
    name: str, golden_json: Callable[[str], Any]
) -> None:
    listed = golden_json("keys")
    assert set(listed) == set(COUNTS)
    alone = name.startswith("svs2020")
    model = build(name)
    counted = model.spec2spec if alone else model
    found = {key: list(tensor.shape) for key, tensor in counted.state_dict().items()}
    assert [*found.items()] == [*listed[name].items()]
    assert sum(p.numel() for p in counted.parameters()) == COUNTS[name]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == COUNTS[name] - (0 if alone else model.config.n_fft)


@pytest.mark.parametrize("name", CONDITIONED)
def test_the_network_is_the_authors_for_each_condition(name: str, golden: Any) -> None:
    found = golden(name)
    network = found.model().spec2spec
    estimate = found.model().estimate
    with torch.no_grad():
        raw = torch.cat([network(found["input"], c[None]) for c in found["condition"]])
        found.check("output", raw)
        found.check("output", network(found["input"], found["condition"]))
        masked = estimate(found["wave.spectrogram"], found["wave.condition"])
    found.check("wave.output_spec", masked)


@pytest.mark.parametrize("name", CONDITIONED)
def test_waveforms_are_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    model, audio = found.model(), found["wave.input"].transpose(1, 2)
    with torch.no_grad():
        found.check("wave.spectrogram", model.image(model.spectrum(audio)))
        estimate = model.separate_window(audio, found["wave.condition"])
    found.check("wave.output", estimate.transpose(1, 2))


@pytest.mark.parametrize("name", CONDITIONED)
def test_factors_shifts_and_attention_are_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    network = found.model().spec2spec
    with torch.no_grad():
        embedding = network.embedding(found["condition"])
        generator = network.condition_generator
        hidden = generator.dense_control_block(embedding)
        factors, shifts = generator.linear_gamma(hidden), generator.linear_beta(hidden)
    found.check("embedding", embedding)
    found.check("condition_hidden", hidden)
    places = [f"{where}.{k}" for where in ("encoder", "middle", "decoder") for k in range(3)]
    places = [place for place in places if f"cond.beta.{place}" in found.tensors]
    assert len(places) in (2, 5)
    for values, kind in ((factors, "gamma"), (shifts, "beta")):
        for place, part in zip(places, values.chunk(len(places), dim=1), strict=True):
            wanted = found[f"cond.{kind}.{place}"]
            found.check(f"cond.{kind}.{place}", part.reshape(wanted.shape))
    for key in found.below("attention."):
        block = network.get_submodule(key)
        assert isinstance(block, Attentive)
        found.check(f"attention.{key}", block.attention(embedding))


@pytest.mark.parametrize("name", STAGED)
def test_features_in_between_are_the_authors(
    name: str, golden: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = golden(name)
    stages = found.below("stage.")
    network = found.model().spec2spec
    seen: dict[nn.Module, Tensor] = {}
    for part in network.modules():
        part.register_forward_hook(lambda part, _, out: seen.setdefault(part, out))
    plain = TFC.convolve

    def recording(self: TFC, x: Tensor) -> Tensor:  # theirs modulate outside of the block
        return seen.setdefault(self, plain(self, x))

    monkeypatch.setattr(TFC, "convolve", recording)
    with torch.no_grad():
        network(found["input"].expand(2, -1, -1, -1), found["condition"][:2])
    assert len(stages) >= 6
    for key in stages:
        found.check(f"stage.{key}", seen[network.get_submodule(key)])


@pytest.mark.parametrize("name", ALONE)
def test_the_nets_of_2020_are_the_authors(name: str, golden: Any) -> None:
    found = golden(f"svs2020_{name}_small")
    arguments = {k: v for k, v in found.about["config"].items() if k != "tif_init_mode"}
    sizes = {"spec_type": "magnitude", "num_frame": 8, "hop_length": 16}
    model = VARIANTS[name](**arguments, **sizes).eval()
    model.spec2spec.load_state_dict(found.below("param."), strict=True)
    with torch.no_grad():
        found.check("output", model.spec2spec(found["input"]))


def test_naive_pocm_is_matmul_with_transposed_matrices(golden: Any) -> None:
    found = golden("CUNET_TFC_GPoCM_small")
    found.about["config"]["pocm_type"] = "naive"
    naive = found.model().spec2spec
    generator = naive.condition_generator
    with torch.no_grad():
        other = naive(found["input"], found["condition"])
        assert (other - found["output"]).abs().max() > 0.01 * found["output"].abs().max()
        # Each 6x6 matrix of a row's 36 factors, transposed.
        order = torch.arange(72).view(2, 6, 6).transpose(1, 2).flatten()
        linear, norm = generator.linear_gamma[0], generator.linear_gamma[2]
        for tensor in (linear.weight, linear.bias, norm.running_mean, norm.running_var):
            tensor.copy_(tensor[order])
        found.check("output", naive(found["input"], found["condition"]))


def test_one_condition_serves_a_larger_batch_in_both_forms(golden: Any) -> None:
    for form in ("matmul", "naive"):
        found = golden("CUNET_TFC_GPoCM_small")
        found.about["config"]["pocm_type"] = form
        network, images = found.model().spec2spec, torch.randn(3, 4, 16, 33)
        with torch.no_grad():
            together = network(images, torch.tensor([1]))
            alone = torch.cat([network(image[None], torch.tensor([1])) for image in images])
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_the_old_names_stand_for_the_networks_that_existed() -> None:
    for old, new in (("FiLM", "CUNET_TFC_FiLM"), ("GPoCM", "CUNET_TFC_GPoCM")):
        assert PRESETS[f"Dense_CUNet_TFC_{old}"] == PRESETS[new]
        small = {"n_fft": 64, "hop_length": 16, "num_frame": 16, "n_blocks": 3}
        model = getattr(lasaft, f"Dense_CUNet_TFC_{old}")(**small)
        assert isinstance(model, lasaft.Separator)


def test_every_public_name_is_listed_and_an_unknown_one_is_refused() -> None:
    assert set(VARIANTS) <= set(dir(lasaft))
    with pytest.raises(AttributeError, match="no attribute 'lasaft_net_huge'"):
        lasaft.lasaft_net_huge  # noqa: B018
