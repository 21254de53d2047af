"""The flags of every verb. Imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mss_shared.cli import data_flags, separate_flags, shard_flags
from mss_shared.cli.budget import parse_budget
from mss_shared.cli.fit_flags import DEV_MODE_HELP, DEVICE_HELP, DEVICES, SEED_HELP
from mss_shared.cli.parser import show_examples
from mss_shared.paper import AnyPaper, Option

_SCORES_HELP = "root of the score folders"
_JSON_HELP = "print JSON and nothing else"


def add_demo_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("demo_run"),
        help="run folder; replaces an earlier demo run; default: demo_run",
    )
    verb.add_argument("--scores", type=Path, help=f"{_SCORES_HELP}; default: OUT/scores")
    _add_overwrite_flag(verb)
    verb.add_argument(
        "--data_root",
        default="demo",
        help="size of the demo set: demo, demo:tiny or demo:full; default: demo",
    )
    verb.add_argument("--seed", type=int, help=SEED_HELP)
    verb.add_argument("--device", choices=DEVICES, default="auto", help=DEVICE_HELP)
    verb.add_argument("--dev_mode", action="store_true", help=DEV_MODE_HELP)
    show_examples(verb, "", "--data_root demo:tiny --dev_mode --out runs/try")


def add_reproduce_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("row", help="a claimed row, as recipes name it in reproduces")
    verb.add_argument(
        "--data_root", help="demo, or a folder with train/ and test/; not needed to --plan"
    )
    verb.add_argument(
        "--out", type=Path, help="parent of the run folders; default: runs/reproduce/ROW"
    )
    verb.add_argument("--scores", type=Path, help=f"{_SCORES_HELP}; default: as in evaluate")
    verb.add_argument(
        "--plan", action="store_true", help="print the recipes, steps and commands, and do nothing"
    )
    verb.add_argument(
        "--budget",
        type=shard_flags.checked(parse_budget),
        help="a time such as 5m for all of it, or 4steps for each recipe: short runs with a batch "
        "of one, to see that everything works",
    )
    verb.add_argument(
        "--devices",
        type=shard_flags.count,
        metavar="N",
        help="share N devices among the recipes, which are then trained side by side; default: one "
        "recipe after another, each on all devices",
    )
    verb.add_argument(
        "--slurm",
        nargs="*",
        metavar="KEY=VALUE",
        help="train as one SLURM array job, with these parameters of submitit, for instance "
        "timeout_min=2880 slurm_partition=gpu gpus_per_node=1",
    )
    verb.add_argument("--device", choices=DEVICES, default="auto", help=DEVICE_HELP)
    verb.add_argument("--workers", type=int, help="data-loading processes of each run")
    verb.add_argument("--micro_batch", type=int, help="of each run, as in fit")
    verb.add_argument(
        "--checkpoint_activations", action="store_true", help="in each run, as in fit"
    )
    verb.add_argument(
        "--jobs", type=shard_flags.count, default=1, help="scoring processes; default: 1"
    )
    again = "Run an interrupted command again to resume it; it trains what is not done."
    show_examples(verb, "ROW --plan", "ROW --data_root ~/musdb18hq --devices 4", before=again)


def add_separate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.usage = "%(prog)s [flag ...] SONG ..."
    separate_flags.add_input_flags(verb.add_argument_group("songs"))
    separate_flags.add_output_flags(verb.add_argument_group("stems"), paper.filename)
    weights = verb.add_argument_group("weights, and how songs are cut")
    _add_model_flags(weights, paper, paper.default_checkpoint)
    _add_config_flag(weights, paper)
    separate_flags.add_context_flag(weights)
    separate_flags.add_quality_flags(verb.add_argument_group("quality and speed"))
    own = (*paper.options, *paper.separate_options)
    if own:
        add_paper_flags(verb.add_argument_group(f"of {paper.name}"), own)
    weights_flag = "" if paper.default_checkpoint else f" {paper.checkpoint_flags[0]} runs/mine"
    show_examples(
        verb,
        f"song.flac{weights_flag} --out stems --lossless",
        f"album/ more/*.mp3{weights_flag} --format flac --stems vocals",
    )
    if aliases := separate_flags.describe_aliases(paper.aliases):
        verb.epilog = f"{verb.epilog}\n\n{aliases}"


def add_seams_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("inputs", nargs="+", type=Path, help="audio files")
    verb.add_argument(
        "--contexts",
        nargs="+",
        type=float,
        default=[0.0, 0.25, 0.5, 1.0],
        help="context on both sides of a chunk, in seconds; its output is discarded",
    )
    verb.add_argument("--start", type=float, default=0.0, help="skip the first START seconds")
    verb.add_argument(
        "--duration",
        type=float,
        default=60.0,
        help="compare DURATION seconds; default: 60",
    )
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)
    _add_model_flags(verb, paper, paper.default_checkpoint)
    add_paper_flags(verb, paper.options)
    show_examples(verb, f"song.wav {paper.checkpoint_flags[0]} runs/mine --contexts 0 0.5 1")


def add_checkpoints_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "words",
        nargs="*",
        metavar="[list|fetch] NAME",
        help="published weights by name; list shows all of them by default",
    )
    verb.add_argument(
        "--yes",
        action="store_true",
        help="fetch even what neither a size nor a digest is known of, without asking",
    )
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)
    show_examples(verb, "", "fetch NAME")


def add_recipe_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "words",
        nargs="+",
        metavar="show NAME | diff A B",
        help="names of shipped recipes, or YAML files",
    )
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)
    show_examples(verb, "show demo", "diff demo runs/mine/recipe.yaml")


def add_doctor_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--offline", action="store_true", help="do not ask hosts for an answer")
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)
    show_examples(verb, "", "--offline --json")


def add_import_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("file", type=Path, help="third-party weights file")
    verb.add_argument(
        "--recipe", help="recipe of the model; default: the only one whose tensor shapes match"
    )
    _add_config_flag(verb, paper)
    verb.add_argument(
        "--out",
        type=Path,
        help=".safetensors file to write; default: beside the input, with that suffix",
    )
    show_examples(verb, "model.ckpt", "model.ckpt --recipe NAME --out mine.safetensors")


def _add_config_flag(verb: argparse._ActionsContainer, paper: AnyPaper) -> None:
    if paper.opens_configured:
        verb.add_argument(
            "--config_path", type=Path, help="YAML configuration published with the weights"
        )


def add_evaluate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    flag = paper.checkpoint_flags[0]
    verb.usage = f"%(prog)s {flag} RUN --data_root ROOT [flag ...]"
    songs = verb.add_argument_group("songs")
    songs.add_argument("--data_root", required=True, help="demo, or a folder with test/")
    songs.add_argument(
        "--split",
        choices=("train", "valid", "test"),
        default="test",
        help="which tracks; scores of others than test go under <data set>-<split>; default: test",
    )
    data_flags.add_reading_flags(songs)
    _add_score_flags(verb.add_argument_group("scores"))
    processes = verb.add_argument_group("processes")
    processes.add_argument(
        "--jobs", type=shard_flags.count, default=1, help="scoring processes; default: 1"
    )
    shard_flags.add_shard_flags(processes)
    weights = verb.add_argument_group("weights, and how songs are cut")
    _add_model_flags(weights, paper, None, recipes="+")
    _add_config_flag(weights, paper)
    separate_flags.add_context_flag(weights)
    if paper.options:
        add_paper_flags(verb.add_argument_group(f"of {paper.name}"), paper.options)
    show_examples(
        verb,
        f"{flag} runs/mine --data_root demo",
        f"{flag} runs/vocals runs/drums --data_root ~/musdb18hq --jobs 2",
    )


def _add_score_flags(verb: argparse._ActionsContainer) -> None:
    verb.add_argument(
        "--scores",
        type=Path,
        help=f"{_SCORES_HELP}; default: results/scores for a benchmark in a checkout of the "
        f"repository, otherwise scores",
    )
    verb.add_argument(
        "--publish",
        action="store_true",
        help="put the scores of songs that are no benchmark into results/scores too",
    )
    _add_overwrite_flag(verb)
    verb.add_argument(
        "--run",
        help="name of the score folder; default: <recipe>-seed<seed> and changed settings",
    )
    verb.add_argument("--protocol", nargs="+", help="scoring protocols; overrides the recipe")
    verb.add_argument(
        "--bsseval",
        choices=("ours", "museval"),
        default="ours",
        help="BSSEval implementation; default: ours",
    )
    verb.add_argument(
        "--no_oracles",
        action="store_true",
        help="score neither the mixture, the ratio mask nor the Wiener filter",
    )
    verb.add_argument("--estimates", type=Path, help="also write the estimates to this folder")
    verb.add_argument(
        "--remainder",
        metavar="STEM",
        help="also score STEM: the mixture minus the model's stems",
    )


def _add_overwrite_flag(verb: argparse._ActionsContainer) -> None:
    verb.add_argument(
        "--overwrite",
        action="store_true",
        help="replace scores of other weights, settings or songs under the same name",
    )


def add_paper_flags(verb: argparse._ActionsContainer, options: Sequence[Option]) -> None:
    """The flags that only this paper has; None unless they are on the command line."""
    for option in options:
        settings: dict[str, Any] = {"help": option.help, "required": option.required}
        if option.type is bool:
            settings |= {"action": "store_true", "default": None}
        else:
            settings |= {"type": option.type, "choices": option.choices}
            settings |= {"nargs": "+"} if option.several else {}
        verb.add_argument(f"--{option.name}", **settings)


def _add_model_flags(
    verb: argparse._ActionsContainer, paper: AnyPaper, default: str | None, recipes: int | str = 1
) -> None:
    """The flags that choose weights and how songs are cut.

    Args:
        verb, paper: whose flags.
        default: for ``--checkpoint``; None if there is none, so that loading refuses.
        recipes: the words after ``--recipe``: 1, or ``+``, after which no inputs may follow.
    """
    verb.add_argument(
        *paper.checkpoint_flags,
        default=None if default is None else [default],
        nargs="+",
        help="run folder, weights file, or name of a published checkpoint; several for per-stem "
        "models" + ("" if default is None else f"; default: {default}"),
    )
    verb.add_argument(
        "--recipe",
        nargs=recipes,
        help="recipe of weights that do not contain theirs, or one of the same training that "
        "separates in another way" + ("; several for per-stem models" if recipes == "+" else ""),
    )
    within = separate_flags.within
    verb.add_argument(
        "--chunk_seconds", type=within(float, 0.0), help="length of a chunk; overrides the recipe"
    )
    verb.add_argument(
        "--overlap",
        type=within(float, 0.0, 1.0),
        help="overlap of chunks, from 0 to below 1; overrides the recipe",
    )
    verb.add_argument(
        "--batch", type=within(int, 1), default=1, help="chunks per forward pass; default: 1"
    )
    verb.add_argument(
        "--device",
        type=separate_flags.device_name,
        default="auto",
        help="auto, cpu, cuda, cuda:<number> or mps; default: auto",
    )
