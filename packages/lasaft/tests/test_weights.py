"""Others' weights: opened without executing them, renamed, recognised from keys and shapes."""

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lasaft import Separator, read_weights
from lasaft.__main__ import PAPER
from lasaft.lightning_file import read_lightning
from lasaft.recipe import Recipe
from lasaft.variants import PRESETS, VARIANTS, read_arguments
from lasaft.weights import adapt, recognise
from mss_shared.checkpoint import load_checkpoint
from mss_shared.recipe import find_recipe, load_recipe

SMALL: dict[str, Any] = {
    "n_fft": 128,
    "hop_length": 64,
    "num_frame": 16,
    "n_blocks": 5,
    "internal_channels": 3,
    "n_internal_layers": 2,
    "bn_factor": 4,
    "min_bn_units": 5,
    "num_tdfs": 3,
    "dk": 7,
    "embedding_dim": 6,
    "control_n_layer": 3,
}
CHANGES: list[dict[str, Any]] = [
    {},
    {"tfc_tdf_bias": True, "kernel_size_t": 5},
    {"condition_to": "full", "t_down_layers": (0,)},
    {"spec_type": "magnitude", "input_channels": 2, "f_down_layers": (1,)},
]


def small(name: str = "CUNET_TFC_GPoCM_LaSAFT", **changes: Any) -> Separator:
    torch.manual_seed(0)
    return VARIANTS[name](**{**SMALL, **changes})


def lightning_file(path: Path, state: dict[str, Tensor], hyper: dict[str, Any]) -> Path:
    """A checkpoint as Lightning 1.1 wrote them: a callback's class as a key, a dictionary's kin."""
    module = types.ModuleType("old_lightning")

    class ModelCheckpoint: ...

    class AttributeDict(dict):  # type: ignore[type-arg]
        ...

    for kind in (ModelCheckpoint, AttributeDict):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
        setattr(module, kind.__name__, kind)
    sys.modules[module.__name__] = module
    try:
        callbacks = {ModelCheckpoint: {"best_model_score": torch.tensor(0.02)}}
        found = {"epoch": 3, "state_dict": state, "callbacks": callbacks}
        torch.save({**found, "hyper_parameters": AttributeDict(hyper)}, path)
    finally:
        del sys.modules[module.__name__]
    return path


# PoCM has the shapes of GPoCM, and no file of a net with a GRU is known.
TOLD_APART = [name for name in PRESETS if "_PoCM" not in name and not name.endswith("rnn_net")]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("name", TOLD_APART)
def test_a_configuration_is_recognised_from_shapes(name: str, changes: dict[str, Any]) -> None:
    if name in ("tdc_net", "tdf_net") and changes:
        changes = {}
    model = small(name, **changes)
    found = recognise(model.state_dict())
    wanted = read_arguments(PRESETS[name], {**SMALL, **changes})
    for field in ("bn_factor", "min_bn_units"):  # several give the same widths
        found.pop(field, None)
    assert found == {field: getattr(wanted, field) for field in found}
    needed = {"n_fft", "n_blocks", "internal_channels", "input_channels", "block", "modulation"}
    assert needed < set(found)


@pytest.mark.parametrize("name", ["CUNET_TFC_FiLM_TDF", "lightsaft_net", "tfc_tdf_net", "tdf_net"])
def test_weights_alone_rebuild_the_network(name: str, tmp_path: Path) -> None:
    model = small(name).eval()
    torch.save(model.state_dict(), tmp_path / "some.ckpt")
    again = read_weights(tmp_path / "some.ckpt", hop_length=64, num_frame=16)
    image = torch.randn(1, 4, 16, 65)
    condition = torch.tensor([2]) if model.conditioned else None
    with torch.no_grad():
        assert torch.equal(again.spec2spec(image, condition), model.spec2spec(image, condition))
    assert again.config.hop_length == 64


def test_a_published_file_of_another_activation_says_so_itself(tmp_path: Path) -> None:
    model = small(last_activation="tanh", spec_est_mode="masking")
    hyper = {"hop_length": 64, "num_frame": 16, "last_activation": "tanh"}
    hyper |= {"spec_est_mode": "masking", "criterion": None, "lr": 0.1}
    path = lightning_file(tmp_path / "run.ckpt", model.state_dict(), hyper)
    config = read_weights(path).config
    assert (config.last_activation, config.spec_est_mode) == ("tanh", "masking")
    assert (config.hop_length, config.num_frame) == (64, 16)


def test_a_lightning_file_is_read_without_its_classes(tmp_path: Path) -> None:
    state = small().state_dict()
    path = lightning_file(tmp_path / "run.ckpt", state, {"n_fft": 128, "model": "x"})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    found, hyper = read_lightning(path)
    assert [*found] == [*state]
    assert all(torch.equal(found[key], state[key]) for key in state)
    assert hyper == {"n_fft": 128, "model": "x"}


def test_what_a_file_would_execute_is_not_executed(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    state = small().state_dict()
    torch.save({"state_dict": state, "hyper_parameters": Trap(touched)}, tmp_path / "trap.ckpt")
    found, hyper = read_lightning(tmp_path / "trap.ckpt")
    assert not touched.exists() and not hyper and len(found) == len(state)
    torch.save(Trap(touched), tmp_path / "bare.ckpt")
    with pytest.raises(ValueError, match="bare.ckpt holds no state dict"):
        read_lightning(tmp_path / "bare.ckpt")
    assert not touched.exists()
    torch.load(tmp_path / "bare.ckpt", weights_only=False)
    assert touched.exists()  # the trap works


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04K\x01."])
def test_broken_files_are_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken.ckpt (can't be read as plain|holds no state)"):
        read_lightning(tmp_path / "broken.ckpt")
    with pytest.raises(FileNotFoundError, match="there is no file .*missing.ckpt"):
        read_weights(tmp_path / "missing.ckpt")


def test_the_prefix_of_2020_is_renamed() -> None:
    model = small()
    old = {
        k.replace("spec2spec.", "conditional_spec2spec."): v for k, v in model.state_dict().items()
    }
    found, notes = adapt(old, model, "gpocm_lasaft.ckpt")
    assert [*found] == [*model.state_dict()]
    assert "renamed conditional_spec2spec." in notes[0]
    assert "TFC_LaSAFT, GPoCM, n_fft 128, 5 blocks, 3 channels" in notes[1]


def test_a_file_under_its_recipes_name_loads_strictly(tmp_path: Path) -> None:
    recipe = load_recipe(Recipe, find_recipe("lasaft", "demo")).recipe
    model = PAPER.build_model(recipe).eval()
    path = lightning_file(tmp_path / "mine.ckpt", model.state_dict(), {})
    found = load_checkpoint(PAPER, str(path), "demo")
    assert any("TFC_TDF, FiLM" in note for note in found.notes)
    song = torch.randn(1, 2, 3_000)
    with torch.no_grad():
        assert torch.equal(found.model(song), model(song))


def test_weights_of_another_size_name_what_differs(tmp_path: Path) -> None:
    torch.save(small().state_dict(), tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="other.ckpt has n_fft 128, the recipe's model 2048"):
        load_checkpoint(PAPER, str(tmp_path / "other.ckpt"), "demo")


@pytest.mark.parametrize("lost", ["stft.stft.window", "spec2spec.first_conv.0.weight"])
def test_weights_of_another_kind_are_refused(lost: str) -> None:
    state = small().state_dict()
    del state[lost]
    with pytest.raises(ValueError, match="the weights lack .* they are no network of LaSAFT's"):
        recognise(state)
    with pytest.raises(ValueError, match="have no known block: they are no network"):
        recognise({"stft.stft.window": torch.ones(4)})


def test_keys_that_no_network_has_are_refused(tmp_path: Path) -> None:
    state = small().state_dict() | {"spec2spec.more": torch.ones(1)}
    torch.save(state, tmp_path / "more.ckpt")
    with pytest.raises(ValueError, match="spec2spec.more does not fit"):
        read_weights(tmp_path / "more.ckpt", hop_length=64, num_frame=16)
