"""What the verbs do once their options are parsed."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mss_shared import audio, console
from mss_shared.audio import Audio
from mss_shared.checkpoint import Checkpoint, StemsTogether, load_checkpoint
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.evaluate import Estimator, Summary, model_estimator, oracle_estimator
from mss_shared.evaluate import evaluate as score
from mss_shared.oracles import ORACLES
from mss_shared.paper import Paper
from mss_shared.recipe import InferenceConfig, find_recipe, load_recipe
from mss_shared.song_scores import OURS, Engine
from mss_shared.stems import separate_file


def demo(paper: Paper, arguments: argparse.Namespace, command: str) -> None:
    """Demo set, training, separation, scores, table: the whole path in one go."""
    from mss_shared.fit import Machine
    from mss_shared.fit import fit as train

    loaded = load_recipe(paper.recipe, find_recipe(paper.name, "demo"))
    dataset = _open(arguments.data_root)
    out: Path = arguments.out
    _clear_run(out)
    machine = Machine(device=arguments.device)
    console.say(f"training {paper.name} by its demo recipe in {out}")
    train(paper, loaded, dataset, out, machine, seed=arguments.seed, command=command)
    checkpoint = load_checkpoint(paper, str(out))
    model = checkpoint.model.to(_device(arguments.device))
    inference = checkpoint.recipe.inference
    estimator = model_estimator(paper.name, checkpoint, model, inference)
    root = arguments.scores or out / "scores"
    estimators = [(estimator, f"demo-seed{_seed(checkpoint)}"), *_oracles(estimator.stems)]
    tables = {}
    for each, run in estimators:
        keep = _keeper(out / "stems", each.stems) if each is estimator else None
        tables[each.about["method"]] = _score(
            each, dataset, checkpoint.recipe.evaluation.protocols, root, run, command, keep
        )
    console.say(f"stems of the test songs: {out / 'stems'}")
    _print_tables(tables)


def fit(
    paper: Paper, arguments: argparse.Namespace, overrides: Sequence[str], command: str
) -> None:
    """Train by a recipe."""
    from mss_shared.fit import Machine
    from mss_shared.fit import fit as train

    loaded = load_recipe(paper.recipe, find_recipe(paper.name, arguments.recipe), overrides)
    machine = Machine(
        arguments.device,
        arguments.devices,
        arguments.num_nodes,
        arguments.workers,
        arguments.micro_batch,
    )
    out = arguments.out or Path("runs") / loaded.name
    dataset = _open(arguments.data_root)
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


def separate(paper: Paper, arguments: argparse.Namespace) -> None:
    """Split files into stems; one bad file does not stop the others."""
    _check_names(arguments.inputs, arguments.out)
    checkpoints = _load(paper, arguments)
    model = _together(checkpoints).to(_device(arguments.device))
    inference = _inference(checkpoints[0].recipe.inference, arguments)
    failures = []
    for path in arguments.inputs:
        try:
            with console.progress(path.name) as progress:
                written = separate_file(
                    model, path, arguments.out, inference, batch=arguments.batch, progress=progress
                )
            console.say(f"{path.name}: {len(written)} stems in {written[0].parent}")
        except (ValueError, OSError) as error:
            failures.append(console.sentence(error))
    if failures:
        raise ValueError("; ".join(failures))


def evaluate(paper: Paper, arguments: argparse.Namespace, command: str) -> None:
    """Score a checkpoint, or per-stem checkpoints together, on the test tracks."""
    checkpoints = _load(paper, arguments)
    first = checkpoints[0]
    model = _together(checkpoints).to(_device(arguments.device))
    inference = _inference(first.recipe.inference, arguments)
    dataset = _open(arguments.data_root)
    check_format(dataset, model)
    estimator = model_estimator(paper.name, first, model, inference, arguments.batch)
    protocols = arguments.protocol or first.recipe.evaluation.protocols
    run = arguments.run or f"{first.recipe_name}-seed{_seed(first)}"
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
            *((oracle, name, None) for oracle, name in _oracles(estimator.stems)),
        ]
    }
    _print_tables(tables)


def check_format(dataset: Dataset, model: Any) -> None:
    """Raise ValueError unless every test track has the model's stems, rate and channels."""
    for track in dataset.split("test"):
        rate, channels = track.info.sample_rate, track.info.channels
        if (rate, channels) != (model.sample_rate, model.channels):
            raise ValueError(
                f"track {track.name} has {channels} channels at {rate} Hz, the model takes "
                f"{model.channels} at {model.sample_rate} Hz: convert the data set"
            )
        for stem in model.stems:
            if stem not in track.stems:
                raise ValueError(
                    f"track {track.name} of {dataset.root} has no {stem}.wav: the model estimates "
                    f"{', '.join(model.stems)}"
                )


def _check_names(inputs: Sequence[Path], out: Path) -> None:
    """Raise ValueError if two files' stems would be written to one folder."""
    for number, path in enumerate(inputs):
        for other in inputs[:number]:
            if other.stem == path.stem:
                raise ValueError(
                    f"{other} and {path} would both be written to {out / path.stem}: separate "
                    f"them apart, each with its own --out"
                )


def _open(data_root: str) -> Dataset:
    with console.progress("preparing songs") as progress:
        return open_dataset(data_root, progress)


def _load(paper: Paper, arguments: argparse.Namespace) -> list[Checkpoint]:
    checkpoints = [load_checkpoint(paper, c, arguments.recipe) for c in arguments.checkpoint]
    for checkpoint in checkpoints:
        for note in checkpoint.notes:
            console.say(note)
    return checkpoints


def _together(checkpoints: Sequence[Checkpoint]) -> Any:
    models = [checkpoint.model for checkpoint in checkpoints]
    return models[0] if len(models) == 1 else StemsTogether(models).eval()


def _inference(config: InferenceConfig, arguments: argparse.Namespace) -> InferenceConfig:
    changes = {
        name: getattr(arguments, name)
        for name in ("chunk_seconds", "overlap")
        if getattr(arguments, name) is not None
    }
    return replace(config, **changes)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device: choose --device cpu")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ValueError("there is no MPS device: choose --device cpu")
    return torch.device(wanted)


def _oracles(stems: tuple[str, ...]) -> list[tuple[Estimator, str]]:
    return [
        (oracle_estimator(name, kind, oracle, stems), "-".join(stems))
        for name, (kind, oracle) in ORACLES.items()
    ]


def _seed(checkpoint: Checkpoint) -> Any:
    return checkpoint.training["seed"] if checkpoint.training else "unknown"


def _keeper(folder: Path, stems: tuple[str, ...]) -> Any:
    def keep(track: Track, estimates: Audio) -> None:
        for stem, estimate in zip(stems, estimates, strict=True):
            path = folder / track.name / f"{stem}.wav"
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
