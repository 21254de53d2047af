"""How a model runs: device, precision, compilation, back-off when out of memory, determinism."""

from __future__ import annotations

import gc
import os
import re
import resource
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mss_shared.separation.passes import PRECISIONS
from mss_shared.separation.separator import Wrapped

_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


class OutOfMemory(ValueError):
    """A single chunk does not fit in the device's memory."""


def pick_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda``, ``cuda:<index>`` or ``mps``.

    ``auto`` is CUDA if available, else the CPU.

    Raises:
        ValueError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError("there is no MPS device: choose --device cpu")
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(name.partition(":")[2] or 0)
        if index >= count:
            raise ValueError(
                f"there is no CUDA device{f' {index}' if count else ''}: choose --device cpu"
            )
    return torch.device(name)


class Autocast(Wrapped):
    """A model run under bfloat16 autocast, with float32 input and output."""

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        with torch.autocast(mixture.device.type, torch.bfloat16):
            estimates: Tensor = self.model(mixture)
        return estimates.float()


class BackOff(Wrapped):
    """A model that moves its input to its device, and halves the batch when out of memory.

    Attributes:
        limit: largest batch that may still fit; None until memory has run out once.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        super().__init__(model)
        self.device = device
        self.limit: int | None = None

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample).

        Raises:
            OutOfMemory: if a single chunk does not fit.
        """
        mixture = mixture.to(self.device)
        done: list[Tensor] = []
        while sum(map(len, done)) < len(mixture):
            rest = mixture[sum(map(len, done)) :]
            count = min(len(rest), self.limit or len(rest))
            estimates = self._try(rest[:count])
            if estimates is not None:
                done.append(estimates)
            elif count > 1:
                self.limit = count // 2
            else:
                raise OutOfMemory(
                    f"a single chunk of {mixture.shape[-1] / self.sample_rate:.1f} s does not fit "
                    f"in the memory of {self.device}: choose a smaller --chunk_seconds, or "
                    f"--device cpu"
                )
        return done[0] if len(done) == 1 else torch.cat(done)

    def _try(self, mixture: Tensor) -> Tensor | None:
        """The estimates, or None if memory ran out; the memory of the attempt is then freed."""
        try:
            estimates: Tensor = self.model(mixture)
            return estimates
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error reports a failed memory allocation, on any device."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None
    )


def prepare(model: Any, device: torch.device, precision: str, compiled: bool) -> BackOff:
    """Put a model on its device, in its precision, compiled or not, with back-off.

    Raises:
        ValueError: for an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"there is no precision {precision!r}: choose {' or '.join(PRECISIONS)}")
    model = model.to(device)
    if compiled:
        model = Compiled(model)
    if precision == "bf16":
        model = Autocast(model)
    return BackOff(model, device).eval()


class Compiled(Wrapped):
    """A model run through ``torch.compile``."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        # Not registered as a submodule: the compiled callable shares the weights of ``model``.
        self.__dict__["compiled"] = torch.compile(model)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample).

        Raises:
            ValueError: if compiling fails, say for lack of a C++ compiler.
        """
        try:
            with warnings.catch_warnings():  # of complex numbers, as of Fourier transforms
                warnings.filterwarnings("ignore", "Torchinductor does not support code generation")
                estimates: Tensor = self.__dict__["compiled"](mixture)
        except Exception as error:
            if is_out_of_memory(error) or not _is_of_the_compiler(error):
                raise
            reason = " ".join(str(error).split())[:120]
            raise ValueError(
                f"the model can't be compiled ({reason}): leave out --compile"
            ) from None
        return estimates


def _is_of_the_compiler(error: Exception) -> bool:
    kind = type(error).__module__
    return kind.startswith(("torch._dynamo", "torch._inductor"))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Make results on a GPU reproducible bit by bit; on a CPU they are anyway.

    Operations without a deterministic kernel still run, with a warning.
    """
    if device.type != "cuda":
        yield
        return
    # Fixes cuBLAS's order of summation; read when cuBLAS is initialised.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory held so far: the process's on the CPU, the allocator's on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
