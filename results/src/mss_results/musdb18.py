"""The 50 test songs of MUSDB18, which no other songs may stand in for."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

VERSIONS = ("musdb18", "musdb18hq", "musdb18_7s")  # names of data sets with these songs


@cache
def official_tracks() -> tuple[str, ...]:
    """The names of the test tracks, sorted; the same in all versions."""
    text = (files("mss_results") / "musdb18_test_tracks.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def check_official(dataset: str, tracks: Sequence[str], where: str) -> None:
    """Check that a version of MUSDB18 is scored on its own test tracks, or on a part of them.

    Raises:
        ValueError: with `where`, if there are other tracks.
    """
    others = sorted(set(tracks) - set(official_tracks())) if dataset in VERSIONS else []
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ValueError(
            f"{where} has {others[0]!r}{more}, not among the {len(official_tracks())} test tracks "
            f"of {dataset}: give the data set of other songs another name"
        )
