"""The flags of ``fit``. Imports no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from mss_shared.cli import data_flags, separate_flags
from mss_shared.cli.start_flags import add_start_flags

DEVICES = ("auto", "cpu", "cuda", "mps")
DEVICE_HELP = "device to run on; default: auto"
DEV_MODE_HELP = "run one small training and validation batch, to check the whole pipeline"
SEED_HELP = "random seed; overrides the recipe"


def add_fit_flags(verb: argparse.ArgumentParser) -> None:
    verb.usage = (
        "%(prog)s --recipe NAME --data_root ROOT [--out RUN] [--recipe.KEY VALUE] [flag ...]"
    )
    group = verb.add_argument_group("what is trained")
    recipe = group.add_mutually_exclusive_group(required=True)
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
    add_start_flags(group)
    songs = verb.add_argument_group("songs")
    songs.add_argument(
        "--data_root",
        nargs="+",
        action="extend",
        help="demo, or a folder with train/ and test/; several are trained on together",
    )
    data_flags.add_reading_flags(songs)
    _add_run_flags(verb.add_argument_group("the run"))
    _add_machine_flags(verb.add_argument_group("machine"))
    _add_cost_flags(verb.add_argument_group("cost"))
    verb.epilog = (
        "Any value of the recipe can be overridden; the run is then recorded as not verbatim.\n\n"
        "examples:\n\n"
        "  %(prog)s --recipe demo --data_root demo --out runs/first\n"
        "  %(prog)s --recipe demo --data_root demo --out runs/first --resume\n"
        "  %(prog)s --recipe demo --data_root ~/songs --recipe.training.lr 1.0e-3\n"
        "  %(prog)s --recipe demo --plan"
    )


def _add_run_flags(verb: argparse._ActionsContainer) -> None:
    verb.add_argument(
        "--out",
        type=Path,
        help="run folder, or the parent of several recipes' run folders; default: runs/<recipe>, "
        "or RUN-continued",
    )
    verb.add_argument("--resume", action="store_true", help="resume from OUT/last.ckpt")
    verb.add_argument("--seed", type=int, help=SEED_HELP)
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
    verb.add_argument("--dev_mode", action="store_true", help=DEV_MODE_HELP)


def _add_machine_flags(verb: argparse._ActionsContainer) -> None:
    verb.add_argument("--device", choices=DEVICES, default="auto", help=DEVICE_HELP)
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
        "--deterministic", action="store_true", help="use only deterministic operations"
    )


def _add_cost_flags(verb: argparse._ActionsContainer) -> None:
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
