"""The frozen outputs of small networks, and ours, for the conformance sheet."""

import json
from collections.abc import Iterator

from test_golden import NAMES, read_golden, run
from torch import Tensor

from mss_shared.conformance.facts import replay_step


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in NAMES:
        golden = read_golden(name)
        ours = run(golden.model(), golden.tensors["input"])
        yield name, golden.metadata["reference"], ours, golden.tensors["output"]
    golden = read_golden("single_source")  # in float64: batch statistics amplify rounding
    model = golden.model().double().train()
    loss = (model(golden.tensors["input"].double()) - golden.tensors["target"]).abs().mean()
    norms = json.loads(golden.metadata["grad_norms"])
    step = replay_step(model, loss, float(golden.metadata["train_l1"]), norms)
    yield "single_source", f"{golden.metadata['reference']}, in float64, training step", *step
