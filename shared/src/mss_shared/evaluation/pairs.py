"""Match the tracks of a data set with folders of estimates, by name and never by order."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_shared import audio, console
from mss_shared.audio import AudioInfo
from mss_shared.datasets import Dataset, Track, folders, tree
from mss_shared.datasets.tracks import Sum
from mss_shared.evaluation.file_signals import FileSignals
from mss_shared.evaluation.protocols import sort_stems
from mss_shared.evaluation.track_metrics import ACCOMPANIMENT, Song

Files = dict[str, Path]


@dataclass(frozen=True)
class Pairs:
    """Which tracks can be scored, and which can't.

    Attributes:
        stems: what the method estimates.
        tracks: the names of all tracks, in order.
        songs: the tracks that have an estimate of every stem.
        faults: track to the reason, in one sentence, why it can't be scored.
        ignored: names of estimated stems without a reference, and of folders without a track.
    """

    stems: tuple[str, ...]
    tracks: tuple[str, ...]
    songs: tuple[Song, ...]
    faults: dict[str, str]
    ignored: tuple[str, ...]


def pair_tracks(
    dataset: Dataset, root: Path, stems: Sequence[str] | None = None, *, fit_length: bool = False
) -> Pairs:
    """Find the estimates of every test track.

    root/<track>/<stem>.wav            or .flac; also root/test/<track>/

    Args:
        dataset: its test tracks are the references.
        root: the estimates' folder.
        stems: what to score; by default every stem that some track has an estimate of.
        fit_length: cut or zero-pad estimates to the references' length, as museval does.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if no track has an estimate, or a stem that is asked for has no reference.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}: pass the folder of the estimates")
    tracks = dataset.split("test")
    unmatched = {_key(f.name): folders.find_stem_files(f) for f in _folders(root)}
    estimates = {track.name: unmatched.pop(_key(track.name), {}) for track in tracks}
    known = _references(tracks)
    chosen = tuple(stems) if stems else _estimated(estimates, known)
    for stem in chosen:
        if stem not in known:
            raise ValueError(
                f"{dataset.root} has no references of {stem}, only of {', '.join(known)}: choose "
                f"--stems among them"
            )
    if not chosen:
        raise ValueError(
            f"no estimates under {root} for the {len(tracks)} tracks of {dataset.root}: it must "
            f"hold one folder per track, named like the track, with files such as {known[0]}.wav"
        )
    extra = {stem for files in estimates.values() for stem in files} - {*known, "mixture"}
    songs, faults = [], {}
    for track in tracks:
        try:
            songs.append(_song(track, estimates[track.name], chosen, root, fit_length))
        except (ValueError, OSError) as error:
            faults[track.name] = console.sentence(error)
    names = tuple(track.name for track in tracks)
    return Pairs(chosen, names, tuple(songs), faults, (*sorted(extra), *sorted(unmatched)))


def _key(name: str) -> str:
    """A name in one Unicode form: file systems differ in how they store accents."""
    return unicodedata.normalize("NFC", name)


def _folders(root: Path) -> list[Path]:
    return [*folders.find_track_folders(root), *folders.find_track_folders(root / "test")]


def _references(tracks: Sequence[Track]) -> tuple[str, ...]:
    """The stems of the tracks, and accompaniment, which is the sum of all but vocals."""
    stems = {stem for track in tracks for stem in track.stems}
    return sort_stems([*stems, ACCOMPANIMENT] if "vocals" in stems else [*stems])


def _estimated(estimates: dict[str, Files], known: Sequence[str]) -> tuple[str, ...]:
    present = {stem for files in estimates.values() for stem in files}
    return tuple(stem for stem in known if stem in present)


def _song(track: Track, files: Files, stems: Sequence[str], root: Path, fit_length: bool) -> Song:
    if not files:
        raise ValueError(
            f"track {track.name} has no folder of estimates under {root}: separate it, or rename "
            f"its folder to the track's name"
        )
    for stem in stems:
        if stem not in files:
            advice = tree.explain_missing(stem, files.values()) or f"add {stem}.wav"
            raise ValueError(
                f"track {track.name} has no estimate of {stem} in {root}: {advice} or leave it out "
                f"with --stems"
            )
        _check_header(track, stem, audio.info(files[stem]), fit_length)
    size = track.info.channels, track.info.samples
    parts = [track.mixture] if track.mixture else [*track.stems.values()]
    return Song(
        track.name,
        tuple(stems),
        FileSignals(tuple(_reference(track, stem) for stem in stems), *size),
        FileSignals(tuple(Sum.of(files[stem]) for stem in stems), *size),
        FileSignals((Sum.of(*parts),), *size),
        track.info.sample_rate,
    )


def _reference(track: Track, stem: str) -> Sum:
    if stem in track.stems:
        return Sum.of(track.stems[stem])
    parts = [source for name, source in track.stems.items() if name != "vocals"]
    if stem != ACCOMPANIMENT or not parts:
        raise ValueError(
            f"track {track.name} has no reference of {stem}, only of {', '.join(track.stems)}: add "
            f"the file or leave {stem} out with --stems"
        )
    return Sum.of(*parts)


def _check_header(track: Track, stem: str, info: AudioInfo, fit_length: bool) -> None:
    expected = track.info
    pairs = (
        ("Hz", info.sample_rate, expected.sample_rate, "resample the estimate"),
        ("channels", info.channels, expected.channels, "convert one of them"),
        (
            "samples",
            expected.samples if fit_length else info.samples,
            expected.samples,
            "align it, or pass --fit_length to cut or zero-pad its end as museval does",
        ),
    )
    for unit, estimate, reference, advice in pairs:
        if estimate != reference:
            raise ValueError(
                f"track {track.name}: the estimate of {stem} has {estimate} {unit}, the reference "
                f"{reference}: {advice}"
            )
