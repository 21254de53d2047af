"""A page for each command, written from the parser that the command runs with."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mss_shared.cli.commands import find_parser, find_verbs

WIDE = partial(argparse.HelpFormatter, width=78)
PLAIN_GROUPS = {"positional arguments": "Arguments", "options": "Flags"}


def find_commands(root: Path) -> dict[str, str]:
    """Every command that the repository's distributions install -> its ``module:function``."""
    projects = sorted([*root.glob("*/pyproject.toml"), *root.glob("*/*/pyproject.toml")])
    commands: dict[str, str] = {}
    for path in projects:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        commands |= project.get("scripts", {})
    return dict(sorted(commands.items()))


def command_page(command: str, entry: str) -> str:
    """The page of a command: usage, arguments and flags of each of its verbs, as Markdown."""
    parser = find_parser(command, entry)
    lines = [f"# {command}", "", *_paragraphs(parser.description)]
    verbs = find_verbs(parser)
    if not verbs:
        lines += _usage_and_flags(parser)
    lines += _paragraphs((parser.epilog or "").replace("%(prog)s", command))
    for name in verbs:
        # Made for this very verb: the flags of a plugin are added to no other.
        verb = find_verbs(find_parser(command, entry, [name]))[name]
        lines += [f"## {name}", "", *_paragraphs(verb.description or _summary(parser, name))]
        epilog = (verb.epilog or "").replace("%(prog)s", verb.prog)
        lines += [*_usage_and_flags(verb), *_paragraphs(epilog)]
    return "\n".join(lines)


def _summary(parser: argparse.ArgumentParser, name: str) -> str:
    """What a command's own help says about one of its verbs."""
    for action in parser._actions:
        for choice in getattr(action, "_choices_actions", ()):
            if choice.dest == name:
                return f"{choice.help[0].upper()}{choice.help[1:]}."
    return ""


def _usage_and_flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = WIDE(parser.prog)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    usage = formatter.format_help().strip().removeprefix("usage: ")
    yield from ("```text", *(line.removeprefix(" " * 7) for line in usage.splitlines()), "```", "")
    for group in parser._action_groups:
        shown = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
        shown = [each for each in shown if not isinstance(each, argparse._HelpAction)]
        if shown:
            title = group.title or "Flags"
            yield from (f"**{_escape(PLAIN_GROUPS.get(title, title.capitalize()))}**", "")
        for action in shown:
            words = formatter._format_action_invocation(action)
            text = formatter._expand_help(action) if action.help else "(see above)"
            yield from (f"`{words}`", f": {_escape(' '.join(text.split()))}", "")


def _paragraphs(text: str | None) -> Iterator[str]:
    """A parser's text as paragraphs of Markdown; indented ones are commands."""
    for paragraph in (text or "").rstrip().split("\n\n"):
        if paragraph.startswith(" "):
            yield from ("```sh", *(line.strip() for line in paragraph.splitlines()), "```", "")
        elif paragraph.strip():
            yield from (_escape(" ".join(paragraph.split())), "")


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)
