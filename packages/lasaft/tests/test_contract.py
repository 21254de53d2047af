from pathlib import Path

from lasaft.paper import PAPER
from mss_shared.testing import check_package

PLATEAU = {
    "schedule": "plateau",
    "keep": "best",
    "min_epochs": 2,
    "early_stop_epochs": 1,
    "train_loss": "raw_and_spec",
    "val_loss": "spec_mse",
}


def test_the_package_keeps_the_promises_of_all_packages(tmp_path: Path) -> None:
    check_package(PAPER, tmp_path, variants=[PLATEAU])
