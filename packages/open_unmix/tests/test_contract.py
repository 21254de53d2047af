from pathlib import Path

from mss_shared.testing import check_package
from open_unmix.paper import PAPER


def test_the_package_keeps_the_promises_of_all_packages(tmp_path: Path) -> None:
    check_package(PAPER, tmp_path)
