"""The verb ``card``: a folder ready for a model hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from mss_shared import console
from mss_shared.cli.scoring import PUBLISHED
from mss_shared.hub import push, write_card
from mss_shared.hub.remote import is_repository
from mss_shared.paper import AnyPaper


def card(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Write the folder, and push it if that is asked for.

    Raises:
        FileNotFoundError, ValueError: if the weights can't be read, or the folder exists.
        ImportError: with ``--push``, without huggingface_hub.
    """
    if arguments.push is not None and not is_repository(arguments.push):
        raise ValueError(f"--push {arguments.push} names no repository: write it as user/name")
    roots = arguments.scores or [Path(arguments.run) / "scores", Path("scores"), PUBLISHED]
    found = write_card(
        paper,
        arguments.run,
        arguments.out,
        scores=roots,
        licence=arguments.licence,
        title=arguments.title,
    )
    ids = ", ".join(f"{each.dataset} {each.protocol}" for each in found)
    console.say(f"{arguments.out}: weights, config.json, README.md; scores: {ids or 'none found'}")
    if arguments.push is not None:
        console.say(push(arguments.out, arguments.push, private=not arguments.public))
