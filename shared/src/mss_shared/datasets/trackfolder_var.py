"""Track folders that share one stem and otherwise hold any files.

    root/train/<track>/vocals.wav      the stem that most tracks share
    root/train/<track>/<any>.wav       the rest, any number of files
    root/valid/<track>/...             optional; without it every tenth training track is held out
    root/test/<track>/...              optional

The shared stem is the one that most tracks have. In a track without it, it is silence; all other
files together are the stem ``rest``. A mixture file is ignored: the mixture is the sum. A recipe's
``data.stems`` is ``[<stem>, rest]``; ``random_mix_prob`` is how often the rest comes from another
track.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mss_shared.datasets import folders, tree
from mss_shared.datasets.aligned import REST
from mss_shared.datasets.tracks import Dataset, Sum, Track


def read_trackfolder_var(root: Path) -> Dataset:
    """Open a folder of track folders of varying stems.

    Raises:
        ValueError: if two stems are equally common, or files of a track differ in length, rate or
            channels.
    """
    found = tree.look(root)
    for fault in found.faults.values():
        raise ValueError(fault)
    tracks_by_split = {split: folders.read_split(paths) for split, paths in found.splits.items()}
    counts = Counter(
        stem for tracks in tracks_by_split.values() for track in tracks for stem in track.stems
    )
    ranked = counts.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        (first, count), (second, _) = ranked
        raise ValueError(
            f"{first} and {second} are each in {count} tracks of {root}: one stem must be in more "
            f"tracks than any other"
        )
    shared_stem = ranked[0][0] if ranked else ""
    splits = {
        split: tuple(_pair(track, shared_stem) for track in tracks)
        for split, tracks in tracks_by_split.items()
    }
    name = folders.get_dataset_name(root)
    return folders.with_validation(
        Dataset(
            *(name, root, splits["train"], splits["valid"], splits["test"]),
            unheard=tuple(found.unheard),
        )
    )


def _pair(track: Track, shared_stem: str) -> Track:
    rest = [
        (1.0, path)
        for stem, path in track.stems.items()
        if stem != shared_stem and isinstance(path, Path)
    ]
    stems = {shared_stem: track.stems.get(shared_stem, Sum(())), REST: Sum(tuple(rest))}
    return Track(track.name, stems, None, track.info)
