"""Golden files, and one thread for every test: rounding is theirs, and busy cores do not stall."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"


class Golden:
    """One golden file: tensors by name, its metadata, its configuration."""

    def __init__(self, name: str) -> None:
        with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
            # Cloned: a view as complex numbers must lie on their boundaries, a file's may not.
            self.tensors = {key: file.get_tensor(key).clone() for key in file.keys()}
            self.about: dict[str, str] = file.metadata()
        self.config: Any = json.loads(self.about.get("config", "{}"))

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with a prefix, without it."""
        return {
            key.removeprefix(prefix): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(prefix)
        }


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
