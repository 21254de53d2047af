"""What is in memory at most: stems together need no more than the plain network for one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from lasaft.folded import Folded
from lasaft.model import DenseCUNet
from lasaft.variants import VARIANTS

SMALL: dict[str, Any] = {  # features are much larger than weights
    "n_fft": 256,
    "hop_length": 128,
    "num_frame": 128,
    "internal_channels": 8,
}
NAMES = (
    "CUNET_TFC_FiLM",
    "CUNET_TFC_GPoCM",
    "CUNET_TFC_FiLM_TDF",
    "CUNET_TFC_GPoCM_TDF",
    "CUNET_TFC_FiLM_LaSAFT",
    "CUNET_TFC_GPoCM_LaSAFT",
    "CUNET_TFC_GPoCM_LightSAFT",
)


def peak_bytes(call: Callable[[], object], trace: Path) -> int:
    """The most bytes of tensors that a call has allocated and not yet freed."""
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        call()
    run.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())["traceEvents"]
    memory = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    assert len(memory) > 100
    held = most = 0
    for event in memory:
        held += event["args"]["Bytes"]
        most = max(most, held)
    return most


@pytest.mark.parametrize("name", NAMES)
def test_four_stems_need_less_memory_than_the_plain_network_for_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = VARIANTS[name](**SMALL).eval().spec2spec
    image = torch.randn(1, 4, 128, 129)
    ours = peak_bytes(lambda: network(image, torch.arange(4)), tmp_path / "ours.json")
    monkeypatch.setattr(Folded, "folds", lambda *_: False)
    plain = peak_bytes(
        lambda: DenseCUNet.forward(network, image, torch.arange(1)), tmp_path / "plain.json"
    )
    assert ours < 0.85 * plain  # 13 and 16 features of full size
