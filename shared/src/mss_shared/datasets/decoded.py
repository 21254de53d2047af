"""Flac files decoded to wav in the user's cache, once: excerpts are then read ten times as fast."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import platformdirs

from mss_shared import audio
from mss_shared.console import Report
from mss_shared.datasets.converted import ConvertedTrack
from mss_shared.datasets.tracks import Dataset, Sum, Track, files_of
from mss_shared.names import real_path


def decode_flac(
    dataset: Dataset, cache: Path | None = None, progress: Report | None = None
) -> Dataset:
    """The data set with its training and validation tracks read from decoded copies.

    Samples are equal to the bit. A file that has changed is decoded again.

    Args:
        dataset: any.
        cache: folder of the copies; by default the user's, as ``mss-data`` uses for mp4.
        progress: called with (file, files done, files in all).

    Raises:
        ValueError: if a file can't be decoded.
        OSError: if a copy can't be written.
    """
    folder = platformdirs.user_cache_path("mss") / "decoded" if cache is None else cache
    heard = (*dataset.train, *dataset.valid)
    files = sorted({path for track in heard for path in _flac_files(track)})
    copies = {}
    for done, path in enumerate(files):
        if progress is not None:
            progress(path.name, done, len(files))
        copies[path] = _decode(path, folder)
    train, valid = (
        tuple(_read_from(track, copies) for track in tracks)
        for tracks in (dataset.train, dataset.valid)
    )
    return replace(dataset, train=train, valid=valid)


def _flac_files(track: Track) -> list[Path]:
    sources = [*track.stems.values(), *([] if track.mixture is None else [track.mixture])]
    paths = [path for source in sources for path in files_of(source)]
    return [path for path in paths if path.suffix.lower() == ".flac"]


def _decode(path: Path, folder: Path) -> Path:
    stat = path.stat()
    mark = f"{real_path(path)} {stat.st_size} {stat.st_mtime_ns}"
    name = hashlib.sha256(mark.encode(errors="surrogateescape")).hexdigest()[:32]
    copy = folder / f"{name}.wav"
    if not copy.is_file():
        info = audio.info(path)
        # Float holds integers of 24 bits exactly.
        subtype = "PCM_16" if info.subtype == "PCM_16" else "FLOAT"
        audio.write(copy, audio.read(path), info.sample_rate, subtype)
    return copy


def _read_from(track: Track, copies: dict[Path, Path]) -> Track:
    """A track that reads copies where there are some."""

    def move(source: Path | Sum) -> Path | Sum:
        if isinstance(source, Path):
            return copies.get(source, source)
        return Sum(tuple((factor, copies.get(path, path)) for factor, path in source.parts))

    stems = {stem: move(source) for stem, source in track.stems.items()}
    mixture = None if track.mixture is None else copies.get(track.mixture, track.mixture)
    moved = replace(track, stems=stems, mixture=mixture)
    if isinstance(moved, ConvertedTrack):
        files = {copies.get(path, path): info for path, info in moved.files.items()}
        moved = replace(moved, files=files)
    return moved
