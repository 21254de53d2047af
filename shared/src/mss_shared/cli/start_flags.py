"""The flags of ``fit`` that say what a run starts from. Imports no torch."""

from __future__ import annotations

import argparse


def add_start_flags(verb: argparse._ActionsContainer) -> None:
    verb.add_argument(
        "--overfit",
        nargs="?",
        const="",
        metavar="TRACK",
        help="train and validate on one training track, by default the first, to see whether the "
        "model can learn it",
    )
    verb.add_argument(
        "--epoch",
        type=int,
        help="of the run to --continue, one whose checkpoint is kept; default: the last",
    )
    verb.add_argument(
        "--init",
        metavar="WEIGHTS",
        help="start from a run folder, a weights file, or the name of a published checkpoint",
    )
    verb.add_argument(
        "--init_partial",
        action="store_true",
        help="take from --init what fits by name and shape, and list the rest",
    )
    verb.add_argument(
        "--freeze",
        nargs="+",
        default=(),
        metavar="PATTERN",
        help="do not train these weights: names of modules, or patterns such as '*.bias'",
    )
