"""The network against frozen outputs of the package moises-light (tests/golden/README.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from moises_light import MoisesLight, configs

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.safetensors"))
CHECKSUMS = json.loads((GOLDEN / "full_size_checksums.json").read_text())["models"]
KEYS = json.loads((GOLDEN / "state_dict_keys.json").read_text())
PRESETS = {  # golden name -> ours
    **{f"v010_{name}": name for name in configs if not name.endswith("_v015")},
    **{name.removesuffix("_v015"): name for name in configs if name.endswith("_v015")},
}
# What a config of ours says beyond the golden one, whose constructors had fewer arguments.
OURS = ("architecture", "edge_kernel_size", "norm_name", "act_name", "use_mask")


@dataclass(frozen=True)
class Golden:
    """One golden file: constructor arguments, weights, other tensors, other metadata."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    def model(self, **changes: Any) -> MoisesLight:
        model = MoisesLight(**{**self.config, **changes})
        model.load_state_dict(self.weights, strict=True)
        return model.eval()


def read_golden(name: str) -> Golden:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    architecture = metadata["reference"].removeprefix("moises-light ")
    return Golden(
        config={**json.loads(metadata["config"]), "architecture": architecture},
        weights={k.removeprefix("param."): t for k, t in tensors.items() if "param." in k},
        tensors={k: t for k, t in tensors.items() if "param." not in k},
        metadata=metadata,
    )


def fill(model: MoisesLight) -> None:
    """The recipe of full_size_checksums.json: seeded by an entry's index in the sorted keys."""
    state = model.state_dict()
    kept = ("stft_window", "freq_pad", "rotary_embed.freqs")
    for i, key in enumerate(sorted(state)):
        old = state[key]
        if not old.is_floating_point() or key.endswith(kept):
            continue
        u = torch.rand(old.shape, generator=torch.Generator().manual_seed(i)) * 2 - 1
        if key.endswith("running_var"):
            new = 1 + 0.25 * u
        elif key.endswith("running_mean"):
            new = 0.1 * u
        elif key.endswith("gamma") or (key.endswith("weight") and old.ndim == 1):
            new = 1 + 0.1 * u
        elif key.endswith("bias"):
            new = 0.05 * u
        else:
            new = u * (3 / old[0].numel()) ** 0.5
        old.copy_(new)


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


def limit(name: str) -> float:
    """Absolute; float32 against float64 differs by 1e-5 with InstanceNorm, 1e-6 otherwise."""
    return 3e-5 if name.startswith("instancenorm") else 5e-6


def run(model: MoisesLight, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)


def worst(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


def test_there_are_twenty_small_networks_and_twelve_presets() -> None:
    assert len(NAMES) == 20
    assert sorted(PRESETS) == sorted(CHECKSUMS) == sorted(KEYS["models"])
    assert len(PRESETS) == 12


@pytest.mark.parametrize("name", NAMES)
def test_a_small_network_gives_the_frozen_output(name: str) -> None:
    golden = read_golden(name)
    expected = golden.tensors["output"]
    difference = worst(run(golden.model(), golden.tensors["input"]), expected)
    assert difference <= limit(name)
    if not name.startswith("instancenorm"):
        assert difference <= 1e-5 * expected.abs().max().item()


@pytest.mark.parametrize("name", ["mini_paper_large", "v010_mini_paper_large"])
def test_fused_attention_gives_the_frozen_output(name: str) -> None:
    golden = read_golden(name)
    assert golden.config["transformer_params"]["flash_attn"] is False
    params = {**golden.config["transformer_params"], "flash_attn": True}
    output = run(golden.model(transformer_params=params), golden.tensors["input"])
    assert worst(output, golden.tensors["output"]) <= limit(name)


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("mini_paper_large", ["bottleneck", "first_conv"]),
        ("single_source", ["final_conv"]),
        ("v010_mini_paper_large", ["bottleneck", "final_conv", "first_conv"]),
    ],
)
def test_the_signal_inside_is_the_frozen_one(name: str, modules: list[str]) -> None:
    golden = read_golden(name)
    frozen = {k.removeprefix("mid."): t for k, t in golden.tensors.items() if "mid." in k}
    assert sorted(frozen) == modules
    model, seen = golden.model(), {}
    for module in modules:
        model.get_submodule(module).register_forward_hook(
            lambda _module, _inputs, output, module=module: seen.update({module: output})
        )
    run(model, golden.tensors["input"])
    for module in modules:
        scale = frozen[module].abs().max().item()
        assert worst(seen[module], frozen[module]) <= 1e-5 * scale, module


def test_a_network_that_generated_gives_the_frozen_masks() -> None:
    golden = read_golden("direct_generation")
    assert json.loads(golden.metadata["output.use_mask_true"]) == {"use_mask": True}
    output = run(golden.model(use_mask=True), golden.tensors["input"])
    assert worst(output, golden.tensors["output.use_mask_true"]) <= limit("direct_generation")


def check_gradients(model: MoisesLight, frozen: dict[str, float]) -> None:
    assert len(frozen) == 5
    for name, norm in frozen.items():
        assert model.get_parameter(name).grad.norm().item() == pytest.approx(norm, rel=1e-4), name


def test_training_mode_gives_the_frozen_loss_gradients_and_statistics() -> None:
    # In float64, which the frozen float32 numbers are near: batch statistics amplify rounding so
    # much that the reference itself, run again elsewhere, misses its gradient norms by 9e-4.
    golden = read_golden("single_source")
    model = golden.model().double().train()
    output = model(golden.tensors["input"].double())
    assert worst(output.detach(), golden.tensors["output.train_mode"].double()) <= 3e-5
    loss = (output - golden.tensors["target"]).abs().mean()
    loss.backward()
    assert loss.item() == pytest.approx(float(golden.metadata["train_l1"]), rel=1e-5)
    check_gradients(model, json.loads(golden.metadata["grad_norms"]))
    statistics = json.loads((GOLDEN / "single_source_statistics.json").read_text())
    assert model.first_conv.bn.num_batches_tracked == statistics["num_batches_tracked"]
    for key in ("running_mean", "running_var"):
        theirs = torch.tensor(statistics[key], dtype=torch.float64)
        assert worst(model.get_buffer(f"first_conv.bn.{key}"), theirs) <= 1e-6
        before = golden.weights[f"first_conv.bn.{key}"].double()
        assert worst(before, theirs) > 1e-2  # the pass did move them


def test_training_mode_in_float32_stays_near_the_frozen_output() -> None:
    golden = read_golden("single_source")
    output = run(golden.model().train(), golden.tensors["input"])
    assert worst(output, golden.tensors["output.train_mode"]) <= 1e-4
    loss = (output - golden.tensors["target"]).abs().mean().item()
    assert loss == pytest.approx(float(golden.metadata["train_l1"]), rel=1e-4)


def test_evaluation_mode_gives_the_frozen_loss_and_gradients() -> None:
    golden = read_golden("single_source")
    model = golden.model()
    loss = (model(golden.tensors["input"]) - golden.tensors["target"]).abs().mean()
    loss.backward()
    assert loss.item() == pytest.approx(float(golden.metadata["eval_l1"]), rel=1e-5)
    check_gradients(model, json.loads(golden.metadata["eval_grad_norms"]))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_has_the_frozen_arguments(name: str) -> None:
    config, frozen = configs[PRESETS[name]], CHECKSUMS[name]["config"]
    transformer = {**config["transformer_params"], "flash_attn": False}
    ours = {**config, "transformer_params": transformer}
    assert {k: v for k, v in ours.items() if k in frozen} == frozen
    assert {k for k in ours if k not in frozen} <= set(OURS)


def check_state(model: MoisesLight, name: str) -> None:
    entry = KEYS["models"][name]
    shapes = [[int(n) for n in shape.split("x") if n] for shape in entry["shapes"]]
    frozen = list(zip(KEYS["keys"][entry["keys"]], shapes, strict=True))
    assert [(key, list(t.shape)) for key, t in model.state_dict().items()] == frozen
    counts: dict[str, Any] = CHECKSUMS[name]
    assert len(frozen) == counts["state_dict_entries"]
    assert sum(p.numel() for p in model.parameters()) == counts["params"]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == counts["trainable_params"]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_full_size_preset_has_the_frozen_state_and_output(name: str) -> None:
    frozen = CHECKSUMS[name]
    model = MoisesLight(**configs[PRESETS[name]]).eval()
    check_state(model, name)
    fill(model)
    mixture = full_size_input(2, frozen["input_samples"])
    first = torch.tensor(frozen["input_first16"])
    assert worst(mixture[0, 0, :16], first) <= 1e-7
    output = run(model, mixture)
    assert list(output.shape) == frozen["output"]["shape"]
    assert len(frozen["output"]["rows"]) == 8
    for ours, row in zip(output.flatten(0, 2), frozen["output"]["rows"], strict=True):
        check_row(ours, row)


def check_row(ours: Tensor, row: dict[str, Any]) -> None:
    assert ours.double().std().item() == pytest.approx(row["std"], rel=1e-5)
    assert ours.double().norm().item() == pytest.approx(row["l2"], rel=1e-5)
    assert ours.abs().max().item() == pytest.approx(row["absmax"], rel=1e-5)
    middle = ours.numel() // 2
    # Presets of 0.1.0 reach thousands: what float32 leaves is relative to the peak.
    slack = 1e-5 * row["absmax"]
    assert ours.double().mean().item() == pytest.approx(row["mean"], abs=slack)
    assert worst(ours[:16], torch.tensor(row["first16"])) <= slack
    assert worst(ours[middle : middle + 16], torch.tensor(row["mid16"])) <= slack
