"""Run by tox in an empty folder: the installed package works by name, away from the repository."""

import sys
from pathlib import Path

from mss_shared.testing import check_outside
from open_unmix.paper import PAPER


def main() -> None:
    """Train, score, separate, export, and separate with what was exported."""
    folder = Path(sys.argv[1])
    part = ["--niter", "2", "--duration", "1"]
    check_outside(
        PAPER,
        folder,
        ["separate", "SONG", "--model", "run", *part, "--out", "stems"],
        ["export", "--checkpoint", "run", "--out", "exported"],
        ["separate", "SONG", "--model", "exported", "--targets", "vocals", "--out", "vocals"],
    )
    assert list(folder.glob("demo_run/scores/*/open_unmix/demo-seed42*-niter-0/run.json"))
    assert len(list(folder.glob("stems/*/*.wav"))) == 4
    assert len(list(folder.glob("vocals/*/*.wav"))) == 1


if __name__ == "__main__":
    main()
