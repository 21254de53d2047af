"""The fast path for several stems of one mixture gives what the plain U-Net gives for each."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lasaft.blocks import Attentive
from lasaft.model import DenseCUNet
from lasaft.shared_passes import estimate_stems, first_conditioned_block
from lasaft.variants import PRESETS, VARIANTS

SMALL: dict[str, Any] = {
    "n_fft": 64,
    "hop_length": 32,
    "num_frame": 16,
    "n_blocks": 5,
    "internal_channels": 4,
    "n_internal_layers": 2,
    "min_bn_units": 2,
    "num_tdfs": 3,
    "dk": 3,
    "embedding_dim": 4,
}
CONDITIONED = [name for name, preset in PRESETS.items() if preset["modulation"] is not None]
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("CUNET_TFC_FiLM", {"film_type": "simple"}),
    ("CUNET_TFC_FiLM_TDF", {"spec_type": "magnitude", "spec_est_mode": "masking"}),
    ("CUNET_TFC_FiLM_TDF", {"bn_factor": None, "tfc_tdf_bias": True}),
    ("CUNET_TFC_FiLM_LaSAFT", {"gamma_activation": "sigmoid", "beta_activation": "tanh"}),
    ("CUNET_TFC_GPoCM", {"pocm_type": "naive"}),
    ("CUNET_TFC_GPoCM_TDF", {"pocm_norm": None}),
    ("CUNET_TFC_GPoCM_LaSAFT", {"t_down_layers": [0], "f_down_layers": [1]}),
    ("CUNET_TFC_GPoCM_LaSAFT", {"control_vector_type": "one_hot_mode", "last_activation": "relu"}),
    ("CUNET_TFC_GPoCM_LightSAFT", {"n_blocks": 3, "control_n_layer": 2}),
    ("CUNET_TFC_GPoCM_LightSAFT", {"encoder_block": "TFC_TDF"}),
    ("CUNET_TFC_GPoCM_LaSAFT", {"encoder_block": "TFC"}),
]


def network(name: str, **changes: Any) -> DenseCUNet:
    """A small network in evaluation mode, its batch norms far from the identity."""
    torch.manual_seed(0)
    unet = VARIANTS[name](**{**SMALL, **changes}).eval().spec2spec
    for part in unet.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.normal_(0.0, 0.1)
            part.running_var.uniform_(0.3, 1.0)
    return unet


def image_for(model: DenseCUNet, items: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(items, model.first_conv[0].in_channels, 16, 33, generator=generator)


def check_equal(model: DenseCUNet, image: Tensor, conditions: Tensor) -> None:
    """Shared passes against plain passes of one stem of one item each."""
    with torch.no_grad():
        shared = estimate_stems(model, image, conditions)
        plain = torch.cat(
            [
                DenseCUNet.forward(model, image[item : item + 1], condition[None])
                for item in range(len(image))
                for condition in conditions[item]
            ]
        )
    peak = plain.abs().max()
    assert shared.shape == plain.shape
    assert (shared - plain).abs().max() < 1e-5 * peak
    assert (plain[0] - plain[1]).abs().max() > 1e-2 * peak  # stems differ


@pytest.mark.parametrize("condition_to", ["encoder", "decoder", "full"])
@pytest.mark.parametrize("name", CONDITIONED)
def test_shared_passes_of_every_variant_are_its_plain_passes(name: str, condition_to: str) -> None:
    assert len(CONDITIONED) == 20
    model = network(name, condition_to=condition_to)
    check_equal(model, image_for(model, 2), torch.tensor([[0, 1, 2, 3], [3, 1, 0, 0]]))


@pytest.mark.parametrize("condition_to", ["encoder", "decoder", "full"])
@pytest.mark.parametrize(("name", "changes"), CHANGES)
def test_shared_passes_of_other_settings_are_the_plain_passes(
    name: str, changes: dict[str, Any], condition_to: str
) -> None:
    model = network(name, **changes, condition_to=condition_to)
    check_equal(model, image_for(model, 2), torch.tensor([[2, 0], [1, 3]]))


def test_several_conditions_of_an_item_take_the_fast_path_and_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, calls = network("CUNET_TFC_GPoCM_LaSAFT"), []

    def recording(_: DenseCUNet, image: Tensor, conditions: Tensor) -> Tensor:
        calls.append(conditions.tolist())
        return image

    monkeypatch.setattr("lasaft.model.estimate_stems", recording)
    with torch.no_grad():
        model(image_for(model, 1), torch.tensor([2]))
        model(image_for(model, 2), torch.tensor([2]))
        model(image_for(model, 2), torch.tensor([2, 0]))
        assert calls == []
        model(image_for(model, 2), torch.tensor([0, 1, 2, 3]))
    assert calls == [[[0, 1], [2, 3]]]


def test_plain_passes_of_several_conditions_repeat_the_items() -> None:
    model = network("CUNET_TFC_FiLM_TDF")
    image, conditions = image_for(model, 2), torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        plain = DenseCUNet.forward(model, image, conditions)
        shared = model(image, conditions)
    torch.testing.assert_close(plain, shared, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "condition_to", "index"),
    [
        ("CUNET_TFC_FiLM", "decoder", 3),  # two encoder blocks and the middle before it
        ("CUNET_TFC_GPoCM_TDF", "encoder", 0),
        ("CUNET_TFC_GPoCM_TDF", "full", 0),
        ("CUNET_TFC_FiLM_LaSAFT", "decoder", 0),  # attention acts in every block
        ("CUNET_TFC_GPoCM_LightSAFT", "decoder", 0),
    ],
)
def test_the_first_block_that_sees_the_condition_is_known(
    name: str, condition_to: str, index: int
) -> None:
    model = network(name, condition_to=condition_to)
    assert first_conditioned_block(model) == index
    assert isinstance(model.block(0), Attentive) == ("SAFT" in name)


def test_an_encoder_without_attention_is_shared_up_to_the_middle() -> None:
    model = network("lightsaft_advanced")
    assert first_conditioned_block(model) == 2 and isinstance(model.block(2), Attentive)
    both = network("lightsaft_advanced", condition_to="full")
    assert first_conditioned_block(both) == 0
