"""Whether layers are to be called one by one: a hook waits for them, or torch itself reads them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
decided = threading.local()  # what the forward pass of a block found


def watched(module: nn.Module) -> bool:
    """Whether every layer of a module is to be called, and its result kept.

    Hooks may wait for the module, for a part of it or for all modules.
    """
    if differs():
        return True
    found: bool | None = getattr(decided, "watched", None)
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


def decided_once(block: nn.Module) -> Callable[..., Tensor]:
    """The block, for torch's checkpoint, with one answer of `watched` in a forward pass and in its
    repetitions.

    Otherwise a hook that is removed in between would make a repetition compute other tensors.
    """
    if torch.compiler.is_compiling():
        return block
    found = watched(block)

    def decided_block(*arguments: Any) -> Tensor:
        with deciding(found):
            output: Tensor = block(*arguments)
            return output

    return decided_block


@contextmanager
def deciding(answer: bool) -> Iterator[None]:
    """A context in which `watched` gives an answer."""
    before = getattr(decided, "watched", None)
    decided.watched = answer
    try:
        yield
    finally:
        decided.watched = before
