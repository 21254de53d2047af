"""Reads third-party scores: museval's files of one or many systems, or a table of medians."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results import sisec18
from mss_results.fields import Fields, parse_object
from mss_results.small_file import MOST_BYTES, read_small
from mss_results.track_file import KNOWN_STEMS, Frames, Protocol, TrackScores, parse_track
from mss_results.track_table import Line, read_lines

METRICS = ("SDR", "ISR", "SIR", "SAR")
_FRAME_SECONDS = 1.0
_SUFFIXES = (".json", ".json.gz")
# Accepts any known target; which must be there depends on the protocol.
_ANYTHING = Protocol("", METRICS, "dB", KNOWN_STEMS, "median", "median", "")


@dataclass(frozen=True)
class Source:
    """The scores of one system.

    Attributes:
        place: where they were found, for messages.
        tracks: track -> its scores, sorted by name; absent targets have no frames.
        lines: one line per track and target of a table of medians.
        contents: track -> its file, uncompressed; empty if the source is a table.
        versions: of museval, where the files state it.
    """

    place: Path
    tracks: Mapping[str, TrackScores]
    lines: tuple[Line, ...]
    contents: Mapping[str, bytes]
    versions: tuple[str, ...]

    def digests(self) -> dict[str, str]:
        """Track -> SHA-256 of its file, or of its lines."""
        contents = dict(self.contents)
        for line in self.lines if not contents else ():
            text = repr((line.target, line.frames, line.values))
            contents[line.track] = contents.get(line.track, b"") + text.encode()
        return {track: hashlib.sha256(each).hexdigest() for track, each in contents.items()}


def read_system(folder: Path) -> Source:
    """Read the files of one system: test/**/*.json, as museval's stores do, or *.json.

    Files may be compressed, as .json.gz. Tracks are named after their files.

    Raises:
        FileNotFoundError: if there are no score files.
        ValueError: with file and field, if a file is not museval's JSON with frames of 1 s.
    """
    files = find_files(folder)
    contents = {track: _content(file) for track, file in files.items()}
    tracks, versions = {}, set()
    for track, file in files.items():
        tracks[track], version = _read(contents[track], file, track)
        versions |= version
    lines = tuple(line for scores in tracks.values() for line in _lines(scores))
    return Source(folder, tracks, lines, contents, tuple(sorted(versions)))


def read_systems(folder: Path) -> dict[str, Source]:
    """Read a folder with one subfolder per system, named after it, but for those without files.

    Raises:
        FileNotFoundError, ValueError: as read_system; if no subfolder holds score files, or the
            folder holds some itself.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: it must hold the score files")
    if (folder / "test").is_dir() or _score_files(folder, "*"):
        raise ValueError(f"{folder} holds score files itself: --method must name their method")
    inside = _subfolders(folder)
    systems = {path.name: read_system(path) for path in inside if _has_scores(path)}
    if not systems:
        raise FileNotFoundError(
            f"no folders with score files in {folder}: without --method it must hold one folder "
            f"per system"
        )
    return systems


def empty_folders(folder: Path) -> list[Path]:
    """The subfolders that hold no score files, hence are no systems."""
    return [path for path in _subfolders(folder) if not _has_scores(path)]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _has_scores(folder: Path) -> bool:
    test = folder / "test"
    return bool(_score_files(test, "**/*") if test.is_dir() else _score_files(folder, "*"))


def read_medians(file: Path) -> dict[str, Source]:
    """Read a table of SiSEC 2018: medians over frames per system, track and target.

    Raises:
        ValueError: with file and line, if a line is malformed or given twice.
    """
    grouped: dict[str, dict[tuple[str, str], Line]] = {}
    for number, first, line in read_lines(read_small(file), file, METRICS, sisec18.COLUMNS):
        lines = grouped.setdefault(first[0], {})
        if line.target not in KNOWN_STEMS:
            raise ValueError(
                f"{file}: line {number} names the unknown stem {line.target!r}: use "
                f"{', '.join(KNOWN_STEMS)}"
            )
        if (line.track, line.target) in lines:
            raise ValueError(
                f"{file}: line {number} gives {line.target} of {line.track!r} of {first[0]} "
                f"again: keep one line"
            )
        lines[line.track, line.target] = line
    if not grouped:
        raise ValueError(f"{file}: no lines after the header: it must hold scores")
    return {method: _from_lines(file, lines) for method, lines in sorted(grouped.items())}


def find_files(folder: Path) -> dict[str, Path]:
    """Track -> file, sorted; a track is named after its file."""
    test = folder / "test"
    paths = _score_files(test, "**/*") if test.is_dir() else _score_files(folder, "*")
    if not paths:
        raise FileNotFoundError(
            f"no score files in {folder}: it must hold test/<track>.json or <track>.json"
        )
    files: dict[str, Path] = {}
    for file in paths:
        track = file.name.removesuffix(".gz").removesuffix(".json")
        if track in files:
            raise ValueError(f"{file}: track {track!r} is also in {files[track]}: keep one of them")
        files[track] = file
    return dict(sorted(files.items()))


def _score_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        path for suffix in _SUFFIXES for path in folder.glob(pattern + suffix) if path.is_file()
    )


def _content(file: Path) -> bytes:
    content = read_small(file)
    if file.suffix != ".gz":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as opened:
            unpacked = opened.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}: not a complete gzip file ({error}): replace it") from None
    if len(unpacked) > MOST_BYTES:
        raise ValueError(f"{file}: unpacks to more than {MOST_BYTES} bytes: replace it")
    return unpacked


def _read(content: bytes, file: Path, track: str) -> tuple[TrackScores, set[str]]:
    """The track's scores, where any known target may be absent, and museval's version if known."""
    scores = parse_track(content, file, track, _ANYTHING, absent=KNOWN_STEMS)
    fields = parse_object(content, file)
    for target in fields.items("targets"):
        for index, frame in enumerate(target.items("frames", most=2)):
            _check_frame(frame, "duration", _FRAME_SECONDS)
            _check_frame(frame, "time", index * _FRAME_SECONDS)
    key = "museval_version"
    return scores, {fields.text(key)} if key in fields.values else set()


def _check_frame(frame: Fields, name: str, seconds: float) -> None:
    if not abs(frame.number(name) - seconds) <= 1e-6:  # NaN is neither above nor below
        raise ValueError(
            f"{frame.where(name)} is {frame.number(name):g}, not {seconds:g}: museval's protocols "
            f"have frames of 1 s, one every second"
        )


def _lines(scores: TrackScores) -> list[Line]:
    """A line for each target that is there, in the order of KNOWN_STEMS."""
    lines = []
    for stem in KNOWN_STEMS:
        columns = [scores.frames[stem, metric] for metric in METRICS]
        if len(columns[0]):
            frames = max(int(np.count_nonzero(~np.isnan(column))) for column in columns)
            lines.append(Line(scores.track, stem, frames, tuple(map(_median, columns))))
    return lines


def _median(frames: Frames) -> float:
    present = frames[~np.isnan(frames)]
    return float(np.median(present)) if len(present) else float("nan")


def _from_lines(file: Path, lines: Mapping[tuple[str, str], Line]) -> Source:
    tracks = {}
    for track in sorted({track for track, _ in lines}):
        frames = {
            (stem, metric): np.array(
                [lines[track, stem].values[place]] if (track, stem) in lines else []
            )
            for stem in KNOWN_STEMS
            for place, metric in enumerate(METRICS)
        }
        tracks[track] = TrackScores("", track, frames, float("nan"))
    ordered = sorted(lines.values(), key=lambda line: KNOWN_STEMS.index(line.target))
    return Source(file, tracks, tuple(ordered), {}, ())
