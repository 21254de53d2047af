"""The frozen outputs of small networks and separators, and ours, for the conformance sheet."""

import json
from collections.abc import Iterator

import torch
from conftest import Golden
from test_training import STEPS, prepared
from torch import Tensor
from torch.nn.functional import mse_loss

from mss_shared.conformance.facts import replay_step
from open_unmix.model import OpenUnmix
from open_unmix.separator import Separator

CORES = ("core_stereo_maxbin", "core_mono_fullband", "core_single_layer", "core_single_frame")
SEPARATORS = ("niter0", "niter1", "niter1_softmask", "niter2_residual", "mono")


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in CORES:
        found = Golden(name)
        network = OpenUnmix(**found.config)
        network.load_state_dict(found.below("param."), strict=True)
        with torch.no_grad():
            yield name, "openunmix 1.3.0, network", network.eval()(found["input"]), found["output"]
    for name in SEPARATORS:
        found = Golden(f"separator_{name}")
        config = found.config
        networks = {stem: OpenUnmix(**config["target_model"]) for stem in config["targets"]}
        separator = Separator(networks, **config["separator"])
        separator.load_state_dict(found.below("param."), strict=True)
        with torch.no_grad():
            ours = separator.eval()(found["input"])
        yield f"separator_{name}", "openunmix 1.3.0, separator", ours, found["output"]
    for name in STEPS:
        found = Golden(name)
        network = prepared(found).model.target_models["vocals"]
        norms = {
            k: v for k, v in json.loads(found.about["grad_norms"]).items() if k != "input_mean"
        }
        loss = mse_loss(network(found["input"]), found["target"])
        step = replay_step(network, loss, float(found.about["loss_value"]), norms)
        yield name, "openunmix 1.3.0, training step", *step
