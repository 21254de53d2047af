"""The frozen outputs of small networks, and ours, for the conformance sheet."""

import json
from collections.abc import Iterator

import torch
from test_golden import SPECTRAL, network, run, tensors
from torch import Tensor

from mss_shared.conformance.facts import replay_step
from tflocoformer_mss.losses import combine

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
    found, about = tensors("mss_train_step")
    model = network("mss_train_step").train()
    stems = torch.stack([*model(found["input"]).values()], dim=1)
    weights = {"si_sdr": 1.0, "l1": 0.1, "spectral": 0.1}
    loss, _ = combine(stems.unsqueeze(2), found["target"].unsqueeze(2), weights)
    norms = json.loads(about["grad_norms"])
    step = replay_step(model, loss, found["loss.total_loss"].item(), norms)
    yield "mss_train_step", "mss-tf-locoformer, training step", *step
