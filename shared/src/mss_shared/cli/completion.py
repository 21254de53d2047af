"""``python -m mss_shared.cli.completion``: a script that completes our commands in bash and zsh.

It is written from the parsers of all commands that are installed, so that a shell needs no Python
to complete: verbs, flags, their choices, names of recipes and published weights, values of
recipes as ``--recipe.training.lr``; files otherwise.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO

from mss_shared.cli.commands import find_parser, find_verbs, installed_commands
from mss_shared.cli.parser import Parser
from mss_shared.evaluation.protocols import PROTOCOLS

# The words of `_mss_words` are given by command, verb, and what stands before: a flag, "FLAG+"
# behind the first value of one that takes several, "-" for the flags themselves, or nothing.
_SCRIPT = """\
# Completion of {commands} for bash and zsh.
# Written by python -m mss_shared.cli.completion; write it again after an installation.
if [ -n "${{ZSH_VERSION-}}" ]; then
    type compdef >/dev/null 2>&1 || {{ autoload -U +X compinit && compinit; }}
    autoload -U +X bashcompinit && bashcompinit
fi

_mss_words() {{
    case "$1 $2 $3" in
{cases}
    esac
}}

_mss_complete() {{
    local command="${{COMP_WORDS[0]##*/}}" current="${{COMP_WORDS[COMP_CWORD]}}"
    local verb="" before="" word at
    for ((at = 1; at < COMP_CWORD; at++)); do
        word="${{COMP_WORDS[at]}}"
        case "$word" in
            =) ;;
            -*) before="$word" ;;
            *)
                [ "$at" = 1 ] && verb="$word"
                before="${{before:+${{before%+}}+}}"
                ;;
        esac
    done
    case "$current" in
        =) current="" ;;
        --recipe.*) before="--recipe." ;;
        -*) before="-" ;;
    esac
    COMPREPLY=($(compgen -W "$(_mss_words "$command" "$verb" "$before")" -- "$current"))
}}

complete -o default -F _mss_complete {commands}
"""
_DATA_ROOTS = ("demo", "musdb18_7s")


def script(commands: Mapping[str, str]) -> str:
    """The text to source in a shell.

    Args:
        commands: each command's ``module:function``.
    """
    cases = [case for name, entry in commands.items() for case in _cases(name, entry)]
    names = " ".join(shlex.quote(name) for name in commands)
    return _SCRIPT.format(commands=names, cases="\n".join(cases))


def _cases(command: str, entry: str) -> Iterator[str]:
    """The lines of a command: those of each verb, then those of words without a verb."""
    parser = find_parser(command, entry)
    verbs = find_verbs(parser)
    known = _known_names(entry.partition(".")[0])
    for name in verbs:
        verb = verbs[name]
        with suppress(SystemExit), redirect_stderr(StringIO()):  # it lacks a package
            verb = find_verbs(find_parser(command, entry, [name]))[name]
        yield from _verb_cases(f"{shlex.quote(f'{command} {name} ')}", verb, known, name)
    if verbs:
        yield _case(shlex.quote(f"{command}  "), verbs)
    # A song in the place of a verb is one to separate.
    bare = verbs.get("separate", None if verbs else parser)
    yield from _verb_cases(f"{shlex.quote(f'{command} ')}*' '", bare or parser, known, "")


def _verb_cases(
    start: str, parser: argparse.ArgumentParser, known: Mapping[str, Sequence[str]], verb: str
) -> Iterator[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    flags = [flag for action in shown for flag in action.option_strings]
    overrides = known.get("overrides", ()) if verb == "fit" else ()
    yield _case(f"{start}-", [*flags, *(["--recipe."] if overrides else [])])
    if overrides:
        yield _case(f"{start}--recipe.", overrides)
    if words := known.get(f"words of {verb}"):
        yield _case(start, words)
    for action in shown:
        names = [*(action.choices or known.get(action.dest, ()))]
        if action.option_strings and names:
            ends = ("", "+") if action.nargs in ("+", "*") else ("",)
            places = [f"{start}{flag}{end}" for flag in action.option_strings for end in ends]
            yield _case("|".join(places), names)


def _case(pattern: str, words: Iterable[object]) -> str:
    return f"        {pattern}) echo {shlex.quote(' '.join(map(str, words)))} ;;"


def _known_names(package: str) -> dict[str, Sequence[str]]:
    """What flags and words of a package's verbs may be, where its parser has no choices."""
    if package == "mss_results":
        return {}
    names: dict[str, Sequence[str]] = {"protocol": [*PROTOCOLS], "data_root": _DATA_ROOTS}
    if package == "mss_shared":
        return names
    from mss_shared.checkpoints.published import read_published
    from mss_shared.recipe import shipped_recipes
    from mss_shared.yaml_text import parse_yaml, read_text

    recipes = {
        path.stem: parse_yaml(read_text(path), str(path)) for path in shipped_recipes(package)
    }
    values = {
        f"--recipe.{section}.{name}": None
        for recipe in recipes.values()
        for section, leaves in recipe.items()
        if isinstance(leaves, Mapping)
        for name in leaves
    }
    rows = {recipe["reproduces"]: None for recipe in recipes.values() if recipe["reproduces"]}
    weights = [*read_published(package)]
    return names | {
        **{"recipe": [*recipes], "checkpoint": weights, "init": weights, "overrides": [*values]},
        "words of recipe": ["show", "diff", *recipes],
        "words of checkpoints": ["list", "fetch", *weights],
        "words of reproduce": [row.rpartition("/")[2] for row in rows],
    }


def main() -> None:
    """Print the script."""
    Parser(prog="python -m mss_shared.cli.completion", description=__doc__).parse_args()
    print(script(installed_commands()), end="")


if __name__ == "__main__":
    main()
