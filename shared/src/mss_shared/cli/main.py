"""The verbs of every paper's command line. Imports torch only to run one, not for ``--help``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mss_shared import console
from mss_shared.cli import separate_flags
from mss_shared.cli.card_flags import add_card_flags
from mss_shared.cli.fit_flags import add_fit_flags
from mss_shared.cli.flags import (
    add_checkpoints_flags,
    add_demo_flags,
    add_doctor_flags,
    add_evaluate_flags,
    add_import_flags,
    add_paper_flags,
    add_recipe_flags,
    add_reproduce_flags,
    add_seams_flags,
    add_separate_flags,
)
from mss_shared.cli.parser import Paragraphs, Parser, show_examples
from mss_shared.collector import end_without_collection, lasting_imports
from mss_shared.paper import AnyPaper, Verb
from mss_shared.recipe import shipped_recipes, values_named

VERBS = (
    *("demo", "fit", "reproduce", "separate", "evaluate", "seams", "checkpoints"),
    *("import-weights", "recipe", "card", "doctor"),
)


def run_words(paper: AnyPaper, words: Sequence[str] | None = None) -> None:
    """Parse a command line and run its verb; see `mss_shared.cli.run`."""
    if words is None:  # the whole program is this command
        words = sys.argv[1:]
        end_without_collection()
    words = list(words)
    paper_verbs = {verb.name: verb for verb in paper.verbs}
    if words and words[0] not in (*VERBS, *paper_verbs) and _is_input(words[0]):
        words = ["separate", *words]
    command = shlex.join([paper.command, *words])
    with console.one_sentence_errors(paper.command):
        if words[:1] == ["separate"]:
            words = ["separate", *separate_flags.rewrite(words[1:], paper)]
        parser = command_parser(paper)
        arguments, rest = parser.parse_known_args(words)
        overrides = _overrides(paper, parser.verbs[arguments.verb], arguments, rest)
        _run_verb(paper, paper_verbs, arguments, overrides, command)


def _is_input(word: str) -> bool:
    """Whether a first word is a flag, path or pattern of ``separate``, not a misspelt verb."""
    if word.startswith("-"):
        return word not in ("-h", "--help")
    return Path(word).exists() or any(mark in word for mark in "./*?[")


def _run_verb(
    paper: AnyPaper,
    paper_verbs: dict[str, Verb],
    arguments: argparse.Namespace,
    overrides: list[str],
    command: str,
) -> None:
    """Run a verb. Only its own modules are imported: those of ``evaluate`` take a second."""
    if arguments.verb in ("demo", "fit"):
        from mss_shared.cli import train

        if arguments.verb == "demo":
            train.demo(paper, arguments, command)
        else:
            train.fit(paper, arguments, overrides, command)
    elif arguments.verb == "reproduce":
        from mss_shared.cli import reproduce

        reproduce.reproduce(paper, arguments, command)
    elif arguments.verb == "separate":
        with lasting_imports():  # sound as soon as possible
            from mss_shared.cli import separate

        separate.separate(paper, arguments)
    elif arguments.verb == "seams":
        from mss_shared.cli import seams

        seams.compare(paper, arguments)
    elif arguments.verb in ("checkpoints", "import-weights"):
        from mss_shared.cli import checkpoints

        listing = arguments.verb == "checkpoints"
        (checkpoints.checkpoints if listing else checkpoints.import_weights)(paper, arguments)
    elif arguments.verb == "recipe":
        from mss_shared.cli import recipes

        recipes.show_or_compare(paper, arguments)
    elif arguments.verb == "doctor":
        from mss_shared.cli import doctor

        doctor.show(paper, arguments)
    elif arguments.verb == "card":
        from mss_shared.cli import card

        card.card(paper, arguments)
    else:
        _evaluate(paper, paper_verbs, arguments, command)


def _evaluate(
    paper: AnyPaper, paper_verbs: dict[str, Verb], arguments: argparse.Namespace, command: str
) -> None:
    """``evaluate``, or a verb of the paper's own."""
    from mss_shared.cli import evaluate

    if arguments.verb == "evaluate":
        evaluate.evaluate(paper, arguments, command)
    else:
        evaluate.run_paper_verb(paper, paper_verbs[arguments.verb], arguments)


def _overrides(
    paper: AnyPaper, verb: Parser, arguments: argparse.Namespace, rest: list[str]
) -> list[str]:
    """The ``--recipe.*`` words of ``fit``, each as ``--key=value``; anything else is an error."""
    overrides = []
    words = iter(rest)
    for word in words:
        if arguments.verb != "fit" or not word.startswith("--recipe."):
            meant = verb.nearest(word)
            if arguments.verb == "fit" and word.startswith("--"):
                name = word[2:].partition("=")[0]
                values = values_named(paper.recipe_type, name, nearly=not meant)
                choices = " or ".join(f"--recipe.{value}" for value in values)
                meant = f", did you mean {choices}?" if values else meant
            verb.error(f"unrecognized argument: {word}{meant}")
        if "=" not in word:
            value = next(words, None)
            if value is None:
                verb.error(f"{word} needs a value")
            word = f"{word}={value}"
        overrides.append(word)
    return overrides


def command_parser(paper: AnyPaper, kind: type[Parser] = Parser) -> Parser:
    """The parser of a paper's command line; ``kind`` says what becomes of errors."""
    parser = kind(
        prog=paper.command,
        description=f"Train {paper.name}, separate songs with it, and score the results.",
        formatter_class=Paragraphs,
    )
    weights = "" if paper.default_checkpoint else f" {paper.checkpoint_flags[0]} demo_run"
    show_examples(
        parser,
        *("demo", f"song.wav{weights} --out stems", "doctor"),
        before="%(prog)s VERB --help lists the flags of a verb.",
    )
    names = ", ".join(path.stem for path in shipped_recipes(paper.name))
    parser.epilog = f"{parser.epilog}\n\nrecipes: {names}"
    verbs = parser.add_subparsers(
        dest="verb", required=True, parser_class=kind, metavar="VERB", title="verbs"
    )
    add_demo_flags(_verb(verbs, "demo", "train, separate and score on the generated demo set"))
    add_fit_flags(_verb(verbs, "fit", "train a model from a recipe"))
    add_reproduce_flags(_verb(verbs, "reproduce", "train and score a claimed row of a table"))
    add_separate_flags(_verb(verbs, "separate", "split audio files into stems"), paper)
    add_evaluate_flags(_verb(verbs, "evaluate", "score a checkpoint on the test tracks"), paper)
    add_seams_flags(
        _verb(verbs, "seams", "compare chunked separation with that of the whole song"), paper
    )
    add_checkpoints_flags(_verb(verbs, "checkpoints", "list or download published weights"))
    add_import_flags(
        _verb(verbs, "import-weights", "convert third-party weights to .safetensors with a recipe"),
        paper,
    )
    add_recipe_flags(_verb(verbs, "recipe", "show a recipe with its sources, or compare two"))
    add_card_flags(_verb(verbs, "card", "write weights, settings and scores for a model hub"))
    add_doctor_flags(_verb(verbs, "doctor", "say what is installed, missing, free and reachable"))
    for verb in paper.verbs:
        add_paper_flags(_verb(verbs, verb.name, verb.help), verb.options)
    parser.verbs = verbs.choices
    return parser


def _verb(
    verbs: argparse._SubParsersAction[Parser], name: str, summary: str
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}."
    return verbs.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=Paragraphs,
    )
