"""The frozen outputs of small networks, and ours, for the conformance sheet."""

from collections.abc import Iterator

from test_golden import NAMES, read_golden, run
from torch import Tensor


def replays() -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Fixture, reference, our output, the frozen one."""
    for name in NAMES:
        golden = read_golden(name)
        ours = run(golden.model(), golden.tensors["input"])
        yield name, golden.metadata["reference"], ours, golden.tensors["output"]
