"""What papers claim, from the repository's ``results/papers.csv``, beside what was measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_shared.evaluation.protocols import mean_of_stems
from mss_shared.small_files import read_small_text

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
    text = read_small_text(file)
    try:
        lines = csv.DictReader(io.StringIO(text, newline=""))
        rows = [each for each in lines if each.get("recipe") == row]
        return tuple(
            Claim(r["dataset"], r["protocol"], r["stem"], r["metric"], float(r["value_db"]))
            for r in rows
        )
    except (KeyError, TypeError, ValueError, csv.Error):
        raise ValueError(f"{file} has no numbers for {row}: restore it") from None


def compare(claims: Sequence[Claim], summary: Summary, dataset: str) -> list[str]:
    """Lines of a table: claimed, measured, difference.

    Args:
        claims: of one row.
        summary: what was measured.
        dataset: on which data set.
    """
    rows: list[tuple[str, float | None, float | None]] = [
        (f"{claim.protocol} {claim.metric} {claim.stem}", claim.value, claim.measured(summary))
        for claim in claims
    ]
    known = {name for name, *_ in rows}
    for protocol, stems in summary.items():
        for stem, values in stems.items():
            metric, value = next(iter(values.items()))
            if (name := f"{protocol} {metric} {stem}") not in known:
                rows.append((name, None, value))
    width = max(len(name) for name, *_ in rows)
    lines = [f"{'':{width}}{'claimed':>10}{'measured':>10}{'difference':>12}"]
    for name, claimed, found in rows:
        difference = None if claimed is None or found is None else found - claimed
        cells = (_cell(claimed, 10), _cell(found, 10), _cell(difference, 12, "+"))
        lines.append(f"{name:{width}}{''.join(cells)}")
    elsewhere = sorted({claim.dataset for claim in claims} - {dataset})
    if elsewhere:
        lines.append(
            f"claimed on {', '.join(elsewhere)}, measured on {dataset}: such differences say "
            f"nothing of the paper"
        )
    return lines


def _cell(value: float | None, width: int, sign: str = "") -> str:
    text = "-" if value is None else f"{value:{sign}.2f}"
    return f"{text:>{width}}"
