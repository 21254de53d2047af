"""Score folders of separated stems against references.

REFERENCES is a MUSDB18-HQ folder, a MUSDB18 folder of .stem.mp4 files, 'demo', or any folder of
track folders; its test tracks are scored. ESTIMATES holds one folder per track, named for the
track, with one wav or flac file per stem. Scores go to OUT/<dataset>/<method>/<run>.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mss_shared import console
from mss_shared.cli.parser import Paragraphs, Parser, show_examples
from mss_shared.cli.shard_flags import add_shard_flags, count, say_shard, without_shards
from mss_shared.names import name_like, printable, real_path
from mss_shared.processes import follow_leader

if TYPE_CHECKING:
    from mss_shared.datasets import Dataset
    from mss_shared.evaluation.batch import Batch
    from mss_shared.evaluation.journal import Journal
    from mss_shared.evaluation.pairs import Pairs
    from mss_shared.evaluation.protocols import Protocol
    from mss_shared.evaluation.track_metrics import Engine, Song


def run(words: Sequence[str] | None = None) -> None:
    """Run ``mss-eval``; exit code 2 for a mistake of the user or if a track has no scores."""
    words = list(sys.argv[1:] if words is None else words)
    arguments = _parser().parse_args(words)
    follow_leader()
    with console.one_sentence_errors("mss-eval"):
        _evaluate(arguments, shlex.join(["mss-eval", *words]))


def _parser() -> Parser:
    parser = Parser(
        prog="mss-eval",
        description=__doc__,
        usage="%(prog)s REFERENCES ESTIMATES --out SCORES [flag ...]",
        formatter_class=Paragraphs,
    )
    _add_song_flags(parser.add_argument_group("songs"))
    _add_score_flags(parser.add_argument_group("scores"))
    processes = parser.add_argument_group("processes")
    processes.add_argument(
        "--jobs", type=count, help="tracks scored in parallel; default: one per CPU"
    )
    add_shard_flags(processes)
    show_examples(
        parser,
        "demo my_stems --out scores",
        "~/musdb18hq my_stems --out scores --protocol bsseval_v4 usdr si_sdr",
        before="Run an interrupted command again to resume it: finished tracks are kept.",
    )
    return parser


def _add_song_flags(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("references", help="data set with the reference stems")
    add("estimates", type=Path, help="folder with one subfolder per track")
    add("--stems", nargs="+", metavar="STEM", help="default: all that have an estimate")
    add(
        "--fit_length",
        action="store_true",
        help="trim or zero-pad estimates to the length of the references",
    )


def _add_score_flags(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("--out", type=Path, required=True, help="root of the score folders")
    add(
        "--protocol",
        nargs="+",
        default=["bsseval_v4"],
        metavar="NAME",
        help="bsseval_v4 (as museval), sisec18 (vocals against accompaniment), bsseval_v3, usdr, "
        "csdr, si_sdr, si_bss_eval, l1_freq, bleed, log_wmse; default: bsseval_v4",
    )
    add("--method", help="name in tables; default: the folder name of ESTIMATES")
    add("--run", default="mss-eval", help="name of the score folder; default: mss-eval")
    add(
        "--overwrite",
        action="store_true",
        help="replace the scores of other estimates under the same method and run",
    )
    add(
        "--bsseval",
        choices=("ours", "museval"),
        default="ours",
        help="BSSEval implementation; museval is slow and prints how far ours is from it; "
        "default: ours",
    )


def _evaluate(arguments: argparse.Namespace, command: str) -> None:
    from mss_shared.datasets import open_dataset
    from mss_shared.evaluation.pairs import pair_tracks
    from mss_shared.evaluation.protocols import find_protocols
    from mss_shared.evaluation.score_files import run_folder
    from mss_shared.evaluation.score_folder import check_free, digest_places
    from mss_shared.evaluation.shards import WHOLE
    from mss_shared.evaluation.track_metrics import Engine
    from mss_shared.heap import keep_freed_memory

    keep_freed_memory()
    requested = find_protocols(arguments.protocol)
    faults: dict[str, str] = {}
    with console.progress("preparing songs") as progress:
        dataset = open_dataset(arguments.references, progress, faults)
    console.say(printable(dataset.identity))
    _check_references(arguments.references, dataset, faults)
    pairs = pair_tracks(
        dataset, arguments.estimates, arguments.stems, fit_length=arguments.fit_length
    )
    faults |= pairs.faults
    for name in pairs.ignored:
        console.say(f"no reference for {printable(name)}: ignored")
    protocols = [protocol.on(pairs.stems) for protocol in requested]
    method = arguments.method or _name(arguments.estimates)
    folder = run_folder(arguments.out, dataset.name, method, _name(Path(arguments.run)))
    inputs = digest_places(dataset, arguments.estimates)
    check_free(folder, inputs, overwrite=arguments.overwrite)
    engine = Engine(museval=arguments.bsseval == "museval")
    batch, journal = _score(arguments, pairs, protocols, folder, engine)
    names = [track.name for track in dataset.test]
    mine = set(arguments.shard.choose(names))
    faults = {name: fault for name, fault in faults.items() if name in mine or name not in names}
    faults |= batch.faults
    _print(batch, protocols)
    _check_faults(faults, len(mine | set(faults)), folder)
    if arguments.shard != WHOLE:
        console.say(say_shard(arguments.shard, len(mine), len(names), folder))
        return
    _finish(folder, dataset, pairs, protocols, batch, journal, engine, method, command, inputs)


def _score(
    arguments: argparse.Namespace,
    pairs: Pairs,
    protocols: Sequence[Protocol],
    folder: Path,
    engine: Engine,
) -> tuple[Batch, Journal]:
    """Score the songs of the shard that have no scores yet."""
    from mss_shared.evaluation.batch import score_batch

    mine = set(arguments.shard.choose(pairs.tracks))
    songs = [song for song in pairs.songs if song.name in mine]
    if arguments.merge:
        _check_scored(songs, protocols, folder, engine)
    with console.progress("scoring") as progress:
        return score_batch(
            songs,
            protocols,
            folder,
            jobs=arguments.jobs,
            engine=engine,
            progress=progress,
            shard=arguments.shard,
        )


def _check_scored(
    songs: Sequence[Song], protocols: Sequence[Protocol], folder: Path, engine: Engine
) -> None:
    """Raise ValueError if a song has no scores of these files yet."""
    from mss_shared.evaluation.batch import find_scores, inputs_of
    from mss_shared.evaluation.journal import Journal
    from mss_shared.evaluation.shards import check_merged

    journal = Journal(folder)
    found = {
        song.name: find_scores(journal, song, protocols, inputs_of(song, protocols, engine))
        for song in songs
    }
    missing = [name for name, scores in found.items() if len(scores) < len(protocols)]
    check_merged(missing, len(songs), folder)


def _check_references(given: str, dataset: Dataset, faults: Mapping[str, str]) -> None:
    """Raise ValueError if no track can be read, after saying what is wrong with each."""
    if dataset.test or not faults:
        return
    for fault in faults.values():
        console.say(f"mss-eval: {printable(fault)}", sys.stderr)
    raise ValueError(f"none of {len(faults)} tracks of {given} can be read: fix them")


def _check_faults(faults: Mapping[str, str], count: int, folder: Path) -> None:
    """Raise ValueError if some of ``count`` tracks have no scores."""
    for fault in faults.values():
        console.say(f"mss-eval: {printable(fault)}", sys.stderr)
    if faults:
        raise ValueError(
            f"{len(faults)} of {count} tracks have no scores: fix them and run the command again, "
            f"the others are kept in {folder}"
        )


def _finish(
    folder: Path,
    dataset: Dataset,
    pairs: Pairs,
    protocols: Sequence[Protocol],
    batch: Batch,
    journal: Journal,
    engine: Engine,
    method: str,
    command: str,
    inputs: str,
) -> None:
    """Complete the score folder."""
    from mss_shared.evaluation.run_record import (
        COST_FIELDS,
        METHOD_FIELDS,
        describe_dataset,
        describe_protocol,
        write_record,
    )

    names = [track.name for track in dataset.test]
    journal.keep_only(protocols, names)
    journal.join()
    described = {
        p.label: describe_protocol(
            p,
            [batch.tracks[name][p.label] for name in names],
            journal.digests(p, names),
            engine,
        )
        for p in protocols
    }
    about = {"kind": "model", "method": method, **dict.fromkeys(METHOD_FIELDS)}
    cost = dict.fromkeys(COST_FIELDS)
    about_set = describe_dataset(dataset)
    words = without_shards(command)
    write_record(folder, about, about_set, pairs.stems, described, cost, words, inputs)
    console.say(f"scores: {folder}")


def _print(batch: Batch, protocols: Sequence[Protocol]) -> None:
    """Per protocol, a row per stem and a column per metric; then unscored stems.

    The last row is the mean, if the stems are vocals, drums, bass and other.
    """
    from mss_shared.evaluation.protocols import aggregate, mean_of_stems

    for protocol in protocols:
        tracks = [scores[protocol.label] for scores in batch.tracks.values()]
        if not tracks:
            continue
        values = aggregate(tracks, protocol)
        console.say(
            f"\n{protocol.id}, {protocol.unit}: {protocol.frames} of frames, {protocol.tracks} of "
            f"{len(tracks)} tracks"
        )
        console.say(f"{'':16}" + "".join(f"{metric:>11}" for metric in protocol.metrics))
        lines = {stem: [*row.values()] for stem, row in values.items()}
        means = [
            mean_of_stems({stem: row[metric] for stem, row in values.items()})
            for metric in protocol.metrics
        ]
        known = [mean for mean in means if mean is not None]
        if known:
            lines["mean"] = known
        for stem, numbers in lines.items():
            console.say(f"{printable(stem):16}" + "".join(f"{value:11.3f}" for value in numbers))
        for track in tracks:
            for stem, note in track.notes.items():
                console.say(f"{printable(track.name)}: {printable(stem)} has no score: {note}")
    if batch.differences:
        parts = (f"{metric} {value:.1e}" for metric, value in sorted(batch.differences.items()))
        console.say(f"\nlargest difference between museval and ours, dB: {', '.join(parts)}")


def _name(path: Path) -> str:
    return name_like(real_path(path).name, "estimates")
