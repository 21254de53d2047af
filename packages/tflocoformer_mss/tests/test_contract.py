from pathlib import Path

from mss_shared.testing import check_package
from tflocoformer_mss.paper import PAPER

PLATEAU = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 1, "keep": "best"}
OTHERS = {"gradient_checkpointing": True, "permute": True, "snr_weight": 1.0, "warmup_steps": 1}


def test_the_package_keeps_the_promises_of_all_packages(tmp_path: Path) -> None:
    check_package(PAPER, tmp_path, variants=[PLATEAU, OTHERS])
