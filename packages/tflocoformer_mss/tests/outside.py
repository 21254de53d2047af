"""Run by tox in an empty folder: the installed package works by name, away from the repository."""

import sys
from pathlib import Path

from mss_shared.testing import check_outside
from tflocoformer_mss.paper import PAPER

if __name__ == "__main__":
    separate = ["separate", "SONG", "--checkpoint", "run", "--duration", "1", "--out", "stems"]
    check_outside(PAPER, Path(sys.argv[1]), separate)
