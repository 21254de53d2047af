"""The verb ``evaluate``, and verbs that only one paper has."""

from __future__ import annotations

import argparse

from mss_shared.cli.loading import checkpoints_from_flags, inference_from_flags, options_from_flags
from mss_shared.cli.scoring import (
    get_seed,
    mark_variant,
    open_data,
    oracles_for,
    print_tables,
    run_suffix,
    score_and_say,
    stem_writer,
)
from mss_shared.datasets.tracks import check_fits
from mss_shared.evaluation.evaluate import (
    model_estimator,
    with_remainder,
)
from mss_shared.evaluation.track_metrics import Engine
from mss_shared.paper import AnyPaper, Verb
from mss_shared.separation.device import pick_device


def evaluate(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> None:
    """Score a checkpoint, or per-stem checkpoints together, on the test tracks."""
    checkpoints = checkpoints_from_flags(paper, arguments)
    flags = options_from_flags(paper.options, arguments)
    first = mark_variant(checkpoints[0], flags)
    models = [checkpoint.model for checkpoint in checkpoints]
    joined = paper.join_models(models, first.recipe, flags)
    model = joined.to(pick_device(arguments.device))
    inference = inference_from_flags(first.recipe.inference, arguments)
    dataset = open_data(arguments.data_root)
    estimator = model_estimator(paper.name, first, model, inference, arguments.batch)
    named = dict(flags)
    if arguments.remainder is not None:
        estimator = with_remainder(estimator, arguments.remainder)
        named["remainder"] = arguments.remainder
    for track in dataset.split("test"):
        check_fits(track, estimator.stems, model.sample_rate, model.channels)
    protocols = arguments.protocol or first.recipe.evaluation.protocols
    run = arguments.run or f"{first.recipe_name}-seed{get_seed(first)}{run_suffix(named)}"
    keep = stem_writer(arguments.estimates, estimator.stems) if arguments.estimates else None
    tables = {
        each.about["method"]: score_and_say(
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
            *((oracle, name, None) for oracle, name in oracles_for(estimator)),
        ]
    }
    print_tables(tables)


def run_paper_verb(paper: AnyPaper, verb: Verb, arguments: argparse.Namespace) -> None:
    """Run a verb that only this paper has."""
    verb.action(paper, options_from_flags(verb.options, arguments))
