"""What a package's sheet needs beside its recipes: published sizes, and measured differences."""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor, nn

from mss_shared import atomic
from mss_shared.conformance.sizes import Size

# What the name of a reference ends with whose fixtures are training steps.
STEP = "training step"

# Norms of gradients below this are rounding, as those of a bias before batch norm.
_VANISHING = 1e-5


class Replay(NamedTuple):
    """A frozen output and ours for the same input and weights.

    Attributes:
        fixture: name of the file.
        reference: the code that made it.
        ours, frozen: of one shape.
    """

    fixture: str
    reference: str
    ours: Tensor
    frozen: Tensor


@dataclass(frozen=True)
class Published:
    """Sizes that a source states for recipes, whose names match ``recipes``; None where it doesn't.

    Attributes:
        recipes: patterns of names.
        parameters: how many.
        gmac: per second of audio.
        source: where they stand.
    """

    recipes: tuple[str, ...]
    parameters: float | None
    gmac: float | None
    source: str


@dataclass(frozen=True)
class Facts:
    """``conformance.yaml`` of a package.

    Attributes:
        title: of the paper's package.
        stft, loss, optimizer: dotted names of the values that describe them, and words.
        published: sizes.
    """

    title: str
    stft: tuple[str, ...]
    loss: tuple[str, ...]
    optimizer: tuple[str, ...]
    published: tuple[Published, ...]

    def sizes(self, recipe: str) -> Published | None:
        """The published sizes of a recipe."""
        for entry in self.published:
            if any(fnmatchcase(recipe, pattern) for pattern in entry.recipes):
                return entry
        return None


@dataclass(frozen=True)
class Difference:
    """The largest difference of one frozen output, as a share of its peak."""

    fixture: str
    reference: str
    share: float


def read_facts(package: Path) -> Facts:
    """The facts of a package's folder."""
    content: dict[str, Any] = yaml.safe_load((package / "conformance.yaml").read_text("utf-8"))
    published = [
        Published(
            tuple(entry["recipes"]), entry.get("parameters"), entry.get("gmac"), entry["source"]
        )
        for entry in content["published"]
    ]
    stft, loss, optimizer = (tuple(content[key]) for key in ("stft", "loss", "optimizer"))
    return Facts(content["title"], stft, loss, optimizer, tuple(published))


def write_sizes(package: Path, sizes: Mapping[str, Size]) -> None:
    """Keep the sizes of a package's models."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recipe", *Size._fields])
    writer.writerows([name, *size] for name, size in sizes.items())
    atomic.write_text(package / "tests" / "golden" / "sizes.csv", text.getvalue())


def read_sizes(package: Path) -> dict[str, Size]:
    """The sizes that ``write_sizes`` kept."""
    with (package / "tests/golden/sizes.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {r["recipe"]: Size(int(r["parameters"]), float(r["gmac"])) for r in rows}


def differences_path(package: Path) -> Path:
    """Where a package keeps the measured differences."""
    return package / "tests" / "golden" / "differences.csv"


def read_differences(package: Path) -> list[Difference]:
    """The differences that ``measure`` wrote."""
    with differences_path(package).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [Difference(r["fixture"], r["reference"], float(r["share"])) for r in rows]


def replays(package: Path) -> Iterator[Replay]:
    """Run a package's ``tests/replay.py``."""
    tests = (package / "tests").resolve()
    spec = importlib.util.spec_from_file_location(f"{package.name}_replay", tests / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(tests))  # for the readers of its tests
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(tests))
        for name, loaded in [*sys.modules.items()]:  # the next package's have the same names
            if Path(getattr(loaded, "__file__", None) or "/").parent == tests:
                del sys.modules[name]
    for fixture, reference, ours, frozen in module.replays():
        yield Replay(fixture, reference, ours, frozen)


def replay_step(
    model: nn.Module, loss: Tensor, frozen_loss: float, norms: Mapping[str, float]
) -> tuple[Tensor, Tensor]:
    """Compare a training step: `ours` and `frozen` of a `Replay`.

    Args:
        model: whose loss it is.
        loss: ours, a scalar with gradients.
        frozen_loss: theirs.
        norms: theirs of the gradients, by parameter.

    Returns:
        Our loss and norms, each as a share of theirs, and ones.
    """
    loss.backward()  # type: ignore[no-untyped-call]
    shares = [loss.item() / frozen_loss]
    for name, norm in norms.items():
        gradient = model.get_parameter(name).grad
        assert gradient is not None, name
        if norm > _VANISHING:
            shares.append(gradient.norm().item() / norm)
    ours = torch.tensor(shares, dtype=torch.float64)
    return ours, torch.ones_like(ours)


def measure(package: Path) -> None:
    """Compare all frozen outputs of a package on one thread and write the differences."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fixture", "reference", "share"])
    try:
        for each in replays(package):
            assert each.ours.shape == each.frozen.shape, each.fixture
            share = (each.ours - each.frozen).abs().max() / each.frozen.abs().max()
            writer.writerow([each.fixture, each.reference, f"{share.item():.1e}"])
    finally:
        torch.set_num_threads(threads)
    atomic.write_text(differences_path(package), text.getvalue())
