"""Activation checkpointing: a block's activations are computed again for gradients, not kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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
            return nullcontext(), KeptStatistics(network)

        output: Tensor = checkpoint(block, *arguments, use_reentrant=False, context_fn=contexts)
        return output


class KeptStatistics(AbstractContextManager[None]):
    """A context in which batch norms update copies of their running statistics.

    It is entered once for each time that gradients are computed.
    """

    def __init__(self, network: nn.Module) -> None:
        self.norms = [part for part in network.modules() if isinstance(part, NORMS)]
        self.kept: list[list[dict[str, Tensor]]] = []

    def __enter__(self) -> None:
        """Put copies in their place."""
        self.kept.append([dict(norm.named_buffers()) for norm in self.norms])
        for norm, buffers in zip(self.norms, self.kept[-1], strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        """Put the statistics back."""
        for norm, buffers in zip(self.norms, self.kept.pop(), strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
