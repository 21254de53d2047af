"""What is in memory at most: stems together need no more than the plain network for one."""

from typing import Any

import pytest
import torch

from lasaft.folded import Folded
from lasaft.model import DenseCUNet
from lasaft.variants import VARIANTS
from mss_shared.testing_memory import peak_bytes

SMALL: dict[str, Any] = {  # features are much larger than weights
    "n_fft": 256,
    "hop_length": 128,
    "num_frame": 128,
    "internal_channels": 8,
}


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith("CUNET_TFC")])
def test_four_stems_need_less_memory_than_the_plain_network_for_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = VARIANTS[name](**SMALL).eval().spec2spec
    image = torch.randn(1, 4, 128, 129)
    ours = peak_bytes(lambda: network(image, torch.arange(4)))
    monkeypatch.setattr(Folded, "folds", lambda *_: False)
    plain = peak_bytes(lambda: DenseCUNet.forward(network, image, torch.arange(1)))
    assert ours < 0.85 * plain  # 13 and 16 features of full size
