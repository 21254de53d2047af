"""Which commands of ours are installed, and what each of them parses; imports no torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NoReturn


class _Reached(BaseException):
    """Ends a command where it would parse its words."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def installed_commands() -> dict[str, str]:
    """Every command that our installed distributions have -> its ``module:function``."""
    found = entry_points(group="console_scripts")
    ours = [each for each in found if each.dist is not None and each.dist.name.startswith("mss-")]
    return {each.name: each.value for each in sorted(ours, key=lambda each: each.name)}


def find_parser(command: str, entry: str, words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser that a command makes for these words, as it would parse them.

    Args:
        command: its name.
        entry: its ``module:function``.
        words: those behind the name.
    """

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        raise _Reached(parser)

    module, _, function = entry.partition(":")
    main = getattr(import_module(module), function)
    kept, given = argparse.ArgumentParser.parse_known_args, sys.argv
    argparse.ArgumentParser.parse_known_args, sys.argv = stop, [command, *words]  # type: ignore[method-assign, assignment]
    try:
        main()
    except _Reached as reached:
        return reached.parser
    finally:
        argparse.ArgumentParser.parse_known_args, sys.argv = kept, given  # type: ignore[method-assign]
    raise AssertionError(f"{command} parses no words")


def find_verbs(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The verbs of a parser, in its order; none if it has flags alone."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}
