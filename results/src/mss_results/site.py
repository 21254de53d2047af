"""The page: an HTML file that lists the boards, a script per board, a script per run with frames.

It opens from disk, without server or network. Data are scripts rather than JSON because a page
opened from disk may load scripts from its own folder but not fetch other files.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import numpy as np

from mss_results.aggregate import Cell
from mss_results.board import Board, Row
from mss_results.columns import Column, Pair
from mss_results.grid import about
from mss_results.notes import sentences
from mss_results.published import bibliography, claims_of, published
from mss_results.read import Run
from mss_results.significance import LEVEL
from mss_results.sources import Source
from mss_results.track_file import Frames

_SCRIPTS = (
    "dom.js",
    "load.js",
    "state.js",
    "filter.js",
    "columns.js",
    "table.js",
    "keys.js",
    "copy.js",
    "pairs.js",
    "charts.js",
    "boxes.js",
    "groups.js",
    "matrix.js",
    "scatter.js",
    "heat.js",
    "run.js",
    "frames.js",
    "main.js",
)
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")

Json = object


@dataclass(frozen=True)
class SitePaths:
    """The page's folder, that of the estimates to play, and what is known about the sources.

    Estimates stand in <audio>/<run id>/<track>/<stem>.*
    """

    folder: Path
    audio: Path | None
    sources: tuple[Source, ...] = ()

    def href(self, file: Path) -> str:
        """A file's URL relative to the page."""
        relative = os.path.relpath(file.absolute(), self.folder.absolute())
        return quote(Path(relative).as_posix())


def site(boards: Sequence[Board], paths: SitePaths) -> dict[Path, str]:
    """All files of the page, with their text.

    Raises:
        FileNotFoundError: if the audio folder does not exist.
    """
    if paths.audio is not None and not paths.audio.is_dir():
        raise FileNotFoundError(f"no folder {paths.audio}: --audio must hold the estimates")
    texts = {paths.folder / "index.html": _html([_listed(board) for board in boards])}
    for board in boards:
        texts[paths.folder / _board_file(board)] = _script(board, paths)
        for row in board.rows:
            for part in row.parts or (row,):
                if part.scores is not None and part.scores.has_frames:
                    texts[paths.folder / _frames_file(board, part)] = _frames(board, part)
    return texts


def _html(boards: Sequence[Json]) -> str:
    page = files("mss_results") / "page"

    def read(name: str) -> str:
        return (page / name).read_text(encoding="utf-8")

    # The data is inserted last, as it may contain any text, including the other placeholders.
    text = read("page.html").replace("/*STYLE*/", read("page.css"))
    text = text.replace("/*SCRIPT*/", "\n".join(read(name) for name in _SCRIPTS))
    lines = ",\n".join(_json(board) for board in boards)
    return text.replace("/*DATA*/", f'{{"boards":[\n{lines}\n]}}')


def _listed(board: Board) -> Json:
    """What the page knows of a board before it is opened."""
    return {
        "name": board.name,
        "dataset": board.dataset,
        "protocol": board.protocol,
        "file": _board_file(board),
    }


def _board_file(board: Board) -> str:
    return f"boards/{board.name}.js"


def _script(board: Board, paths: SitePaths) -> str:
    """One line per row, so that diffs show which row has changed."""
    content = _board(board, paths)
    rows = ",\n".join(_json(row) for row in _rows(board, paths))
    return f"keepBoard({_json(content)},[\n{rows}\n]);\n"


def _json(value: Json) -> str:
    """JSON that is safe inside a script element: ASCII only, without `<`."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _board(board: Board, paths: SitePaths) -> Json:
    """Everything about a board but its rows."""
    keys = [(stem, metric) for metric in board.metrics for stem in board.stems]
    unit = board.definitions[0].unit if board.definitions else "dB"
    return {
        "name": board.name,
        "dataset": board.dataset,
        "protocol": board.protocol,
        "unit": unit,
        "metrics": board.metrics,
        "stems": board.stems,
        "leads": {metric: board.lead(metric)[0] for metric in board.metrics},
        "about": about(board),
        "notes": sentences(board, board.rows),
        "columns": {_name(key): _columns(board, key) for key in keys if key in board.columns},
        "bibliography": bibliography(board, paths.sources),
    }


def _rows(board: Board, paths: SitePaths) -> list[Json]:
    claims = claims_of(board)
    return [
        _row(board, row, claims.get(index), paths) | {"claim": claims.get(index)}
        for index, row in enumerate(board.rows)
    ]


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]} {key[1]}"


def _columns(board: Board, key: tuple[str, str]) -> Json:
    """The tests over the largest pool of rows, and those over others as `more`."""
    place = {row.id: index for index, row in enumerate(board.rows) if row.run}
    first, *others = [_column(column, place) for column in board.columns[key]]
    return first | {"more": others} if others else first


def _column(column: Column, place: Mapping[str, int]) -> dict[str, Json]:
    return {
        "rows": sorted(place[id] for id in column.rows),
        "tracks": column.tracks,
        "separable": column.is_separable,
        "friedman": None if column.friedman is None else _short_p(column.friedman),
        "pairs": [_pair(pair, place) for pair in column.pairs],
    }


def _pair(pair: Pair, place: Mapping[str, int]) -> Json:
    """Rows by their index in the board, the better one first; p by Holm, and raw as last."""
    low, high = pair.interval or (math.nan, math.nan)
    return [
        *(place[pair.better], place[pair.worse], _short_p(pair.corrected), pair.tracks),
        *(*pair.wins, *(_thousandths(each) for each in (pair.difference, low, high))),
        _short_p(pair.p),
    ]


def _short_p(p: float) -> float:
    """Three significant digits, on the same side of the level as the p itself."""
    short = float(f"{p:.3g}")
    return 0.0499 if p < LEVEL <= short else short


def _thousandths(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3) + 0.0


def _row(board: Board, row: Row, claim: int | None, paths: SitePaths) -> dict[str, Json]:
    stated = row if claim is None else board.rows[claim]  # what a run leaves open, its claim says
    claimed = {} if claim is None else stated.cells
    keys = [(stem, metric) for metric in board.metrics for stem in board.stems]
    shown = [key for key in keys if key in row.cells or key in claimed]
    return {
        "kind": row.kind,
        "method": row.method,
        "recipe": row.recipe,
        "run": row.run,
        "notRun": row.not_run,
        "variant": row.is_variant,
        "extra": row.extra_data or stated.extra_data,
        "contaminated": None if row.contaminated is None else len(row.contaminated),
        "parameters": row.parameters or stated.parameters,
        "gmac": row.cost.gmac_per_second,
        "factor": row.cost.real_time_factor,
        "memory": row.cost.peak_memory_bytes,
        "secondHand": row.second_hand_leaves,
        "ours": row.ours_leaves,
        "sources": row.sources,
        "notes": row.notes,
        "seeds": row.seeds,
        "tracks": row.tracks,
        "cells": {_name(key): _cell(row, key, claimed) for key in shown},
        "songs": {
            _name(key): _songs(row.cells[key], row.tracks)
            for key in shown
            if row.run and key in row.cells
        },
        **published(row, claimed, paths.sources),
        **_measured(board, row, paths),
    }


def _cell(row: Row, key: tuple[str, str], claimed: Mapping[tuple[str, str], Cell]) -> Json:
    """One value; NaN if there is only a claim for it."""
    cell = row.cells.get(key, Cell(math.nan, 0, row.sources[0]))
    rank = row.ranks.get(key)
    low, high = cell.interval or (math.nan, math.nan)
    return {
        "value": _number(cell.value),
        "low": _number(low),
        "high": _number(high),
        "tracks": cell.tracks,
        "rank": None if rank is None else [rank.low, rank.high],
        "range": [_number(min(cell.by_seed)), _number(max(cell.by_seed))] if cell.by_seed else None,
        "claimed": claimed[key].value if key in claimed else None,
        "source": cell.source,
    }


def _songs(cell: Cell, tracks: Sequence[str]) -> Json:
    return [_number(cell.by_track[track]) for track in tracks]


def _number(value: float) -> float | None:
    # More decimals than are shown: rounding twice could differ from the tables.
    return None if math.isnan(value) else round(value, 5) + 0.0


def _measured(board: Board, row: Row, paths: SitePaths) -> dict[str, Json]:
    """What only a run has: provenance, score files, frames, audio."""
    run, scores = row.made_by, row.scores
    if run is None or scores is None:
        return {"facts": [], "files": [], "frames": None, "audio": {}, "runs": []}
    folder = run.folder / scores.label
    return {
        "facts": [[label, text] for label, text in _facts(row).items() if text],
        "record": paths.href(run.folder / "run.json"),
        "files": [
            [paths.href(folder / scores.files[track]), scores.digests[track]]
            for track in row.tracks
        ],
        "frames": _frames_of(board, row.parts[0] if row.parts else row),
        "audio": _audio(paths, run.id, row.tracks),
        "runs": [_part(board, part, paths) for part in row.parts],
    }


def _part(board: Board, row: Row, paths: SitePaths) -> Json:
    """One of several seeds; the facts, files and frames of the whole row are those of the first."""
    assert row.made_by is not None
    return {
        "run": row.run,
        "seed": row.seeds[0],
        "record": paths.href(row.made_by.folder / "run.json"),
        "frames": _frames_of(board, row),
    }


def _facts(row: Row) -> Mapping[str, str | None]:
    run = row.made_by
    assert run is not None
    made = run.provenance
    return {
        "recipe": run.recipe,
        "verbatim": None if run.verbatim is None else "yes" if run.verbatim else "no, a variant",
        "recipe digest": made.recipe_digest,
        "weights digest": made.weights_digest,
        "data fingerprint": run.fingerprint,
        "trained on": _trained_on(run),
        "steps": ", ".join(filter(None, map(_steps, row.parts or (row,)))),
        "seed": ", ".join(map(str, row.seeds)) or (None if made.seed is None else str(made.seed)),
        "training command": run.fit_command,
        "training commit": run.fit_commit,
        "command": made.command,
        "commit": made.commit,
        "machine": made.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
    }


def _steps(row: Row) -> str:
    training = row.made_by.training if row.made_by else None
    return str(training.steps) if training and training.steps else ""


def _trained_on(run: Run) -> str:
    if run.kind != "model":
        return "nothing"
    if run.training is None or run.training.tracks is None:
        return "unknown"
    return f"{len(run.training.tracks)} tracks of {run.training_data}"


def _audio(paths: SitePaths, id: str, tracks: Sequence[str]) -> Json:
    """Track -> stem -> URL of the estimate, for existing files."""
    if paths.audio is None:
        return {}
    urls: dict[str, dict[str, str]] = {}
    for track in tracks:
        folder = _inside(paths.audio / id, track)
        sounds = sorted(folder.iterdir()) if folder.is_dir() else []
        for sound in sounds:
            if sound.suffix.lower() in AUDIO_SUFFIXES:
                urls.setdefault(track, {})[sound.stem] = paths.href(sound)
    return urls


def _inside(folder: Path, name: str) -> Path:
    """A path in a folder; links in it are its owner's, and may lead elsewhere."""
    path = Path(os.path.abspath(folder / name))
    if not path.is_relative_to(os.path.abspath(folder)):
        raise ValueError(f"track {name!r} leads outside of --audio: rename it")
    return folder / name


def _frames_of(board: Board, row: Row) -> str | None:
    """The script of a run's frames; None where only values per track are known."""
    return _frames_file(board, row) if row.scores and row.scores.has_frames else None


def _frames_file(board: Board, row: Row) -> str:
    # Names contain no "--", so the file name is unique.
    return f"runs/{board.name}--{row.method}--{row.run}.js"


def _frames(board: Board, row: Row) -> str:
    assert row.scores is not None
    tracks = [
        {
            "step": 1.0 if math.isnan(track.step) else track.step,
            "frames": {_name(key): _hundredths(values) for key, values in track.frames.items()},
        }
        for track in row.scores.tracks
    ]
    lines = ",\n".join(_json(track) for track in tracks)
    return f"keepFrames({_json(_frames_file(board, row))},[\n{lines}\n]);\n"


def _hundredths(values: Frames) -> list[int | None]:
    """Integer hundredths, which are shorter and quicker to write than floats; None for NaN."""
    integers = np.round(100 * np.nan_to_num(values)).astype(np.int64).tolist()
    missing = np.isnan(values)
    if not missing.any():
        return list(integers)
    return [None if nan else value for value, nan in zip(integers, missing.tolist(), strict=True)]
