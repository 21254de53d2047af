"""Frozen vectors, and a single thread for every test, as when the vectors were made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from lasaft.model import Separator
from lasaft.variants import VARIANTS

GOLDEN = Path(__file__).parent / "golden"


class Golden:
    """One file of frozen vectors: tensors by name, metadata with its JSON read."""

    def __init__(self, name: str) -> None:
        with safe_open(GOLDEN / f"{name}.safetensors", framework="pt") as file:
            self.tensors = {key: file.get_tensor(key).clone() for key in file.keys()}
            self.about: dict[str, Any] = {
                key: json.loads(value) if value.startswith("{") else value
                for key, value in file.metadata().items()
            }

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with a prefix, without it."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    def model(self) -> Separator:
        """The file's network with its weights, in evaluation mode."""
        about = self.about
        model = VARIANTS[about["model"]](**about["config"], **about["stft"])
        model.load_state_dict(self.below("param."), strict=True)
        return model.eval()

    def check(self, key: str, found: Tensor, tolerance: float = 1e-5) -> None:
        """Assert that a tensor is the one in the file; ``tolerance`` is a share of its peak."""
        wanted = self.tensors[key]
        assert found.shape == wanted.shape, key
        apart = (found.detach() - wanted).abs().max() / wanted.abs().max()
        assert apart < tolerance, f"{key}: {apart:.1e} of the peak apart"


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    return Golden


@pytest.fixture
def golden_json() -> Callable[[str], Any]:
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
