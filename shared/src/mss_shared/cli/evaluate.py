"""The verb ``evaluate``, and verbs that only one paper has."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mss_shared.cli.data_flags import reading_from_flags
from mss_shared.cli.loading import (
    changed_inference,
    checkpoints_from_flags,
    inference_from_flags,
    options_from_flags,
)
from mss_shared.cli.scoring import (
    ScoreSettings,
    as_test_set,
    build_boards,
    choose_scores,
    open_data,
    oracles_for,
    print_tables,
    run_suffix,
    score_and_say,
    stem_writer,
)
from mss_shared.cli.shard_flags import without_shards
from mss_shared.datasets.sums import pick_stems, prepare, stem_names
from mss_shared.datasets.tracks import check_fits
from mss_shared.evaluation.evaluate import Settings, Summary, model_estimator, with_remainder
from mss_shared.evaluation.models_record import in_order, name_run
from mss_shared.evaluation.score_files import run_folder
from mss_shared.evaluation.shards import WHOLE
from mss_shared.evaluation.track_metrics import Engine
from mss_shared.heap import keep_freed_memory
from mss_shared.paper import AnyPaper, Verb
from mss_shared.recipe import load_recipe, shipped_recipes
from mss_shared.separation.device import pick_device


@dataclass(frozen=True)
class Scored:
    """The scores of a model.

    Attributes:
        folder: where they are.
        summary: protocol id -> stem -> metric -> value, over the test tracks.
    """

    folder: Path
    summary: Summary


def evaluate(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> Scored:
    """Score a checkpoint, or per-stem checkpoints together, on the test tracks."""
    checkpoints = in_order(checkpoints_from_flags(paper, arguments))
    options = options_from_flags(paper.options, arguments)
    recipe = checkpoints[0].recipe
    joined = paper.join_models([each.model for each in checkpoints], recipe, options)
    device = pick_device(arguments.device)
    if device.type == "cpu":
        keep_freed_memory()
    model = joined.to(device)
    inference = inference_from_flags(recipe.inference, arguments)
    dataset = open_data(arguments.data_root, reading_from_flags(arguments))
    dataset = as_test_set(dataset, arguments.split)
    estimator = model_estimator(
        paper.name, checkpoints, model, inference, options=options, batch=arguments.batch
    )
    changes = {**changed_inference(recipe.inference, inference), **options}
    if arguments.remainder is not None:
        stated = arguments.remainder == find_remainder(paper, recipe)
        estimator = with_remainder(estimator, arguments.remainder, stated=stated)
        changes |= {} if stated else {"remainder": arguments.remainder}
    known = [stem for each in checkpoints for stem in each.recipe.data.stems]
    stems = pick_stems(estimator.stems, known)
    dataset = prepare(dataset, stems, model.sample_rate, model.channels)
    for track in dataset.split("test"):
        check_fits(track, estimator.stems, model.sample_rate, model.channels)
    protocols = arguments.protocol or recipe.evaluation.protocols
    run = arguments.run or f"{name_run(checkpoints)}{run_suffix(changes)}"
    keep = stem_writer(arguments.estimates, estimator.stems) if arguments.estimates else None
    root = arguments.scores or choose_scores(dataset, publish=arguments.publish)
    settings = ScoreSettings(
        dataset, protocols, root, without_shards(command), _settings(arguments)
    )
    oracles = [] if arguments.no_oracles else oracles_for(estimator)
    tables = {
        each.about["method"]: score_and_say(each, name, settings, kept)
        for each, name, kept in [
            (estimator, run, keep),
            *((oracle, name, None) for oracle, name in oracles),
        ]
    }
    if arguments.shard == WHOLE:
        print_tables(tables)
        build_boards(root)
    return Scored(run_folder(root, dataset.name, paper.name, run), tables[paper.name])


def _settings(arguments: argparse.Namespace) -> Settings:
    """What the flags say that does not change a score."""
    return Settings(
        Engine(museval=arguments.bsseval == "museval"),
        arguments.overwrite,
        arguments.jobs,
        arguments.shard,
        arguments.merge,
    )


def find_remainder(paper: AnyPaper, recipe: Any) -> str | None:
    """The stem that a claimed row's recipes leave over, as none of their models estimates it.

    None if the recipe belongs to no claimed row, or its models estimate all stems.
    """
    if recipe.reproduces is None:
        return None
    estimated: set[str] = set()
    for path in shipped_recipes(paper.name):
        other = load_recipe(paper.recipe_type, path).recipe
        if other.reproduces == recipe.reproduces:
            with torch.device("meta"):
                estimated.update(paper.build_model(other).stems)
    left = [stem for stem in stem_names(recipe.data.stems) if stem not in estimated]
    return left[0] if len(left) == 1 else None


def run_paper_verb(paper: AnyPaper, verb: Verb, arguments: argparse.Namespace) -> None:
    """Run a verb that only this paper has."""
    verb.action(paper, options_from_flags(verb.options, arguments))
