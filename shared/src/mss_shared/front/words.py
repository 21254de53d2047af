"""From Python's keywords to the words of a command line, and from its errors back to Python's.

So every keyword is a flag of the command, with the same checks, and a run from Python records the
command that does the same. Imports no torch.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from mss_shared.cli.main import command_parser
from mss_shared.cli.parser import Parser
from mss_shared.cli.separate_flags import OPTIONAL
from mss_shared.paper import AnyPaper
from mss_shared.recipe import values_named

PathLike: TypeAlias = str | os.PathLike[str]
_FLAG = re.compile(r"--(?=[a-z])")


class _Raising(Parser):
    """A parser whose errors are ValueErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise what would be printed."""
        raise ValueError(message)


def parse(paper: AnyPaper, words: Sequence[str]) -> argparse.Namespace:
    """The flags of a command line, without values of the recipe.

    Raises:
        ValueError: if a flag is unknown or a value out of range.
    """
    found: argparse.Namespace = command_parser(paper, _Raising).parse_args(words)
    return found


def flag_words(paper: AnyPaper, verb: str, keywords: Mapping[str, Any]) -> list[str]:
    """The words of keywords: ``stems=["vocals"], lossless=True`` as ``--stems vocals ...``.

    Args:
        paper: the package.
        verb: whose flags they are.
        keywords: values by the flags' names; None and False stand for a flag that is not there,
            True for one without a value.

    Raises:
        ValueError: if the verb has no such flag, naming the closest.
    """
    flags = _flags(paper, verb)
    words: list[str] = []
    for name, value in keywords.items():
        if name not in flags:
            sections = {field.name: None for field in fields(paper.recipe_type)}
            known = {**flags, **sections} if verb == "fit" else flags
            close = difflib.get_close_matches(name, known, 1)
            kind = paper.recipe_type
            values = values_named(kind, name, nearly=not close) if verb == "fit" else []
            raise ValueError(_unknown(verb, name, known, values))
        option = flags[name].option_strings[-1]
        if value is None or value is False:
            continue
        if value is True:
            words.append(f"{option}={OPTIONAL[option][0]}" if option in OPTIONAL else option)
        elif flags[name].nargs in ("+", 1):
            several = [value] if isinstance(value, str | os.PathLike | int | float) else value
            words += [option, *map(_word, several)]
        else:
            words.append(f"{option}={_word(value)}")
    return words


def recipe_words(recipe_type: type, changes: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Split keywords into values of a recipe and flags.

    Args:
        recipe_type: the paper's Recipe dataclass.
        changes: the sections of a recipe, each a mapping from names to values, and flags.

    Returns:
        Words such as ``--recipe.training.lr=1.0e-3``, and the flags by name.

    Raises:
        ValueError: if a section is no mapping.
    """
    sections = {field.name for field in fields(recipe_type)}
    words: list[str] = []
    for name in [name for name in changes if name in sections and name != "reproduces"]:
        if not isinstance(changes[name], Mapping):
            raise ValueError(
                f"{name} is {changes[name]!r}: pass the values to change by name, as in "
                f'{name}={{"...": ...}}'
            )
        words += _leaf_words(f"--recipe.{name}", changes[name])
    return words, {name: value for name, value in changes.items() if name not in sections}


def input_words(inputs: PathLike | Sequence[PathLike]) -> list[str]:
    """Files, folders and patterns as words that no parser takes for flags."""
    several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    names = [os.fspath(each) for each in several]
    return [os.path.join(".", name) if name.startswith("-") else name for name in names]


@contextmanager
def python_errors() -> Iterator[None]:
    """Errors of the command line as those of Python: flags are keywords, without dashes."""
    try:
        yield
    except (ValueError, FileNotFoundError, ImportError) as error:
        text = _FLAG.sub("", str(error))
        if len(error.args) != 1 or text == str(error):
            raise
        kinds = (FileNotFoundError, ModuleNotFoundError, ImportError, ValueError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(text) from error


def _flags(paper: AnyPaper, verb: str) -> dict[str, argparse.Action]:
    [verbs] = [
        action
        for action in command_parser(paper)._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return {
        action.dest: action
        for action in verbs.choices[verb]._actions
        if action.option_strings and action.dest != "help"
    }


def _unknown(verb: str, name: str, known: Mapping[str, Any], values: Sequence[str] = ()) -> str:
    if values:  # of the recipe, as training.lr
        parts = [value.split(".") for value in values]
        meant = " or ".join(f'{section}={{"{leaf}": ...}}' for section, leaf in parts)
        return f"{verb} has no option {name!r}: did you mean {meant}?"
    close = difflib.get_close_matches(name, known, 1)
    return f"{verb} has no option {name!r}: " + (
        f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
    )


def _word(value: Any) -> str:
    return os.fspath(value) if isinstance(value, Path) else str(value)


def _leaf_words(prefix: str, values: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            words += _leaf_words(f"{prefix}.{name}", value)
        else:
            plain = [*value] if isinstance(value, tuple) else value
            text = yaml.safe_dump(plain, default_flow_style=True, width=2**20, allow_unicode=True)
            words.append(
                f"{prefix}.{name}={text.removesuffix(chr(10)).removesuffix('...').strip()}"
            )
    return words
