from pathlib import Path

from lasaft import Separator
from lasaft.paper import PAPER
from lasaft.variants import read_arguments
from mss_shared.testing_front import check_front

CARD = Path(__file__).parents[1] / "README.md"


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {"n_fft": 512, "hop_length": 256, "internal_channels": 4}
    config = read_arguments({"modulation": "GPoCM", "block": "TFC_LaSAFT"}, small)
    check_front(PAPER, tmp_path, [(Separator, {"config": config})], CARD)
