"""Devices, precision, compilation, and what happens when the memory is full."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mss_shared.separation import device
from mss_shared.separation.device import BackOff, OutOfMemory, deterministic, pick_device, prepare


class Room(torch.nn.Module):
    """A model that runs out of memory above so many samples in a pass."""

    stems, sample_rate, channels = ("a",), 100, 2

    def __init__(self, samples: int, error: Exception) -> None:
        super().__init__()
        self.samples, self.error = samples, error
        self.batches: list[int] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.batches.append(len(mixture))
        if len(mixture) * mixture.shape[-1] > self.samples:
            raise self.error
        return mixture[:, None]


CPU = torch.device("cpu")
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
]


@pytest.mark.parametrize("error", FULL, ids=["cuda", "cpu", "mps"])
def test_a_full_memory_halves_the_batch_and_is_remembered(error: Exception) -> None:
    room = Room(samples=250, error=error)
    model = BackOff(room, CPU)
    mixture = torch.randn(7, 2, 100)
    assert torch.equal(model(mixture)[:, 0], mixture)
    assert room.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1] and model.limit == 1
    room.batches.clear()
    assert torch.equal(model(mixture[:2])[:, 0], mixture[:2]) and room.batches == [1, 1]


def test_the_batch_shrinks_no_further_than_needed() -> None:
    room = Room(samples=400, error=FULL[0])
    assert BackOff(room, CPU)(torch.randn(9, 2, 100)).shape == (9, 1, 2, 100)
    assert room.batches == [9, 4, 4, 1]


def test_one_piece_that_does_not_fit_is_said_with_its_length() -> None:
    with pytest.raises(OutOfMemory, match=r"of 5\.0 s does not fit in the memory of cpu: choose"):
        BackOff(Room(samples=10, error=FULL[0]), CPU)(torch.randn(2, 2, 500))


def test_audio_is_brought_to_the_models_device() -> None:
    room = Room(samples=1_000, error=FULL[0])
    model = BackOff(room, torch.device("meta"))  # a device that every machine has
    assert model(torch.randn(2, 2, 100)).device.type == "meta" and room.batches == [2]


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"):
        BackOff(Room(samples=0, error=RuntimeError("shape mismatch")), CPU)(torch.randn(2, 2, 5))


class Linear(torch.nn.Module):
    """One product per sample."""

    stems, sample_rate, channels = ("a",), 100, 2

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(2, 2)
        self.seen: list[torch.dtype] = []

    def forward(self, mixture: Tensor) -> Tensor:
        mixed = self.mix(mixture.transpose(1, 2))
        self.seen.append(mixed.dtype)
        return mixed.transpose(1, 2)[:, None]


def test_bf16_runs_the_products_in_bfloat16_and_gives_float32() -> None:
    plain = Linear()
    mixture = torch.randn(1, 2, 50)
    exact = prepare(plain, torch.device("cpu"), "fp32", compiled=False)(mixture)
    rough = prepare(plain, torch.device("cpu"), "bf16", compiled=False)(mixture)
    assert plain.seen == [torch.float32, torch.bfloat16] and rough.dtype == torch.float32
    assert not torch.equal(exact, rough) and torch.allclose(exact, rough, atol=0.05)
    with pytest.raises(ValueError, match="no precision 'fp8': choose fp32 or bf16"):
        prepare(plain, torch.device("cpu"), "fp8", compiled=False)


def test_a_compiled_model_keeps_its_border_and_its_weights(monkeypatch: Any) -> None:
    compiled: list[Any] = []

    def compile_it(model: Any) -> Any:
        compiled.append(model)
        return lambda mixture: 2 * model(mixture)

    monkeypatch.setattr(torch, "compile", compile_it)
    plain = Linear()
    model = prepare(plain, torch.device("cpu"), "fp32", compiled=True)
    mixture = torch.randn(1, 2, 50)
    assert compiled == [plain] and model.stems == ("a",)
    assert torch.equal(model(mixture), 2 * plain(mixture))
    assert len(list(model.parameters())) == 2


def test_what_the_compiler_refuses_is_one_sentence(monkeypatch: Any) -> None:
    class InductorError(RuntimeError):
        __module__ = "torch._inductor.exc"

    def fail(mixture: Tensor) -> Tensor:
        raise InductorError("no working\nC++ compiler")

    monkeypatch.setattr(torch, "compile", lambda model: fail)
    model = prepare(Linear(), torch.device("cpu"), "fp32", compiled=True)
    with pytest.raises(ValueError, match=r"can't be compiled \(no working C\+\+ compiler\): leave"):
        model(torch.randn(1, 2, 5))


def test_devices_that_are_not_there_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ValueError, match="there is no CUDA device: choose --device cpu"):
            pick_device(name)
    with pytest.raises(ValueError, match="there is no MPS device"):
        pick_device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda") and pick_device("cuda:1").index == 1
    with pytest.raises(ValueError, match="there is no CUDA device 2: choose"):
        pick_device("cuda:2")


def test_a_gpu_sums_in_one_order_while_separating(monkeypatch: Any) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(device.os, "environ", {})
    monkeypatch.setattr(
        torch, "use_deterministic_algorithms", lambda on, warn_only=False: asked.append(on)
    )
    with deterministic(torch.device("cpu")):
        pass
    assert asked == []
    with deterministic(torch.device("cuda")):
        assert asked == [True] and device.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert asked == [True, False]
