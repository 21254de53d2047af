"""Reads and writes tracks.csv: one value per track, target and metric, without frames."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results.csv_text import csv_text, name_of
from mss_results.fields import MAX_NUMBER
from mss_results.small_file import decode
from mss_results.track_file import Protocol, TrackScores, check_stem

FILE = "tracks.csv"
DECIMALS = 4
_NAMES = ("track", "target", "frames")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")


@dataclass(frozen=True)
class Line:
    """One track's values of one target, NaN where there is none.

    frames: how many frames have a value; values: by metric, in the order of the columns.
    """

    track: str
    target: str
    frames: int
    values: tuple[float, ...]


def parse_table(
    content: bytes,
    file: Path,
    protocol: Protocol,
    tracks: Sequence[str],
    absent: Mapping[str, Sequence[str]],
) -> tuple[TrackScores, ...]:
    """The scores of all tracks, sorted by name; each target has one frame, the track's value.

    Args:
        content, file: the file's bytes, and its name for messages.
        protocol: defines the targets and metrics that must be present.
        tracks: the tracks that must be present.
        absent: track -> targets that the file may lack; they have no frames.

    Raises:
        ValueError: with file and line, if the content is not such a table, or a line is missing,
            given twice, or of an unknown track or target.
    """
    found: dict[tuple[str, str], Line] = {}
    for number, _, line in read_lines(content, file, protocol.metrics):
        where = f"{file}: line {number}"
        if line.track not in tracks:
            raise ValueError(f"{where} names the track {line.track!r}: use dataset.tracks")
        check_stem(line.target, protocol.targets, where)
        if (line.track, line.target) in found:
            raise ValueError(f"{where} gives {line.target} of {line.track!r} again: keep one line")
        found[line.track, line.target] = line
    for track in tracks:
        for stem in protocol.targets:
            if (track, stem) not in found and stem not in absent.get(track, ()):
                raise ValueError(f"{file}: no line for {stem} of {track!r}: import it again")
    return tuple(_scores(protocol, track, found) for track in sorted(tracks))


def _scores(protocol: Protocol, track: str, found: Mapping[tuple[str, str], Line]) -> TrackScores:
    frames = {}
    for stem in protocol.targets:
        line = found.get((track, stem))
        for place, metric in enumerate(protocol.metrics):
            frames[stem, metric] = np.array([] if line is None else [line.values[place]])
    return TrackScores(protocol.id, track, frames, float("nan"))


def read_lines(
    content: bytes, file: Path, metrics: Sequence[str], first: Sequence[str] = ()
) -> Iterator[tuple[int, list[str], Line]]:
    """Number, first cells and content of every line of a table.

    Args:
        content, file: the file's bytes, and its name for messages.
        metrics: the columns after track, target and frames.
        first: the columns before track.

    Raises:
        ValueError: with file and line, if the table is malformed.
    """
    try:
        text = decode(content)
    except ValueError as error:
        raise ValueError(f"{file}: {error}: replace the file") from None
    wanted = (*first, *_NAMES, *metrics)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != wanted:
            raise ValueError(
                f"{file}: line 1 has the columns {','.join(header)}: use {','.join(wanted)}"
            )
        for row in reader:
            where = f"{file}: line {reader.line_num}"
            if len(row) != len(wanted):
                raise ValueError(f"{where} has {len(row)} columns: use {len(wanted)}")
            yield reader.line_num, row[: len(first)], _line(row[len(first) :], where, metrics)
    except csv.Error as error:
        raise ValueError(
            f"{file}: line {reader.line_num} is invalid CSV ({error}): replace the file"
        ) from None


def _line(row: Sequence[str], where: str, metrics: Sequence[str]) -> Line:
    track, target, frames, *values = row
    if not (frames.isascii() and frames.isdigit() and len(frames) < 10):
        raise ValueError(f"{where}, column frames is {frames!r}: it must be a number of frames")
    numbers = [
        _value(text, f"{where}, column {metric}")
        for text, metric in zip(values, metrics, strict=True)
    ]
    return Line(name_of(track), name_of(target), int(frames), tuple(numbers))


def _value(text: str, where: str) -> float:
    if text == "NaN":
        return float("nan")
    if not _NUMBER.fullmatch(text) or abs(float(text)) > MAX_NUMBER:
        raise ValueError(f"{where} is {text!r}: it must be a decimal number or NaN")
    return float(text)


def table_bytes(lines: Sequence[Line], metrics: Sequence[str]) -> bytes:
    """The file of these lines, sorted by track; values have four decimals."""
    rows: list[list[object]] = [[*_NAMES, *metrics]]
    for line in sorted(lines, key=lambda line: line.track):
        values = ["NaN" if np.isnan(each) else f"{each:.{DECIMALS}f}" for each in line.values]
        rows.append([line.track, line.target, line.frames, *values])
    return csv_text(rows).encode()
