"""The fields of ``ModelConfig``: each changes the network; numbers that fit none are refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lasaft import Separator
from lasaft.config import ModelConfig, read_layers
from lasaft.variants import VARIANTS

SMALL: dict[str, Any] = {
    "n_fft": 128,
    "hop_length": 64,
    "num_frame": 192,
    "n_blocks": 3,
    "internal_channels": 2,
    "n_internal_layers": 2,
    "min_bn_units": 2,
    "num_tdfs": 2,
    "dk": 3,
    "embedding_dim": 4,
}


def small(name: str = "CUNET_TFC_GPoCM_LaSAFT", **changes: Any) -> Separator:
    torch.manual_seed(0)
    return VARIANTS[name](**{**SMALL, **changes}).eval()


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def run(model: Separator, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)


CHANGED: dict[str, tuple[str, dict[str, Any], Any]] = {  # field -> network, its sizes, a change
    "stems": ("CUNET_TFC_FiLM", {}, ("vocals", "drums")),
    "n_fft": ("CUNET_TFC_FiLM", {}, 256),
    "hop_length": ("CUNET_TFC_FiLM", {}, 60),
    "num_frame": ("CUNET_TFC_FiLM", {}, 194),
    "window_overlap": ("CUNET_TFC_FiLM", {}, 0.0),
    "spec_type": ("CUNET_TFC_FiLM", {"input_channels": 2}, "magnitude"),
    "spec_est_mode": ("CUNET_TFC_FiLM", {}, "masking"),
    "block": ("CUNET_TFC_FiLM", {}, "TFC_TDF"),
    "encoder_block": ("CUNET_TFC_FiLM_LaSAFT", {}, "TFC_TDF"),
    "modulation": ("CUNET_TFC_GPoCM", {}, "PoCM"),
    "n_blocks": ("CUNET_TFC_FiLM", {}, 5),
    "input_channels": ("CUNET_TFC_FiLM", {}, 2),
    "internal_channels": ("CUNET_TFC_FiLM", {}, 3),
    "first_conv_activation": ("CUNET_TFC_FiLM", {}, "tanh"),
    "last_activation": ("CUNET_TFC_FiLM", {}, "tanh"),
    "t_down_layers": ("CUNET_TFC_FiLM", {}, ()),
    "f_down_layers": ("CUNET_TFC_FiLM", {}, ()),
    "n_internal_layers": ("CUNET_TFC_FiLM", {}, 3),
    "kernel_size_t": ("CUNET_TFC_FiLM", {}, 5),
    "kernel_size_f": ("CUNET_TFC_FiLM", {}, 5),
    "block_activation": ("CUNET_TFC_FiLM", {}, "leaky_relu"),
    "bn_factor": ("CUNET_TFC_FiLM_TDF", {}, 8),
    "min_bn_units": ("CUNET_TFC_FiLM_TDF", {}, 9),
    "tdf_bias": ("CUNET_TFC_FiLM_TDF", {}, True),
    "num_tdfs": ("CUNET_TFC_FiLM_LaSAFT", {}, 3),
    "dk": ("CUNET_TFC_FiLM_LaSAFT", {}, 4),
    "control_input_dim": ("CUNET_TFC_FiLM", {}, 5),
    "embedding_dim": ("CUNET_TFC_FiLM", {}, 5),
    "condition_to": ("CUNET_TFC_FiLM", {}, "encoder"),
    "control_n_layer": ("CUNET_TFC_FiLM", {}, 3),
    "film_type": ("CUNET_TFC_FiLM", {}, "simple"),
    "gamma_activation": ("CUNET_TFC_FiLM", {}, "sigmoid"),
    "beta_activation": ("CUNET_TFC_FiLM", {}, "sigmoid"),
    "pocm_type": ("CUNET_TFC_GPoCM", {}, "naive"),
    "pocm_norm": ("CUNET_TFC_GPoCM", {}, None),
}


@pytest.mark.parametrize("field", CHANGED)
def test_every_field_changes_keys_shapes_or_output(field: str) -> None:
    others = {"sample_rate", "control_vector_type", "control_type"}  # a label, a start, one choice
    assert set(CHANGED) | others == set(ModelConfig.__dataclass_fields__)
    name, sizes, value = CHANGED[field]
    first, second = small(name, **sizes), small(name, **sizes, **{field: value})
    assert getattr(first.config, field) != value
    shapes = [[(k, v.shape) for k, v in m.state_dict().items()] for m in (first, second)]
    if shapes[0] == shapes[1]:
        second.load_state_dict(first.state_dict())  # the start, too, may depend on the field
        song = noise(1, 2, 5_000)
        before, after = run(first, song), run(second, song)
        assert before.shape != after.shape or (before - after).abs().max() > 1e-3 * before.std()


NETWORKS = (
    *("CUNET_TFC_FiLM", "CUNET_TFC_FiLM_TDF", "CUNET_TFC_GPoCM_LaSAFT"),
    *("CUNET_TFC_GPoCM_LightSAFT", "tfc_net", "tdc_net", "tdf_net", "tfc_tdf_net"),
    *("tfc_rnn_net", "tdc_rnn_net"),
)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_normalised_layer_of_a_block_has_its_activation(name: str) -> None:
    network = small(name, block_activation="tanh").spec2spec
    for place in range(3):
        parts = [type(part) for part in network.block(place).modules()]
        norms = parts.count(nn.BatchNorm1d) + parts.count(nn.BatchNorm2d)
        before_the_gru = parts.count(nn.GRU)  # a norm without activation
        assert parts.count(nn.Tanh) == norms - before_the_gru > 0
        assert nn.ReLU not in parts


def test_magnitudes_have_two_input_channels_unless_said() -> None:
    assert small(spec_type="magnitude").channels == 2
    assert small(spec_type="magnitude", input_channels=1).channels == 1
    assert small().config.input_channels == 4


@pytest.mark.parametrize("name", ["tdf_net", "tdc_net", "tdc_rnn_net"])
def test_nets_that_halve_frequency_alone_take_any_number_of_frames(name: str) -> None:
    model = small(name, num_frame=191, n_blocks=5)  # no multiple of 4
    assert model.config.strides() == [(1, 2), (1, 2)]
    assert run(model, noise(1, 2, 300)).shape == (1, 1, 2, 300)


@pytest.mark.parametrize("axis", ["t", "f"])
def test_levels_that_do_not_halve_an_axis_keep_it(axis: str) -> None:
    model = small(**{f"{axis}_down_layers": []})
    stride = (1, 2) if axis == "t" else (2, 1)
    assert model.spec2spec.downsamplings[0][0].stride == stride
    assert model.spec2spec.upsamplings[0][0].stride == stride
    assert run(model, noise(1, 2, 300)).shape == (1, 4, 2, 300)


def test_layers_may_be_text_lists_or_none() -> None:
    assert read_layers("[0,1]") == read_layers([0, 1]) == (0, 1)
    assert read_layers("None") is None is read_layers(None)
    with pytest.raises(ValueError, match="write a list of levels"):
        read_layers("0-1")


@pytest.mark.parametrize(
    ("last", "variance"),
    [("relu", 2 / 128), ("leaky_relu", 2 / 128), ("identity", 2 / 384), ("sigmoid", 2 / 384)],
)
def test_weights_start_as_the_last_activation_says(last: str, variance: float) -> None:
    # A linear layer from 128 to 256: 32768 numbers, whose variance is known to a few percent.
    model = VARIANTS["CUNET_TFC_FiLM"](**{**SMALL, "embedding_dim": 32, "last_activation": last})
    weight = model.spec2spec.condition_generator.dense_control_block.linear[6].weight
    assert weight.shape == (256, 128)
    assert weight.var().item() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_blocks": 4}, "n_blocks is 4: give an odd number"),
        ({"kernel_size_f": 2}, "kernel_size_f is 2: give an odd number"),
        ({"num_frame": 191}, "num_frame is 191, the levels divide it by 2"),
        ({"t_down_layers": [1]}, "t_down_layers has 1, the network has levels 0 to 0"),
        ({"input_channels": 3}, "input_channels is 3: spec_type complex needs 2"),
        ({"spec_type": "mel"}, "spec_type is 'mel': choose from complex, magnitude"),
        ({"window_overlap": 0.6}, "window_overlap is 0.6: give 0 to 0.5"),
        ({"hop_length": 128}, "hop_length is 128, n_fft is 128: frames must overlap"),
        ({"n_fft": 65_536}, "n_fft 65536 needs more than 32768"),
        ({"bn_factor": None}, "bn_factor null: it needs a bottleneck"),
        ({"control_n_layer": 1}, "control_n_layer is 1: give at least 2"),
        ({"stems": ["a", "b", "c", "d", "e"]}, "5 stems for control_input_dim 4"),
        (
            {"control_vector_type": "one_hot_mode", "embedding_dim": 8},
            "control_input_dim 4 and embedding_dim 8: make them equal",
        ),
        ({"modulation": None, "stems": ["vocals"]}, "choose a block without attention"),
        ({"modulation": "FiLM", "block": "TDC"}, "block TDC with modulation FiLM: choose one"),
        *(
            ({name: 0}, f"{name} is 0: give at least 1")
            for name in ("internal_channels", "n_internal_layers", "num_tdfs", "dk")
        ),
        *(
            ({name: -1}, f"{name} is -1: give at least 1")
            for name in ("kernel_size_t", "kernel_size_f", "embedding_dim", "min_bn_units")
        ),
        ({"bn_factor": 0}, "bn_factor is 0: give at least 1, or null"),
        (
            {"spec_type": "magnitude", "input_channels": 4},
            "input_channels is 4: spec_type magnitude needs 2 for stereo",
        ),
        *(
            (
                {"modulation": None, "stems": ["bass"], "block": block, f"{axis}_down_layers": [0]},
                rf"{axis}_down_layers is \[0\], all levels of block {block} halve frequency",
            )
            for axis in "tf"
            for block in ("TDF", "TDC", "TDC_RNN")
        ),
        ({"nfft": 64}, "there is no argument nfft: choose from stems"),
    ],
)
def test_numbers_that_make_no_network_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)
