"""Activation checkpointing: a block's activations are computed again for gradients, not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from moises_light.watching import decided_once

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)


class Recomputing(nn.Module):
    """A network that can compute its blocks again in the backward pass.

    Outputs, gradients and dropout stay the same, and batch norms count every batch once.

    Attributes:
        activation_checkpointing: whether it does so in training.
    """

    activation_checkpointing = False

    def run(self, block: Callable[..., Tensor], *arguments: Any) -> Tensor:
        """The output of a block, or of a method, of this network."""
        if not (self.activation_checkpointing and self.training and torch.is_grad_enabled()):
            return block(*arguments)
        network = block if isinstance(block, nn.Module) else self

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            first, again = decided_once(network)
            return first, kept_statistics(network, again)

        output: Tensor = checkpoint(block, *arguments, use_reentrant=False, context_fn=contexts)
        return output


@contextmanager
def kept_statistics(network: nn.Module, within: AbstractContextManager[None]) -> Iterator[None]:
    """In the block, batch norms update copies of their running statistics."""
    norms = [part for part in network.modules() if isinstance(part, NORMS)]
    kept = [dict(norm.named_buffers()) for norm in norms]
    for norm, buffers in zip(norms, kept, strict=True):
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        with within:
            yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
