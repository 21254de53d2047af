"""A second opinion: cells of the written leaderboard, recomputed from the JSON files.

Shares no code with the readers and the aggregation, so that a fault of theirs, or of the cache,
does not confirm itself.
"""

import csv
import hashlib
import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_AVERAGED = ("vocals", "drums", "bass", "other")
_ROUNDING = 0.0005 + 1e-9  # the leaderboard has three decimals


def recheck(leaderboard: Path, scores: Sequence[Path], cells: int, seed: int) -> int:
    """Recompute a random sample of measured cells; return how many.

    Args:
        leaderboard: leaderboard.csv as it stands on disk.
        scores: the score folders.
        cells: how many lines to draw; all of them if there are fewer.
        seed: of the draw.

    Raises:
        ValueError: one line per cell that differs from what its JSON files give.
        FileNotFoundError: if the run of a cell is in none of the score folders.
    """
    with leaderboard.open(encoding="utf-8", newline="") as file:
        lines = [
            (number, line)
            for number, line in enumerate(csv.DictReader(file), start=2)
            if line["kind"] != "claimed"
        ]
    chosen = random.Random(seed).sample(lines, min(cells, len(lines)))
    found = [
        _differs(leaderboard, number, line, scores) for number, line in sorted(chosen, key=_at)
    ]
    if any(found):
        raise ValueError("\n".join(sentence for sentence in found if sentence))
    return len(chosen)


def _at(numbered: tuple[int, Mapping[str, str]]) -> int:
    return numbered[0]


def _differs(
    leaderboard: Path, number: int, line: Mapping[str, str], scores: Sequence[Path]
) -> str:
    folder = _folder(line["source"], scores)
    value, tracks = _recompute(folder, line["protocol"], line["stem"], line["metric"])
    printed = float(line["value"]) if line["value"] else math.nan
    same = math.isnan(value) if math.isnan(printed) else abs(value - printed) <= _ROUNDING
    if same and line["tracks"] == str(tracks):
        return ""
    return (
        f"{leaderboard}: line {number} has {line['value']} over {line['tracks']} tracks for "
        f"{line['stem']} {line['metric']}, its files in {folder} give {value:.3f} over {tracks}: "
        f"run mss-results build, and report the fault if it stays"
    )


def _folder(source: str, scores: Sequence[Path]) -> Path:
    for root in scores:
        if (root / source / "run.json").is_file():
            return root / source
    raise FileNotFoundError(f"no run {source} in any score folder: run mss-results build")


def _recompute(folder: Path, protocol: str, stem: str, metric: str) -> tuple[float, int]:
    record = json.loads((folder / "run.json").read_bytes())
    ((label, entry),) = (
        (label, entry) for label, entry in record["protocols"].items() if entry["id"] == protocol
    )
    stems = _AVERAGED if stem == "average" else (stem,)
    tracks: dict[str, list[float]] = {each: [] for each in stems}
    for name, digest in entry["files"].items():
        targets = _targets(folder / label / name, digest)
        for each in stems:
            frames = [frame["metrics"][metric] for frame in targets.get(each, [])]
            tracks[each] += _scored([_reduce(_scored(frames), entry["frames"])])
    values = [_reduce(tracks[each], entry["tracks"]) for each in stems]
    return statistics.fmean(values), min(len(tracks[each]) for each in stems)


def _targets(file: Path, digest: str) -> dict[str, list[Any]]:
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{file}: its SHA-256 is not that of run.json: evaluate again")
    return {target["name"]: target["frames"] for target in json.loads(content)["targets"]}


def _scored(values: Sequence[float]) -> list[float]:
    return [value for value in values if value == value]


def _reduce(values: Sequence[float], how: str) -> float:
    if not values:
        return math.nan
    return statistics.median(values) if how == "median" else statistics.fmean(values)
