"""What training, scoring and separating files from Python return. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fitted:
    """A finished training run.

    Attributes:
        folder: the run folder, which ``load`` and ``evaluate`` take.
        record: its ``run.json``.
    """

    folder: Path
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        """The folder, and what was trained."""
        names = (self.record.get(name, "?") for name in ("paper", "recipe"))
        return f"<run {self.folder}: {'/'.join(map(str, names))}>"


@dataclass(frozen=True)
class Evaluated:
    """The scores of a model on a data set.

    Attributes:
        folder: the score folder.
        record: its ``run.json``; empty as long as other shards are missing.
        scores: protocol id -> stem -> metric -> average over the tracks by the protocol's rules.
    """

    folder: Path
    record: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]

    def __repr__(self) -> str:
        """The folder, and the protocols."""
        return f"<scores {self.folder}: {', '.join(self.scores)}>"

    def medians(self, metric: str = "SDR") -> dict[str, float]:
        """Stem -> a metric's median over the tracks, under the only protocol with such medians.

        Raises:
            ValueError: if no protocol, or more than one, takes the median of this metric.
        """
        protocols = self.record.get("protocols", {}).values()
        rules = {about["id"]: about["tracks"] for about in protocols}
        found = [
            {stem: values[metric] for stem, values in stems.items()}
            for protocol, stems in self.scores.items()
            if rules.get(protocol) == "median" and all(metric in each for each in stems.values())
        ]
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} of the protocols {', '.join(self.scores)} take medians of {metric}: "
                f"read scores, by protocol id, stem and metric"
            )
        return found[0]


@dataclass(frozen=True)
class SeparatedSong:
    """What became of one song of ``separate_files``.

    Attributes:
        song: its name below the output folder.
        state: ``done``, ``skipped`` if it was finished before, or ``elsewhere`` if another process
            is at work on it.
        paths: the file of each stem and sum, by name.
        sum_is_exact: whether the files add up to the song, sample for sample; None unless lossless.
        null_depth_dbfs: peak of the song minus the sum of its files; None if exact or not lossless.
        notes: what the user should know, a sentence each.
    """

    song: str
    state: str
    paths: Mapping[str, Path]
    sum_is_exact: bool | None
    null_depth_dbfs: float | None
    notes: tuple[str, ...]
