"""The command line of every paper, and ``mss-eval`` and ``mss-data``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.paper import AnyPaper

__all__ = ["run"]


def run(paper: AnyPaper, words: Sequence[str] | None = None) -> None:
    """Run a paper's command line; exit code 2 for a mistake of the user.

    Without a verb, files, folders and flags go to ``separate``, as in
    ``python -m bs_roformer song.wav``.
    """
    # Imported here: mss-eval and mss-data, in the same folder, run without what the verbs need.
    from mss_shared.cli.main import run_words

    run_words(paper, words)
