"""Data sets: one module per layout on disk; ``open_dataset`` recognises which one it is."""

from mss_shared.datasets.opening import open_dataset
from mss_shared.datasets.tracks import STEMS, Dataset, Track

__all__ = ["STEMS", "Dataset", "Track", "open_dataset"]
