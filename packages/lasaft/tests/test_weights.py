"""Third-party weights: opened without executing them, renamed, recognised from keys and shapes."""

import pickle
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lasaft import Separator, read_weights
from lasaft.lightning_file import read_lightning
from lasaft.paper import PAPER
from lasaft.recipe import Recipe
from lasaft.variants import DEFAULTS, PRESETS, SYNONYMS, VARIANTS, read_arguments
from lasaft.weights import UNSEEN, adapt, recognise
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.datasets import open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit

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
    """A checkpoint as Lightning 1.1 wrote it: a callback's class as a key, a subclass of dict."""
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


# PoCM has the shapes of GPoCM.
TOLD_APART = [name for name in PRESETS if "_PoCM" not in name]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("name", TOLD_APART)
def test_a_configuration_is_recognised_from_shapes(name: str, changes: dict[str, Any]) -> None:
    if name in ("tdc_net", "tdf_net", "tdc_rnn_net") and changes:
        changes = {}
    model = small(name, **changes)
    found = recognise(model.state_dict(), "x.ckpt")
    wanted = read_arguments(PRESETS[name], {**SMALL, **changes})
    for field in ("bn_factor", "min_bn_units"):  # several give the same widths
        found.pop(field, None)
    assert found == {field: getattr(wanted, field) for field in found}
    needed = {"n_fft", "n_blocks", "internal_channels", "input_channels", "block", "modulation"}
    assert needed < set(found)


@pytest.mark.parametrize("factor", [4, 60, None])  # with the second every width is the minimum
@pytest.mark.parametrize(
    "name",
    [
        *("CUNET_TFC_FiLM_TDF", "lightsaft_net", "lightsaft_advanced", "tfc_tdf_net", "tdf_net"),
        *("tfc_rnn_net", "tdc_rnn_net"),
    ],
)
def test_weights_alone_rebuild_the_network(name: str, factor: int | None, tmp_path: Path) -> None:
    if name.startswith("lightsaft") and factor is None:
        factor = 1  # it needs a bottleneck
    model = small(name, bn_factor=factor).eval()
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


TOLD: dict[str, tuple[str, Any, dict[str, Any]]] = {  # name in the file -> (field, value, network)
    "hop_length": ("hop_length", 32, {}),
    "num_frame": ("num_frame", 32, {}),
    "spec_type": ("spec_type", "magnitude", {"input_channels": 2}),
    "spec_est_mode": ("spec_est_mode", "masking", {}),
    "first_conv_activation": ("first_conv_activation", "tanh", {}),
    "last_activation": ("last_activation", "sigmoid", {}),
    "gamma_activation": ("gamma_activation", "sigmoid", {}),
    "beta_activation": ("beta_activation", "tanh", {}),
    "condition_to": ("condition_to", "encoder", {}),
    "pocm_type": ("pocm_type", "naive", {}),
    "block_activation": ("block_activation", "leaky_relu", {}),
    "tfc_activation": ("block_activation", "leaky_relu", {}),
    "tdf_activation": ("block_activation", "leaky_relu", {}),
    "tdc_activation": ("block_activation", "leaky_relu", {}),
    "tfc_tdf_activation": ("block_activation", "leaky_relu", {}),
}


@pytest.mark.parametrize("name", TOLD)
def test_a_lightning_files_hyper_parameters_say_what_shapes_can_not(
    name: str, tmp_path: Path
) -> None:
    activations = {name for name, field in SYNONYMS.items() if field == "block_activation"}
    assert set(TOLD) == set(UNSEEN) | activations
    field, value, network = TOLD[name]
    state = small("CUNET_TFC_FiLM", **network).state_dict()
    hyper = {"hop_length": 64, "num_frame": 16, name: value}
    path = lightning_file(tmp_path / "run.ckpt", state, hyper)
    found = read_weights(path).config
    assert getattr(found, field) == value != DEFAULTS[field]


def test_hyper_parameters_that_say_two_things_are_refused(tmp_path: Path) -> None:
    hyper = {"hop_length": 64, "num_frame": 16, "tfc_activation": "relu", "tdf_activation": "tanh"}
    path = lightning_file(tmp_path / "run.ckpt", small().state_dict(), hyper)
    with pytest.raises(ValueError, match="block_activation relu and tdf_activation tanh: say"):
        read_weights(path)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the demo's recipe, which differs from the authors' defaults."""
    folder = tmp_path_factory.mktemp("run")
    root = make_dataset(folder / "songs", ("vocals", "drums", "bass", "other"), seconds=1.0)
    loaded = load_recipe(Recipe, find_recipe("lasaft", "demo"))
    machine = Machine(device="cpu", workers=0, dev_mode=True, save_top_k=1)
    return fit(PAPER, loaded, open_dataset(root), folder / "run", machine)


@pytest.mark.parametrize("name", ["model.safetensors", "last.ckpt", "epoch-0.ckpt"])
def test_a_file_of_our_own_is_the_network_of_its_recipe(name: str, run_folder: Path) -> None:
    recipe = load_recipe(Recipe, find_recipe("lasaft", "demo")).recipe
    trained = load_checkpoint(PAPER, str(run_folder)).model
    found = read_weights(run_folder / name, window_overlap=0.25)
    assert found.config == replace(recipe.model, window_overlap=0.25)
    song = torch.randn(1, 2, 3_000)
    with torch.no_grad():
        assert torch.equal(read_weights(run_folder / name)(song), trained(song))


def test_the_command_line_takes_a_kept_epoch_with_its_recipe(run_folder: Path) -> None:
    kept = str(run_folder / "epoch-0.ckpt")
    [note, *_] = load_checkpoint(PAPER, kept).notes
    assert "recipe run, after 1 steps of a run that need not have ended" in note
    found = load_checkpoint(PAPER, kept, str(run_folder / "recipe.yaml")).model.state_dict()
    trained = load_checkpoint(PAPER, str(run_folder)).model.state_dict()
    assert all(torch.equal(found[key], trained[key]) for key in trained)


def test_a_checkpoint_of_our_own_far_from_its_recipe_is_recognised(
    run_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(run_folder / "epoch-0.ckpt", tmp_path / "mine.ckpt")
    with pytest.raises(ValueError, match="mine.ckpt has 2 input channels, .* spec_type='complex'"):
        read_weights(tmp_path / "mine.ckpt")
    said = {"spec_type": "magnitude", "spec_est_mode": "masking", "last_activation": "sigmoid"}
    recipe = load_recipe(Recipe, find_recipe("lasaft", "demo")).recipe
    config = read_weights(tmp_path / "mine.ckpt", num_frame=32, **said).config
    told = ("bn_factor", "min_bn_units", "num_tdfs", "dk", "pocm_norm")  # unused or other widths
    same = {name: getattr(recipe.model, name) for name in told}
    assert replace(config, **same) == recipe.model


def test_a_file_of_another_package_is_refused(tmp_path: Path) -> None:
    header = {"paper": "open_unmix", "recipe": "x", "recipe_name": "y"}
    save_file(small().state_dict(), tmp_path / "other.safetensors", header)
    with pytest.raises(ValueError, match="other.safetensors holds a open_unmix model"):
        read_weights(tmp_path / "other.safetensors")


def test_a_safetensors_file_without_a_recipe_is_recognised(tmp_path: Path) -> None:
    save_file(small().state_dict(), tmp_path / "bare.safetensors")
    found = read_weights(tmp_path / "bare.safetensors", hop_length=64, num_frame=16)
    assert found.config.block == "TFC_LaSAFT"


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
    with pytest.raises(ValueError, match="other.ckpt has n_fft 128, the recipe's model has 2048"):
        load_checkpoint(PAPER, str(tmp_path / "other.ckpt"), "demo")


@pytest.mark.parametrize("lost", ["stft.stft.window", "spec2spec.first_conv.0.weight"])
def test_weights_of_another_kind_are_refused(lost: str) -> None:
    state = small().state_dict()
    del state[lost]
    with pytest.raises(ValueError, match="x.ckpt lacks .* these are not the weights of a LaSAFT"):
        recognise(state, "x.ckpt")
    with pytest.raises(ValueError, match="has no known block: these are not the"):
        recognise({"stft.stft.window": torch.ones(4)}, "x.ckpt")


def test_widths_that_no_factor_gives_are_named(tmp_path: Path) -> None:
    state = small("CUNET_TFC_FiLM_TDF").state_dict()
    for number, shape in (("0.weight", (9, 16)), ("3.weight", (16, 9))):
        state[f"spec2spec.mid_block.tdf.tdf.{number}"] = torch.ones(shape)
    torch.save(state, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=r"the shape \(9, 16\), in the network recognised it has"):
        read_weights(tmp_path / "odd.ckpt", hop_length=64, num_frame=16)


def test_keys_that_no_network_has_are_refused(tmp_path: Path) -> None:
    state = small().state_dict() | {"spec2spec.more": torch.ones(1)}
    torch.save(state, tmp_path / "more.ckpt")
    with pytest.raises(ValueError, match="spec2spec.more does not fit"):
        read_weights(tmp_path / "more.ckpt", hop_length=64, num_frame=16)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("first_conv.0.weight", (100_000, 4, 1, 1), "first_conv.0.weight has the shape .100000"),
        ("first_conv.0.weight", (2**21, 4, 1, 1), "odd.ckpt have a size of 2097152"),
        ("first_conv.0.weight", (0, 4, 1, 2), "has an empty 'first_conv.0.weight': "),
        ("first_conv.0.weight", (), "has shapes that fit no block: these are not"),
        ("embedding.weight", (4, 200_000), "weight has the shape"),
        ("embedding.weight", (4,), "has shapes that fit no block: these are not"),
        ("mid_block.keys", (7, 100), "shape"),
        ("mid_block.tfc.H.0.0.weight", (3, 3, 100_001, 3), "weight has the shape"),
        ("mid_block.tfc.H.0.0.weight", (3, 3), "has shapes that fit no block"),
        ("mid_block.tdfs.tdf.0.weight", (1, 1), "shape"),
    ],
)
def test_an_odd_tensor_is_refused_before_a_network_takes_memory(
    key: str, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    state = small().state_dict()
    assert f"spec2spec.{key}" in state
    state[f"spec2spec.{key}"] = torch.zeros(shape)
    torch.save(state, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "odd.ckpt", hop_length=64, num_frame=16)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("mid_block.tfc.H.{}.x", "n_internal_layers 300"),
        ("encoders.{}.x", " lacks |n_blocks 601"),
        ("condition_generator.dense_control_block.linear.{}.weight", "control_n_layer 300"),
    ],
)
def test_more_layers_than_any_network_has_are_refused(
    key: str, message: str, size: int, tmp_path: Path
) -> None:
    more = {f"spec2spec.{key.format(i)}": torch.zeros(size, 1) for i in range(300)}
    torch.save(more | small().state_dict(), tmp_path / "odd.ckpt")
    expected = message if size else "has an empty"
    with pytest.raises(ValueError, match=f"({expected}).*: these are not the weights of a LaSAFT"):
        read_weights(tmp_path / "odd.ckpt", hop_length=64, num_frame=16)
