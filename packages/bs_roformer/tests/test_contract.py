from pathlib import Path

from bs_roformer.paper import PAPER
from mss_shared.testing import check_package

STEPS = {"schedule": "step", "lr_factor": 0.5, "decay_steps": 1, "activation_checkpointing": True}
PLATEAU = {"schedule": "plateau", "lr_factor": 0.5, "plateau_patience": 1, "keep": "best"}


def test_the_package_keeps_the_promises_of_all_packages(tmp_path: Path) -> None:
    check_package(PAPER, tmp_path, variants=[STEPS, PLATEAU])
