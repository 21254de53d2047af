"""Data sets: one module per kind on disk; ``open_dataset`` picks by what it finds."""

from mss_shared.datasets.opening import open_dataset
from mss_shared.datasets.tracks import STEMS, Dataset, Track

__all__ = ["STEMS", "Dataset", "Track", "open_dataset"]
