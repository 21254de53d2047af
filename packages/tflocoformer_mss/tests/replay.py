"""The frozen outputs of small networks, and ours, for the conformance sheet."""

from collections.abc import Iterator

import torch
from test_golden import SPECTRAL, network, run, tensors
from torch import Tensor

REFERENCES = {"tfl": "tf-locoformer 1.1.0", "tuss": "unified-source-separation 1.0.0"}
REFERENCES |= {"bsl": "tf-locoformer 1.1.0"}


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in SPECTRAL:
        found, _ = tensors(name)
        with torch.no_grad():
            ours = run(name, network(name), torch.view_as_complex(found["input"]))
        reference = REFERENCES["tuss" if "stack" in name else name.partition("_")[0]]
        yield name, reference, torch.view_as_real(ours), found["output"]
    for name in ("mss_wave_mono", "mss_train_step"):
        found, _ = tensors(name)
        with torch.no_grad():
            stems = network(name)(found["input"])
        yield name, "mss-tf-locoformer", torch.stack([*stems.values()], dim=1), found["output"]
