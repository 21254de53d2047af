"""The frozen outputs of small networks, and ours, for the conformance sheet."""

import json
from collections.abc import Iterator

from test_golden import NAMES, WITH_LOSS, read, run
from torch import Tensor

from mss_shared.conformance.facts import replay_step


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in NAMES:
        frozen = read(name)
        ours, output = run(frozen.model(), frozen.tensors["input"]), frozen.tensors["output"]
        ours = ours.squeeze(1) if output.ndim < ours.ndim else ours
        yield name, frozen.metadata["reference"].split(" (")[0], ours, output
    for name in WITH_LOSS:
        frozen = read(name)
        model, about = frozen.model(), frozen.metadata
        loss = model(frozen.tensors["input"], target=frozen.tensors["target"])
        norms = json.loads(about["grad_norms"])
        step = replay_step(model, loss, json.loads(about["loss"])["total"], norms)
        yield name, f"{about['reference'].split(' (')[0]}, training step", *step
