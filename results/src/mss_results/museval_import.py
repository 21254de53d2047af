"""Adds third-party scores to the score folders, as runs with a run.json."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results import track_table
from mss_results.fields import Fields, check_name
from mss_results.musdb18 import check_official
from mss_results.museval_files import METRICS, Source
from mss_results.partial import made_folders, make_folder, named_finally, partial_of, sweep
from mss_results.read import SCHEMA
from mss_results.track_file import KNOWN_STEMS, STEMS, TrackScores

_ID = re.compile(
    r"(?P<name>bsseval_v[34]|(?P<sisec>sisec18))(?P<museval>\.museval)?(\.(?P<stems>[a-z+]+))?@1"
)
# One id, one rule: these are the rules of mss-eval and of museval, word for word in all runs.
SILENCE = (
    "a frame in which a stem's reference or estimate is silent is NaN for all stems; a stem whose "
    "reference or estimate is silent over the whole track is NaN and does not make the others so"
)
MUSEVAL_SILENCE = (
    "a frame in which a stem's reference or estimate is silent is NaN for all stems, also if it is "
    "silent over the whole track"
)
_LONGEST = 255  # bytes in a file's name
_TEMPORARY = 30  # bytes that a file's temporary name adds


@dataclass(frozen=True)
class Origin:
    """What the files do not say: their method, data set, and protocol id.

    extra_data: whether the method was trained on additional data, None if that is unknown; `kind`
    is one of KINDS.
    """

    method: str
    dataset: str
    protocol: str
    run: str
    kind: str
    extra_data: bool | None
    command: str


@dataclass(frozen=True)
class NewRun:
    """A run that has been checked and can be written: its folder, run.json and score files."""

    folder: Path
    record: Mapping[str, object]
    label: str
    files: Mapping[str, bytes]


def plan_import(source: Source, origin: Origin, scores: Path, per_track: bool) -> NewRun:
    """Check one system and compose its run; nothing is written.

    Args:
        source: its scores.
        origin: name and properties of the run.
        scores: the score folder to add the run to.
        per_track: keep one value per track, target and metric instead of the files.

    Raises:
        ValueError: if a name is invalid or too long for a file, the protocol does not fit the
            stems or the silent tracks of the source, the data set is MUSDB18 and the tracks are
            not, or the run exists.
    """
    for name in ("method", "dataset", "run"):
        check_name(getattr(origin, name), f"--{name}")
    match = _named_protocol(origin.protocol)
    folder = scores / origin.dataset / origin.method / origin.run
    tracks = Fields(source.place, "", {"tracks": list(source.tracks)}).names("tracks")
    check_official(origin.dataset, tracks, f"{source.place}, for --dataset {origin.dataset},")
    _check_lengths(origin, () if per_track else tracks)
    if folder.exists():
        raise ValueError(f"{folder} exists: choose another --run or --method")
    targets = _targets(source.tracks)
    _check_targets(source.place, match, targets)
    if not match["museval"]:
        _check_silence(source, match, targets)
    files: dict[str, bytes] = (
        {track_table.FILE: track_table.table_bytes(source.lines, METRICS)}
        if per_track
        else {f"test/{track}.json": content for track, content in source.contents.items()}
    )
    record = _record(origin, match, targets, source, files)
    return NewRun(folder, record, _label(origin), files)


def write_runs(runs: Sequence[NewRun]) -> None:
    """Write all runs to temporary folders, then rename them, so that each is complete or absent.

    Raises:
        OSError: naming the file that can't be written.
    """
    for run in runs:
        sweep(run.folder)
    partial = {run.folder: partial_of(run.folder) for run in runs}
    with made_folders() as made:
        try:
            for run in runs:
                make_folder(run.folder.parent, made)
                _write_run(run, partial[run.folder])
            for folder, temporary in partial.items():
                with named_finally(temporary, folder):
                    os.rename(temporary, folder)
        finally:
            for temporary in partial.values():
                shutil.rmtree(temporary, ignore_errors=True)


def _write_run(run: NewRun, partial: Path) -> None:
    text = json.dumps(run.record, indent=2, ensure_ascii=False) + "\n"
    files = {f"{run.label}/{name}": content for name, content in run.files.items()}
    for name, content in (files | {"run.json": text.encode("utf-8")}).items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        with named_finally(partial / name, run.folder / name):
            (partial / name).write_bytes(content)


def _label(origin: Origin) -> str:
    return origin.protocol.split("@")[0]


def _named_protocol(id: str) -> re.Match[str]:
    match = _ID.fullmatch(id)
    if match is None or (match["sisec"] and match["stems"]):
        raise ValueError(
            f"--protocol is {id!r}, which museval does not compute: use bsseval_v4@1, sisec18@1, "
            f"bsseval_v3@1, bsseval_v4.vocals+accompaniment@1 and the like, or one of these with "
            f"museval's rule for silent tracks, as in bsseval_v4.museval@1"
        )
    return match


def _check_lengths(origin: Origin, tracks: Sequence[str]) -> None:
    """Check that scores, tables and the page can be named after run and tracks."""
    page = f"{origin.dataset}--{origin.protocol}--{origin.method}--{origin.run}.js"
    if len(page) + _TEMPORARY > _LONGEST:
        raise ValueError(
            f"--dataset, --protocol, --method and --run make a file name of {len(page)} bytes: "
            f"shorten them to {_LONGEST - _TEMPORARY}"
        )
    for track in tracks:
        length = len(os.fsencode(f"{track}.json"))
        if length > _LONGEST:
            raise ValueError(
                f"track {track!r} makes a file name of {length} bytes: shorten it to {_LONGEST}, "
                f"or import with --per_track"
            )


def _present(scores: TrackScores) -> list[str]:
    return [stem for stem in KNOWN_STEMS if len(scores.frames[stem, METRICS[0]])]


def _targets(tracks: Mapping[str, TrackScores]) -> tuple[str, ...]:
    present = {stem for scores in tracks.values() for stem in _present(scores)}
    return tuple(stem for stem in KNOWN_STEMS if stem in present)


def _check_targets(place: Path, match: re.Match[str], targets: Sequence[str]) -> None:
    """Check that the files have the protocol's stems: BSSEval depends on all stems together."""
    if match["sisec"]:
        fits = {"vocals", "accompaniment"} <= set(targets)
        wanted = "vocals and accompaniment, with or without drums, bass and other"
    else:
        named = match["stems"].split("+") if match["stems"] else list(STEMS)
        fits = set(named) == set(targets)
        wanted = ", ".join(named)
    if not fits:
        raise ValueError(
            f"{place}: field targets has {', '.join(targets) or 'no stems'}, protocol {match[0]} "
            f"scores {wanted}: choose --protocol by the stems that were scored together"
        )


def _check_silence(source: Source, match: re.Match[str], targets: Sequence[str]) -> None:
    """Check that the scores do not depend on the rule for stems that are silent throughout.

    Under museval's rule such a stem takes all scores of its track away, under ours only its own.
    So the two agree unless all stems that were scored together are NaN in all frames.
    """
    pair = ("vocals", "accompaniment")
    rest = tuple(stem for stem in targets if stem not in pair)
    for track, scores in source.tracks.items():
        for group in (pair, rest) if match["sisec"] else (targets,):
            columns = [scores.frames[stem, metric] for stem in group for metric in METRICS]
            if len(group) > 1 and all(len(each) and np.all(np.isnan(each)) for each in columns):
                own = f"{match['name']}.museval{match[0].removeprefix(match['name'])}"
                raise ValueError(
                    f"{source.place}: {', '.join(group)} of track {track!r} have no score in any "
                    f"frame, which {match[0]} and museval define differently: use --protocol {own}"
                )


def _record(
    origin: Origin,
    match: re.Match[str],
    targets: Sequence[str],
    source: Source,
    files: Mapping[str, bytes],
) -> dict[str, object]:
    """run.json, with null for everything the files do not say."""
    return {
        "schema": SCHEMA,
        "kind": origin.kind,
        "method": origin.method,
        "run": origin.run,
        "dataset": {
            "name": origin.dataset,
            "split": "test",
            "tracks": list(source.tracks),
            "fingerprint": None,
        },
        "stems": list(targets),
        "protocols": {_label(origin): _entry(match, targets, source, files)},
        "cost": dict.fromkeys(("gmac_per_second", "real_time_factor", "peak_memory_bytes")),
        "training": _training(origin),
        **dict.fromkeys(("recipe", "recipe_digest", "verbatim", "leaf_sources", "reproduces")),
        **dict.fromkeys(("weights", "seed", "commit", "machine")),
        "versions": {"museval": ", ".join(source.versions)} if source.versions else {},
        "command": origin.command,
    }


def _training(origin: Origin) -> dict[str, object] | None:
    if origin.kind != "model":
        return None
    unknown = dict.fromkeys(("dataset", "fingerprint", "tracks", "steps"))
    return {**unknown, "extra_data": origin.extra_data}


def _entry(
    match: re.Match[str], targets: Sequence[str], source: Source, files: Mapping[str, bytes]
) -> dict[str, object]:
    absent = {
        track: [stem for stem in targets if stem not in _present(scores)]
        for track, scores in source.tracks.items()
    }
    filters = "each frame" if match["name"] == "bsseval_v3" else "the whole track"
    window = f"1 s every 1 s, a last incomplete one dropped; filters of 512 taps from {filters}"
    return {
        "id": match[0],
        "metrics": list(METRICS),
        "unit": "dB",
        "targets": list(targets),
        "window": window,
        "frames": "median",
        "tracks": "median",
        "silence": MUSEVAL_SILENCE if match["museval"] else SILENCE,
        "computed_by": "museval, imported",
        "notes": {
            track: dict.fromkeys(stems, "not in the imported file")
            for track, stems in absent.items()
            if stems
        },
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
