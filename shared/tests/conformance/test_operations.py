"""Counted operations: what a slow path changes, and what is compared."""

from pathlib import Path

import pytest
import torch
from tiny_paper.paper import PAPER
from torch import nn

from mss_shared.conformance import operations
from mss_shared.conformance.operations import (
    _counted,
    check_operations,
    write_operations,
)


def test_a_product_is_counted_with_its_memory() -> None:
    layer = nn.Linear(100, 200, bias=False)
    frames = torch.randn(1_000, 100)
    with torch.inference_mode():
        found = _counted(lambda: layer(frames))
        twice = _counted(lambda: [layer(frames) for _ in range(2)])
    assert found.gmac == pytest.approx(0.02)
    assert found.mb == pytest.approx(0.8)
    assert (twice.gmac, twice.mb) == (2 * found.gmac, 2 * found.mb)
    assert twice.kernels > found.kernels >= 1


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_what_runs_on_onednn_is_counted() -> None:
    found = []
    for dtype in (torch.float32, torch.float64):  # oneDNN has no double precision
        layer, frames = nn.Conv1d(8, 8, 3).to(dtype), torch.randn(2, 8, 1_000, dtype=dtype)
        with torch.inference_mode():
            found.append(_counted(lambda layer=layer, frames=frames: layer(frames)).onednn)
    assert found == [1, 0]


def test_more_work_than_frozen_fails_and_another_torch_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    write_operations(PAPER, tmp_path)
    check_operations(PAPER, tmp_path)
    counted = operations._counted

    def slower(call):
        found = counted(call)
        return found._replace(kernels=found.kernels + found.kernels // 10)

    monkeypatch.setattr(operations, "_counted", slower)
    with pytest.raises(AssertionError, match=r"separate: kernels is \d+, it was \d+"):
        check_operations(PAPER, tmp_path)
    monkeypatch.setattr(operations, "_torch", lambda: "9.9")
    check_operations(PAPER, tmp_path)


def test_a_recipe_that_was_not_counted_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    write_operations(PAPER, tmp_path)
    monkeypatch.setattr(operations, "RECIPES", "*")
    with pytest.raises(AssertionError, match="its recipes are"):
        check_operations(PAPER, tmp_path)
