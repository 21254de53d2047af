"""Checkpoints of runs, one fault each: in their bytes, in their values, in their tensors."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mss_shared.testing_mutations import ODD_VALUES, mutate_bytes


def odd_checkpoint(content: bytes, choose: random.Random) -> bytes:
    """A checkpoint's bytes with a fault."""
    if choose.random() < 0.3:
        return mutate_bytes(content, choose)
    values = torch.load(io.BytesIO(content), weights_only=True)
    values = copy.deepcopy(values)
    holder, key = choose.choice([*_places(values)])
    act = choose.randrange(4)
    if act == 0:
        del holder[key]
    elif act == 1 and isinstance(holder, dict):
        holder[choose.choice(("", "odd", "..", 7))] = holder.pop(key)
    elif isinstance(holder[key], Tensor):
        holder[key] = _odd_tensor(holder[key], choose)
    else:
        odd = choose.choice([*ODD_VALUES, torch.ones(3), {"a": torch.ones(2)}, 10**9, -(10**9)])
        holder[key] = copy.deepcopy(odd)
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


def _odd_tensor(tensor: Tensor, choose: random.Random) -> Any:
    """Of another shape, type or content; some claim terabytes."""
    kinds = (
        tensor.new_zeros(0),
        torch.zeros(1).expand(10**12),
        tensor.half() if tensor.is_floating_point() else tensor.float(),
        tensor.to(torch.complex64),
        torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor + 2**30,
        torch.ones(2, 3, 5).to_sparse(),
        torch.ones(tensor.shape, device="meta"),
        None,
        "weights",
        [1, 2],
        -1,
    )
    return choose.choice(kinds)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of nested dictionaries and lists."""
    keys: Any = [*value] if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
