"""mss-results import-museval: third-party scores into the score folders."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from mss_results import sisec18
from mss_results.import_notes import above_oracles, identical_files
from mss_results.museval_files import Source, empty_folders, read_medians, read_system, read_systems
from mss_results.museval_import import Origin, plan_import, write_runs
from mss_results.output import say
from mss_results.read import KINDS

_TEXT = "import museval's score files, of any origin, into the score folders"


def add_import(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser("import-museval", help=_TEXT, description=_TEXT, allow_abbrev=False)
    add = verb.add_argument
    add(
        "source",
        type=Path,
        metavar="DIR",
        help="with --method DIR/test/*.json or DIR/*.json, also .json.gz; without it a folder "
        "with one such folder per system; with --sisec18 also a CSV file of medians",
    )
    add("--method", help="method that made the estimates (each subfolder is one)")
    add("--dataset", help="musdb18, musdb18hq, ...")
    add("--protocol", help="bsseval_v4@1, sisec18@1, bsseval_v3@1 with any stems")
    add(
        "--extra_data",
        "--extra-data",
        choices=("yes", "no"),
        help="whether songs outside of the benchmark's training set were heard (unknown)",
    )
    add("--kind", choices=KINDS, help="blind: a method without training (model)")
    add(
        "--sisec18",
        action="store_true",
        help="DIR holds systems of SiSEC 2018, whose data set, protocol and kind are known",
    )
    add(
        "--per_track",
        "--per-track",
        action="store_true",
        help="keep a value per track, target and metric, instead of the files with their frames",
    )
    add("--run", help="name of the run (the protocol id without its version)")
    add("--repo", type=Path, default=Path("."), help="folder with results/ (.)")
    add("--scores", type=Path, metavar="DIR", help="score folder (REPO/results/scores)")


def import_scores(chosen: argparse.Namespace) -> None:
    """Import one or many systems; all of them or none.

    Raises:
        FileNotFoundError, ValueError: if files or flags are wrong; nothing is written.
    """
    _check_flags(chosen)
    scores = chosen.scores or chosen.repo / "results" / "scores"
    sources = _sources(chosen)
    if not (chosen.method or chosen.source.is_file()):
        for folder in empty_folders(chosen.source):
            say(f"mss-results: {folder} is passed over: no score files in it", sys.stderr)
    origins = {method: _origin(chosen, method) for method in sources}
    per_track = chosen.per_track or chosen.source.is_file()
    runs = [
        plan_import(source, origins[method], scores, per_track)
        for method, source in sources.items()
    ]
    datasets = sorted({origin.dataset for origin in origins.values()})
    notes = [line for each in datasets for line in identical_files(sources, scores / each)]
    pairs = {method: (source, origins[method]) for method, source in sources.items()}
    warnings = above_oracles(pairs, scores)
    write_runs(runs)
    for run in runs:
        say(f"wrote {run.folder}")
    say("run mss-results build to see them on a board")
    for line in (*(f"note: {each}" for each in notes), *(f"warning: {each}" for each in warnings)):
        say(line, sys.stderr)


def _check_flags(chosen: argparse.Namespace) -> None:
    fixed = {
        "--method": chosen.method,
        "--dataset": chosen.dataset,
        "--protocol": chosen.protocol,
        "--kind": chosen.kind,
        "--extra_data": chosen.extra_data,
    }
    given = [flag for flag, value in fixed.items() if value]
    if chosen.sisec18 and given:
        raise ValueError(f"--sisec18 says what {given[0]} would: leave one of them out")
    missing = [flag for flag in ("--dataset", "--protocol") if not fixed[flag]]
    if missing and not chosen.sisec18:
        raise ValueError(f"{missing[0]} is missing: the score files do not say it")
    if chosen.source.is_file() and not chosen.sisec18:
        raise ValueError(
            f"{chosen.source} is a file: give the folder of the score files, or --sisec18 with a "
            f"table of its medians"
        )


def _sources(chosen: argparse.Namespace) -> Mapping[str, Source]:
    if chosen.source.is_file():
        return read_medians(chosen.source)
    if chosen.method:
        return {chosen.method: read_system(chosen.source)}
    return read_systems(chosen.source)


def _origin(chosen: argparse.Namespace, method: str) -> Origin:
    known = sisec18.find_system(method) if chosen.sisec18 else None
    protocol = known.protocol if known else chosen.protocol
    said = None if chosen.extra_data is None else chosen.extra_data == "yes"
    return Origin(
        method=method,
        dataset=sisec18.DATASET if known else chosen.dataset,
        protocol=protocol,
        run=chosen.run or protocol.split("@")[0],
        kind=known.kind if known else chosen.kind or "model",
        extra_data=known.extra_data if known else said,
        command=_command(chosen),
    )


def _command(chosen: argparse.Namespace) -> str:
    """What was typed, without the folders of this machine."""
    words = ["mss-results", "import-museval", Path(os.path.realpath(chosen.source)).name]
    for name in ("method", "dataset", "protocol", "kind", "run", "extra_data"):
        if getattr(chosen, name):
            words += [f"--{name}", getattr(chosen, name)]
    words += [f"--{flag}" for flag in ("sisec18", "per_track") if vars(chosen)[flag]]
    return shlex.join(words)
