"""Whether layers are to be called one by one: a hook waits for them, or torch itself reads them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
decided = threading.local()  # in the backward pass, what the forward pass found


def hooked(module: nn.Module) -> bool:
    """Whether hooks wait for a module, for a part of it or for all modules."""
    found: bool | None = None
    if not torch.compiler.is_compiling():
        found = getattr(decided, "hooked", None)
    if found is not None:
        return found
    if any(getattr(nn.modules.module, f"_global_{kind}") for kind in HOOKS):
        return True
    return any(getattr(part, f"_{kind}") for part in module.modules() for kind in HOOKS)


def differs() -> bool:
    """Whether torch is at work that needs the plain formulas: its compiler or export, jit.trace,
    torch.func or forward_ad.
    """
    return bool(
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )


def decided_once(module: nn.Module) -> dict[str, Any]:
    """Arguments of torch's checkpoint with which `hooked` has one answer in a forward pass and in
    its repetition.

    Otherwise a hook that is removed in between would make the repetition compute other tensors.
    """
    if torch.compiler.is_compiling():
        return {}
    found = hooked(module)
    return {"context_fn": lambda: (deciding(found), deciding(found))}


@contextmanager
def deciding(answer: bool) -> Iterator[None]:
    """A context in which `hooked` gives an answer."""
    before = getattr(decided, "hooked", None)
    decided.hooked = answer
    try:
        yield
    finally:
        decided.hooked = before
