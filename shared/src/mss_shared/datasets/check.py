"""What is wrong with a data set, track by track: the answers of ``mss-data check``.

Files are read in blocks, so that memory does not grow with their length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mss_shared import audio, console
from mss_shared.audio import AudioInfo
from mss_shared.audio.sound import Exact
from mss_shared.datasets import (
    dsd100,
    folders,
    foreign,
    moisesdb,
    musdb18,
    slakh2100,
    sourcefolder,
    tree,
)
from mss_shared.datasets.content import Digests, digest_track
from mss_shared.datasets.tracks import STEMS, Track, files_of

# Mixtures are sums that were rounded again, or cut to integers: a 16-bit step per stem is fine.
STEP = 1 / 32_768
MIXTURE = "mixture"
_BLOCK = 2**16  # samples
_READING = (ValueError, OSError, ImportError)


@dataclass(frozen=True)
class Rules:
    """What is expected of a layout's tracks.

    Attributes:
        any_stems: tracks may have any stems.
        pairs: every track is a mixture and one other file.
        lengths: the files of a track agree.
        sums: the stems add up to the mixture.
        silence: no file is silent.
    """

    any_stems: bool = False
    pairs: bool = False
    lengths: bool = True
    sums: bool = True
    silence: bool = True


LAYOUTS = {
    "": Rules(),
    "aligned": Rules(any_stems=True, pairs=True, sums=False),
    "trackfolder_var": Rules(any_stems=True, sums=False),
    "sourcefolder": Rules(any_stems=True, sums=False),
    "dsd100": Rules(),
    "moisesdb": Rules(any_stems=True, lengths=False, sums=False, silence=False),
    "slakh2100": Rules(any_stems=True, sums=False, silence=False),
}
# Layouts that are opened a track at a time.
ADAPTERS = {"dsd100": dsd100, "moisesdb": moisesdb, "slakh2100": slakh2100}


@dataclass
class _Song:
    """One track's files, by stem, and what was found about them so far."""

    split: str
    files: Mapping[str, Path]
    faults: list[str] = field(default_factory=list)
    infos: dict[str, AudioInfo] = field(default_factory=dict)

    def read_headers(self) -> None:
        for stem, path in self.files.items():
            try:
                self.infos[stem] = audio.info(path)
            except _READING as error:
                self.faults.append(console.sentence(error))


@dataclass
class Heard:
    """The songs that were checked so far: (root, track, split, digests)."""

    songs: list[tuple[Path, str, str, Digests]] = field(default_factory=list)


def check_root(
    root: Path, stems: Sequence[str] = (), layout: str = "", heard: Heard | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yield (split/track, faults) for every track; a flawless track has no faults.

    ``.stem.mp4`` files are decoded into the user's cache.

    Args:
        root: the folder.
        stems: what every track must have; by default the stems that most tracks have.
        layout: one of `LAYOUTS`, by default track folders or ``.stem.mp4`` files.
        heard: of other roots that are checked with this one; its songs are added.

    Raises:
        ValueError: if there is no track folder or stem file at all, or the folder has another
            layout.
    """
    checked = _Checked(root, Heard() if heard is None else heard)
    if layout in ADAPTERS:
        songs = _list_adapted(root, layout)
        yield from _check_songs(songs, LAYOUTS[layout], tuple(stems), checked)
        return
    found = tree.look(root)
    stem_files = {} if layout else musdb18.find_stem_files(root)
    if not layout and not stem_files:
        foreign.refuse(root)
    yield from ((place, [fault]) for place, fault in found.faults.items())
    if stem_files:
        for path in (path for paths in found.splits.values() for path in paths):
            yield path.relative_to(root).as_posix(), ["not read beside .stem.mp4 files: move it"]
        yield from _check_stem_files(root, stem_files, checked)
        return
    songs = _list_files(root) if layout == "sourcefolder" else _list_songs(root, found)
    if not songs and not found.faults:
        raise ValueError(
            f"no track folders under {root}: pass the folder that holds train/ and test/"
        )
    yield from _check_songs(songs, LAYOUTS[layout], tuple(stems), checked)


@dataclass(frozen=True)
class _Checked:
    """The root that is checked, and what was heard before."""

    root: Path
    heard: Heard

    def add(self, name: str, song: _Song) -> list[str]:
        """Earlier tracks that are this song; it is added to those heard.

        Within a split, a song is a copy only if all of its stems are those of the other.
        """
        stems = {stem: path for stem, path in song.files.items() if stem != MIXTURE}
        shortest = min(song.infos.values(), key=lambda info: info.samples)
        try:
            digests = digest_track(Track(name, stems, None, shortest))
        except _READING:
            return []  # said by the scan
        copies = [
            f"sounds like {other if root == self.root else root / other}: they are one song"
            for root, other, split, known in self.heard.songs
            if (split != song.split and digests & known) or (digests and digests == known)
        ]
        self.heard.songs.append((self.root, name, song.split, digests))
        return copies


def _check_stem_files(
    root: Path, stem_files: Mapping[str, Sequence[Path]], checked: _Checked
) -> Iterator[tuple[str, list[str]]]:
    """Each file's faults. Its mixture is encoded by itself: stems sum to it only roughly."""
    songs: dict[str, _Song] = {}
    for split, paths in stem_files.items():
        for path in paths:
            name = f"{split}/{path.name}"
            try:
                folder = musdb18.decode_track(path, musdb18.get_cache(root) / split)
            except _READING as error:
                songs[name] = _Song(split, {}, [console.sentence(error)])
            else:
                songs[name] = _Song(split, folders.find_stem_files(folder))
    yield from _check_songs(songs, Rules(sums=False), STEMS, checked)


def _list_songs(root: Path, found: tree.Tree) -> dict[str, _Song]:
    songs = {}
    for split, paths in found.splits.items():
        for path in paths:
            song = _Song(split, folders.find_stem_files(path))
            try:
                folders.check_names(path, song.files)
            except ValueError as error:
                song.faults.append(console.sentence(error))
            songs[path.relative_to(root).as_posix()] = song
    return songs


def _list_adapted(root: Path, layout: str) -> dict[str, _Song]:
    """The tracks of a layout with a module of its own, and their files."""
    songs: dict[str, _Song] = {}
    for split, paths in ADAPTERS[layout].find(root).items():
        for path in paths:
            name = path.relative_to(root).as_posix()
            try:
                songs[name] = _Song(split, _name_files(ADAPTERS[layout].read_track(path)))
            except _READING as error:
                songs[name] = _Song(split, {}, [console.sentence(error)])
    if not songs:
        raise ValueError(f"no tracks of {layout} under {root}: correct what follows {layout}:")
    return songs


def _name_files(track: Track) -> dict[str, Path]:
    """A track's files by stem, those of a sum by their own names too."""
    files = {}
    for stem, source in track.stems.items():
        for path in files_of(source):
            files[stem if isinstance(source, Path) else f"{stem}/{path.stem}"] = path
    return files | ({MIXTURE: track.mixture} if isinstance(track.mixture, Path) else {})


def _list_files(root: Path) -> dict[str, _Song]:
    """Each file of a folder of stem folders: they belong to no song."""
    return {
        path.relative_to(root).as_posix(): _Song(split, {f"{folder.name}/{path.stem}": path})
        for split, stem_folders in sourcefolder.find_stem_folders(root).items()
        for folder in stem_folders
        for path in folders.find_stem_files(folder).values()
    }


def _check_songs(
    songs: Mapping[str, _Song], rules: Rules, stems: tuple[str, ...], checked: _Checked
) -> Iterator[tuple[str, list[str]]]:
    for song in songs.values():
        song.read_headers()
    expected = stems or (() if rules.any_stems else _usual_stems(songs))
    formats = Counter(_format(song) for song in songs.values() if song.infos)
    for name, song in songs.items():
        headers = (_header_faults(song.infos) if rules.lengths else []) or _format_fault(
            song, formats
        )
        faults = song.faults + _missing(song, expected, rules) + headers
        faults += _scan(song.infos, song.files, expected, rules, sums=not faults)
        if not song.faults and song.infos:
            faults += checked.add(name, song)
        yield name, faults


def _usual_stems(songs: Mapping[str, _Song]) -> tuple[str, ...]:
    """The stems, and the mixture, of more than half of the tracks."""
    counts = Counter(stem for song in songs.values() for stem in song.files)
    return tuple(stem for stem in (*STEMS, *counts) if 2 * counts[stem] > len(songs))


def _missing(song: _Song, expected: Sequence[str], rules: Rules) -> list[str]:
    if not song.files:
        return []
    if rules.pairs and (MIXTURE not in song.files or len(song.files) != 2):
        return [f"holds {', '.join(sorted(song.files))}: a pair is mixture.wav and one other file"]
    if not rules.pairs and set(song.files) == {MIXTURE}:
        return ["holds a mixture but no stems"]
    lacking = [stem for stem in dict.fromkeys(expected) if stem not in song.files]
    found = {stem: tree.explain_missing(stem, song.files.values()) for stem in lacking}
    return [f"no {stem}.wav{f' ({found[stem]})' if found[stem] else ''}" for stem in lacking]


def _format(song: _Song) -> tuple[int, int]:
    info = next(iter(song.infos.values()))
    return info.sample_rate, info.channels


def _format_fault(song: _Song, formats: Counter[tuple[int, int]]) -> list[str]:
    """Whether a track differs from most of the others."""
    usual = formats.most_common(1)
    if not song.infos or _format(song) == usual[0][0]:
        return []
    (rate, channels), [((most, most_channels), _)] = _format(song), usual
    return [f"{rate} Hz in {channels} channels, most tracks have {most} Hz in {most_channels}"]


def _header_faults(infos: Mapping[str, AudioInfo]) -> list[str]:
    faults = [f"{stem} is empty" for stem, info in infos.items() if not info.samples]
    for unit in ("samples", "sample_rate", "channels"):
        values = {stem: getattr(info, unit) for stem, info in infos.items()}
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{stem} {value}" for stem, value in values.items())
            faults.append(f"{unit} differ: {listed}")
    return faults


def _scan(
    infos: Mapping[str, AudioInfo],
    files: Mapping[str, Path],
    expected: Sequence[str],
    rules: Rules,
    *,
    sums: bool,
) -> list[str]:
    """Read all files of a track side by side: unreadable ones, silence, and sums if they agree."""
    faults, audible = [], set()
    blocks = {
        stem: audio.read_blocks(files[stem], 0, info.samples, _BLOCK)
        for stem, info in infos.items()
    }
    groups = _sum_groups(files, expected) if sums and rules.sums else []
    errors = [0.0 for _ in groups]
    while blocks:
        signals: dict[str, Exact] = {}
        for stem in list(blocks):
            try:
                signals[stem] = next(blocks[stem])
            except StopIteration:
                del blocks[stem]
            except _READING as error:
                faults.append(console.sentence(error))
                del blocks[stem]
                audible.add(stem)
                groups = []
        audible |= {stem for stem, signal in signals.items() if signal.any()}
        if signals:
            errors = [max(e, _error(signals, g)) for e, g in zip(errors, groups, strict=False)]
    silent = [stem for stem, info in infos.items() if info.samples and stem not in audible]
    faults += [f"{stem} is silent" for stem in silent] if rules.silence else []
    if groups and all(e > STEP * len(g) for e, g in zip(errors, groups, strict=True)):
        faults.append(f"stems do not sum to the mixture: largest difference {min(errors):.4f}")
    return faults


def _sum_groups(files: Mapping[str, Path], expected: Sequence[str]) -> list[set[str]]:
    """The sets of stems of which one should add up to the mixture; none without a mixture."""
    stems = set(files) - {MIXTURE}
    groups = [stems, stems & set(expected), stems & set(STEMS)]
    return [group for group in groups if len(group) > 1] if MIXTURE in files else []


def _error(signals: Mapping[str, Exact], group: set[str]) -> float:
    """The largest difference between the sum of some stems and the mixture."""
    total = np.sum([signals[stem] for stem in sorted(group)], axis=0)
    return float(np.abs(total - signals[MIXTURE]).max(initial=0.0))
