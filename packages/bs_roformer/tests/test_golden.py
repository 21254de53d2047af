"""The networks against frozen outputs of third-party code (tests/golden/README.md)."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from bs_roformer import BSRoformer, MelBandRoformer
from bs_roformer.model import Roformer

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(
    p.stem for p in GOLDEN.glob("*.safetensors") if p.stem.split("_")[1] in ("bs", "mel")
)
CLASSES = {"bs": BSRoformer, "mel": MelBandRoformer}


@dataclass(frozen=True)
class Frozen:
    """One file: constructor arguments, weights, other tensors, other metadata."""

    name: str
    kind: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    def model(self, **changes: Any) -> Roformer:
        model = CLASSES[self.kind](**{**self.config, **changes})
        model.load_state_dict(self.weights, strict=True)
        return model.eval()


def read(name: str) -> Frozen:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    stored = {k.removeprefix("param."): tensors.pop(k) for k in [*tensors] if "param." in k}
    weights = draw(json.loads(metadata["shapes"]), int(metadata["seed"])) | stored
    assert digest(weights) == metadata["weights_sha256"], "torch's generator has changed"
    line, kind = name.split("_")[:2]
    config = ours(line, kind, json.loads(metadata["config"]))
    return Frozen(name, kind, config, weights, tensors, metadata)


def ours(line: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """What our constructors must be told beyond the arguments of that code line."""
    config = {**config, "layout": "1.2" if line == "v1" else "checkpoint"}
    if kind == "mel" or line != "ckpt":
        config.setdefault("match_input_audio_length", False)
    return config


def draw(shapes: dict[str, list[int]], seed: int) -> dict[str, Tensor]:
    """The seeded draw that filled the networks: one generator, keys in plain string order."""
    generator, weights = torch.Generator().manual_seed(seed), {}
    for key in sorted(shapes):
        if key.endswith("freqs"):
            continue
        u = torch.rand(shapes[key], generator=generator) * 2 - 1
        if key.endswith("gamma"):
            u = 1 + 0.4 * u
        elif key.endswith("bias"):
            u = 0.2 * u
        elif key.endswith("weight"):
            u = u * (3 / u[0].numel()) ** 0.5
        weights[key] = u
    return weights


def digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 over keys and bytes in plain string order."""
    found = hashlib.sha256()
    for key in sorted(weights):
        found.update(key.encode())
        found.update(weights[key].contiguous().numpy().tobytes())
    return found.hexdigest()


CHECKSUMS = json.loads((GOLDEN / "full_size_checksums.json").read_text())["models"]
KEYS = {path.name.split(".")[0]: path for path in GOLDEN.glob("*.keys.json")}
WITH_LOSS = [name for name in NAMES if "loss" in read(name).metadata]


def run(model: Roformer, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)  # type: ignore[return-value]


# Of a frozen output from the exact one, where float32 rounds it by more than 2e-6.
ROUNDED = {"v1_bs_streams1_fracs2_stereo": 3e-6}


def check(ours: Tensor, frozen: Frozen, key: str = "output", **changes: Any) -> None:
    """What the network computes in float64 is the frozen output, and ours rounds like that one.

    Float32 is rounded by the processor; streams mixed by exponentials magnify it. So the formula is
    compared in float64: within 2e-6 and 1e-5 of the peak. Ours is within 2e-6 of that, or three
    times as far from it as the frozen output. Some code lines drop the axis of a single stem.
    """
    theirs = frozen.tensors[key]
    exact = run(frozen.model(**changes).double(), frozen.tensors["input"].double())
    ours, exact = (x.squeeze(1) if theirs.ndim < x.ndim else x for x in (ours, exact))
    assert ours.shape == theirs.shape
    rounding = (exact - theirs).abs().max().item()
    assert rounding <= ROUNDED.get(frozen.name, 2e-6)
    assert rounding <= 1e-5 * theirs.abs().max().item()
    assert (ours - exact).abs().max().item() <= max(2e-6, 3 * rounding)


def test_there_are_twenty_four_small_and_fourteen_full_networks() -> None:
    assert len(NAMES) == 24
    assert len(WITH_LOSS) == 5
    assert sorted(KEYS) == sorted(CHECKSUMS)
    assert len(CHECKSUMS) == 14


@pytest.mark.parametrize("name", NAMES)
def test_a_small_network_gives_the_frozen_output(name: str) -> None:
    frozen = read(name)
    check(run(frozen.model(), frozen.tensors["input"]), frozen)


@pytest.mark.parametrize("name", NAMES)
def test_fused_attention_and_recorded_gradients_change_nothing(name: str) -> None:
    frozen = read(name)
    assert frozen.config["flash_attn"] is False
    fused = frozen.model(flash_attn=True)
    check(run(fused, frozen.tensors["input"]), frozen)
    check(fused(frozen.tensors["input"]).detach(), frozen)


def variations() -> list[tuple[str, str]]:
    return [(n, key) for n in NAMES for key in read(n).tensors if key.startswith("output.")]


def test_there_are_four_variations() -> None:
    assert len(variations()) == 4


@pytest.mark.parametrize(("name", "key"), variations())
def test_the_same_weights_with_another_argument_give_the_frozen_output(name: str, key: str) -> None:
    frozen = read(name)
    changes = json.loads(frozen.metadata[key])
    check(run(frozen.model(**changes), frozen.tensors["input"]), frozen, key, **changes)


@pytest.mark.parametrize("name", [n for n in NAMES if any("mid." in k for k in read(n).tensors)])
def test_the_signal_inside_is_the_frozen_one(name: str) -> None:
    frozen = read(name)
    inside = {k.removeprefix("mid."): t for k, t in frozen.tensors.items() if "mid." in k}
    model, seen = frozen.model(), {}
    for module in inside:
        model.get_submodule(module).register_forward_hook(
            lambda _module, _inputs, output, module=module: seen.update({module: output})
        )
    model(frozen.tensors["input"])  # with gradient: without, modules see a few sequences at a time
    for module, theirs in inside.items():
        ours = seen[module][0] if isinstance(seen[module], tuple) else seen[module]
        assert ours.shape == theirs.shape
        # Not the largest difference: norms of nearly silent bands enlarge the STFT's rounding.
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm(), module


@pytest.mark.parametrize("name", WITH_LOSS)
def test_the_loss_and_its_gradients_are_the_frozen_ones(name: str) -> None:
    frozen = read(name)
    model = frozen.model()
    mixture, target = frozen.tensors["input"], frozen.tensors["target"]
    total, (waveform, spectral) = model(mixture, target=target, return_loss_breakdown=True)
    theirs = json.loads(frozen.metadata["loss"])
    assert total.item() == pytest.approx(theirs["total"], rel=1e-5)
    assert waveform.item() == pytest.approx(theirs["l1"], rel=1e-5)
    assert spectral.item() == pytest.approx(theirs["multi_stft_sum"], rel=1e-5)
    total.backward()
    norms = json.loads(frozen.metadata["grad_norms"])
    assert len(norms) == 5
    for key, norm in norms.items():
        assert model.get_parameter(key).grad.norm().item() == pytest.approx(norm, rel=1e-4), key
    assert model(mixture, target=target).item() == total.item()


# ---- full size


def full_size(name: str, device: str = "cpu") -> Roformer:
    given = dict(CHECKSUMS[name]["config"])
    if given.get("freqs_per_bands") == "default62":
        del given["freqs_per_bands"]
    kind = "mel" if "mel" in name else "bs"
    reference = CHECKSUMS[name]["reference"]
    line = "v1" if reference.startswith("BS") else "fork" if "Lossless" in reference else "ckpt"
    with torch.device(device):
        return CLASSES[kind](**ours(line, kind, given)).eval()


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_full_size_network_has_the_frozen_keys_and_counts(name: str) -> None:
    frozen = {key: tuple(shape) for key, shape in json.loads(KEYS[name].read_text()).items()}
    model = full_size(name, "meta")
    state = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert state == frozen
    counts = CHECKSUMS[name]
    assert len(state) == counts["state_dict_entries"]
    assert sum(t.numel() for t in model.state_dict().values()) == counts["state_dict_numel"]
    assert sum(p.numel() for p in model.parameters()) == counts["params"]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == counts["trainable_params"]


def fill(model: Roformer) -> None:
    """The recipe of full_size_checksums.json: seeded by an entry's index in the sorted keys."""
    state = model.state_dict()
    for i, key in enumerate(sorted(state)):
        if key.endswith(("rotary_embed.freqs", "inv_freqs")):
            continue
        u = state[key]
        torch.rand(u.shape, generator=torch.Generator().manual_seed(i), out=u)
        u.mul_(2).sub_(1)
        if key.endswith("gamma") or (key.endswith("weight") and u.ndim == 1):
            u.mul_(0.1).add_(1)
        elif key.endswith("bias"):
            u.mul_(0.05)
        elif key.endswith("weight"):
            u.mul_((3 / u[0].numel()) ** 0.5)
        else:
            u.mul_(0.1)


def full_size_input(channels: int, samples: int) -> Tensor:
    """The recipe of full_size_checksums.json: three sines and noise per channel."""
    n = torch.arange(samples, dtype=torch.float64)
    r = torch.rand(channels, samples, generator=torch.Generator().manual_seed(1234))
    rows = [
        0.4 * torch.sin(2 * torch.pi * 220 * (j + 1) * n / 44_100)
        + 0.2 * torch.sin(2 * torch.pi * 1234.5 * n / 44_100 + j)
        + 0.1 * torch.sin(2 * torch.pi * 5432.1 * n / 44_100)
        + 0.05 * (2 * r[j] - 1)
        for j in range(channels)
    ]
    return torch.stack(rows).float().unsqueeze(0)


def check_row(ours: Tensor, row: dict[str, Any]) -> None:
    assert ours.double().std().item() == pytest.approx(row["std"], rel=1e-5)
    assert ours.double().norm().item() == pytest.approx(row["l2"], rel=1e-5)
    assert ours.abs().max().item() == pytest.approx(row["absmax"], abs=5e-6)
    assert ours.double().mean().item() == pytest.approx(row["mean"], abs=5e-6)
    middle = ours.numel() // 2
    for start, name in ((0, "first16"), (middle, "mid16")):
        difference = ours[start : start + 16] - torch.tensor(row[name])
        assert difference.abs().max() <= 5e-6, name


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_a_full_size_network_gives_the_frozen_output(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = CHECKSUMS[name]
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda _: None)  # filled just below
    model = full_size(name)
    fill(model)
    mixture = full_size_input(model.channels, frozen["input_samples"])
    first = torch.tensor(frozen["input_first16"])
    assert (mixture[0, 0, :16] - first).abs().max() <= 1e-7
    output = run(model, mixture)
    if len(frozen["output"]["shape"]) == 3:
        output = output.squeeze(1)
    assert list(output.shape) == frozen["output"]["shape"]
    rows = output.flatten(0, -2)
    assert len(rows) == len(frozen["output"]["rows"]) >= 1
    for ours_row, row in zip(rows, frozen["output"]["rows"], strict=True):
        check_row(ours_row, row)
