"""The frozen outputs of small networks, and ours, for the conformance sheet."""

from collections.abc import Iterator

import torch
from conftest import Golden
from test_training import STEPS, audio, train_mode, training
from test_variants import ALONE, CONDITIONED
from torch import Tensor

from lasaft.variants import VARIANTS
from mss_shared.conformance.facts import replay_step


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in CONDITIONED:
        found = Golden(name)
        with torch.no_grad():
            ours = found.model().spec2spec(found["input"], found["condition"])
        yield name, "Conditioned-Source-Separation-LaSAFT", ours, found["output"]
    for name in ALONE:
        found = Golden(f"svs2020_{name}_small")
        arguments = {k: v for k, v in found.about["config"].items() if k != "tif_init_mode"}
        model = VARIANTS[name](**arguments, spec_type="magnitude", num_frame=8, hop_length=16)
        model.eval().spec2spec.load_state_dict(found.below("param."), strict=True)
        with torch.no_grad():
            ours = model.spec2spec(found["input"])
        yield f"svs2020_{name}_small", "ISMIR2020_U_Nets_SVS", ours, found["output"]
    for name in STEPS:
        found = Golden(name)
        model = train_mode(found.model())
        module = training(model)
        loss = module.compare(
            module.train_loss, audio(found, "mixture"), audio(found, "target"), found["condition"]
        )
        about = found.about
        step = replay_step(model, loss, float(about["loss_value"]), about["grad_norms"])
        yield name, "Conditioned-Source-Separation-LaSAFT, training step", *step
