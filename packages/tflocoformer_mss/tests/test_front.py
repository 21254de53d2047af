from pathlib import Path

from mss_shared.testing_front import check_front
from tflocoformer_mss import TFLocoformerMSS, configs
from tflocoformer_mss.paper import PAPER

CARD = Path(__file__).parents[1] / "README.md"


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {**configs["musdb18_small"], "n_layers": 1}
    check_front(PAPER, tmp_path, [(TFLocoformerMSS, small)], CARD)
