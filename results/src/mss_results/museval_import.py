"""Imports third-party score files in museval's format as a score folder."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_results.fields import Fields, check_name, parse_object
from mss_results.read import SCHEMA
from mss_results.track_file import KNOWN_STEMS, STEMS, Protocol, TrackScores, parse_track

METRICS = ("SDR", "ISR", "SIR", "SAR")
_FRAME_SECONDS = 1.0
_ID = re.compile(r"(?P<name>bsseval_v[34])(\.(?P<stems>[a-z+]+))?@1|(?P<sisec>sisec18)@1")
_SILENCE = "a frame in which a stem's reference or estimate is silent is NaN for all stems"


@dataclass(frozen=True)
class Origin:
    """What the files do not say: their method, data set, and protocol id.

    extra_data: whether the method was trained on additional data; `kind` is one of KINDS.
    """

    method: str
    dataset: str
    protocol: str
    run: str
    kind: str
    extra_data: bool
    command: str


def import_museval(folder: Path, origin: Origin, scores: Path) -> Path:
    """Copy track files, byte for byte, into a new run with a run.json; return its folder.

    Args:
        folder: holds test/**/*.json, as museval's stores do, or *.json if there is no test folder.
        origin: name and properties of the run.
        scores: the score folder to add the run to.

    Raises:
        FileNotFoundError: if there are no score files.
        ValueError: with file and field, if a file is malformed or does not have the protocol's
            stems or frames; if the run exists. In all cases nothing is written.
    """
    for name in ("method", "dataset", "run"):
        check_name(getattr(origin, name), f"--{name}")
    protocol = _named_protocol(origin.protocol)
    run_folder = scores / origin.dataset / origin.method / origin.run
    if run_folder.exists():
        raise ValueError(f"{run_folder} exists: choose another --run or --method")
    files = find_files(folder)
    contents = {track: file.read_bytes() for track, file in files.items()}
    tracks = {track: _read(contents[track], file, track) for track, file in files.items()}
    targets = _targets(tracks)
    _check_targets(folder, origin.protocol, targets)
    label = origin.protocol.split("@")[0]
    record = _record(origin, label, targets, protocol, tracks, contents)
    _write(run_folder, label, record, contents)
    return run_folder


def find_files(folder: Path) -> dict[str, Path]:
    """Track -> file, sorted; a track is named after its file."""
    test = folder / "test"
    paths = sorted(test.rglob("*.json") if test.is_dir() else folder.glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"no score files in {folder}: it must hold test/<track>.json or <track>.json"
        )
    files: dict[str, Path] = {}
    for file in paths:
        if file.stem in files:
            raise ValueError(
                f"{file}: track {file.stem!r} is also in {files[file.stem]}: keep one of them"
            )
        files[file.stem] = file
    return files


def _named_protocol(id: str) -> str:
    match = _ID.fullmatch(id)
    if match is None:
        raise ValueError(
            f"--protocol is {id!r}, which museval does not compute: use bsseval_v4@1, sisec18@1, "
            f"bsseval_v3@1, or bsseval_v4.vocals+accompaniment@1 and the like"
        )
    return match["sisec"] or match["name"]


def _read(content: bytes, file: Path, track: str) -> TrackScores:
    """The track's scores; any known target may be absent, unknown ones are rejected."""
    anything = Protocol("", METRICS, "dB", KNOWN_STEMS, "median", "median", _SILENCE)
    scores = parse_track(content, file, track, anything, absent=KNOWN_STEMS)
    for target in parse_object(content, file).items("targets"):
        for index, frame in enumerate(target.items("frames", most=2)):
            _check_frame(frame, "duration", _FRAME_SECONDS)
            _check_frame(frame, "time", index * _FRAME_SECONDS)
    return scores


def _check_frame(frame: Fields, name: str, seconds: float) -> None:
    if abs(frame.number(name) - seconds) > 1e-6:
        raise ValueError(
            f"{frame.where(name)} is {frame.number(name):g}, not {seconds:g}: museval's protocols "
            f"have frames of 1 s, one every second"
        )


def _present(scores: TrackScores) -> list[str]:
    return [stem for stem in KNOWN_STEMS if len(scores.frames[stem, METRICS[0]])]


def _targets(tracks: Mapping[str, TrackScores]) -> tuple[str, ...]:
    present = {stem for scores in tracks.values() for stem in _present(scores)}
    return tuple(stem for stem in KNOWN_STEMS if stem in present)


def _check_targets(folder: Path, id: str, targets: Sequence[str]) -> None:
    """Check that the files have the protocol's stems: BSSEval depends on all stems together."""
    match = _ID.fullmatch(id)
    assert match is not None
    if match["sisec"]:
        fits = {"vocals", "accompaniment"} <= set(targets)
        wanted = "vocals and accompaniment, with or without drums, bass and other"
    else:
        named = match["stems"].split("+") if match["stems"] else list(STEMS)
        fits = set(named) == set(targets)
        wanted = ", ".join(named)
    if not fits:
        raise ValueError(
            f"{folder}: field targets has {', '.join(targets) or 'no stems'}, protocol {id} "
            f"scores {wanted}: choose --protocol by the stems that were scored together"
        )


def _record(
    origin: Origin,
    label: str,
    targets: Sequence[str],
    protocol: str,
    tracks: Mapping[str, TrackScores],
    contents: Mapping[str, bytes],
) -> dict[str, object]:
    """run.json, with null for everything the files do not say."""
    versions = sorted({_version(content) for content in contents.values()} - {""})
    return {
        "schema": SCHEMA,
        "kind": origin.kind,
        "method": origin.method,
        "run": origin.run,
        "dataset": {
            "name": origin.dataset,
            "split": "test",
            "tracks": list(contents),
            "fingerprint": None,
        },
        "stems": list(targets),
        "protocols": {label: _entry(origin, targets, protocol, tracks, contents)},
        "cost": dict.fromkeys(("gmac_per_second", "real_time_factor", "peak_memory_bytes")),
        "training": _training(origin),
        **dict.fromkeys(("recipe", "recipe_digest", "verbatim", "leaf_sources", "reproduces")),
        **dict.fromkeys(("weights", "seed", "commit", "machine")),
        "versions": {"museval": ", ".join(versions)} if versions else {},
        "command": origin.command,
    }


def _version(content: bytes) -> str:
    return str(json.loads(content).get("museval_version", ""))


def _training(origin: Origin) -> dict[str, object] | None:
    if origin.kind != "model":
        return None
    unknown = dict.fromkeys(("dataset", "fingerprint", "tracks", "steps"))
    return {**unknown, "extra_data": origin.extra_data}


def _entry(
    origin: Origin,
    targets: Sequence[str],
    protocol: str,
    tracks: Mapping[str, TrackScores],
    contents: Mapping[str, bytes],
) -> dict[str, object]:
    absent = {
        track: [stem for stem in targets if stem not in _present(scores)]
        for track, scores in tracks.items()
    }
    filters = "each frame" if protocol == "bsseval_v3" else "the whole track"
    window = f"1 s every 1 s, a last incomplete one dropped; filters of 512 taps from {filters}"
    return {
        "id": origin.protocol,
        "metrics": list(METRICS),
        "unit": "dB",
        "targets": list(targets),
        "window": window,
        "frames": "median",
        "tracks": "median",
        "silence": _SILENCE,
        "computed_by": "museval, imported",
        "notes": {
            track: dict.fromkeys(stems, "not in the imported file")
            for track, stems in absent.items()
            if stems
        },
        "files": {
            f"test/{track}.json": hashlib.sha256(content).hexdigest()
            for track, content in contents.items()
        },
    }


def _write(
    run_folder: Path, label: str, record: Mapping[str, object], contents: Mapping[str, bytes]
) -> None:
    """Write to a temporary folder, then rename it, so that the run is complete or absent."""
    partial = run_folder.with_name(f".{run_folder.name}.{os.getpid()}.partial")
    tracks = partial / label / "test"
    try:
        tracks.mkdir(parents=True)
        for track, content in contents.items():
            (tracks / f"{track}.json").write_bytes(content)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (partial / "run.json").write_text(text, encoding="utf-8")
        os.rename(partial, run_folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
