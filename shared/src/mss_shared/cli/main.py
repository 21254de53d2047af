"""The verbs of every paper's command and their flags. Loads torch only to act."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mss_shared import console
from mss_shared.cli import separate_flags
from mss_shared.paper import Option, Paper, Verb
from mss_shared.recipe import shipped_recipes

VERBS = ("demo", "fit", "separate", "evaluate", "seams", "checkpoints", "import-weights")
DEVICES = ("auto", "cpu", "cuda", "mps")
_DEVICE_HELP = "where to compute"
_DEV_MODE_HELP = "one training and one validation batch, to try the whole path"


def run(paper: Paper, words: Sequence[str] | None = None) -> None:
    """Run a paper's command line; exit code 2 for what the user got wrong.

    Without a verb, files, folders and flags are for ``separate``, as in
    ``python -m bs_roformer song.wav``.
    """
    words = list(sys.argv[1:] if words is None else words)
    own = {verb.name: verb for verb in paper.verbs}
    if words and words[0] not in (*VERBS, *own) and _is_input(words[0]):
        words = ["separate", *words]
    command = shlex.join([paper.command, *words])
    with console.one_sentence_errors(paper.command):
        if words[:1] == ["separate"]:
            words = ["separate", *separate_flags.rewrite(words[1:], paper)]
        arguments, rest = _parser(paper).parse_known_args(words)
        overrides = _overrides(paper, arguments, rest)
        _act(paper, own, arguments, overrides, command)


def _is_input(word: str) -> bool:
    """Whether a first word is for ``separate``: a flag, a path, a pattern; not a misspelt verb."""
    if word.startswith("-"):
        return word not in ("-h", "--help")
    return Path(word).exists() or any(mark in word for mark in "./*?[")


def _act(
    paper: Paper,
    own: dict[str, Verb],
    arguments: argparse.Namespace,
    overrides: list[str],
    command: str,
) -> None:
    from mss_shared.cli import checkpoints, seams, separate
    from mss_shared.cli import evaluate as verbs

    if arguments.verb == "demo":
        verbs.demo(paper, arguments, command)
    elif arguments.verb == "fit":
        verbs.fit(paper, arguments, overrides, command)
    elif arguments.verb == "separate":
        separate.separate(paper, arguments)
    elif arguments.verb == "evaluate":
        verbs.evaluate(paper, arguments, command)
    elif arguments.verb == "seams":
        seams.compare(paper, arguments)
    elif arguments.verb == "checkpoints":
        checkpoints.checkpoints(paper, arguments)
    elif arguments.verb == "import-weights":
        checkpoints.import_weights(paper, arguments)
    else:
        verbs.own(paper, own[arguments.verb], arguments)


def _overrides(paper: Paper, arguments: argparse.Namespace, rest: list[str]) -> list[str]:
    """The ``--recipe.*`` words of ``fit``, each as ``--key=value``; anything else is an error."""
    overrides = []
    words = iter(rest)
    for word in words:
        if arguments.verb != "fit" or not word.startswith("--recipe."):
            _parser(paper).error(f"unrecognized argument: {word}")
        if "=" not in word:
            value = next(words, None)
            if value is None:
                _parser(paper).error(f"{word} needs a value")
            word = f"{word}={value}"
        overrides.append(word)
    return overrides


class _Parser(argparse.ArgumentParser):
    """argparse with one sentence instead of the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and leave with exit code 2."""
        print(f"{self.prog}: error: {message}: see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def _parser(paper: Paper) -> _Parser:
    parser = _Parser(
        prog=paper.command,
        allow_abbrev=False,
        description=f"Train, apply and score {paper.name}.",
        epilog=f"Recipes: {', '.join(path.stem for path in shipped_recipes(paper.name))}.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    _demo_options(_verb(verbs, "demo", "train, separate and score on the generated demo set"))
    _fit_options(_verb(verbs, "fit", "train by a recipe"))
    _separate_options(_verb(verbs, "separate", "split sound files into stems"), paper)
    _evaluate_options(_verb(verbs, "evaluate", "score a checkpoint on test tracks"), paper)
    _seams_options(_verb(verbs, "seams", "compare songs in chunks with songs at once"), paper)
    _checkpoints_options(_verb(verbs, "checkpoints", "list or fetch published weights"))
    _import_options(
        _verb(verbs, "import-weights", "turn others' weights into a file of ours"), paper
    )
    for own in paper.verbs:
        _own_options(_verb(verbs, own.name, own.help), own.options)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[_Parser], name: str, what: str
) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=what, description=f"{name}: {what}.", allow_abbrev=False)


def _demo_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, default=Path("demo_run"), help="run folder, made anew")
    verb.add_argument("--scores", type=Path, help="score folders' root; OUT/scores if not given")
    verb.add_argument("--data_root", default="demo", help="demo, demo:tiny or demo:full")
    verb.add_argument("--seed", type=int, help="instead of the recipe's")
    verb.add_argument("--device", choices=DEVICES, default="auto", help=_DEVICE_HELP)
    verb.add_argument("--dev_mode", action="store_true", help=_DEV_MODE_HELP)


def _fit_options(verb: argparse.ArgumentParser) -> None:
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


def _separate_options(verb: argparse.ArgumentParser, paper: Paper) -> None:
    separate_flags.add_input_flags(verb)
    separate_flags.add_output_flags(verb, paper.filename)
    _model_options(verb, paper, paper.default_checkpoint)
    _config_option(verb, paper)
    separate_flags.add_quality_flags(verb)
    _own_options(verb, (*paper.options, *paper.separate_options))
    verb.epilog = separate_flags.describe_aliases(paper.aliases)


def _seams_options(verb: argparse.ArgumentParser, paper: Paper) -> None:
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
    _model_options(verb, paper, paper.default_checkpoint)
    _own_options(verb, paper.options)


def _checkpoints_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "words",
        nargs="*",
        metavar="[list|fetch] NAME",
        help="names of published weights; to list, all if none is given",
    )
    verb.add_argument("--json", action="store_true", help="print JSON alone")


def _import_options(verb: argparse.ArgumentParser, paper: Paper) -> None:
    verb.add_argument("file", type=Path, help="a weights file of others")
    verb.add_argument("--recipe", help="the recipe it belongs to; found by its shapes if not given")
    _config_option(verb, paper)
    verb.add_argument("--out", type=Path, help="a .safetensors file; beside the other if not given")


def _config_option(verb: argparse.ArgumentParser, paper: Paper) -> None:
    if paper.open_configured is not None:
        verb.add_argument("--config_path", type=Path, help="others' YAML of the weights")


def _evaluate_options(verb: argparse.ArgumentParser, paper: Paper) -> None:
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
    _model_options(verb, paper, None)
    _config_option(verb, paper)
    separate_flags.add_context_flag(verb)
    _own_options(verb, paper.options)


def _own_options(verb: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """The flags that only this paper has; they are None unless given."""
    for option in options:
        settings: dict[str, Any] = {"help": option.help, "required": option.required}
        if option.type is bool:
            settings |= {"action": "store_true", "default": None}
        else:
            settings |= {"type": option.type, "choices": option.choices}
            settings |= {"nargs": "+"} if option.several else {}
        verb.add_argument(f"--{option.name}", **settings)


def _model_options(verb: argparse.ArgumentParser, paper: Paper, default: str | None) -> None:
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
