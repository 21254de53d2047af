"""What to look at after an import: systems with the same files, rows above every oracle."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mss_results.aggregate import combine
from mss_results.cache import Cache
from mss_results.fields import parse_object
from mss_results.finished import run_folders
from mss_results.museval_files import METRICS, Source
from mss_results.museval_import import Origin
from mss_results.read import ScoreSet, read_run
from mss_results.small_file import read_small
from mss_results.track_file import KNOWN_STEMS, TrackScores

_METRIC = METRICS[0]
_LISTED = 3

Values = Mapping[str, float]


def identical_files(sources: Mapping[str, Source], dataset: Path) -> list[str]:
    """A sentence per pair of systems that share files, and per system that repeats one.

    Args:
        sources: method -> its scores.
        dataset: the data set's score folder, whose runs are compared as well.
    """
    owners: dict[str, list[tuple[str, str]]] = {}
    digests = _known_digests(dataset)
    digests |= {method: source.digests() for method, source in sources.items()}
    for method, by_track in digests.items():
        for track, digest in by_track.items():
            owners.setdefault(digest, []).append((method, track))
    shared: dict[tuple[str, str], list[str]] = {}
    for group in owners.values():
        first, *others = group
        for other in others:
            if first[0] in sources or other[0] in sources:
                name = first[1] if first[1] == other[1] else f"{first[1]} = {other[1]}"
                shared.setdefault((first[0], other[0]), []).append(name)
    return [_sentence(*pair, tracks) for pair, tracks in shared.items()]


def _sentence(one: str, other: str, tracks: Sequence[str]) -> str:
    listed = ", ".join(tracks[:_LISTED]) + (", ..." if len(tracks) > _LISTED else "")
    if one == other:
        return f"{one} has the same scores under several names: {listed}"
    return f"{one} and {other} have the same scores for {len(tracks)} tracks: {listed}"


def _known_digests(dataset: Path) -> dict[str, dict[str, str]]:
    """Run -> track -> digest, of the runs with a file per track."""
    known: dict[str, dict[str, str]] = {}
    for folder in run_folders(dataset.parent, dataset.name):
        protocols = parse_object(read_small(folder / "run.json"), folder).inner("protocols")
        for label in protocols.values:
            files = protocols.inner(label).inner("files")
            known[f"{folder.parent.name}/{folder.name}"] = {
                Path(name).stem: files.text(name) for name in files.values if "/" in name
            }
    return known


def above_oracles(sources: Mapping[str, tuple[Source, Origin]], scores: Path) -> list[str]:
    """A sentence per system that has a higher SDR than every oracle of its data set and protocol.

    Args:
        sources: method -> its scores and what is known about them.
        scores: the score folder, whose oracles count as well.

    Raises:
        FileNotFoundError, ValueError: if an oracle's run is invalid.
    """
    values = {method: _values(source.tracks) for method, (source, _) in sources.items()}
    bounds: dict[tuple[str, str], dict[str, tuple[float, str]]] = {}
    for board in {_board(origin) for _, origin in sources.values()}:
        imported = {
            method: values[method]
            for method, (_, origin) in sources.items()
            if origin.kind == "oracle" and _board(origin) == board
        }
        bounds[board] = _highest(_known_oracles(scores, *board) | imported)
    lines = []
    for method, (_, origin) in sources.items():
        best = bounds[_board(origin)] if origin.kind != "oracle" else {}
        above = [
            f"{stem} {value:.2f} (best oracle: {best[stem][1]}, {best[stem][0]:.2f})"
            for stem, value in values[method].items()
            if stem in best and value > best[stem][0]
        ]
        if above:
            lines.append(
                f"{method} has a higher {_METRIC} than every oracle: {', '.join(above)}: check "
                f"that no reference is among its estimates"
            )
    return lines


def _board(origin: Origin) -> tuple[str, str]:
    return origin.dataset, origin.protocol


def _highest(oracles: Mapping[str, Values]) -> dict[str, tuple[float, str]]:
    """Stem -> highest value and its method."""
    highest: dict[str, tuple[float, str]] = {}
    for method, by_stem in oracles.items():
        for stem, value in by_stem.items():
            highest[stem] = max(highest.get(stem, (value, method)), (value, method))
    return highest


def _known_oracles(scores: Path, dataset: str, protocol: str) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for folder in run_folders(scores, dataset):
        fields = parse_object(read_small(folder / "run.json"), folder)
        if fields.text("kind") == "oracle":
            for each in read_run(folder, Cache(None)).scores:
                if each.protocol.id == protocol:
                    found[folder.parent.name] = _set_values(each)
    return found


def _set_values(scores: ScoreSet) -> Values:
    return _values({track.track: track for track in scores.tracks})


def _values(tracks: Mapping[str, TrackScores]) -> Values:
    """Stem -> median over tracks of the median over frames."""
    medians = {
        stem: [
            combine(scores.frames[stem, _METRIC], "median")
            for scores in tracks.values()
            if (stem, _METRIC) in scores.frames
        ]
        for stem in KNOWN_STEMS
    }
    values = {stem: combine(each, "median") for stem, each in medians.items() if each}
    return {stem: value for stem, value in values.items() if value == value}
