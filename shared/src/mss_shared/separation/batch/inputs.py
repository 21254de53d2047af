"""Resolve the files, folders and patterns of a command line to sound files. Imports no torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mss_shared.audio.formats import SOUND_SUFFIXES


@dataclass(frozen=True)
class SongFile:
    """A file to separate.

    Attributes:
        path: of the file.
        folder: of its stems, relative to the output folder.
        refusal: why it can't be separated along with the others, a sentence; None if it can.
    """

    path: Path
    folder: Path = Path()
    refusal: str | None = None

    @property
    def name(self) -> str:
        """Its name in the manifest: folder and file name, without suffix or .stem.mp4."""
        return (self.folder / self.path.stem.removesuffix(".stem")).as_posix()


def find_songs(words: Sequence[str], out: Path, written: Iterable[Path] = ()) -> list[SongFile]:
    """Expand files, folders and glob patterns to sound files, each listed once.

    Folders are searched recursively, except for hidden files, the output folder, and what an
    earlier run has ``written``. The output mirrors the paths of songs relative to the folder, or to
    the part of a pattern before its first wildcard. A file named explicitly goes to the top;
    several of the same name keep as many parent folders as distinguish them: A/intro.wav and
    B/intro.wav become A/intro and B/intro, though either alone would be intro. If names still
    collide, as those of s.wav and s.flac, all but the first get a ``refusal``.

    Raises:
        ValueError: if a folder or a pattern yields no files.
    """
    excluded = {path.resolve() for path in written}
    by_path: dict[Path, SongFile] = {}
    for word in words:
        for song in _expand(word, out.resolve(), excluded):
            by_path.setdefault(song.path.resolve(), song)
    by_name: dict[str, SongFile] = {}
    songs = []
    for song in _disambiguate([*by_path.values()]):
        other = by_name.setdefault(song.name, song)
        if other is not song:
            refusal = (
                f"{other.path} and {song.path} would both be written to {out / song.name}: "
                f"separate them in two runs, each with its own --out"
            )
            song = replace(song, refusal=refusal)
        songs.append(song)
    return songs


def expanded(path: Path) -> Path:
    """A path with a leading ~ or ~user expanded; unchanged if there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def read_list(lines: Iterable[str]) -> list[str]:
    """The entries of a list, one per line; empty lines and lines that start with # are skipped."""
    stripped = (line.removeprefix("\ufeff").strip() for line in lines)  # Windows' byte order mark
    return [line for line in stripped if line and not line.startswith("#")]


def _expand(word: str, out: Path, excluded: set[Path]) -> Iterator[SongFile]:
    path = Path(word) if os.path.lexists(word) else expanded(Path(word))
    if path.is_dir():
        songs = [
            SongFile(file, file.parent.relative_to(path))
            for file in _walk(path)
            if file.resolve() not in excluded and not _is_inside(file, path, out)
        ]
        if not songs:
            raise ValueError(f"there is no sound file under {path}: check the folder")
        yield from songs
    elif glob.has_magic(word) and not path.exists():
        matches = sorted(glob.glob(str(path), recursive=True))
        files = [match for match in map(Path, matches) if match.is_file()]
        if not files:
            raise ValueError(f"no file matches {word}: check the pattern")
        base = _fixed_part(path)
        yield from (SongFile(file, file.parent.relative_to(base)) for file in files)
    else:
        yield SongFile(path)


def _disambiguate(songs: Sequence[SongFile]) -> list[SongFile]:
    """The same songs; explicitly named ones of the same name get parent folders."""
    parents: dict[str, dict[Path, None]] = {}
    for song in songs:
        if song.folder == Path():
            parents.setdefault(song.name, {})[Path(os.path.abspath(song.path)).parent] = None
    return [
        replace(song, folder=_tails(parents[song.name])[Path(os.path.abspath(song.path)).parent])
        if song.folder == Path()
        else song
        for song in songs
    ]


def _tails(folders: Iterable[Path]) -> dict[Path, Path]:
    """Folder -> its last parts, as many as make all of them different."""
    parts = {folder: folder.parts[1:] for folder in folders}  # without the root
    for count in range(max(map(len, parts.values())) + 1):
        tails = {folder: Path(*parts[folder][len(parts[folder]) - count :]) for folder in parts}
        if len({*tails.values()}) == len(parts):
            break
    return tails


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before the first one with a wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _walk(folder: Path) -> Iterator[Path]:
    """Sound files below a folder, sorted by name, without hidden ones."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SOUND_SUFFIXES:
                yield Path(parent) / name


def _is_inside(file: Path, folder: Path, out: Path) -> bool:
    """Whether a file lies in an output folder that is itself below the folder searched."""
    return out != folder.resolve() and file.resolve().is_relative_to(out)
