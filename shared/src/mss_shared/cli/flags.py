"""The flags of every verb. Loads no torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mss_shared.cli import separate_flags
from mss_shared.paper import AnyPaper, Option

DEVICES = ("auto", "cpu", "cuda", "mps")
_DEVICE_HELP = "where to compute"
_DEV_MODE_HELP = "one training and one validation batch, to try the whole path"


def add_demo_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, default=Path("demo_run"), help="run folder, made anew")
    verb.add_argument("--scores", type=Path, help="score folders' root; OUT/scores if not given")
    verb.add_argument("--data_root", default="demo", help="demo, demo:tiny or demo:full")
    verb.add_argument("--seed", type=int, help="instead of the recipe's")
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument("--dev_mode", action="store_true", help=_DEV_MODE_HELP)


def add_fit_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--recipe",
        required=True,
        nargs="+",
        help="name of a shipped recipe, or a YAML file; several are trained in turn",
    )
    verb.add_argument("--data_root", required=True, help="demo, or a folder with train/ and test/")
    verb.add_argument(
        "--out",
        type=Path,
        help="run folder, or with several recipes the folder of theirs; runs/<recipe> if not given",
    )
    verb.add_argument("--resume", action="store_true", help="go on from OUT/last.ckpt")
    verb.add_argument("--seed", type=int, help="instead of the recipe's")
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument("--devices", type=int, default=0, help="how many; all, or one CPU process")
    verb.add_argument("--num_nodes", type=int, default=1, help="machines, under torchrun or SLURM")
    verb.add_argument("--workers", type=int, help="processes that read excerpts")
    verb.add_argument("--micro_batch", type=int, help="examples per device and pass")
    verb.add_argument("--logger", choices=("tensorboard", "wandb"), default="tensorboard")
    verb.add_argument(
        "--save_top_k", type=int, default=0, help="keep the weights of so many best epochs as well"
    )
    verb.add_argument("--dev_mode", action="store_true", help=_DEV_MODE_HELP)
    verb.add_argument(
        "--deterministic", action="store_true", help="only operations that repeat to the bit"
    )
    verb.epilog = (
        "Any value of the recipe can be changed, for instance --recipe.training.lr 1.0e-3; the "
        "run is then marked as not verbatim."
    )


def add_separate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    separate_flags.add_input_flags(verb)
    separate_flags.add_output_flags(verb, paper.filename)
    _add_model_flags(verb, paper, paper.default_checkpoint)
    _add_config_flag(verb, paper)
    separate_flags.add_quality_flags(verb)
    add_own_flags(verb, (*paper.options, *paper.separate_options))
    verb.epilog = separate_flags.describe_aliases(paper.aliases)


def add_seams_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("inputs", nargs="+", type=Path, help="sound files")
    verb.add_argument(
        "--contexts",
        nargs="+",
        type=float,
        default=[0.0, 0.25, 0.5, 1.0],
        help="seconds heard on both sides of a chunk and thrown away",
    )
    verb.add_argument("--start", type=float, default=0.0, help="skip so many seconds")
    verb.add_argument("--duration", type=float, default=60.0, help="compare so many seconds")
    verb.add_argument("--json", action="store_true", help="print JSON alone")
    _add_model_flags(verb, paper, paper.default_checkpoint)
    add_own_flags(verb, paper.options)


def add_checkpoints_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "words",
        nargs="*",
        metavar="[list|fetch] NAME",
        help="names of published weights; to list, all if none is given",
    )
    verb.add_argument("--json", action="store_true", help="print JSON alone")


def add_import_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("file", type=Path, help="a weights file of others")
    verb.add_argument("--recipe", help="the recipe it belongs to; found by its shapes if not given")
    _add_config_flag(verb, paper)
    verb.add_argument("--out", type=Path, help="a .safetensors file; beside the other if not given")


def _add_config_flag(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    if paper.opens_configured:
        verb.add_argument("--config_path", type=Path, help="others' YAML of the weights")


def add_evaluate_flags(verb: argparse.ArgumentParser, paper: AnyPaper) -> None:
    verb.add_argument("--data_root", required=True, help="demo, or a folder with test/")
    verb.add_argument("--scores", type=Path, default=Path("results/scores"))
    verb.add_argument("--run", help="name of the score folder; the recipe's and seed if not given")
    verb.add_argument("--protocol", nargs="+", help="instead of the recipe's")
    verb.add_argument(
        "--bsseval", choices=("ours", "museval"), default="ours", help="who computes BSSEval"
    )
    verb.add_argument("--estimates", type=Path, help="write the estimates to this folder as well")
    verb.add_argument(
        "--remainder",
        metavar="STEM",
        help="one more stem: what those of the model leave of the mixture",
    )
    _add_model_flags(verb, paper, None)
    _add_config_flag(verb, paper)
    separate_flags.add_context_flag(verb)
    add_own_flags(verb, paper.options)


def add_own_flags(verb: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """The flags that only this paper has; they are None unless given."""
    for option in options:
        settings: dict[str, Any] = {"help": option.help, "required": option.required}
        if option.type is bool:
            settings |= {"action": "store_true", "default": None}
        else:
            settings |= {"type": option.type, "choices": option.choices}
            settings |= {"nargs": "+"} if option.several else {}
        verb.add_argument(f"--{option.name}", **settings)


def _add_model_flags(verb: argparse.ArgumentParser, paper: AnyPaper, default: str | None) -> None:
    verb.add_argument(
        *paper.checkpoint_flags,
        required=default is None,
        default=None if default is None else [default],
        nargs="+",
        help="run folder, weights file, or name of a published checkpoint; several for per-stem "
        "models" + ("" if default is None else f"; {default} if not given"),
    )
    verb.add_argument("--recipe", help="for weights that do not carry their recipe")
    within = separate_flags.within
    verb.add_argument("--chunk_seconds", type=within(float, 0.0), help="instead of the recipe's")
    verb.add_argument(
        "--overlap", type=within(float, 0.0, 1.0), help="instead of the recipe's, 0 to below 1"
    )
    verb.add_argument("--batch", type=within(int, 1), default=1, help="pieces per pass")
    verb.add_argument(
        "--device",
        type=separate_flags.device_name,
        default="auto",
        help="auto, cpu, cuda, cuda:<number> or mps",
    )
