"""The memory of a training step, computed before it: the step runs on tensors without data.

Torch's fake tensors have shapes, types and storages but no memory. What is alive at a time is added
up while forward pass, loss and backward pass run on them, so recomputation and everything that is
kept for gradients are in the sum. Buffers inside of kernels and what an allocator wastes are not.
"""

from __future__ import annotations

import copy
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import default_collate

from mss_shared.interfaces import Example, ExampleSets
from mss_shared.paper import AnyPaper
from mss_shared.training.misfits import NO_MODEL, NO_STEP, fitting

PROCESS_BYTES = 500_000_000  # of torch's libraries and buffers, or of a GPU's context
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_OPERATIONS = 30_000  # of a forward pass; where there are more, shorter ones are computed


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a step takes on its device.

    Attributes:
        state: weights, buffers, gradients, and what optimizer and moving average keep.
        peak: the most that is alive at a time, the state included.
        examples: that went through the model in the last forward pass to find out.
    """

    state: int
    peak: int
    examples: int

    @property
    def total(self) -> int:
        """The peak, and what the libraries take: measured as half a GB on a CPU."""
        return self.peak + PROCESS_BYTES


def estimate_step(
    paper: AnyPaper,
    recipe: Any,
    sets: ExampleSets,
    examples: int,
    *,
    device: str = "cpu",
    checkpointing: bool = False,
    accumulates: bool = False,
    forward: AbstractContextManager[Any] | None = None,
) -> StepMemory:
    """Compute the memory of one forward and backward pass and the optimizer's step.

    Args:
        paper: the package.
        recipe: its recipe.
        sets: whose first training examples give the shapes.
        examples: that go through the model together.
        device: ``cpu``, or one on which attention with dropout is fused and half precision is used.
        checkpointing: as ``fit --checkpoint_activations``.
        accumulates: whether gradients of earlier passes are there.
        forward: a context for each forward pass, such as a counter of operations.

    Raises:
        ValueError: if sizes of the recipe do not fit each other, so that there is no such step.
    """
    model, module = build(paper, recipe, checkpointing)
    if hasattr(model, "assume_accelerator"):
        model.assume_accelerator()
    half = None if device == "cpu" else _HALF.get(recipe.training.precision)
    settings = (half, device != "cpu", accumulates, forward or nullcontext())
    item = sets.train[0]
    try:
        with fitting(NO_STEP):
            found = _simulate(module, _batch(item, examples), _OPERATIONS, *settings)
    except _TooLong:  # blocks are recomputed in pieces, the more of them the longer the batch
        item = {name: value[..., : (value.shape[-1] + 1) // 2] for name, value in item.items()}
        less, more = (_simulate(module, _batch(item, n), sys.maxsize, *settings) for n in (1, 2))
        # Memory is linear in the length of all examples together.
        peak = more.peak + (more.peak - less.peak) * (2 * examples - 2)
        found = StepMemory(more.state, peak, 1)
    average = 0 if recipe.training.ema_decay is None else _bytes(model.state_dict().values())
    return StepMemory(found.state + average, found.peak + average, found.examples)


def build(paper: AnyPaper, recipe: Any, checkpointing: bool) -> tuple[Any, Any]:
    """A model and its ``TrainingModule``, without a change of the random state."""
    with torch.random.fork_rng(devices=[]), fitting(NO_MODEL):
        model = paper.build_model(recipe)
        module: Any = paper.build_training(model, recipe)
    if checkpointing:
        marked: Any = model
        marked.activation_checkpointing = True
    return model, module


def time_step(
    paper: AnyPaper, recipe: Any, item: Example, examples: int, device: str, checkpointing: bool
) -> float:
    """Seconds of one forward and backward pass and optimizer step, after one to warm up.

    Args:
        paper, recipe: of the model.
        item: a training example.
        examples: that go through the model together.
        device: where; half precision is used on ``cuda`` alone.
        checkpointing: as ``fit --checkpoint_activations``.
    """
    model, module = build(paper, recipe, checkpointing)
    module.to(device).train()
    _detach_from_trainer(module)
    half = _HALF.get(recipe.training.precision) if device == "cuda" else None
    batch = {name: value.to(device) for name, value in _batch(item, examples).items()}
    optimizers = _optimizers(module)
    began = 0.0
    for _ in range(2):
        began = time.perf_counter()
        with nullcontext() if half is None else torch.autocast(device, dtype=half):
            loss = module.training_step(batch, 0)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        float(loss.detach())  # waits for the device
    return time.perf_counter() - began


def _detach_from_trainer(module: Any) -> None:
    """Let a ``TrainingModule`` run without a Trainer."""
    module.log_mean = lambda *_: None
    module._trainer = SimpleNamespace(
        estimated_stepping_batches=1, global_step=0, training=True, is_global_zero=False
    )


def _batch(item: Example, examples: int) -> Example:
    batch: Example = default_collate([item] * examples)
    return batch


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _simulate(
    module: Any,
    batch: Example,
    most: int,
    half: torch.dtype | None,
    fused: bool,
    accumulates: bool,
    forward: AbstractContextManager[Any],
) -> StepMemory:
    """One step of a ``TrainingModule`` on fake tensors.

    Raises:
        _TooLong: after ``most`` operations of the forward pass.
    """
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    living = _Living()
    with fake:
        ghost = _without_data(module)
    for part in ghost.modules():
        part.register_forward_pre_hook(living.check)
    with fake, living, _fused_attention() if fused else nullcontext():
        for tensor in chain(ghost.parameters(), ghost.buffers()):
            living.count(tensor)
        optimizers = _optimizers(ghost)
        _first_step(ghost, optimizers, keep_gradients=accumulates)
        batch = tree_map(torch.empty_like, batch)
        autocast = (
            nullcontext()
            if half is None
            else torch.autocast("cpu", dtype=half, cache_enabled=False)
        )
        living.most = living.operations + most
        with autocast, forward:
            loss = ghost.training_step(batch, 0)
        living.most = sys.maxsize  # an exception in the backward pass would end the process
        loss.backward()
        examples = len(batch["mixture"])
        del loss, batch
        state = living.now
        # Optimizers of GPUs update all weights at once, with a copy of them on the way.
        step = state + (_bytes(ghost.parameters()) if fused else 0)
    return StepMemory(state, max(living.peak, step), examples)


def _without_data(module: Any) -> Any:
    """A copy of a module whose weights and buffers have no memory, in training mode."""
    ghosts: dict[int, Any] = {}
    for tensor in chain(module.parameters(), module.buffers()):
        empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
        if isinstance(tensor, nn.Parameter):
            empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
        ghosts[id(tensor)] = empty
    ghost = copy.deepcopy(module, ghosts).train()
    _detach_from_trainer(ghost)
    return ghost


def _optimizers(module: Any) -> list[torch.optim.Optimizer]:
    found = module.configure_optimizers()
    optimizers: list[torch.optim.Optimizer] = found[0] if isinstance(found, tuple) else [found]
    return optimizers


def _first_step(
    module: nn.Module, optimizers: list[torch.optim.Optimizer], keep_gradients: bool
) -> None:
    """Let the optimizers make what they keep between steps."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
        if not keep_gradients:
            optimizer.zero_grad()


class _TooLong(Exception):
    """A forward pass has more than ``_OPERATIONS``."""


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are alive.

    Attributes:
        operations: so far.
        most: of them; the next layer raises _TooLong.
        now: bytes.
        peak: the most that they were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = sys.maxsize
        self.now = self.peak = self.operations = 0
        self.known: set[int] = set()

    def count(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until it is freed."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def check(self, *_: Any) -> None:
        """Called by layers, as an exception within an operation would end the process."""
        if self.operations > self.most:
            raise _TooLong

    def _free(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns; numbers are unknown, so any will do."""
        if func is torch.ops.aten.equal.default:  # torch.istft asks whether its windows vanish
            return False
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1.0
        self.operations += 1
        output = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self.count(leaf)
        return output


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Attention as on a GPU, where dropout does not keep it from being fused.

    A mode of torch's would be off where a backward pass computes activations again.
    """
    plain = nn.functional.scaled_dot_product_attention

    def without_dropout(*args: Any, **kwargs: Any) -> Any:
        return plain(*args[:4], **{**kwargs, "dropout_p": 0.0})

    setattr(nn.functional, plain.__name__, without_dropout)
    try:
        yield
    finally:
        setattr(nn.functional, plain.__name__, plain)
