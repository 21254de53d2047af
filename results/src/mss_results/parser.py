"""The parser of the command: the nearest flag for one that is unknown, examples in the help."""

import argparse
import difflib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from mss_results.output import escaped


class VerbParser(argparse.ArgumentParser):
    """argparse that shows a wrong word without letting it steer the terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(escaped(message))


class Parser(VerbParser):
    """argparse that names the nearest flag for one that is unknown.

    Attributes:
        verbs: the parsers of the command's verbs, by name.
    """

    verbs: Mapping[str, argparse.ArgumentParser] = MappingProxyType({})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an unknown word is an error of the verb that it follows."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            verb = self.verbs[found.verb]
            flag = rest[0].partition("=")[0]
            near = difflib.get_close_matches(flag, verb._option_string_actions, n=1)
            meant = f", did you mean {near[0]}?" if near and flag.startswith("-") else ""
            verb.error(f"unrecognized argument: {rest[0]}{meant}")
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an empty word is an error: an empty path is the current folder."""
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


def show_examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """End the help of the command or of a verb with command lines.

    Args:
        parser: whose.
        lines: the words behind its name.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    shown = "\n".join(f"  %(prog)s {line}".rstrip() for line in lines)
    parser.epilog = f"examples:\n\n{shown}"
