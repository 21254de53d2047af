"""Published weights by name, by file, and what a prompted model is asked for."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mss_shared import audio
from mss_shared.checkpoints import published
from mss_shared.checkpoints.checkpoint import load_checkpoint, load_checkpoints
from mss_shared.checkpoints.published import cache_path, read_published
from mss_shared.cli import run
from mss_shared.recipe import find_recipe, load_recipe
from tflocoformer_mss import TFLocoformerMSS, TFLocoformerSeparator, TussModel, configs
from tflocoformer_mss.model import WaveformModel, build
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe
from tflocoformer_mss.weights import join

# Of the release: bytes of each file, whose keys are prefixed.
SPEECH = {
    "wsj0_2mix": 59_979_488,
    "librimix": 59_979_488,
    "whamr": 59_942_624,
    "whamr_small": 20_553_016,
    "dns_ins20": 59_972_116,
}
UNIFIED = {"tuss_medium": 44_864_630, "tuss_large": 153_210_470}


def fields(name: str, **changes: Any) -> dict[str, Any]:
    model = load_recipe(Recipe, find_recipe("tflocoformer_mss", name)).recipe.model
    return {**vars(model), **changes}


def weights(module: torch.nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in module.state_dict().items()}


def save(path: Path, state: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state), path)
    return path


def test_all_seven_public_files_are_listed_with_size_digest_and_recipe() -> None:
    found = read_published("tflocoformer_mss")
    assert {name: entry.bytes for name, [entry] in found.items()} == {**SPEECH, **UNIFIED}
    for name, [entry] in found.items():
        assert entry.recipe == name
        assert entry.sha256 is not None and len(entry.sha256) == 64
        assert find_recipe("tflocoformer_mss", name).is_file()
    # Though five have the same published name.
    assert len({cache_path(entry) for [entry] in found.values()}) == 7
    assert len({entry.published_name for [entry] in found.values()}) == 2


@pytest.mark.parametrize("name", SPEECH)
def test_a_file_of_this_layout_has_the_published_size(name: str) -> None:
    """Four bytes per element and about 438 per key around them: DNS has a little more."""
    with torch.device("meta"):
        state = TFLocoformerSeparator(**configs[name]).state_dict()
    elements = 4 * sum(value.numel() for value in state.values())
    assert SPEECH[name] - elements == pytest.approx(438 * len(state), rel=0.03)


@pytest.mark.parametrize("prefix", ["separator.", "", "module.separator.", "model.separator."])
def test_speech_weights_load_strictly_with_and_without_their_prefix(
    prefix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    separator = TFLocoformerSeparator(**configs["whamr_small"])
    path = save(tmp_path / "valid.loss.ave_5best.pth", weights(separator, prefix))
    found = load_checkpoint(PAPER, str(path), "whamr_small")
    assert isinstance(found.model, WaveformModel)
    assert found.model.stems == ("speaker1", "speaker2") and not found.model.training
    loaded = found.model.separator.state_dict()
    assert len(loaded) == 118
    assert all(torch.equal(value, loaded[key]) for key, value in separator.state_dict().items())
    assert any("prefix" in note for note in found.notes) is (prefix != "separator.")


def test_the_music_models_checkpoints_load_into_their_recipe(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = TFLocoformerMSS(**configs["musdb18_small"])
    state = {"model_state_dict": model.state_dict(), "epoch": 3}
    found = load_checkpoint(PAPER, str(save(tmp_path / "best_model.pth", state)), "musdb18_small")
    mixture = 0.1 * torch.randn(1, 2, 1_500)
    with torch.no_grad():
        expected = torch.stack([*model.eval()(mixture).values()], dim=1)
        assert torch.allclose(found.model(mixture), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "recipe", "message"),
    [
        ("whamr_small", "whamr", "separator"),
        ("whamr_nope", "whamr", r"lacks .*rope.freqs \(12 such keys"),
        ("whamr", "whamr_nope", r"has the unknown key .*rope.freqs \(12 such keys"),
        ("librimix", "dns_ins20", "deconv"),
    ],
)
def test_weights_of_another_configuration_are_refused(
    preset: str, recipe: str, message: str, tmp_path: Path
) -> None:
    state = weights(TFLocoformerSeparator(**configs[preset]), "separator.")
    with pytest.raises(ValueError, match=message):
        load_checkpoint(PAPER, str(save(tmp_path / "weights.pth", state)), recipe)


def publish(name: str, state: Mapping[str, Any], folder: Path, monkeypatch: Any) -> None:
    """Put a file where the download of a name would be, with its digest for the published one."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: folder)
    [entry] = read_published("tflocoformer_mss")[name]
    path = save(cache_path(entry), state)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(published, "_digest", lambda p: entry.sha256 if p == path else digest)


def test_separate_preset_separates_speech(tmp_path: Path, monkeypatch: Any) -> None:
    torch.manual_seed(0)
    state = weights(TFLocoformerSeparator(**configs["wsj0_2mix"]), "separator.")
    publish("wsj0_2mix", state, tmp_path / "cache", monkeypatch)
    rng = np.random.default_rng(0)
    talk = (0.1 * rng.standard_normal((1, 1_500))).astype(np.float32)
    audio.write(tmp_path / "talk.wav", talk, 8_000)
    song, out = str(tmp_path / "talk.wav"), str(tmp_path / "out")
    run(PAPER, ["separate", song, "--preset", "wsj0_2mix", "--out", out])
    files = sorted((tmp_path / "out").glob("*.wav"))
    assert [file.name for file in files] == ["talk_speaker1.wav", "talk_speaker2.wav"]
    assert all((audio.info(f).samples, audio.info(f).sample_rate) == (1_500, 8_000) for f in files)


def small_tuss() -> WaveformModel:
    changes = {"n_fft": 512, "hop_length": 256, "emb_dim": 8, "num_groups": 2, "n_layers": 1}
    sizes = {"attention_dim": 8, "ffn_hidden_dim": (8, 8), "second_attention_dim": 8}
    sizes |= {"second_ffn_hidden_dim": (8, 8), "n_second_layers": 1, "n_heads": 2}
    torch.manual_seed(0)
    return build(**fields("tuss_medium", **changes, **sizes)).eval()


def test_a_prompted_model_separates_what_it_is_asked_for() -> None:
    model, mixture = small_tuss(), 0.1 * torch.randn(1, 2, 3_000)
    assert model.stems == ("vocals", "drums", "bass", "other")
    with torch.no_grad():
        first = model(mixture)
        asked = join([model], None, {"prompts": ["speech", "sfx", "speech"]})
        second = asked(mixture)
    assert asked.stems == ("speech1", "sfx", "speech2")
    assert first.shape[1] == 4 and second.shape == (1, 3, 2, 3_000)
    with pytest.raises(ValueError, match="unknown prompt 'piano'"):
        join([model], None, {"prompts": ["piano"]})


def test_prompts_for_other_models_or_several_are_refused() -> None:
    speech = build(**fields("whamr_small", n_layers=1))
    with pytest.raises(ValueError, match="separates speaker1, speaker2 and takes no prompts"):
        join([speech], None, {"prompts": ["drums"]})
    with pytest.raises(ValueError, match="--prompts with 2 checkpoints"):
        join([small_tuss(), small_tuss()], None, {"prompts": ["drums"]})
    assert join([speech], None, {}) is speech


def test_prompted_weights_load_by_name(tmp_path: Path, monkeypatch: Any) -> None:
    torch.manual_seed(0)
    state = {"state_dict": weights(TussModel(**configs["tuss_medium"]), "model.separator.")}
    publish("tuss_medium", state, tmp_path, monkeypatch)
    [found] = load_checkpoints(PAPER, "tuss_medium")
    assert (found.model.sample_rate, found.model.channels) == (48_000, 2)
    assert found.model.stems == ("vocals", "drums", "bass", "other")
