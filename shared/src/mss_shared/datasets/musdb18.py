"""MUSDB18: its tracks by name, and its ``.stem.mp4`` files, decoded to wav once."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib.resources import files
from io import StringIO
from pathlib import Path

import platformdirs

from mss_shared import audio, console
from mss_shared.atomic import making_folder, write_text
from mss_shared.audio.containers import StreamInfo, list_streams, read_stream
from mss_shared.audio.formats import STEM_MP4_SUFFIX
from mss_shared.console import Report
from mss_shared.datasets import folders, tree
from mss_shared.datasets.tracks import Dataset
from mss_shared.datasets.tree import Tree
from mss_shared.names import check_file_name, real_path, shorten

# The data sets of the same 150 songs: compressed, as wav, and the seven-second previews.
NAMES = ("musdb18", "musdb18hq", "musdb18_7s")

_PREVIEWS = {"train": 94, "test": 50}  # songs

# The streams of a stem file.
_STREAMS = ("mixture", "drums", "bass", "other", "vocals")

_BY_HAND = "set MUSDB18_7S_ROOT to a folder that holds their train/ and test/, or try again"

# In a decoded track's folder: size and time of the stem file, and its SHA-256.
_SOURCE = ".source"

# The conventional validation split (musdb, split="valid").
VALIDATION = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


def hold_out_validation(dataset: Dataset) -> Dataset:
    """Make the 14 tracks the validation split, if there is none and they are training tracks.

    Of a part of MUSDB18's training tracks, those of the 14 that are there. Otherwise every tenth
    training track, as `folders.with_validation` does.
    """
    names = {track.name for track in dataset.train}
    there = tuple(name for name in VALIDATION if name in names)
    is_part = names <= official_tracks("train").keys() and 0 < len(there) < len(names)
    if not dataset.valid and (is_part or there == VALIDATION):
        return folders.hold_out(dataset, there)
    return folders.with_validation(dataset)


@cache
def official_tracks(split: str) -> Mapping[str, int | None]:
    """The names of the official list's ``train`` or ``test`` tracks, with their seconds.

    Seconds are at least those that have a score in SiSEC 2018's files; None where there is none.
    """
    file = files("mss_shared.datasets") / "musdb18_tracks.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(lines) if row["split"] == split]
    return {row["track"]: int(row["seconds"]) if row["seconds"] else None for row in rows}


def find_stem_files(root: Path) -> dict[str, list[Path]]:
    """Split to its ``.stem.mp4`` files, sorted by name; splits without any are left out."""
    found = tree.look(root).stem_files if root.is_dir() and tree.find_splits(root) else {}
    return {split: paths for split, paths in found.items() if paths}


def name_track(path: Path) -> str:
    """The name of a stem file's track; a ValueError if it can't be a folder's."""
    name = path.name[: -len(STEM_MP4_SUFFIX)]
    if tree.name_fault(name):
        raise ValueError(f"the name {shorten(name)} {tree.name_fault(name)}: rename the file")
    return check_file_name(name, f"the name of {path}")


def decode(root: Path, progress: Report | None = None) -> Tree:
    """Decode every ``.stem.mp4`` below ``root`` to wav folders in the user's cache, once.

    A track in the cache is not decoded again: its folder appears complete or not at all.

    Returns:
        The decoded track folders of the files that are there now.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if a file has other than five streams, or can't be decoded, or track folders
            lie beside the files.
    """
    found = tree.look(root)
    folders_there = [path for paths in found.splits.values() for path in paths]
    if folders_there:
        raise ValueError(
            f"{root} holds .stem.mp4 files and track folders such as {folders_there[0].name}: move "
            f"one kind elsewhere, as only one is read"
        )
    decoded = Tree(ignored=found.ignored, faults=found.faults)
    files = [(split, path) for split, paths in found.stem_files.items() for path in paths]
    _say_size(root, files)
    for done, (split, path) in enumerate(files):
        if progress is not None:
            progress(name_track(path), done, len(files))
        decoded.splits[split].append(decode_track(path, get_cache(root) / split))
    return decoded


def _say_size(root: Path, files: Sequence[tuple[str, Path]]) -> None:
    """Say how much of the disk the wav files of what is not decoded yet will take, and where."""
    cache = get_cache(root)
    infos = [
        check_streams(path)
        for split, path in files
        if not _is_decoded(path, cache / split / name_track(path))
    ]
    values = sum(round(each.seconds * each.sample_rate) * each.channels for each in infos)
    if infos:
        console.say(
            f"{console.count(len(infos), 'stem file')} to decode to {cache}, unless only touched: "
            f"{4 * len(_STREAMS) * values / 1e6:,.0f} MB of 32-bit wav"
        )


def _is_decoded(path: Path, target: Path) -> bool:
    """Whether a track folder was decoded from a file that has not been touched since."""
    before = _read_source(target)
    return before is not None and before[0] == _state(path)


def _state(path: Path) -> str:
    """Size and time."""
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def get_cache(root: Path) -> Path:
    """The folder in the user's cache for the decoded files of ``root``."""
    name = hashlib.sha256(str(real_path(root)).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("mss") / "musdb18" / name


def decode_track(path: Path, folder: Path) -> Path:
    """Decode a stem file into a track folder below ``folder``, unless it is there; return it.

    A file that was replaced is decoded again.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if it has other than five streams, or can't be decoded.
    """
    target = folder / name_track(path)
    if _is_decoded(path, target):
        return target
    before, state = _read_source(target), _state(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if before and before[1] == digest:
        write_text(target / _SOURCE, f"{state}\n{digest}\n")
        return target
    check_streams(path)
    with making_folder(target) as part:
        for number, stem in enumerate(_STREAMS):
            values, rate = read_stream(path, number)
            audio.write(part / f"{stem}.wav", values, rate, "FLOAT")
        (part / _SOURCE).write_text(f"{state}\n{digest}\n")
        if target.is_dir() and _read_source(target) == before:
            _remove_old(target, before, part / "old")
    return target


def _remove_old(target: Path, before: tuple[str, str] | None, aside: Path) -> None:
    """Remove a decoded track, but not one that another process puts there meanwhile."""
    with suppress(FileNotFoundError):  # another one was faster
        target.rename(aside)
    if aside.is_dir() and _read_source(aside) != before:
        with suppress(OSError):
            aside.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def source_digest(folder: Path) -> str | None:
    """SHA-256 of the stem file that a folder of the user's cache was decoded from, else None.

    Decoders round by the processor they run on: decoded samples differ in their last bits from
    machine to machine, the file does not.
    """
    home = platformdirs.user_cache_path("mss") / "musdb18"
    source = _read_source(folder) if home in folder.parents else None
    return source[1] if source else None


def _read_source(folder: Path) -> tuple[str, str] | None:
    """Size and time, and digest, of the file that a folder was decoded from; None if unknown."""
    try:
        state, digest = (folder / _SOURCE).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # there is none, or it is not of this form
        return None
    return state, digest


def check_streams(path: Path) -> StreamInfo:
    """The headers of a stem file, which all of its streams share.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if it has other than five streams, or they differ.
    """
    streams = list_streams(path)
    if len(streams) != len(_STREAMS):
        raise ValueError(
            f"{path} has {len(streams)} audio streams, a stem file five: {', '.join(_STREAMS)}"
        )
    if len({(each.sample_rate, each.channels) for each in streams}) > 1:
        raise ValueError(f"the streams of {path} differ in rate or channels: replace it")
    return streams[0]


def find_previews() -> Path:
    """The folder of the seven-second previews of MUSDB18, downloaded if it is nowhere.

    Looked for at MUSDB18_7S_ROOT, where musdb puts it, and in the user's cache.

    Raises:
        FileExistsError: if something else is where they would be downloaded to.
        FileNotFoundError: if MUSDB18_7S_ROOT holds no stem files.
        ImportError: if they must be downloaded, and musdb or ffmpeg is missing.
        OSError: if the download fails.
    """
    given = os.environ.get("MUSDB18_7S_ROOT")
    if given:
        root = Path(given).expanduser()
        if not find_stem_files(root):
            raise FileNotFoundError(
                f"MUSDB18_7S_ROOT is {given}, which has no .stem.mp4 files in train/ or test/: "
                f"correct it, or unset it to download them"
            )
        return _counted(root)
    cache = platformdirs.user_cache_path("mss") / "musdb18_7s"
    for root in (Path("~/MUSDB18/MUSDB18-7").expanduser(), cache):
        if find_stem_files(root):
            return _counted(root)
    _download(cache)
    return _counted(cache)


def _counted(root: Path) -> Path:
    """The folder of the previews; says so if it holds a part of them, as after a broken copy."""
    found = find_stem_files(root)
    counts = {split: len(found.get(split, ())) for split in _PREVIEWS}
    if any(counts[split] < _PREVIEWS[split] for split in _PREVIEWS):
        console.say(
            f"{root} has {counts['train']} of {_PREVIEWS['train']} training and {counts['test']} "
            f"of {_PREVIEWS['test']} test songs of the previews: copy or download the rest"
        )
    return root


def _download(target: Path) -> None:
    """Download the previews through ``musdb``, whose import takes ffmpeg and ffprobe."""
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing or importlib.util.find_spec("musdb") is None:
        raise ModuleNotFoundError(
            'the previews of MUSDB18 are downloaded by musdb: pip install "mss-shared[data]" and '
            "install ffmpeg, or set MUSDB18_7S_ROOT to the folder that holds train/ and test/"
        )
    if target.exists():
        raise FileExistsError(
            f"{target}, where the previews go, holds no .stem.mp4 files in its splits: remove it"
        )
    console.say(
        f"downloading the seven-second previews of MUSDB18 (161 MB) to {target}; terms: academic, "
        f"non-commercial use (https://sigsep.github.io/datasets/musdb.html)"
    )
    import musdb

    with making_folder(target) as part:
        try:
            with redirect_stdout(StringIO()):  # it prints the name of the unfinished folder
                musdb.DB(root=str(part), download=True)
        except OSError as error:
            raise OSError(f"the previews can't be downloaded ({error}): {_BY_HAND}") from None
        if not find_stem_files(part):
            raise OSError(f"musdb downloaded no .stem.mp4 files: {_BY_HAND}")
