from pathlib import Path

from bs_roformer import BSRoformer, MelBandRoformer
from bs_roformer.paper import PAPER
from mss_shared.testing_front import check_front

CARD = Path(__file__).parents[1] / "README.md"


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {"dim": 8, "depth": 1, "stems": ["a", "b"], "heads": 2, "dim_head": 8}
    networks = [(BSRoformer, small), (MelBandRoformer, {**small, "num_bands": 20})]
    check_front(PAPER, tmp_path, networks, CARD)
