"""Presets, parameter counts and arguments: what can be built, and what is refused."""

import inspect
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
import torch
from torch import nn

import moises_light
import moises_light.model as model_module
from moises_light import MoisesLight, configs
from moises_light.config import ACT_NAMES, ARCHITECTURES, NORM_NAMES, ModelConfig
from moises_light.transformer import Attention

ARCHITECTURE_NAMES = ("0.1.0", "0.1.5")
# From the released descriptions; those of 0.1.0 were published by its author.
COUNTS = {
    "paper_large": (4_660_592, 5_451_216, 5_451_136),
    "paper_small": (2_520_592, 2_558_768, 2_558_688),
    "fullband_large": (4_948_612, 5_477_844, 5_477_764),
    "fullband_small": (2_824_244, 2_805_796, 2_805_716),
    "fullband_large_wide": (8_354_908, 9_704_844, 9_704_764),
    "fullband_small_wide": (4_102_712, 4_323_976, 4_323_896),
}


SMALL = {
    "sources": ["vocals", "rest"],
    "n_fft": 256,
    "hop_size": 64,
    "win_size": 256,
    "freq_dim": 128,
    "n_bands": 4,
    "G": 8,
    "n_enc": 2,
    "n_dec": 1,
    "n_split_enc": 1,
    "n_rope": 1,
    "transformer_params": {
        "heads": 2,
        "dim_head": 8,
        "ff_mult": 1,
        "attn_dropout": 0.0,
        "proj_dropout": 0.0,
        "ff_dropout": 0.0,
    },
}


def small_model(**changes: Any) -> MoisesLight:
    """A small seeded network in evaluation mode; architecture 0.1.5 unless changed."""
    torch.manual_seed(0)
    return MoisesLight(**{**SMALL, "architecture": "0.1.5", **changes}).eval()


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# ---- the package


def test_the_four_stems_are_the_default_and_every_argument_is_an_attribute() -> None:
    with pytest.raises(ValueError, match="G=55 must be divisible by n_bands=4"):
        MoisesLight(G=55, n_bands=4)
    model = MoisesLight(G=8, n_rope=1, architecture="0.1.5", use_mask=False)
    assert model.sources == model.stems == ("vocals", "drums", "bass", "other")
    assert (model.use_mask, model.bn_factor, model.edge_kernel_size) == (False, 8, 3)
    assert (model.n_fft, model.hop_size, model.G, model.audio_channels) == (6144, 1024, 8, 2)
    names = set(inspect.signature(MoisesLight).parameters)
    assert len(names) == 23 and all(hasattr(model, name) for name in names)


def test_the_package_states_its_version() -> None:
    assert moises_light.__version__ == version("mss-moises-light")


def test_importing_the_package_and_its_presets_loads_no_torch() -> None:
    code = (
        "import sys, moises_light, moises_light.config; moises_light.configs['paper_large'];"
        "assert dir(moises_light).count('MoisesLight') == 1; print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'MoisesHeavy'"):
        import moises_light

        moises_light.MoisesHeavy  # noqa: B018


def test_the_interface_names_stems_rate_and_channels() -> None:
    model = small_model(sources=["left hand", "right hand", "pedal"], audio_channels=3)
    assert model.stems == ("left hand", "right hand", "pedal")
    assert (model.sample_rate, model.channels) == (44_100, 3)


# ---- presets and parameter counts


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_preset_has_the_published_number_of_parameters(name: str) -> None:
    old, new, single = COUNTS[name]
    corrected = configs[f"{name}_v015"]
    with torch.device("meta"):
        assert count(MoisesLight(**configs[name])) == old
        assert count(MoisesLight(**corrected)) == new
        assert count(MoisesLight(**{**corrected, "sources": ["vocals"]})) == single


def test_twelve_presets_share_no_list_or_dictionary() -> None:
    assert len(configs) == 12
    for key in ("sources", "transformer_params"):
        assert len({id(config[key]) for config in configs.values()}) == 12


def test_bn_factor_2_gives_the_count_of_the_bass_network() -> None:
    bass = {**configs["paper_large_v015"], "sources": ["bass"], "bn_factor": 2}
    with torch.device("meta"):
        assert (
            count(
                MoisesLight(
                    **bass,
                )
            )
            == 6_435_136
        )


def test_the_architecture_decides_what_is_left_out() -> None:
    old, new = MoisesLight(**SMALL), small_model()
    assert (old.config.architecture, new.config.architecture) == ARCHITECTURE_NAMES
    assert (old.config.bn_factor, new.config.bn_factor) == (4, 8)
    assert (old.config.edge_kernel_size, new.config.edge_kernel_size) == (1, 3)


def test_frozen_frequencies_count_as_parameters() -> None:
    model = small_model(n_rope=3)
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert [p.numel() for p in frozen] == [4] * 6  # dim_head 8, two transformers a block
    expected = 10_000 ** (-torch.arange(4) / 4)
    assert torch.allclose(frozen[0], expected)


def test_transformer_sizes_left_out_of_a_dictionary_are_not_those_left_out_altogether() -> None:
    whole = MoisesLight(["a"], n_rope=1, G=8).config.transformer_params
    assert (whole.heads, whole.dim_head, whole.ff_mult, whole.ff_dropout) == (4, 32, 2, 0.0)
    part = MoisesLight(["a"], n_rope=1, G=8, transformer_params={"ff_mult": 3}).config
    params = part.transformer_params
    assert (params.heads, params.dim_head, params.ff_mult, params.ff_dropout) == (8, 64, 3, 0.1)
    assert (params.attn_dropout, params.proj_dropout, params.flash_attn) == (0.1, 0.1, True)


def test_a_config_rebuilds_its_network() -> None:
    model = small_model()
    names = list(ModelConfig.__dataclass_fields__)
    again = MoisesLight(**{name: getattr(model.config, name) for name in names})
    assert again.config == model.config
    again.load_state_dict(model.state_dict(), strict=True)


def test_0_1_0_attention_starts_as_the_identity() -> None:
    weights = [
        module.to_out[0].weight
        for name in ARCHITECTURE_NAMES
        for module in small_model(architecture=name).modules()
        if isinstance(module, Attention)
    ]
    assert [bool(weight.any()) for weight in weights] == [False, False, True, True]


def test_every_norm_and_activation_has_a_layer() -> None:
    assert tuple(model_module.NORMS) == NORM_NAMES
    assert tuple(model_module.ACTIVATIONS) == ACT_NAMES
    assert tuple(ARCHITECTURES) == ARCHITECTURE_NAMES


# ---- arguments that are refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"G": 55}, r"^G=55 must be divisible by n_bands=4: .* \[52, 56\]"),
        ({"G": 2}, r"^G=2 must be divisible by n_bands=4: .* \[4\]"),
        ({"freq_dim": 126}, "freq_dim=126: .* multiple of n_bands=4 .* 129"),
        ({"freq_dim": 132}, "freq_dim=132: .* n_fft // 2 . 1 = 129"),
        ({"freq_dim": 0}, "freq_dim=0: "),
        ({"bn_factor": 33}, r"bn_factor=33 with 32 bins per band: .* 1\.\.32"),
        ({"bn_factor": 0}, "bn_factor=0 with 32 bins"),
        ({"n_dec": 3}, r"n_dec=3: it must lie in 0\.\.n_enc=2"),
        ({"n_dec": -1}, "n_dec=-1: "),
        ({"n_enc": 0, "n_dec": 0}, "n_enc=0: it must be at least 1"),
        ({"n_rope": -1}, "n_rope=-1: it must be at least 0"),
        ({"n_split_enc": 0}, "n_split_enc=0: it must be at least 1"),
        ({"audio_channels": 0}, "audio_channels=0: it must be at least 1"),
        ({"hop_size": 256}, "hop_size=256, win_size=256, n_fft=256: "),
        ({"win_size": 512}, "hop_size=64, win_size=512, n_fft=256: "),
        ({"norm_name": "Batch"}, "norm_name='Batch': .*BatchNorm.*InstanceNorm.*LayerNorm"),
        ({"act_name": "relu"}, "act_name='relu': .*'ReLU', 'GELU'"),
        ({"architecture": "0.1.4"}, r"architecture='0.1.4': .*\['0.1.0', '0.1.5'\]"),
        ({"dec_heavy_at": "middle"}, r"dec_heavy_at='middle': it must be one of \['first', 'last"),
        ({"dec_heavy_at": "each", "n_dec": 2}, "n_dec=2 with dec_heavy_at='each'.* must be 1"),
        ({"sources": []}, r"sources is \(\): it must list at least one"),
        ({"sources": "vocals"}, "sources is 'vocals': it must list"),
        ({"sources": ["a", "b", "a"]}, r"sources are \['a', 'b', 'a'\]: .* unique"),
        ({"edge_kernel_size": 2}, "edge_kernel_size=2: it must be odd"),
        ({"architecture": "0.1.0", "edge_kernel_size": 3}, "edge_kernel_size=3 with .*'0.1.0'"),
        ({"transformer_params": {"depth": 2}}, r"has \['depth'\]: its keys are .*'heads'"),
        ({"transformer_params": {"dim_head": 7}}, "heads=8 and dim_head=7: "),
        ({"transformer_params": {"heads": 0}}, "heads=0 and dim_head=64: "),
        ({"transformer_params": {"ff_mult": 0}}, "ff_mult=0: "),
        ({"transformer_params": {"ff_dropout": 1.0}}, "ff_dropout=1.0: "),
    ],
)
def test_an_argument_out_of_range_is_refused_with_its_numbers(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small_model(**changes)


@pytest.mark.parametrize("shape", [(2, 1000), (1, 1, 1000), (1, 3, 1000), (1, 2, 0), (0, 2, 1000)])
def test_a_mixture_of_the_wrong_shape_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    numbers = ", ".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"has shape \({numbers}\): .* 2 channels"):
        small_model()(torch.zeros(shape))
