"""Flags for a run that several processes or machines share; imports no torch."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mss_shared.evaluation.shards import WHOLE, Shard, parse_shard

Value = TypeVar("Value")


def add_shard_flags(parser: argparse._ActionsContainer) -> None:
    """``--shard`` and ``--merge``, of which a command has at most one."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--shard",
        type=checked(parse_shard),
        default=WHOLE,
        metavar="I/N",
        help="score only part I of N of the tracks, for instance 2/8, into the folder that all "
        "parts share",
    )
    group.add_argument(
        "--merge",
        action="store_true",
        help="write the record of a run whose shards are done; refuses if a track is missing",
    )


def checked(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """A parser of words whose ValueError argparse prints as it is."""

    def convert(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def count(text: str) -> int:
    """A number of processes, from ``--jobs``."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes: give 1 or more")
    return int(text)


def without_shards(command: str) -> str:
    """A command line without ``--shard`` and ``--merge``: the one that does all of it at once."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word == "--shard":
            next(words, None)
        elif word != "--merge" and not word.startswith("--shard="):
            kept.append(word)
    return shlex.join(kept)


def say_shard(shard: Shard, scored: int, tracks: int, folder: Path) -> str:
    """What a shard did, and what is left to do."""
    return (
        f"shard {shard}: {scored} of {tracks} tracks, in {folder}; once all shards are done, the "
        f"same command with --merge in place of --shard completes the run"
    )
