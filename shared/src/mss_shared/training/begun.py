"""What a run is asked to start from, and the record of that in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mss_shared import atomic
from mss_shared.checkpoints.training_record import describes_training
from mss_shared.json_text import read_json_object
from mss_shared.provenance import without_absolute_paths

BEGUN = "begun.json"  # in a run folder: what its run started from, and what it hears


@dataclass(frozen=True)
class Start:
    """What the user asks a run to start from; its weights are fresh if all is left out.

    Attributes:
        init: a run folder, a weights file, or the name of published weights.
        init_partial: take from it what fits by name and shape, not all or nothing.
        freeze: names or patterns of weights that are not trained.
        parent: the folder of a run to go on from, as another run.
        epoch: of that run, as in its ``metrics.csv``; None for the last.
    """

    init: str | None = None
    init_partial: bool = False
    freeze: tuple[str, ...] = ()
    parent: str | None = None
    epoch: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what does not go together."""
        if self.init_partial and self.init is None:
            raise ValueError("--init_partial needs weights: give them with --init")
        if self.epoch is not None and self.parent is None:
            raise ValueError("--epoch is one of another run: give that with --continue")
        if self.parent is not None and (self.init is not None or self.freeze):
            raise ValueError(
                "--continue goes on with weights and optimizer of a run, to which --init and "
                "--freeze do not apply: give --init with that run instead"
            )

    def asked(self) -> dict[str, Any]:
        """What is asked, for records and comparisons, without absolute paths."""
        values = {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}
        for name in ("init", "parent"):
            if name in values:
                values[name] = without_absolute_paths(values[name])
        return values | ({"freeze": list(self.freeze)} if self.freeze else {})


FRESH = Start()
_DEFAULTS = asdict(FRESH)


@dataclass(frozen=True)
class Begun:
    """What a run has started from and hears, written when it begins.

    Attributes:
        recipe: its name.
        asked: of ``Start``.
        frozen: names or patterns of weights that are not trained.
        training: as in the record of a complete run, without the steps.
    """

    recipe: str
    asked: Mapping[str, Any]
    frozen: tuple[str, ...]
    training: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write it to a run folder."""
        atomic.write_text(folder / BEGUN, json.dumps(asdict(self), indent=2) + "\n")


def read_begun(folder: Path) -> Begun | None:
    """The record in a run folder; None if there is none, as in runs of old.

    Raises:
        ValueError: if it is damaged.
    """
    path = folder / BEGUN
    if not path.is_file():
        return None
    try:
        values = read_json_object(path)
        begun = Begun(**{**values, "frozen": tuple(values["frozen"])})
        if not (isinstance(values["frozen"], list) and _has_its_types(begun)):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: restore it, or begin the run again") from None
    return begun


def _has_its_types(begun: Begun) -> bool:
    return (
        isinstance(begun.recipe, str)
        and isinstance(begun.asked, dict)
        and all(isinstance(name, str) for name in begun.frozen)
        and describes_training(begun.training)
    )
