"""Reads papers.csv: values published by papers, READMEs and challenges, each with its source."""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mss_results.fields import check_name
from mss_results.small_file import decode, read_small
from mss_results.track_file import AVERAGE, KNOWN_STEMS

COLUMNS = (
    "method",
    "recipe",
    "dataset",
    "protocol",
    "extra_data",
    "stem",
    "metric",
    "value_db",
    "parameters",
    "source",
    "note",
)
CLAIM_STEMS = (*KNOWN_STEMS, AVERAGE)
EXTRA_DATA = ("no", "yes", "blind", "oracle")


@dataclass(frozen=True)
class Claim:
    """One published value in dB; `recipe` is the row's id, empty if no recipe of ours covers it."""

    method: str
    recipe: str
    dataset: str
    protocol: str
    extra_data: str
    stem: str
    metric: str
    value_db: float
    parameters: int | None
    source: str
    note: str

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """The table row that the claim belongs to."""
        return (self.dataset, self.protocol, self.method, self.recipe, self.extra_data)


def read_claims(file: Path) -> tuple[Claim, ...]:
    """Read the published claims, sorted by row, metric and stem.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming line and column, if a value is malformed, a source is missing, a claim
            is given twice, or rows contradict each other (see _check_row).
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}: --papers must name the table of claims")
    claims: list[Claim] = []
    seen: dict[tuple[str, ...], int] = {}
    rows: dict[tuple[str, ...], Claim] = {}
    for line, row in _rows(file):
        claim = _claim(row, f"{file}: line {line}, column")
        _check_row(claim, rows, f"{file}: line {line}, column")
        key = (*claim.row, claim.stem, claim.metric)
        if key in seen:
            raise ValueError(
                f"{file}: line {line} claims {claim.method!r} {claim.stem} {claim.metric} again "
                f"(line {seen[key]}): keep one, or give the rows different methods"
            )
        seen[key] = line
        claims.append(claim)
    return tuple(sorted(claims, key=_order))


def _order(claim: Claim) -> tuple[object, ...]:
    return (*claim.row, claim.metric, CLAIM_STEMS.index(claim.stem))


def _check_row(claim: Claim, rows: dict[tuple[str, ...], Claim], where: str) -> None:
    """Check that the stems of a row agree on parameters, and that a recipe is a single row."""
    first = rows.setdefault(claim.row, claim)
    if first.parameters != claim.parameters:
        raise ValueError(
            f"{where} parameters is {claim.parameters}, other stems of {claim.method!r} say "
            f"{first.parameters}: they must agree"
        )
    if not claim.recipe:
        return
    named = rows.setdefault((claim.dataset, claim.protocol, claim.recipe), claim)
    if named.row != claim.row:
        raise ValueError(
            f"{where} recipe {claim.recipe!r} stands for {named.method!r} (extra_data "
            f"{named.extra_data}) and {claim.method!r} (extra_data {claim.extra_data}): "
            f"a recipe is one row of a board"
        )


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    content = read_small(file)
    try:
        text = decode(content)
    except ValueError as error:
        raise ValueError(f"{file}: {error}: save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise ValueError(
                f"{file}: line 1 has the columns {','.join(header)}: use {','.join(COLUMNS)}"
            )
        for row in reader:
            if len(row) != len(COLUMNS):
                raise ValueError(
                    f"{file}: line {reader.line_num} has {len(row)} columns: use {len(COLUMNS)}"
                )
            yield reader.line_num, dict(zip(COLUMNS, row, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"{file}: line {reader.line_num} is invalid CSV ({error}): quote text with double "
            f"quotes"
        ) from None


def _claim(row: dict[str, str], where: str) -> Claim:
    for column in ("method", "metric", "source"):
        if not row[column].strip():
            raise ValueError(f"{where} {column} is empty: a claim needs its {column}")
    for column, legal in (("stem", CLAIM_STEMS), ("extra_data", EXTRA_DATA)):
        if row[column] not in legal:
            raise ValueError(
                f"{where} {column} is {row[column]!r}: it must be one of {', '.join(legal)}"
            )
    return Claim(
        method=row["method"],
        recipe=row["recipe"],
        dataset=check_name(row["dataset"], f"{where} dataset"),
        protocol=check_name(row["protocol"], f"{where} protocol"),
        extra_data=row["extra_data"],
        stem=row["stem"],
        metric=row["metric"],
        value_db=_decibel(row["value_db"], f"{where} value_db"),
        parameters=_parameters(row["parameters"], f"{where} parameters"),
        source=row["source"],
        note=row["note"],
    )


def _decibel(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where} is {text!r}: it must be a number of dB")
    return value


def _parameters(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{where} is {text!r}: it must be an integer below 1e18, or empty")
    return int(text)
