"""The parser of every command: errors in one sentence, the nearest flag for one that is unknown."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from mss_shared import console


class Parser(argparse.ArgumentParser):
    """argparse that reports an error in one sentence, without the usage text.

    Attributes:
        verbs: the parsers of a command's verbs, by name.
    """

    verbs: Mapping[str, Parser] = MappingProxyType({})

    def __init__(self, **settings: Any) -> None:
        """A parser of whole flags; the settings are argparse's."""
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an unknown word is an error of the verb that it follows."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            verb = self.verbs.get(getattr(found, "verb", ""), self)
            verb.error(f"unrecognized argument: {rest[0]}{verb.nearest(rest[0])}")
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but empty words and NUL characters are errors of one sentence.

        An empty path would be the current folder.
        """
        words = sys.argv[1:] if args is None else list(args)
        for previous, word in zip(["", *words], words, strict=False):
            is_flag = word.startswith("-")
            name, equals, value = word.partition("=") if is_flag else (previous, "=", word)
            is_named = name.startswith("-") and "=" not in name
            what = f"the value of {name}" if is_named else "an argument"
            if equals and not value:
                self.error(f"{what} is empty: give one, or leave it out")
            if "\0" in word:
                self.error(f"{what} has a NUL character: write it without")
        return super().parse_known_args(words, namespace)

    def nearest(self, word: str) -> str:
        """The flag that an unknown word may mean, as the rest of a sentence; empty if none."""
        flag = word.partition("=")[0]
        if not flag.startswith("-"):
            return ""
        found = difflib.get_close_matches(flag, self._option_string_actions, n=1)
        return f", did you mean {found[0]}?" if found else ""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with code 2."""
        console.say_error(self.prog, f"{message}: see {self.prog} --help")
        raise SystemExit(2)


class Paragraphs(argparse.HelpFormatter):
    """Keeps the paragraphs of an epilog, and the lines of those that are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        return "\n\n".join(
            part
            if part.startswith(" ")
            else super(Paragraphs, self)._fill_text(part, width, indent)
            for part in parts
        )


def show_examples(parser: argparse.ArgumentParser, *lines: str, before: str = "") -> None:
    """End the help of a command or verb with command lines.

    Args:
        parser: whose.
        lines: the words behind its name.
        before: a paragraph above them.
    """
    shown = "\n".join(f"  %(prog)s {line}".rstrip() for line in lines)
    parser.epilog = f"{before}\n\nexamples:\n\n{shown}".lstrip()
