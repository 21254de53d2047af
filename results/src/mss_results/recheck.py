"""An independent check: cells of the leaderboard on disk, recomputed from the JSON files.

It shares no code with the readers, the aggregation or the cache, so that a bug there can't hide.
"""

import csv
import hashlib
import io
import json
import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_results.csv_text import name_of, read_columns
from mss_results.small_file import read_small
from mss_results.tables import LEADERBOARD_COLUMNS

_AVERAGED = ("vocals", "drums", "bass", "other")
_PLACE = ("track", "target", "frames")  # the other columns of a table hold values
_ROUNDING = 0.0005 + 1e-9  # the leaderboard has three decimals


def recheck(leaderboard: Path, scores: Sequence[Path], cells: int, seed: int) -> int:
    """Recompute a random sample of measured cells; return how many.

    Args:
        leaderboard: leaderboard.csv on disk.
        scores: the score folders.
        cells: number of lines to draw; all of them if there are fewer.
        seed: of the draw.

    Raises:
        ValueError: with one line per cell that its JSON files contradict; if cells < 0.
        FileNotFoundError: if the run of a cell is in none of the score folders.
    """
    if cells < 0:
        raise ValueError(f"--cells is {cells}: give 0 or more")
    lines = [
        (number, {name: name_of(cell) for name, cell in line.items()})
        for number, line in read_columns(leaderboard, LEADERBOARD_COLUMNS)
        if line["kind"] != "claimed"
    ]
    chosen = random.Random(seed).sample(lines, min(cells, len(lines)))
    by_row: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
    for numbered in sorted(chosen, key=lambda numbered: numbered[0]):
        row = numbered[1]["source"], numbered[1]["protocol"]
        by_row.setdefault(row, []).append(numbered)
    problems: list[str] = []
    for (source, protocol), group in by_row.items():
        folders = [_folder(each, scores) for each in source.split("; ")]
        keys = [(line["stem"], line["metric"]) for _, line in group]
        by_run = [_recompute(folder, protocol, keys) for folder in folders]
        for (number, line), runs in zip(group, zip(*by_run, strict=True), strict=True):
            where = f"{leaderboard}: line {number}"
            problems += _compare(where, line, folders, *_mean_over_seeds(runs))
    if problems:
        raise ValueError("\n".join(problems))
    return len(chosen)


def _mean_over_seeds(runs: Sequence[tuple[float, int]]) -> tuple[float, int]:
    return statistics.fmean(value for value, _ in runs), min(tracks for _, tracks in runs)


def _compare(
    where: str, line: Mapping[str, str], folders: Sequence[Path], value: float, tracks: int
) -> list[str]:
    printed = float(line["value"]) if line["value"] else math.nan
    same = math.isnan(value) if math.isnan(printed) else abs(value - printed) <= _ROUNDING
    if same and line["tracks"] == str(tracks):
        return []
    files = ", ".join(str(folder) for folder in folders)
    return [
        f"{where} has {line['value']} over {line['tracks']} tracks for {line['stem']} "
        f"{line['metric']}, its files in {files} give {value:.3f} over {tracks}: "
        f"run mss-results build, and report a bug if that does not help"
    ]


def _folder(source: str, scores: Sequence[Path]) -> Path:
    for root in scores:
        if (root / source / "run.json").is_file():
            return root / source
    raise FileNotFoundError(f"no run {source} in any score folder: run mss-results build")


def _recompute(
    folder: Path, protocol: str, cells: Sequence[tuple[str, str]]
) -> list[tuple[float, int]]:
    """Value and number of scored tracks of each (stem, metric); reads every file once."""
    record = json.loads(read_small(folder / "run.json"))
    ((label, entry),) = (
        (label, entry) for label, entry in record["protocols"].items() if entry["id"] == protocol
    )
    parts = [[(each, metric) for each in _stems(stem)] for stem, metric in cells]
    tracks: dict[tuple[str, str], list[float]] = {key: [] for keys in parts for key in keys}
    for targets in _each_track(folder / label, entry["files"]):
        for (stem, metric), values in tracks.items():
            frames = [frame["metrics"][metric] for frame in targets.get(stem, [])]
            values += _scored([_reduce(_scored(frames), entry["frames"])])
    return [
        (
            statistics.fmean(_reduce(tracks[key], entry["tracks"]) for key in keys),
            min(len(tracks[key]) for key in keys),
        )
        for keys in parts
    ]


def _stems(stem: str) -> tuple[str, ...]:
    return _AVERAGED if stem == "average" else (stem,)


def _each_track(folder: Path, files: Mapping[str, str]) -> Iterator[dict[str, list[Any]]]:
    """For each track, target -> frames; a table of values has one frame per line."""
    for name, digest in files.items():
        content = read_small(folder / name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(
                f"{folder / name}: its SHA-256 is not that of run.json: evaluate again"
            )
        if name.endswith(".json"):
            targets = json.loads(content)["targets"]
            yield {target["name"]: target["frames"] for target in targets}
            continue
        by_track: dict[str, dict[str, list[Any]]] = {}
        for line in csv.DictReader(io.StringIO(content.decode(), newline="")):
            values = {name: float(cell) for name, cell in line.items() if name not in _PLACE}
            target = by_track.setdefault(name_of(line["track"]), {})
            target[name_of(line["target"])] = [{"metrics": values}]
        yield from by_track.values()


def _scored(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _reduce(values: Sequence[float], how: str) -> float:
    if not values:
        return math.nan
    return statistics.median(values) if how == "median" else statistics.fmean(values)
