"""Check that the committed outputs match the inputs."""

import csv
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mss_results.build import Paths, plan, stale
from mss_results.small_file import read_small

_FIX = "run mss-results build"
_SHOWN = 200  # characters of a differing line


def verify(paths: Paths) -> int:
    """Recompute every output without the cache, compare it with its file, and return the count.

    Frames that are not there, as in a fresh checkout, are passed over.

    Raises:
        ValueError: with one line per file that differs, naming its first differing cell.
        FileNotFoundError, ValueError: as `plan`, which also rejects changed score files.
    """
    planned = plan(replace(paths, cache=None))
    contents = {
        file: content
        for file, content in planned.items()
        if file.parent != paths.frames or file.is_file()
    }
    problems = [line for file, content in contents.items() if (line := _compare(file, content))]
    problems += [f"{file}: the inputs give no such file: {_FIX}" for file in stale(paths, planned)]
    if problems:
        raise ValueError("\n".join(problems))
    return len(contents)


def _compare(file: Path, wanted: bytes) -> str:
    if not file.is_file():
        return f"{file}: missing: {_FIX}"
    actual = read_small(file)
    if actual == wanted:
        return ""
    cells = _csv_cells if file.suffix == ".csv" else _text_cells
    cell, old, new = _first_difference(actual, wanted, cells)
    old, new = _around_difference(old, new)
    return f"{file}: {cell} reads {old!r}, the inputs give {new!r}: {_FIX}"


Cells = Callable[[str], Mapping[str, str]]


def _first_difference(actual: bytes, wanted: bytes, cells: Cells) -> tuple[str, str, str]:
    old, new = (cells(content.decode("utf-8", "replace")) for content in (actual, wanted))
    for cell in (*new, *old):
        if old.get(cell) != new.get(cell):
            return cell, old.get(cell, "nothing"), new.get(cell, "nothing")
    return "its bytes (line ends or quoting)", f"{len(actual)} bytes", f"{len(wanted)} bytes"


def _around_difference(old: str, new: str) -> tuple[str, str]:
    """Shorten two texts to the context of their first difference: lines of the page are long."""
    if max(len(old), len(new)) <= _SHOWN:
        return old, new
    same = len(os.path.commonprefix([old, new]))
    begin = max(0, same - _SHOWN // 2)
    cut = slice(begin, begin + _SHOWN)
    return f"...{old[cut]}...", f"...{new[cut]}..."


def _csv_cells(text: str) -> Mapping[str, str]:
    lines = list(csv.reader(io.StringIO(text, newline="")))
    return _named(lines, lines[0] if lines else [])


def _named(lines: list[list[str]], header: list[str]) -> Mapping[str, str]:
    return {
        f"line {number}, column {header[index] if index < len(header) else index + 1}": cell
        for number, line in enumerate(lines, start=1)
        for index, cell in enumerate(line)
    }


def _text_cells(text: str) -> Mapping[str, str]:
    """Cells of Markdown tables by line and column; other lines as a whole."""
    cells: dict[str, str] = {}
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("|"):
            header = []
            cells[f"line {number}"] = line
            continue
        parts = [part.strip() for part in line[1:].removesuffix("|").split(" | ")]
        header = header or parts
        for index, part in enumerate(parts):
            name = header[index] if index < len(header) else str(index + 1)
            cells[f"line {number}, column {name}"] = part
    return cells
