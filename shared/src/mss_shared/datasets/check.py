"""What is wrong with a data set, track by track: the answers of ``mss-data check``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mss_shared import audio, console
from mss_shared.audio import Audio, AudioInfo
from mss_shared.datasets import folders, musdb18
from mss_shared.datasets.tracks import STEMS

# MUSDB18-HQ's mixtures are sums that were rounded again: a difference of two 16-bit steps is fine.
SUM_TOLERANCE = 2 / 32_768


def check_root(root: Path, stems: tuple[str, ...] = STEMS) -> Iterator[tuple[str, list[str]]]:
    """Yield (split/track, faults) for every track; a flawless track has no faults.

    ``.stem.mp4`` files are decoded into the user's cache.

    Raises:
        ValueError: if there is no track folder or stem file at all.
    """
    stem_files = musdb18.find_stem_files(root)
    for split, paths in stem_files.items():
        for path in paths:
            yield f"{split}/{path.name}", _check_stem_file(path, musdb18.get_cache(root) / split)
    if not stem_files:
        yield from _check_folders(root, stems)


def _check_stem_file(path: Path, cache: Path) -> list[str]:
    """One file's faults. Its mixture is encoded by itself, so that stems sum to it only roughly."""
    try:
        folder = musdb18.decode_track(path, cache)
    except (ValueError, OSError, ImportError) as error:
        return [console.sentence(error)]
    return check_track(folder, sums=False)


def _check_folders(root: Path, stems: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    tracks = [
        (f"{split}/{folder.name}" if split else folder.name, folder)
        for split in (*folders.SPLITS, "")
        for folder in folders.find_track_folders(root / split)
        if split or folder.name not in folders.SPLITS
    ]
    if not tracks:
        raise ValueError(
            f"no track folders under {root}: pass the folder that holds train/ and test/"
        )
    for name, folder in tracks:
        yield name, check_track(folder, stems)


def check_track(folder: Path, stems: tuple[str, ...] = STEMS, *, sums: bool = True) -> list[str]:
    """List one track's faults: missing or unreadable files, differing headers, silence, sums."""
    files = folders.find_stem_files(folder)
    faults = [f"no {stem}.wav" for stem in (*stems, "mixture") if stem not in files]
    infos: dict[str, AudioInfo] = {}
    signals: dict[str, Audio] = {}
    for stem in sorted(set(files) & {*stems, "mixture"}):
        try:
            infos[stem] = audio.info(files[stem])
            signals[stem] = audio.read(files[stem])
        except (ValueError, OSError, ImportError) as error:
            faults.append(console.sentence(error))
    faults += _header_faults(infos)
    faults += [f"{stem} is silent" for stem, signal in signals.items() if not signal.any()]
    if sums and all(fault.endswith("silent") for fault in faults):
        faults += _sum_faults(signals, stems)
    return faults


def _header_faults(infos: dict[str, AudioInfo]) -> list[str]:
    faults = []
    for unit in ("samples", "sample_rate", "channels"):
        values = {stem: getattr(info, unit) for stem, info in infos.items()}
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{stem} {value}" for stem, value in values.items())
            faults.append(f"{unit} differ: {listed}")
    return faults


def _sum_faults(signals: dict[str, Audio], stems: tuple[str, ...]) -> list[str]:
    total = np.sum([signals[stem] for stem in stems], axis=0)
    error = float(np.abs(total - signals["mixture"]).max(initial=0.0))
    if error <= SUM_TOLERANCE:
        return []
    return [f"stems do not sum to the mixture: largest difference {error:.4f}"]
