from pathlib import Path

from moises_light.paper import PAPER
from mss_shared.testing import check_package

SPECTRAL_PLATEAU = {
    "spec_weight": 1.0,
    "multi_spec_weight": 1.0,
    "multi_n_fft": (512, 1024),
    "schedule": "plateau",
    "plateau_factor": 0.5,
    "plateau_patience": 1,
    "keep": "best",
}


def test_the_package_keeps_the_promises_of_all_packages(tmp_path: Path) -> None:
    check_package(PAPER, tmp_path, variants=[SPECTRAL_PLATEAU])
