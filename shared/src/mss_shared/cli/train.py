"""The verbs ``fit`` and ``demo``."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

from mss_shared import atomic, console
from mss_shared.checkpoints.checkpoint import load_checkpoints
from mss_shared.cli.data_flags import reading_from_flags
from mss_shared.cli.plan import show_plans
from mss_shared.cli.scoring import (
    ScoreSettings,
    build_boards,
    check_protocols,
    open_data,
    oracles_for,
    print_tables,
    run_suffix,
    score_and_say,
    stem_writer,
)
from mss_shared.datasets import plugins
from mss_shared.datasets.opening import join_datasets
from mss_shared.evaluation.evaluate import Settings, model_estimator
from mss_shared.evaluation.models_record import name_run
from mss_shared.names import shorten
from mss_shared.paper import AnyPaper
from mss_shared.processes import follow_leader, is_first
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.device import pick_device
from mss_shared.stopping import interruptible, uninterrupted

_MARK = "demo.txt"  # in the folders that the demo has made and may remove
_LOCK = ".demo.lock"
_MADE = (
    *(_MARK, _LOCK, ".fit.lock", ".part-*", "recipe.yaml", "recipe.digest", "begun.json"),
    *("metrics.csv", "tensorboard", "*.ckpt", "model.safetensors", "run.json", "scores", "stems"),
)


def demo(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> None:
    """The whole pipeline: demo set, training, separation, scores and a table of them."""
    check_installed(arguments.data_root)
    pick_device(arguments.device)
    from mss_shared.training.run_folder import owned

    _check_demo(arguments.out)
    with uninterrupted(), owned(arguments.out, _LOCK), interruptible():
        _demo(paper, arguments, command)


def _demo(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> None:
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train

    loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, "demo"))
    dataset = open_data(arguments.data_root)
    out: Path = arguments.out
    _clear_demo(out)
    atomic.write_text(out / _MARK, f"{command}\n")
    machine = Machine(device=arguments.device, dev_mode=arguments.dev_mode)
    console.say(f"training {paper.name} from its demo recipe in {out}")
    train(paper, loaded, dataset, out, machine, seed=arguments.seed, command=command)
    [checkpoint] = load_checkpoints(paper, str(out))
    recipe = checkpoint.recipe
    root = arguments.scores or out / "scores"
    how = Settings(overwrite=arguments.overwrite)
    settings = ScoreSettings(dataset, recipe.evaluation.protocols, root, command, how)
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
    """Train one recipe, or several one after another, each in its own run folder.

    Of the processes for several devices, the first one speaks.
    """
    follow_leader()
    if arguments.plan and arguments.parent is not None:
        raise ValueError("--plan computes what a recipe costs: give --recipe, not --continue")
    if arguments.dev_mode and arguments.parent is not None:
        raise ValueError("--dev_mode trains the first step of a run: leave it out with --continue")
    if arguments.plan:
        return show_plans(paper, arguments, overrides)
    if not arguments.data_root:
        raise ValueError(
            "fit needs songs: give --data_root, or use --plan to see what a run would cost"
        )
    for data_root in arguments.data_root:
        check_installed(data_root)
    pick_device(arguments.device)
    with console.silent(not is_first()):
        _fit(paper, arguments, overrides, command)


def _fit(
    paper: AnyPaper, arguments: argparse.Namespace, overrides: Sequence[str], command: str
) -> None:
    from mss_shared.training.begun import Start
    from mss_shared.training.fit import Machine
    from mss_shared.training.fit import fit as train
    from mss_shared.training.heir import open_parent
    from mss_shared.training.songs import one_track

    start = Start(**{field.name: getattr(arguments, field.name) for field in fields(Start)})
    start = replace(start, freeze=tuple(start.freeze))
    machine = Machine(**{field.name: getattr(arguments, field.name) for field in fields(Machine)})
    parent = None
    if start.parent is not None:
        parent = open_parent(paper, start.parent, start.epoch, overrides)
        recipes, folders = [parent.loaded], [arguments.out or Path(f"{parent.folder}-continued")]
    else:
        recipes = [
            load_recipe(paper.recipe_type, find_recipe(paper.name, name), overrides)
            for name in arguments.recipe
        ]
        folders = _run_folders([loaded.name for loaded in recipes], arguments.out)
    for folder in folders:
        _check_no_demo(folder)
    for loaded in recipes:
        check_protocols(loaded.recipe)
    reading = reading_from_flags(arguments)
    dataset = join_datasets([open_data(root, reading) for root in arguments.data_root])
    if arguments.overfit is not None:
        dataset = one_track(dataset, arguments.overfit or None)
        recipes = [replace(loaded, verbatim=False) for loaded in recipes]
    for loaded, out in zip(recipes, folders, strict=True):
        train(
            paper,
            loaded,
            dataset,
            out,
            machine,
            seed=parent.seed if arguments.seed is None and parent else arguments.seed,
            resume=arguments.resume,
            start=start,
            parent=parent,
            command=command,
        )


def check_installed(data_root: str) -> None:
    """Raise ModuleNotFoundError with the command that installs what training lacks."""
    missing = [] if importlib.util.find_spec("lightning") else ['"mss-shared[train]"']
    songs = plugins.missing_package(data_root)
    missing += [plugins.FOLDERS[songs]] if songs else []
    if missing:
        where = ", in the repository" if songs else ""
        raise ModuleNotFoundError(
            f"training on {data_root} needs packages that are not installed: "
            f"pip install {' '.join(missing)}{where}"
        )


def _run_folders(names: Sequence[str], out: Path | None) -> list[Path]:
    """``out`` for one recipe; for several, a folder below it for each, named for the recipe."""
    if len(set(names)) < len(names):
        raise ValueError(f"the recipes {', '.join(names)} share a name: train each only once")
    if out is not None and len(names) == 1:
        return [out]
    return [(out or Path("runs")) / name for name in names]


def _check_demo(out: Path) -> None:
    """Raise ValueError unless a folder is empty, or holds nothing but an earlier demo run."""
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} - {_LOCK} if out.is_dir() else {""}
    if names and not (out / _MARK).is_file():
        raise ValueError(
            f"{out} is not empty and no run of demo: choose another --out, or remove it yourself"
        )
    others = [name for name in sorted(names) if not _is_of_demo(name)]
    if others:
        raise ValueError(
            f"{out} holds {shorten(others[0])}, which no demo made: move it elsewhere, or choose "
            f"another --out"
        )


def _check_no_demo(out: Path) -> None:
    """Raise ValueError for a folder of ``demo``, whose next run removes what is in it."""
    if (out / _MARK).is_file():
        raise ValueError(
            f"{out} is a folder of demo, which removes what is in it when it runs again: choose "
            f"another --out"
        )


def _is_of_demo(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _MADE)


def _clear_demo(out: Path) -> None:
    """Remove an earlier demo run; its mark last, so that a killed removal can be gone on with."""
    _check_demo(out)
    made = [path for path in out.iterdir() if path.name not in (_LOCK, _MARK)]
    for path in made:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
