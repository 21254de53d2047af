"""What the verbs do once their options are parsed."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mss_shared import audio, console
from mss_shared.audio import Audio
from mss_shared.checkpoints.checkpoint import Checkpoint, load_checkpoints
from mss_shared.cli.loading import flagged_inference, given_options, load_words
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.evaluation.evaluate import (
    Estimator,
    Summary,
    model_estimator,
    oracle_estimator,
    with_remainder,
)
from mss_shared.evaluation.evaluate import evaluate as score
from mss_shared.evaluation.oracles import ORACLES
from mss_shared.evaluation.track_metrics import OURS, Engine
from mss_shared.names import inside
from mss_shared.paper import Paper, Verb, find
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.device import pick_device


def demo(paper: Paper, arguments: argparse.Namespace, command: str) -> None:
    """Demo set, training, separation, scores, table: the whole path in one go."""
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train

    loaded = load_recipe(paper.recipe, find_recipe(paper.name, "demo"))
    dataset = _open(arguments.data_root)
    out: Path = arguments.out
    _clear_run(out)
    machine = Machine(device=arguments.device, dev_mode=arguments.dev_mode)
    console.say(f"training {paper.name} by its demo recipe in {out}")
    train(paper, loaded, dataset, out, machine, seed=arguments.seed, command=command)
    [checkpoint] = load_checkpoints(paper, str(out))
    recipe = checkpoint.recipe
    root = arguments.scores or out / "scores"
    tables = {}
    for given in ({}, *paper.demo_variants):
        model = paper.join_models([checkpoint.model], recipe, given).to(
            pick_device(arguments.device)
        )
        estimator = model_estimator(paper.name, _varied(checkpoint, given), model, recipe.inference)
        run = f"demo-seed{_seed(checkpoint)}{_suffix(given)}"
        keep = None if given else _keeper(out / "stems", estimator.stems)
        tables[f"{paper.name}{_suffix(given)}"] = _score(
            estimator, dataset, recipe.evaluation.protocols, root, run, command, keep
        )
    for oracle, run in _oracles(estimator):
        tables[oracle.about["method"]] = _score(
            oracle, dataset, recipe.evaluation.protocols, root, run, command, None
        )
    console.say(f"stems of the test songs: {out / 'stems'}")
    _print_tables(tables)


def fit(
    paper: Paper, arguments: argparse.Namespace, overrides: Sequence[str], command: str
) -> None:
    """Train by a recipe, or by several in turn, each in a run folder of its own."""
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train

    recipes = [
        load_recipe(paper.recipe, find_recipe(paper.name, name), overrides)
        for name in arguments.recipe
    ]
    folders = _run_folders([loaded.name for loaded in recipes], arguments.out)
    machine = Machine(
        arguments.device,
        arguments.devices,
        arguments.num_nodes,
        arguments.workers,
        arguments.micro_batch,
        arguments.logger,
        arguments.save_top_k,
        arguments.dev_mode,
        arguments.deterministic,
    )
    dataset = _open(arguments.data_root)
    for loaded, out in zip(recipes, folders, strict=True):
        train(
            paper,
            loaded,
            dataset,
            out,
            machine,
            seed=arguments.seed,
            resume=arguments.resume,
            command=command,
        )
        console.say(f"model and record: {out}")


def _run_folders(names: Sequence[str], out: Path | None) -> list[Path]:
    """``out`` for one recipe, folders of the recipes' names below it for several."""
    if len(set(names)) < len(names):
        raise ValueError(f"the recipes {', '.join(names)} share a name: train each once")
    if out is not None and len(names) == 1:
        return [out]
    return [(out or Path("runs")) / name for name in names]


def evaluate(paper: Paper, arguments: argparse.Namespace, command: str) -> None:
    """Score a checkpoint, or per-stem checkpoints together, on the test tracks."""
    checkpoints = load_words(paper, arguments)
    given = given_options(paper.options, arguments)
    first = _varied(checkpoints[0], given)
    models = [checkpoint.model for checkpoint in checkpoints]
    joined = paper.join_models(models, first.recipe, given)
    model = joined.to(pick_device(arguments.device))
    inference = flagged_inference(first.recipe.inference, arguments)
    dataset = _open(arguments.data_root)
    estimator = model_estimator(paper.name, first, model, inference, arguments.batch)
    named = dict(given)
    if arguments.remainder is not None:
        estimator = with_remainder(estimator, arguments.remainder)
        named["remainder"] = arguments.remainder
    check_format(dataset, model, estimator.stems)
    protocols = arguments.protocol or first.recipe.evaluation.protocols
    run = arguments.run or f"{first.recipe_name}-seed{_seed(first)}{_suffix(named)}"
    keep = _keeper(arguments.estimates, estimator.stems) if arguments.estimates else None
    tables = {
        each.about["method"]: _score(
            each,
            dataset,
            protocols,
            arguments.scores,
            name,
            command,
            kept,
            Engine(museval=arguments.bsseval == "museval"),
        )
        for each, name, kept in [
            (estimator, run, keep),
            *((oracle, name, None) for oracle, name in _oracles(estimator)),
        ]
    }
    _print_tables(tables)


def own(paper: Paper, verb: Verb, arguments: argparse.Namespace) -> None:
    """A verb that only this paper has."""
    find(verb.action)(paper, given_options(verb.options, arguments))


def check_format(dataset: Dataset, model: Any, stems: tuple[str, ...]) -> None:
    """Raise ValueError unless every test track has the stems, and the model's rate and channels."""
    for track in dataset.split("test"):
        rate, channels = track.info.sample_rate, track.info.channels
        if (rate, channels) != (model.sample_rate, model.channels):
            raise ValueError(
                f"track {track.name} has {channels} channels at {rate} Hz, the model takes "
                f"{model.channels} at {model.sample_rate} Hz: convert the data set"
            )
        for stem in stems:
            if stem not in track.stems:
                raise ValueError(
                    f"track {track.name} of {dataset.root} has no {stem}.wav: the estimates are of "
                    f"{', '.join(stems)}"
                )


def _open(data_root: str) -> Dataset:
    with console.progress("preparing songs") as progress:
        return open_dataset(data_root, progress)


def _varied(checkpoint: Checkpoint, given: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint, no longer verbatim if a flag changed what its recipe says."""
    return replace(checkpoint, verbatim=False) if given else checkpoint


def _suffix(given: Mapping[str, Any]) -> str:
    """What a run's name adds for the paper's own flags: ``-niter-0-softmask``."""
    words = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        words.append("-".join([name, *map(str, values)]) if value is not True else name)
    return "".join(f"-{word}" for word in words)


def _oracles(estimator: Estimator) -> list[tuple[Estimator, str]]:
    """Oracles of the same stems, scored in the same way."""
    stems = estimator.stems
    return [
        (
            replace(oracle_estimator(name, kind, oracle, stems), best_order=estimator.best_order),
            "-".join(stems),
        )
        for name, (kind, oracle) in ORACLES.items()
    ]


def _seed(checkpoint: Checkpoint) -> Any:
    return checkpoint.training["seed"] if checkpoint.training else "unknown"


def _keeper(folder: Path, stems: tuple[str, ...]) -> Any:
    def keep(track: Track, estimates: Audio) -> None:
        for stem, estimate in zip(stems, estimates, strict=True):
            path = inside(folder, track.name, f"{stem}.wav")
            audio.write(path, estimate, track.info.sample_rate, "FLOAT")

    return keep


def _score(
    estimator: Estimator,
    dataset: Dataset,
    protocols: Sequence[str],
    root: Path,
    run: str,
    command: str,
    keep: Any,
    engine: Engine = OURS,
) -> Summary:
    with console.progress(f"scoring {estimator.about['method']}") as progress:
        folder, summary = score(
            estimator,
            dataset,
            protocols,
            root,
            run,
            command=command,
            keep=keep,
            engine=engine,
            progress=progress,
        )
    console.say(f"scores: {folder}")
    return summary


def _print_tables(tables: dict[str, Summary]) -> None:
    """One block per protocol: a line per method, a column per stem, the mean last."""
    for protocol in next(iter(tables.values())):
        first = next(iter(tables.values()))[protocol]
        metric = next(iter(next(iter(first.values()))))
        console.say(f"\n{metric} in dB, {protocol}")
        console.say(f"{'':16}" + "".join(f"{stem:>9}" for stem in (*first, "mean")))
        for method, summary in tables.items():
            values = [summary[protocol][stem][metric] for stem in first]
            values.append(sum(values) / len(values))
            console.say(f"{method:16}" + "".join(f"{value:9.2f}" for value in values))


def _clear_run(out: Path) -> None:
    """Remove an earlier demo run; refuse to touch a folder that holds anything else."""
    if not out.exists():
        return
    if any(out.iterdir()) and not (out / "recipe.digest").is_file():
        raise ValueError(f"{out} is not empty and no run folder: choose another --out")
    shutil.rmtree(out)
