"""The verbs ``fit`` and ``demo``."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

from mss_shared import console
from mss_shared.checkpoints.checkpoint import load_checkpoints
from mss_shared.cli.data_flags import reading_from_flags
from mss_shared.cli.scoring import (
    ScoreSettings,
    build_boards,
    open_data,
    oracles_for,
    print_tables,
    run_suffix,
    score_and_say,
    stem_writer,
)
from mss_shared.datasets import plugins
from mss_shared.datasets.opening import join_datasets
from mss_shared.evaluation.evaluate import model_estimator
from mss_shared.evaluation.models_record import name_run
from mss_shared.paper import AnyPaper
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.device import pick_device


def demo(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> None:
    """The whole pipeline: demo set, training, separation, scores and a table of them."""
    check_installed(arguments.data_root)
    pick_device(arguments.device)
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train

    loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, "demo"))
    dataset = open_data(arguments.data_root)
    out: Path = arguments.out
    _clear_run(out)
    machine = Machine(device=arguments.device, dev_mode=arguments.dev_mode)
    console.say(f"training {paper.name} from its demo recipe in {out}")
    train(paper, loaded, dataset, out, machine, seed=arguments.seed, command=command)
    [checkpoint] = load_checkpoints(paper, str(out))
    recipe = checkpoint.recipe
    root = arguments.scores or out / "scores"
    settings = ScoreSettings(
        dataset, recipe.evaluation.protocols, root, command, overwrite=arguments.overwrite
    )
    tables = {}
    for options in ({}, *paper.demo_variants):
        model = paper.join_models([checkpoint.model], recipe, options).to(
            pick_device(arguments.device)
        )
        estimator = model_estimator(
            paper.name, [checkpoint], model, recipe.inference, options=options
        )
        suffix = run_suffix(options)
        keep = None if options else stem_writer(out / "stems", estimator.stems)
        tables[f"{paper.name}{suffix}"] = score_and_say(
            estimator, f"{name_run([checkpoint])}{suffix}", settings, keep
        )
    for oracle, run in oracles_for(estimator):
        tables[oracle.about["method"]] = score_and_say(oracle, run, settings)
    console.say(f"stems of the test songs: {out / 'stems'}")
    print_tables(tables)
    build_boards(root)


def fit(
    paper: AnyPaper, arguments: argparse.Namespace, overrides: Sequence[str], command: str
) -> None:
    """Train one recipe, or several one after another, each in its own run folder."""
    for data_root in arguments.data_root:
        check_installed(data_root)
    pick_device(arguments.device)
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train

    recipes = [
        load_recipe(paper.recipe_type, find_recipe(paper.name, name), overrides)
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
        arguments.decode_flac,
    )
    reading = reading_from_flags(arguments)
    dataset = join_datasets([open_data(root, reading) for root in arguments.data_root])
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


def check_installed(data_root: str) -> None:
    """Raise ModuleNotFoundError with the command that installs what training lacks."""
    missing = [] if importlib.util.find_spec("lightning") else ['"mss-shared[train]"']
    songs = plugins.missing_package(data_root)
    missing += [songs] if songs else []
    if missing:
        raise ModuleNotFoundError(
            f"training on {data_root} needs packages that are not installed: "
            f"pip install {' '.join(missing)}"
        )


def _run_folders(names: Sequence[str], out: Path | None) -> list[Path]:
    """``out`` for one recipe; for several, a folder below it for each, named for the recipe."""
    if len(set(names)) < len(names):
        raise ValueError(f"the recipes {', '.join(names)} share a name: train each only once")
    if out is not None and len(names) == 1:
        return [out]
    return [(out or Path("runs")) / name for name in names]


def _clear_run(out: Path) -> None:
    """Remove an earlier demo run; refuse to touch a folder that holds anything else."""
    if not out.exists():
        return
    if any(out.iterdir()) and not (out / "recipe.digest").is_file():
        raise ValueError(f"{out} is not empty and not a run folder: choose another --out")
    shutil.rmtree(out)
