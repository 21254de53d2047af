"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

import sys

from mss_shared.cli import run
from tflocoformer_mss.commands import translate
from tflocoformer_mss.paper import PAPER


def main() -> None:
    """Run the command line."""
    run(PAPER, translate(PAPER.name, sys.argv[1:]))


if __name__ == "__main__":
    main()
