"""Run by tox in an empty folder: the installed package works by name, away from the repository."""

import sys
from pathlib import Path

from lasaft.paper import PAPER
from mss_shared.testing import check_outside

if __name__ == "__main__":
    check_outside(PAPER, Path(sys.argv[1]))
