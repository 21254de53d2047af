"""What rooms give to each other and to papers: a checkpoint, the examples of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from mss_shared.first_calls import make_first_calls
from mss_shared.names import check_file_name

make_first_calls()  # before any model is built: the rooms that compute with torch come here first


__all__ = ["Checkpoint", "ExampleSets", "SizedExamples"]

Example = dict[str, Tensor]


class SizedExamples(Protocol):
    """A finite number of examples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Example: ...


@dataclass(frozen=True)
class ExampleSets:
    """The examples of a training run.

    Attributes:
        train: an endless supply, by index.
        valid: all validation examples.
        per_epoch: training examples between two validations.
        valid_batch: batch size in validation; None for that of training.
    """

    train: TorchDataset[Example]
    valid: SizedExamples
    per_epoch: int
    valid_batch: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights and what is known about their training.

    Attributes:
        model: in evaluation mode, on the CPU.
        recipe: the typed recipe.
        recipe_name: its name.
        verbatim: whether its recipe is the shipped one of that name, in the version that trained
            it; None for a third-party file, or without such a recipe.
        leaf_sources: counts of paper, code, second-hand and ours; None if unknown.
        training: data set, tracks, steps and seed; None for a third-party file.
        notes: how the file was read, one line each.
        origin: command, commit, versions and machine of its training; None if unknown.
    """

    model: Any
    recipe: Any
    recipe_name: str
    verbatim: bool | None
    leaf_sources: dict[str, int] | None
    training: dict[str, Any] | None
    notes: tuple[str, ...]
    origin: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check the stems: they come from a file and become file names."""
        for stem in self.model.stems:
            check_file_name(stem, "the name of a stem")
