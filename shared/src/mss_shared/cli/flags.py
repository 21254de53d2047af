"""The flags of every verb. Imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mss_shared.cli import data_flags, separate_flags, shard_flags
from mss_shared.cli.budget import parse_budget
from mss_shared.cli.start_flags import add_start_flags
from mss_shared.paper import AnyPaper, Option

DEVICES = ("auto", "cpu", "cuda", "mps")
_DEVICE_HELP = "device to run on; default: auto"
_DEV_MODE_HELP = "run one small training and validation batch, to check the whole pipeline"

_SEED_HELP = "random seed; overrides the recipe"
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
    verb.add_argument("--seed", type=int, help=_SEED_HELP)
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument("--dev_mode", action="store_true", help=_DEV_MODE_HELP)


def add_fit_flags(verb: argparse.ArgumentParser) -> None:
    recipe = verb.add_mutually_exclusive_group(required=True)
    recipe.add_argument(
        "--recipe",
        nargs="+",
        help="name of a shipped recipe, or a YAML file; several are trained one after another",
    )
    recipe.add_argument(
        "--continue",
        dest="parent",
        metavar="RUN",
        help="go on from a run folder as another run, with its recipe and any changed values",
    )
    verb.add_argument(
        "--data_root",
        nargs="+",
        action="extend",
        help="demo, or a folder with train/ and test/; several are trained on together",
    )
    data_flags.add_reading_flags(verb)
    verb.add_argument(
        "--out",
        type=Path,
        help="run folder, or the parent of several recipes' run folders; default: runs/<recipe>, "
        "or RUN-continued",
    )
    add_start_flags(verb)
    verb.add_argument("--resume", action="store_true", help="resume from OUT/last.ckpt")
    verb.add_argument("--seed", type=int, help=_SEED_HELP)
    _add_machine_flags(verb)
    _add_cost_flags(verb)
    verb.epilog = (
        "Any value of the recipe can be overridden, for example --recipe.training.lr 1.0e-3; the "
        "run is then recorded as not verbatim."
    )


def _add_machine_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument(
        "--devices",
        type=int,
        default=0,
        help="number of devices; default: all GPUs, or one CPU process",
    )
    verb.add_argument(
        "--num_nodes", type=int, default=1, help="number of machines, under torchrun or SLURM"
    )
    verb.add_argument("--workers", type=int, help="data-loading processes")
    verb.add_argument(
        "--decode_flac",
        action="store_true",
        help="decode flac files to wav in the user's cache first, to read them faster",
    )
    verb.add_argument(
        "--micro_batch",
        type=int,
        help="examples per device and forward pass; gradients accumulate to the recipe's batch",
    )
    verb.add_argument(
        "--logger",
        choices=("tensorboard", "wandb"),
        default="tensorboard",
        help="logger besides metrics.csv; default: tensorboard",
    )
    verb.add_argument(
        "--save_top_k",
        type=int,
        default=0,
        metavar="K",
        help="also keep the checkpoints of the K best epochs",
    )
    verb.add_argument(
        "--save_minutes",
        type=float,
        metavar="M",
        help="also save within an epoch, every M minutes, for --resume",
    )
    verb.add_argument(
        "--validate_first", action="store_true", help="also validate before the first step"
    )
    verb.add_argument("--dev_mode", action="store_true", help=_DEV_MODE_HELP)
    verb.add_argument(
        "--deterministic", action="store_true", help="use only deterministic operations"
    )


def add_reproduce_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("row", help="a claimed row, as recipes name it in reproduces")
    verb.add_argument("--data_root", required=True, help="demo, or a folder with train/ and test/")
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
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument("--workers", type=int, help="data-loading processes of each run")
    verb.add_argument("--micro_batch", type=int, help="of each run, as in fit")
    verb.add_argument(
        "--checkpoint_activations", action="store_true", help="in each run, as in fit"
    )
    verb.add_argument(
        "--jobs", type=shard_flags.count, default=1, help="scoring processes; default: 1"
    )
    verb.epilog = "Run an interrupted command again to resume it; it trains what is not done."


def _add_cost_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--checkpoint_activations",
        action="store_true",
        help="compute activations again for gradients: the same numbers in less memory, more time",
    )
    verb.add_argument(
        "--ignore_memory",
        action="store_true",
        help="begin even if a step seems not to fit into the memory that is free",
    )
    verb.add_argument(
        "--plan",
        action="store_true",
        help="print what the run would cost and do not train; without --data_root for songs as "
        "many and as long as those of MUSDB18",
    )
    verb.add_argument(
        "--step_seconds",
        type=separate_flags.within(float, 1e-6),
        help="with --plan: duration of a step, for the hours of the run; default: measured, if a "
        "step is small",
    )


def add_separate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    separate_flags.add_input_flags(verb)
    separate_flags.add_output_flags(verb, paper.filename)
    _add_model_flags(verb, paper, paper.default_checkpoint)
    _add_config_flag(verb, paper)
    separate_flags.add_quality_flags(verb)
    add_paper_flags(verb, (*paper.options, *paper.separate_options))
    verb.epilog = separate_flags.describe_aliases(paper.aliases)


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


def add_recipe_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "words",
        nargs="+",
        metavar="show NAME | diff A B",
        help="names of shipped recipes, or YAML files",
    )
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)


def add_doctor_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--offline", action="store_true", help="do not ask hosts for an answer")
    verb.add_argument("--json", action="store_true", help=_JSON_HELP)


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


def _add_config_flag(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    if paper.opens_configured:
        verb.add_argument(
            "--config_path", type=Path, help="YAML configuration published with the weights"
        )


def add_evaluate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("--data_root", required=True, help="demo, or a folder with test/")
    data_flags.add_reading_flags(verb)
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
        "--split",
        choices=("train", "valid", "test"),
        default="test",
        help="which tracks; scores of others than test go under <data set>-<split>; default: test",
    )
    verb.add_argument(
        "--jobs", type=shard_flags.count, default=1, help="scoring processes; default: 1"
    )
    verb.add_argument(
        "--no_oracles",
        action="store_true",
        help="score neither the mixture, the ratio mask nor the Wiener filter",
    )
    shard_flags.add_shard_flags(verb)
    verb.add_argument("--estimates", type=Path, help="also write the estimates to this folder")
    verb.add_argument(
        "--remainder",
        metavar="STEM",
        help="also score STEM: the mixture minus the model's stems",
    )
    _add_model_flags(verb, paper, None, recipes="+")
    _add_config_flag(verb, paper)
    separate_flags.add_context_flag(verb)
    add_paper_flags(verb, paper.options)


def _add_overwrite_flag(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--overwrite",
        action="store_true",
        help="replace scores of other weights, settings or songs under the same name",
    )


def add_paper_flags(verb: argparse.ArgumentParser, options: Sequence[Option]) -> None:
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
    verb: argparse.ArgumentParser, paper: AnyPaper, default: str | None, recipes: int | str = 1
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
