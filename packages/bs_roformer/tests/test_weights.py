"""Third-party weights: recognised from keys and shapes, refused by name, and rebuilt."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from bs_roformer.model import Roformer, build
from bs_roformer.paper import PAPER
from bs_roformer.weights import load_network, read_weights, recognise
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.recipe import find_recipe, load_recipe

GOLDEN = Path(__file__).parent / "golden"
FULL = json.loads((GOLDEN / "full_size_checksums.json").read_text())["models"]
SMALL: dict[str, Any] = {
    "dim": 8,
    "depth": 2,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "heads": 2,
    "dim_head": 4,
    "stft_n_fft": 256,
    "stft_win_length": 256,
    "stft_hop_length": 64,
    "mlp_expansion_factor": 3,
}
BANDS = (4, 4, 8, 113)
FILE = Path("weights.ckpt")
COMPILED_IN_TWO = ("module", "_orig_mod", "model")


def small(kind: str = "bs", **changes: Any) -> Roformer:
    torch.manual_seed(0)
    bands: dict[str, Any] = {"freqs_per_bands": BANDS} if kind == "bs" else {"num_bands": 10}
    return build(kind, **{**SMALL, **bands, **changes}).eval()


def rebuilt(kind: str, arguments: dict[str, Any], state: dict[str, Tensor]) -> Roformer:
    model = build(kind, **arguments, stft_hop_length=64)
    model.load_state_dict(state, strict=True)
    return model.eval()


def check_same(model: Roformer, found: Any) -> None:
    assert found.kind == model.config.kind
    again = rebuilt(found.kind, found.arguments, found.state)
    mixture = torch.randn(1, model.channels, 2000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(mixture), again(mixture))


# ---- what shapes tell


@pytest.mark.parametrize("name", sorted(FULL))
def test_a_published_key_list_gives_its_configuration(name: str) -> None:
    shapes = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    found = recognise({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    assert found.kind == ("mel" if "mel" in name else "bs")
    config, v1 = FULL[name]["config"], FULL[name]["reference"].startswith("BS-RoFormer 1")
    expected = {"num_stems": 1, "heads": 8, "dim_head": 64, "stereo": False, "stft_n_fft": 2048}
    expected |= {"mlp_expansion_factor": 4, "layout": "1.2" if v1 else "checkpoint"}
    expected["mask_estimator_depth"] = 1 if found.kind == "mel" else 2
    expected["linear_transformer_depth"] = int(v1 and found.kind == "mel")
    expected |= {k: v for k, v in config.items() if k in found.arguments}
    if config.get("freqs_per_bands") == "default62" or found.kind == "bs":
        expected["freqs_per_bands"] = found.arguments["freqs_per_bands"]
        assert len(expected["freqs_per_bands"]) == 62
    assert {key: found.arguments[key] for key in expected} == expected
    with torch.device("meta"):
        model = build(found.kind, **found.arguments)
    assert {k: [*t.shape] for k, t in model.state_dict().items()} == shapes


@settings(max_examples=12)
@given(
    kind=st.sampled_from(["bs", "mel"]),
    layout=st.sampled_from(["checkpoint", "1.2"]),
    stereo=st.booleans(),
    stems=st.integers(1, 3),
    linear=st.integers(0, 2),
    time=st.integers(1, 3),
    freq=st.integers(1, 2),
    mask=st.integers(1, 3),
    pope=st.booleans(),
)
def test_any_network_is_rebuilt_from_its_weights(
    kind: str,
    layout: str,
    stereo: bool,
    stems: int,
    linear: int,
    time: int,
    freq: int,
    mask: int,
    pope: bool,
) -> None:
    model = small(
        kind,
        layout=layout,
        stereo=stereo,
        num_stems=stems,
        linear_transformer_depth=linear,
        time_transformer_depth=time,
        freq_transformer_depth=freq,
        mask_estimator_depth=mask,
        use_pope=pope,
    )
    check_same(model, recognise(model.state_dict()))


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000])
def test_mel_bands_tell_the_sample_rate(rate: int) -> None:
    found = recognise(small("mel", sample_rate=rate, stft_n_fft=2048).state_dict())
    assert (found.arguments["sample_rate"], found.arguments["stft_n_fft"]) == (rate, 2048)


def test_the_note_says_how_mask_layers_are_counted() -> None:
    mel = recognise(small("mel", mask_estimator_depth=2).state_dict())
    assert "mask MLPs of 2 hidden layers" in mel.notes[-1]
    split = recognise(small("bs", mask_estimator_depth=2).state_dict())
    assert "mask MLPs of 2 linear layers" in split.notes[-1]


# ---- with a configuration


@pytest.mark.parametrize("kind", ["bs", "mel"])
def test_weights_and_their_configuration_give_the_network(kind: str) -> None:
    model = small(kind, stems=["a", "b"], zero_dc=True)
    arguments = {k: v for k, v in asdict(model.config).items() if k != "kind"}
    again = load_network(recognise(model.state_dict()), kind, arguments, FILE)
    assert again.config == model.config
    assert not again.training
    state = again.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in model.state_dict().items())


def test_a_configuration_without_hidden_layers_to_compare_still_fits() -> None:
    model = small(mask_estimator_depth=1)
    arguments = {k: v for k, v in asdict(model.config).items() if k != "kind"}
    again = load_network(recognise(model.state_dict()), "bs", arguments, FILE)
    assert again.config == model.config


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("mel", {}, "kind=mel in the configuration, bs by the weights' keys: they belong"),
        ("bs", {"mask_estimator_depth": 3}, r"mask_estimator_depth=3 in .*, 2 by the weights'"),
        ("bs", {"mlp_expansion_factor": 4}, r"mlp_expansion_factor=4 in .*, 3 by .* \(1 such\)"),
        ("bs", {"dim": "8"}, "dim='8' in the configuration, 8 by the weights' shapes"),
        ("bs", {"stems": ("a", "b")}, r"num_stems=2 in the configuration, 1 by"),
    ],
)
def test_another_configuration_is_refused_with_the_first_difference(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    model = small(stems=["a"])
    arguments = {k: v for k, v in asdict(model.config).items() if k != "kind"}
    with pytest.raises(ValueError, match=message):
        load_network(recognise(model.state_dict()), kind, {**arguments, **changes}, FILE)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        (
            "layers.1.0.layers.0.1.net.4.bias",
            None,
            r"lacks layers.1.0.*bias \(1 such keys of \d+\)",
        ),
        (
            "layers.1.1.layers.0.0.to_out.0.weight",
            (3, 3),
            r"to_out.0.weight of shape \(3, 3\), .*8",
        ),
        ("layers.1.0.layers.0.0.extra", (1,), "has the unknown key layers.1.0.layers.0.0.extra"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    key: str, shape: tuple[int, ...] | None, message: str
) -> None:
    model = small(stems=["a"])
    arguments = {k: v for k, v in asdict(model.config).items() if k != "kind"}
    state = {k: v for k, v in model.state_dict().items() if k != key}
    if shape is not None:
        state[key] = torch.zeros(shape)
    with pytest.raises(ValueError, match=f"^weights.ckpt .*{message}.*, or the file is damaged$"):
        load_network(recognise(state), "bs", arguments, FILE)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("band_split.to_features.3.0.gamma", "bs"),
        ("layers.0.0.layers.0.0.to_qkv.weight", "bs"),
        ("mask_estimators.0.to_freqs.0.0.0.weight", "mel"),
    ],
)
def test_what_sizes_are_read_from_is_named_if_it_is_missing_or_no_list(key: str, kind: str) -> None:
    state = small(kind).state_dict() | {"mask_estimators.0.to_freqs.0.0.4.weight": torch.ones(1)}
    with pytest.raises(ValueError, match=rf"lack {re.escape(key)} \(\d+ keys in all\): they are"):
        recognise({k: v for k, v in state.items() if k != key})
    with pytest.raises(ValueError, match=rf"have {re.escape(key)} of shape \(\) .*: they are"):
        recognise(state | {key: torch.tensor(1.0)})


# ---- wrappers, prefixes, files


@pytest.mark.parametrize(
    ("wrap", "notes"),
    [
        (lambda s: s, []),
        (lambda s: {"state": s, "epoch": 3}, ["unwrapped 'state'"]),
        (lambda s: {"state_dict": s, "lr": [0.1]}, ["unwrapped 'state_dict'"]),
        (lambda s: {"model_state_dict": s}, ["unwrapped 'model_state_dict'"]),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, ["removed the prefix 'module.'"]),
        (
            lambda s: {
                "state_dict": {
                    **{f"model.{k}": v for k, v in s.items()},
                }
            },
            ["unwrapped 'state_dict'", "removed the prefix 'model.'"],
        ),
        (
            lambda s: {"n_averaged": torch.tensor(7), **{f"module.{k}": v for k, v in s.items()}},
            ["left out the counters n_averaged", "removed the prefix 'module.'"],
        ),
        (
            lambda s: {f"ema_model.module.{k}": v for k, v in s.items()},
            ["removed the prefix 'ema_model.'", "removed the prefix 'module.'"],
        ),
        (
            lambda s: {"state": {f"module._orig_mod.model.{k}": v for k, v in s.items()}},
            ["unwrapped 'state'", *(f"removed the prefix '{p}.'" for p in COMPILED_IN_TWO)],
        ),
        (
            lambda s: {f"model.{k.replace('layers.1', 'layers.1._orig_mod')}": s[k] for k in s},
            ["removed the prefix 'model.'", "removed '_orig_mod.' inside"],
        ),
        (
            lambda s: {"model": {k: v + 1 for k, v in s.items()}, "ema": s},
            ["unwrapped 'model'", "took the moving average 'ema.'"],
        ),
        (
            lambda s: {**{f"net.{k}": v for k, v in s.items()}, "loss.window": torch.ones(3)},
            ["left out 1 tensors of training, under loss", "removed the prefix 'net.'"],
        ),
    ],
)
def test_wrappers_and_prefixes_come_off_and_are_named(wrap: Any, notes: list[str]) -> None:
    model = small()
    found = recognise(wrap(model.state_dict()))
    check_same(model, found)
    said = found.notes[:-1]
    assert len(said) == len(notes)
    assert all(line.startswith(note) for line, note in zip(said, notes, strict=True))


def test_half_precision_becomes_float32() -> None:
    model = small().half()
    found = recognise(model.state_dict())
    assert {tensor.dtype for tensor in found.state.values()} == {torch.float32}
    assert "stored as torch.float16" in found.notes[-1]


@pytest.mark.parametrize("suffix", ["ckpt", "pth", "safetensors"])
def test_a_file_is_read_without_executing_it(suffix: str, tmp_path: Path) -> None:
    model, path = small(), tmp_path / f"weights.{suffix}"
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    save_file(state, path) if suffix == "safetensors" else torch.save({"state": state}, path)
    check_same(model, read_weights(path))


class Trap:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


def test_a_file_that_would_execute_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trap.ckpt"
    torch.save({"state": small().state_dict(), "more": Trap()}, path)
    with pytest.raises(ValueError, match="trap.ckpt can't be read as plain weights"):
        read_weights(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04 cut short"])
def test_a_broken_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken.ckpt can't be read as plain weights"):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no weights file .*none.ckpt: check"):
        read_weights(tmp_path / "none.ckpt")


# ---- what is refused


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("mask_estimators.0.segm.conv.weight", "HyperACE"),
        ("mask_estimators.0.axial_refiner.0.weight", "axial refiner"),
        ("shared_qkv_bias", "biases shared by attentions"),
        ("layers.0.0.layers.0.0.to_qkv.bias", "biases shared by attentions"),
        ("time_mlp.0.weight", "flow-matching"),
        ("layers.1.0.layers.0.0.to_value_residual_mix.weight", "the package BS-RoFormer 0.5"),
        ("layers.1.0.layers.0.0.to_qkv.lora_A", "a low-rank adapter"),
    ],
)
def test_a_foreign_variant_is_refused_by_name(key: str, what: str) -> None:
    state = small().state_dict() | {key: torch.zeros(3)}
    with pytest.raises(ValueError, match=rf"{re.escape(key)} \(1 such keys\): this is .*{what}"):
        recognise(state)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "holds no state dict, it is empty"),
        (torch.zeros(3), "holds no state dict but a Tensor: save"),
        ({"epoch": 3}, "holds no state dict, 'epoch' of its 1 entries is not a tensor"),
        ({"conv.weight": torch.zeros(3)}, "none of the 1 keys is band_split"),
    ],
)
def test_what_holds_no_such_weights_is_refused(found: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recognise(found)


def test_the_papers_layout_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="layout 'paper', whose files name their recipe"):
        recognise(small(layout="paper").state_dict())


def test_bands_of_no_usual_transform_are_refused_with_their_size() -> None:
    odd = small(freqs_per_bands=(100, 51), stft_n_fft=300, stft_win_length=300)
    with pytest.raises(ValueError, match=r"hold 302 numbers, which fits no STFT .* YAML file"):
        recognise(odd.state_dict())
    with pytest.raises(ValueError, match=r"10 bands of \[.*\]\.\.\. numbers fit no mel bands"):
        recognise(small("mel", sample_rate=11_025).state_dict())


def test_a_block_with_too_few_attentions_is_refused() -> None:
    state = {k: v for k, v in small().state_dict().items() if not k.startswith("layers.0.1")}
    with pytest.raises(ValueError, match=r"under the numbers \[0\]: one along frames and one"):
        recognise(state)


def test_a_file_of_weights_loads_through_the_command_lines_own_way(tmp_path: Path) -> None:
    text = (
        find_recipe("bs_roformer", "demo")
        .read_text()
        .replace("layout: paper", "layout: checkpoint")
    )
    recipe = tmp_path / "public.yaml"
    recipe.write_text(text)
    loaded = load_recipe(PAPER.recipe_type, recipe)
    state = PAPER.build_model(loaded.recipe).state_dict()
    averaged = {f"ema_model.module.{key}": value for key, value in state.items()}
    torch.save({"state": averaged}, tmp_path / "theirs.ckpt")
    found = load_checkpoint(PAPER, str(tmp_path / "theirs.ckpt"), str(recipe))
    for key, value in found.model.state_dict().items():
        assert torch.equal(value, state[key])
    assert "removed the prefix 'ema_model.' from every key" in found.notes
    averaged["ema_model.module.mask_estimators.0.segm.weight"] = torch.zeros(1)
    torch.save(averaged, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="this is HyperACE"):
        load_checkpoint(PAPER, str(tmp_path / "foreign.ckpt"), str(recipe))
