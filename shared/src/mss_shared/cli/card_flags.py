"""The flags of ``card``. Imports no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from mss_shared.cli.parser import show_examples


def add_card_flags(verb: argparse.ArgumentParser) -> None:
    """What to write, where, and with which scores."""
    verb.add_argument("run", help="run folder, weights file, or name of a published checkpoint")
    verb.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    verb.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        help="roots of score folders; default: RUN/scores, scores and results/scores",
    )
    verb.add_argument(
        "--licence", help="of the weights, as the hub spells it; default: a published checkpoint's"
    )
    verb.add_argument("--title", help="name of the model; default: <paper>-<recipe>")
    verb.add_argument(
        "--push", metavar="USER/NAME", help="also push the folder to a private repository"
    )
    verb.add_argument("--public", action="store_true", help="with --push: to a public one")
    show_examples(verb, "runs/mine --out hub/mine --licence mit")
