"""What lies below a data root: track folders, and all that is none, with the reason.

The one place that knows which names are sound files, which are hidden, and what a split may be
called.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mss_shared.audio.formats import SOUND_SUFFIXES, STEM_MP4_SUFFIX

SUFFIXES = (".wav", ".flac")  # in any case; wav takes precedence
SPLITS = ("train", "valid", "test")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}
# What operating systems, network drives and archives leave in folders.
_SYSTEM = frozenset(
    (
        *("@eadir", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", "#recycle", "#snapshot"),
        *("__macosx", "__pycache__", "$recycle.bin", "recycler", "lost+found"),
        "system volume information",
    )
)
_NOWHERE = "{} is a link to nothing: restore its target, or remove it"
_DEPTH = 4  # folders below one without sound that are searched for some


@dataclass
class Tree:
    """A folder of tracks.

    Attributes:
        splits: ``train``, ``valid`` and ``test`` to the track folders, sorted by name.
        stem_files: the same, to the ``.stem.mp4`` files.
        faults: places below the root that hold sound which no track would have, each with a
            sentence.
        ignored: places that are passed over, with the reason.
        unheard: those of them that hold sound files and are not hidden.
    """

    splits: dict[str, list[Path]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    stem_files: dict[str, list[Path]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    faults: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or an operating system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM


def is_stem_file(path: Path) -> bool:
    """Whether a path is named as a visible sound file that track folders may have."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path.name)


def is_sound(path: Path) -> bool:
    """Whether a path is named as a visible sound file of any format."""
    return path.suffix.lower() in SOUND_SUFFIXES and not is_hidden(path.name)


def find_stem_files(folder: Path) -> dict[str, Path]:
    """Stem (or ``mixture``) to its sound file in a track's folder; wav takes precedence.

    Only names are looked at: a broken link, a pipe or a folder is found as well, and refused by
    whoever reads it.
    """
    files: dict[str, Path] = {}
    for path in sorted(filter(is_stem_file, folder.iterdir()), key=_preference):
        files.setdefault(path.stem, path)
    return files


def explain_missing(stem: str, files: Iterable[Path]) -> str | None:
    """What lies where the file of a stem that a track lacks would be, and what to do; None for all.

    Stems have the names of their files, in their spelling: nothing guesses that Bass is bass. What
    guesses would find is said instead.

    Args:
        stem: that is missing.
        files: the track's.
    """
    wanted = _spelt_alike(stem)
    for folder in dict.fromkeys(path.parent for path in files):
        for path in sorted(folder.iterdir()):
            if not is_sound(path) or _spelt_alike(path.stem) != wanted:
                continue
            if is_stem_file(path):
                return f"{path.name} is there: rename it to {stem}{path.suffix}"
            return f"{path.name} is there, but only wav and flac are read: convert it"
    return None


def _spelt_alike(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _preference(path: Path) -> tuple[int, bool, str]:
    suffix = path.suffix.lower()
    return SUFFIXES.index(suffix), path.suffix != suffix, path.name


def find_track_folders(folder: Path) -> list[Path]:
    """The visible folders directly below that hold at least one sound file, sorted by name."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if not is_hidden(path.name) and path.is_dir() and find_stem_files(path)
    ]


def find_splits(root: Path) -> dict[str, Path]:
    """``train``, ``valid`` and ``test`` to their folders, of those that are there.

    Names may be in any case; ``training``, ``validation``, ``val`` and ``testing`` are understood,
    unless sound files in the folder say that it is a song of that name.

    Raises:
        ValueError: if two folders are one split.
    """
    found: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        split = next((s for s, names in _SPLIT_NAMES.items() if path.name.lower() in names), None)
        if split is None or not path.is_dir():
            continue
        if path.name not in SPLITS and find_stem_files(path):
            continue
        if split in found:
            raise ValueError(
                f"{root} holds {found[split].name}/ and {path.name}/: keep one, as both are "
                f"named for the {split} tracks"
            )
        found[split] = path
    return found


def look(root: Path) -> Tree:
    """List the track folders below a data root; opens no file.

    If no split has any, the root's own track folders are the test tracks.

    Raises:
        ValueError: if two folders are one split.
        OSError: if the root can't be listed.
    """
    tree, splits = Tree(), find_splits(root)
    for split, folder in splits.items():
        _look_into(tree, split, folder, root)
    names = {path.name for path in splits.values()}
    if any(tree.splits.values()) or any(tree.stem_files.values()) or tree.faults:
        _pass_over(tree, root, names)
    else:
        _look_into(tree, "test", root, root, names)
    return tree


def _look_into(tree: Tree, split: str, folder: Path, root: Path, but: Collection[str] = ()) -> None:
    """Sort everything in a split's folder into tracks, faults and what is ignored."""
    for path in sorted(folder.iterdir()):
        place = path.relative_to(root).as_posix()
        if path.name in but:
            continue
        if is_hidden(path.name):
            tree.ignored[place] = "hidden"
            continue
        try:
            _sort(tree, split, path, place)
        except OSError as error:
            tree.faults[place] = f"{path} can't be listed ({error.strerror}): allow it"


def _sort(tree: Tree, split: str, path: Path, place: str) -> None:
    """Put one thing in a split's folder where it belongs."""
    if is_stem_mp4(path) and path.is_file():
        end = -len(STEM_MP4_SUFFIX)  # in any case
        same = [p.name for p in tree.stem_files[split] if p.name[:end] == path.name[:end]]
        if same:
            tree.faults[place] = f"{path} is named as the track of {same[0]} is: rename one of them"
        else:
            tree.stem_files[split].append(path)
    elif _leads_nowhere(path):
        tree.faults[place] = _NOWHERE.format(path)
    elif not path.is_dir():
        _ignore(tree, place, path, "not in a track folder")
    else:
        _take_folder(tree, split, path, place)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _take_folder(tree: Tree, split: str, path: Path, place: str) -> None:
    taken = find_stem_files(path)
    if taken:
        tree.splits[split].append(path)
        _list_unread(tree, path, place, {file.name for file in taken.values()})
        return
    foreign = sorted(p.name for p in path.iterdir() if _is_foreign_sound(p))
    nested = next(_sounds_below(path), None)
    if foreign:
        tree.faults[place] = (
            f"{path} holds {foreign[0]}, and only wav and flac are read: convert its files"
        )
    elif nested is not None and find_splits(path):
        tree.faults[place] = f"{path} holds {next(iter(find_splits(path).values())).name}/: pass it"
    elif nested is not None:
        tree.faults[place] = (
            f"{path} holds no sound file itself, but {nested.relative_to(path).as_posix()}: move "
            f"each track folder up to {path.parent}"
        )
    else:
        tree.ignored[place] = "no sound files"


def _list_unread(tree: Tree, folder: Path, place: str, taken: set[str]) -> None:
    """What else a track folder holds."""
    for path in sorted(folder.iterdir()):
        inner = f"{place}/{path.name}"
        if path.name in taken:
            continue
        if is_hidden(path.name):
            tree.ignored[inner] = "hidden"
        elif is_stem_file(path):
            _ignore(tree, inner, path, "another file of that stem is read")
        elif os.path.isdir(path):
            _ignore(tree, inner, path, "a folder inside a track folder")
        elif _is_foreign_sound(path):
            _ignore(tree, inner, path, "only wav and flac are read")
        else:
            tree.ignored[inner] = "not a sound file"


def _pass_over(tree: Tree, root: Path, splits: set[str]) -> None:
    """What lies beside the splits."""
    for path in sorted(root.iterdir()):
        if path.name in splits or path.name == "manifest.json":
            continue
        if is_hidden(path.name):
            tree.ignored[path.name] = "hidden"
        elif path.name in SPLITS and _leads_nowhere(path):
            tree.faults[path.name] = _NOWHERE.format(path)
        elif path.name in SPLITS and not path.is_dir():
            tree.ignored[path.name] = "no folder"
        else:
            _ignore(tree, path.name, path, "neither train, valid nor test")


def _ignore(tree: Tree, place: str, path: Path, why: str) -> None:
    tree.ignored[place] = why
    with suppress(PermissionError):  # of a link that leads where this user may not look
        _note_unheard(tree, place, path)


def _note_unheard(tree: Tree, place: str, path: Path) -> None:
    if path.is_dir() and next(_sounds_below(path), None) is not None:
        tree.unheard.append(place)
    elif path.is_file() and is_sound(path):
        tree.unheard.append(place)


def _is_foreign_sound(path: Path) -> bool:
    """Whether a path is named as a sound file that is not read from track folders."""
    return is_sound(path) and not is_stem_file(path)


def _sounds_below(folder: Path) -> Iterator[Path]:
    """Visible sound files below a folder, some folders deep."""
    base = len(folder.parts)
    for place, folders, names in os.walk(folder):
        here = Path(place)
        deep = len(here.parts) - base >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not is_hidden(name))
        yield from (here / name for name in sorted(names) if is_sound(here / name))


def is_stem_mp4(path: Path) -> bool:
    """Whether a path is named as a visible ``.stem.mp4`` file, in any case."""
    return path.name.lower().endswith(STEM_MP4_SUFFIX) and not is_hidden(path.name)


def name_fault(name: str) -> str | None:
    """Why a file's or folder's name can't be that of a track or stem; None if it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    is_plain = all(unicodedata.category(mark) != "Cc" for mark in name)
    return None if is_plain else "has control characters"
