"""Which sound files the words of a command line stand for. Imports no torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# What is taken from a folder; a file given by its name may end in anything.
SUFFIXES = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .aif .aiff .aifc .w64 .rf64 .caf .au "
    ".bw64 .voc .mp2 .tta .wv .m4a .m4b .mp4 .m4v .mov .3gp .mkv .mka .webm .avi .flv .ts "
    ".aac .ac3 .eac3 .dts .wma".split()
)


@dataclass(frozen=True)
class SongFile:
    """A file to separate.

    Attributes:
        path: of the file.
        folder: where its stems go below the output folder; that of the file in the folder given.
        refusal: why it can't be separated along with the others, a sentence; None if it can.
    """

    path: Path
    folder: Path = Path()
    refusal: str | None = None

    @property
    def name(self) -> str:
        """what it is called in the manifest: folder and file name, without suffix or .stem.mp4."""
        return (self.folder / self.path.stem.removesuffix(".stem")).as_posix()


def find_songs(words: Sequence[str], out: Path, written: Iterable[Path] = ()) -> list[SongFile]:
    """The files that files, folders and glob patterns stand for, each once.

    Folders are searched with all that is below them, except hidden files, the output folder, and
    what was ``written`` by an earlier run. Stems keep the places of their songs relative to the
    folder, or to the part of a pattern before its first wildcard. A file given by its name has no
    place; those of one name keep as many of their parent folders as tell them apart: A/intro.wav
    and B/intro.wav become A/intro and B/intro, though either alone would be intro. Of files that
    still have one name, as s.wav and s.flac, the first stays and the others get a ``refusal``.

    Raises:
        ValueError: if a folder or a pattern holds nothing.
    """
    leave_out = {path.resolve() for path in written}
    songs: dict[Path, SongFile] = {}
    for word in words:
        for song in _find(word, out.resolve(), leave_out):
            songs.setdefault(song.path.resolve(), song)
    taken: dict[str, SongFile] = {}
    found = []
    for song in _told_apart([*songs.values()]):
        other = taken.setdefault(song.name, song)
        if other is not song:
            said = (
                f"{other.path} and {song.path} would both be written to {out / song.name}: "
                f"separate them apart, each with its own --out"
            )
            song = replace(song, refusal=said)
        found.append(song)
    return found


def expanded(path: Path) -> Path:
    """A path with ~ and ~user at its beginning filled in, unless there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def read_list(lines: Iterable[str]) -> list[str]:
    """The words of a list, one a line; empty lines and what starts with # are passed over."""
    stripped = (line.removeprefix("\ufeff").strip() for line in lines)  # Windows' byte order mark
    return [line for line in stripped if line and not line.startswith("#")]


def _find(word: str, out: Path, leave_out: set[Path]) -> Iterator[SongFile]:
    path = Path(word) if os.path.lexists(word) else expanded(Path(word))
    if path.is_dir():
        found = [
            SongFile(file, file.parent.relative_to(path))
            for file in _walk(path)
            if file.resolve() not in leave_out and not _is_inside(file, path, out)
        ]
        if not found:
            raise ValueError(f"there is no sound file under {path}: check the folder")
        yield from found
    elif glob.has_magic(word) and not path.exists():
        matches = sorted(glob.glob(str(path), recursive=True))
        files = [match for match in map(Path, matches) if match.is_file()]
        if not files:
            raise ValueError(f"no file matches {word}: check the pattern")
        base = _fixed_part(path)
        yield from (SongFile(file, file.parent.relative_to(base)) for file in files)
    else:
        yield SongFile(path)


def _told_apart(songs: Sequence[SongFile]) -> list[SongFile]:
    """The same songs, with parent folders to those that were given by one name."""
    parents: dict[str, dict[Path, None]] = {}
    for song in songs:
        if song.folder == Path():
            parents.setdefault(song.name, {})[Path(os.path.abspath(song.path)).parent] = None
    return [
        replace(song, folder=_ends(parents[song.name])[Path(os.path.abspath(song.path)).parent])
        if song.folder == Path()
        else song
        for song in songs
    ]


def _ends(folders: Iterable[Path]) -> dict[Path, Path]:
    """By folder, as many of its last parts as make all different."""
    parts = {folder: folder.parts[1:] for folder in folders}  # without the root
    for count in range(max(map(len, parts.values())) + 1):
        ends = {folder: Path(*parts[folder][len(parts[folder]) - count :]) for folder in parts}
        if len({*ends.values()}) == len(parts):
            break
    return ends


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before the first that is no plain name."""
    parts = pattern.parts[:-1]
    fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _walk(folder: Path) -> Iterator[Path]:
    """Sound files below a folder, in the order of their names, nothing hidden."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place) / name


def _is_inside(file: Path, folder: Path, out: Path) -> bool:
    """Whether a file lies in an output folder that is part of the folder searched."""
    return out != folder.resolve() and file.resolve().is_relative_to(out)
