from pathlib import Path

from mss_shared.testing_front import check_front
from open_unmix import OpenUnmix
from open_unmix.paper import PAPER

CARD = Path(__file__).parents[1] / "README.md"


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {"nb_bins": 513, "hidden_size": 8, "max_bin": 100}
    check_front(PAPER, tmp_path, [(OpenUnmix, small)], CARD)
