"""What papers claim, from the repository's ``results/papers.csv``, beside what was measured."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_shared.evaluation.protocols import mean_of_stems

Summary = Mapping[str, Mapping[str, Mapping[str, float]]]  # protocol id, stem, metric


@dataclass(frozen=True)
class Claim:
    """One number of a claimed row.

    Attributes:
        dataset, protocol: the data set's name and the protocol's id.
        stem: or ``average``, the mean over vocals, drums, bass and other.
        metric: its name.
        value: in the metric's unit.
    """

    dataset: str
    protocol: str
    stem: str
    metric: str
    value: float

    def measured(self, summary: Summary) -> float | None:
        """The same number among measured ones; None if it is not among them."""
        stems = summary.get(self.protocol, {})
        values = {stem: row[self.metric] for stem, row in stems.items() if self.metric in row}
        return mean_of_stems(values) if self.stem == "average" else values.get(self.stem)


def read_claims(file: Path, row: str) -> tuple[Claim, ...]:
    """The numbers of a row; none if there is no such file, as outside of the repository.

    Args:
        file: ``papers.csv``.
        row: as recipes name it in ``reproduces``.

    Raises:
        ValueError: if the file is no table of claims.
    """
    if not file.is_file():
        return ()
    with file.open(encoding="utf-8", newline="") as text:
        rows = [each for each in csv.DictReader(text) if each.get("recipe") == row]
    names = ("dataset", "protocol", "stem", "metric")
    try:
        return tuple(
            Claim(*(each[name] for name in names), float(each["value_db"])) for each in rows
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{file} has no numbers for {row}: restore it") from None


def compare(claims: Sequence[Claim], summary: Summary, dataset: str) -> list[str]:
    """Lines of a table: claimed, measured, difference.

    Args:
        claims: of one row.
        summary: what was measured.
        dataset: on which data set.
    """
    lines = []
    if claims and {claim.dataset for claim in claims} != {dataset}:
        theirs = ", ".join(sorted({claim.dataset for claim in claims}))
        lines.append(
            f"claimed on {theirs}, measured on {dataset}: the differences say nothing of the paper"
        )
    lines.append(f"{'':30}{'claimed':>9}{'measured':>10}{'difference':>12}")
    for claim in claims:
        name = f"{claim.protocol} {claim.metric} {claim.stem}"
        found = claim.measured(summary)
        numbers = f"{'-':>10}{'-':>12}"
        if found is not None:
            numbers = f"{found:10.2f}{found - claim.value:+12.2f}"
        lines.append(f"{name:30}{claim.value:9.2f}{numbers}")
    known = {(claim.protocol, claim.stem, claim.metric) for claim in claims}
    for protocol, stems in summary.items():
        for stem, values in stems.items():
            metric, value = next(iter(values.items()))
            if (protocol, stem, metric) not in known:
                lines.append(f"{f'{protocol} {metric} {stem}':30}{'-':>9}{value:10.2f}{'-':>12}")
    return lines
