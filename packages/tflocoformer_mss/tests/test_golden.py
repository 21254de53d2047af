"""The networks against frozen outputs of the authors' code (tests/golden/README.md)."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

import tflocoformer_mss
from tflocoformer_mss import configs
from tflocoformer_mss.config import STEMS
from tflocoformer_mss.losses import combine

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(p.stem for p in GOLDEN.glob("*.safetensors") if p.stem != "losses")
SPECTRAL = [name for name in NAMES if not name.startswith("mss_")]


def tensors(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file and its metadata."""
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()


def network(name: str) -> nn.Module:
    """The network of a file, its weights loaded strictly, in evaluation mode."""
    found, about = tensors(name)
    model = build(about["class"], json.loads(about["config"]))
    weights = {key[6:]: value for key, value in found.items() if key.startswith("param.")}
    model.load_state_dict(weights, strict=True)
    return model.eval()


def build(kind: str, config: dict[str, Any]) -> nn.Module:
    """A network by the class's name in the file; ESPnet's unused argument is left out."""
    arguments = {key: value for key, value in config.items() if key != "input_dim"}
    made: nn.Module = getattr(tflocoformer_mss, kind.partition("(")[0])(**arguments)
    return made


def run(name: str, model: nn.Module, spec: Tensor) -> Tensor:
    """What a separator gives for a spectrogram; the prompted one needs its prompts."""
    prompts = tensors(name)[1].get("prompts_per_item")
    words = () if prompts is None else (json.loads(prompts)[: len(spec)],)
    out: Tensor = model(spec, *words)
    return out


def configurations() -> dict[str, dict[str, Any]]:
    """Key list, arguments and counts by name."""
    found: dict[str, dict[str, Any]] = json.loads(
        gzip.decompress((GOLDEN / "keys.json.gz").read_bytes())
    )
    return found


def close(ours: Tensor, frozen: Tensor, tolerance: float = 5e-6) -> None:
    """Assert equal shapes and a difference within a share of the largest value."""
    ours = torch.view_as_real(ours) if ours.is_complex() else ours
    assert ours.shape == frozen.shape
    assert (ours - frozen).abs().max().item() <= tolerance * frozen.abs().max().item()


PRESETS = {  # preset -> name in the key lists
    **{name: f"merl_{name}" for name in ("wsj0_2mix", "librimix", "whamr", "dns_ins20")},
    **{name: f"merl_{name}" for name in ("whamr_small", "whamr_nope")},
    **{"musdb18_small": "mss_small", "musdb18": "mss_large", "musdb18_xlarge": "mss_xlarge"},
    **{f"conventional_{size}": f"conventional_{size}_2_4src" for size in ("medium", "large")},
    **{f"tuss_{size}": f"tuss_{size}_2_4src" for size in ("medium", "large")},
    **{
        f"musdb18_{kind}_medium": f"musdb_data_specialist_{kind}_medium"
        for kind in ("conventional", "tuss")
    },
}
# Of the papers' repositories and of the music model: what trains.
COUNTS = {
    "wsj0_2mix": 14_975_620,
    "whamr": 14_966_404,
    "whamr_small": 5_125_220,
    "dns_ins20": 14_973_314,
    "musdb18_small": 11_092_328,
    "musdb18": 59_064_776,
    "musdb18_xlarge": 157_439_240,
    "conventional_medium": 14_292_820,
    "conventional_large": 42_549_396,
    "tuss_medium": 11_132_296,
    "tuss_large": 38_210_056,
}


def test_there_are_twenty_networks_and_fifteen_configurations() -> None:
    assert len(NAMES) == 20
    assert len(SPECTRAL) == 18
    assert sorted(PRESETS.values()) == sorted(configurations())
    assert len(PRESETS) == len(configs) == 15


@pytest.mark.parametrize("name", SPECTRAL)
def test_a_separator_gives_the_frozen_output(name: str) -> None:
    found, _ = tensors(name)
    with torch.no_grad():
        out = run(name, network(name), torch.view_as_complex(found["input"]))
    close(out, found["output"])


def test_the_music_model_gives_the_frozen_waves_and_spectrograms() -> None:
    found, _ = tensors("mss_wave_mono")
    model = network("mss_wave_mono")
    with torch.no_grad():
        waves = model(found["input"])
        specs = model(found["input"], return_time_domain=False)
    assert [*waves] == [*specs] == ["vocals", "drums", "bass", "other"]
    close(torch.stack([*waves.values()], dim=1), found["output"])
    close(torch.stack([*specs.values()], dim=1), found["output_spec"])


def test_a_training_step_of_the_music_model_has_the_frozen_loss_and_gradients() -> None:
    found, about = tensors("mss_train_step")
    model = network("mss_train_step").train()
    estimate = torch.stack([*model(found["input"]).values()], dim=1)
    close(estimate.detach(), found["output"])
    weights = {"si_sdr": 1.0, "l1": 0.1, "spectral": 0.1}
    total, parts = combine(estimate.unsqueeze(2), found["target"].unsqueeze(2), weights)
    assert total.item() == pytest.approx(found["loss.total_loss"].item(), rel=1e-5)
    for place, stem in enumerate(STEMS):
        for term, part in parts.items():
            frozen = found[f"loss.{stem}_{term}"].item()
            assert part[place].item() == pytest.approx(frozen, rel=1e-5)
    total.backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    frozen_gradients = {key[5:]: value for key, value in found.items() if key.startswith("grad.")}
    assert len(frozen_gradients) == 5
    for name, gradient in frozen_gradients.items():
        close(ours[name], gradient, 1e-4)
    norm = torch.stack([gradient.norm() for gradient in ours.values()]).norm()
    assert norm.item() == pytest.approx(float(about["total_grad_norm"]), rel=1e-4)


@pytest.mark.parametrize("name", SPECTRAL)
def test_the_items_of_a_batch_do_not_see_each_other(name: str) -> None:
    found, _ = tensors(name)
    spec = torch.view_as_complex(found["input"])[:1]
    model = network(name)
    with torch.no_grad():
        alone = run(name, model, spec)
        if "tuss" in name:
            return close(alone, found["output"][:1])
        beside = model(torch.cat([spec, 3.0 * spec.flip(-1)]))
    close(beside[:1], torch.view_as_real(alone))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_keys_shapes_and_parameter_counts_are_the_published_ones(preset: str) -> None:
    about = configurations()[PRESETS[preset]]
    assert configs[preset] == about["config"]
    with torch.device("meta"):
        model = build(about["class"], configs[preset])
    state = {key: [*value.shape] for key, value in model.state_dict().items()}
    assert len(state) == about["n_keys"]
    assert state == dict(about["keys"])
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == about["params_trainable"] == COUNTS.get(preset, trainable)
    frequencies = sum(v.numel() for key, v in model.state_dict().items() if "freqs" in key)
    assert trainable + frequencies == about["elements_in_state_dict"]


def test_feed_forward_networks_are_stored_last_first() -> None:
    """Of the sizes [24, 20], ffn.0 has the last: it follows attention."""
    path = network("tfl_ft_rope_macaron").blocks[0].freq_path
    assert [part.deconv1d.weight.shape[0] for part in path.ffn] == [20, 24]


def test_frequencies_are_taken_from_the_weights() -> None:
    found, _ = tensors("tfl_ft_rope_macaron")
    spec = torch.view_as_complex(found["input"])
    model = network("tfl_ft_rope_macaron")
    state = model.state_dict()
    moved = {key: 2.0 * v if key.endswith("freqs") else v for key, v in state.items()}
    model.load_state_dict(moved)
    with torch.no_grad():
        assert (torch.view_as_real(model(spec)) - found["output"]).abs().max() > 1e-3


def test_without_positions_there_are_no_keys_for_them() -> None:
    rope, nope = (configurations()[f"merl_whamr{kind}"] for kind in ("", "_nope"))
    assert rope["n_keys"] - nope["n_keys"] == 12
    with torch.device("meta"):
        model = build("TFLocoformerSeparator", configs["whamr_nope"])
    assert not [key for key in model.state_dict() if "rope" in key]
