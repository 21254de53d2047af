"""Resolve the files, folders and patterns of a command line to sound files. Imports no torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mss_shared.audio.formats import SOUND_SUFFIXES, sound_name
from mss_shared.names import real_path
from mss_shared.separation.batch.manifest import MANIFEST, Manifest
from mss_shared.separation.output.same_names import find_key


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
        return (self.folder / sound_name(self.path)).as_posix()


def find_songs(words: Sequence[str], out: Path) -> list[SongFile]:
    """Expand files, folders and glob patterns to sound files, each listed once.

    Folders are searched recursively, except for hidden files and the output folder; folders that
    are links are followed once. What a manifest beside or above a file lists as written by an
    earlier run is no song, unless it is named itself and its own song is not. The output mirrors
    the paths of songs relative to the folder, or to the part of a pattern before its first
    wildcard. A file named explicitly goes to the top; several of the same name keep as many parent
    folders as distinguish them: A/intro.wav and B/intro.wav become A/intro and B/intro, though
    either alone would be intro. If names still collide, as those of s.wav and s.flac, all but the
    first get a ``refusal``; so do folders that can't be read.

    Raises:
        ValueError: if a folder or a pattern yields no files.
    """
    earlier = _EarlierStems()
    by_place: dict[Path, SongFile] = {}
    for word in words:
        for song in _expand(word, real_path(out), earlier):
            # Two links to a file are two songs; two ways to a folder are one.
            by_place.setdefault(real_path(song.path.parent) / song.path.name, song)
    paths = {os.path.abspath(song.path) for song in by_place.values()}
    found = [song for song in by_place.values() if earlier.origin(song.path) not in paths]
    songs = _disambiguate(found)
    key = find_key(out, (song.name for song in songs))
    by_name: dict[str, SongFile] = {}
    for index, song in enumerate(songs):
        other = by_name.setdefault(key(song.name), song)
        if other is not song and song.refusal is None:
            refusal = (
                f"{other.path} and {song.path} would both be written to {out / song.name}: "
                f"separate them in two runs, each with its own --out"
            )
            songs[index] = replace(song, refusal=refusal)
    return songs


class _EarlierStems:
    """The files that earlier runs have written, by the manifests of their output folders."""

    def __init__(self) -> None:
        self._origins: dict[Path, dict[str, str]] = {}

    def origin(self, file: Path) -> str | None:
        """The path of the song that a file was written from; None if it is no stem."""
        for path in {Path(os.path.abspath(file)), real_path(file)}:
            for folder in path.parents:
                origin = self._read(folder).get(str(path))
                if origin is not None:
                    return origin
        return None

    def _read(self, folder: Path) -> dict[str, str]:
        if folder not in self._origins:
            try:
                self._origins[folder] = Manifest(folder).origins()
            except (ValueError, OSError):  # a folder, a pipe or another user's is no manifest
                self._origins[folder] = {}
        return self._origins[folder]


def expanded(path: Path) -> Path:
    """A path with a leading ~ or ~user expanded; unchanged if there is no such user.

    Raises:
        ValueError: for ~ if the user has no home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        if path.parts[0] == "~":
            raise ValueError(
                f"{path} can't be found, HOME is not set and the user is unknown: set HOME, or "
                f"write the path in full"
            ) from None
        return path


def _expand(word: str, out: Path, earlier: _EarlierStems) -> Iterator[SongFile]:
    path = Path(word) if os.path.lexists(word) else expanded(Path(word))
    if path.is_dir():
        found, base = [each for each in _walk(path) if not _is_inside(each.path, path, out)], path
        missing = f"there is no sound file under {path}: check the folder"
    elif glob.has_magic(word) and not path.exists():
        files = [each for each in sorted(_matches(path)) if each.is_file()]
        found = [SongFile(each) for each in files if each.name != MANIFEST]
        base = _fixed_part(path)
        missing = f"no file matches {word}: check the pattern"
    else:
        yield SongFile(path)
        return
    if not found:
        raise ValueError(missing)
    songs = [song for song in found if earlier.origin(song.path) is None]
    if not songs:
        raise ValueError(
            f"{word} gives only stems of earlier runs: name them one by one to separate them"
        )
    yield from (replace(song, folder=song.path.parent.relative_to(base)) for song in songs)


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


def _walk(folder: Path) -> Iterator[SongFile]:
    """Sound files below a folder, sorted by name, without hidden ones."""
    failures: list[OSError] = []
    for parent, files in _folders(folder, failures):
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SOUND_SUFFIXES:
                yield SongFile(parent / name)
    for failure in failures:
        path = Path(failure.filename)
        refusal = f"{path} can't be searched ({failure.strerror}): check its permissions"
        yield SongFile(path, refusal=refusal)


def _folders(folder: Path, failures: list[OSError]) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below it that are not hidden, each once, with the sorted names of its files.

    Folders that are links come last, so that a song has its real path if that is below the folder.
    """
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        for parent, folders, files in os.walk(waiting.pop(0), onerror=failures.append):
            status = os.stat(parent)
            if (status.st_dev, status.st_ino) in seen:  # a second way, or a loop of links
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = [Path(parent, name) for name in folders]
            waiting += [path for path in paths if path.is_symlink()]
            yield Path(parent), sorted(files)


def _matches(pattern: Path) -> set[Path]:
    """What a pattern matches; ** stands for any folders, as in ``glob``, but without loops."""
    parts = pattern.parts
    if "**" not in parts:
        return {*map(Path, glob.glob(str(pattern)))}
    first = parts.index("**")
    rest = parts[first + 1 :] or ("*",)
    found: set[Path] = set()
    for start in glob.glob(str(Path(*parts[:first]))):
        for folder, _ in _folders(Path(start), []):
            found |= _matches(Path(glob.escape(str(folder)), *rest))
    return found


def _is_inside(file: Path, folder: Path, out: Path) -> bool:
    """Whether a file lies in an output folder that is itself below the folder searched."""
    return out != real_path(folder) and real_path(file).is_relative_to(out)
