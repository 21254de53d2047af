"""The frozen outputs of small networks, and ours, for the conformance sheet."""

from collections.abc import Iterator

from test_golden import NAMES, read, run
from torch import Tensor


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in NAMES:
        frozen = read(name)
        ours, output = run(frozen.model(), frozen.tensors["input"]), frozen.tensors["output"]
        ours = ours.squeeze(1) if output.ndim < ours.ndim else ours
        yield name, frozen.metadata["reference"].split(" (")[0], ours, output
