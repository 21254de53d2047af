from pathlib import Path

from moises_light import MoisesLight
from moises_light.paper import PAPER
from mss_shared.testing_front import check_front

CARD = Path(__file__).parents[1] / "README.md"


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {"sources": ["vocals"], "G": 8, "n_fft": 2048, "hop_size": 512, "win_size": 2048}
    check_front(PAPER, tmp_path, [(MoisesLight, {**small, "freq_dim": 512})], CARD)
