"""Functions of torch are first called on one number, before anything is computed."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mss_shared.first_calls import DTYPES, FUNCTIONS, make_first_calls


class Calls(TorchDispatchMode):
    """Function and dtype of each call, and on how many numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[tuple[str, torch.dtype], int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.made.setdefault((func.overloadpacket.__name__, found.dtype), found.numel())
        return found


def test_each_function_is_called_on_a_single_number() -> None:
    make_first_calls.cache_clear()
    with Calls() as calls:
        make_first_calls()
    assert len(FUNCTIONS) == len(set(FUNCTIONS)) and {"cos", "sin", "exp"} < set(FUNCTIONS)
    wanted = {(name, dtype) for name in FUNCTIONS for dtype in DTYPES}
    assert {call for call, count in calls.made.items() if count == 1} >= wanted


@pytest.mark.parametrize(
    "module",
    [
        "mss_shared.checkpoints.checkpoint",
        "mss_shared.separation.separate",
        "mss_shared.training.fit",
    ],
)
def test_who_loads_trains_or_runs_a_model_has_made_the_first_calls(module: str) -> None:
    code = f"""
import {module}
from mss_shared.first_calls import make_first_calls
print(make_first_calls.cache_info().currsize)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
