"""Golden networks, the deterministic filling of full-size ones, and a small network."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from moises_light import MoisesLight

GOLDEN = Path(__file__).parent / "golden"

# Seconds matter here, the paper does not: two stages, one block of everything.
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


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def small_model(**changes: Any) -> MoisesLight:
    """A small seeded network in evaluation mode; architecture 0.1.5 unless changed."""
    torch.manual_seed(0)
    return MoisesLight(**{**SMALL, "architecture": "0.1.5", **changes}).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
