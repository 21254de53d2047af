from pathlib import Path

from mss_shared.testing_front import check_front
from tflocoformer_mss import TFLocoformerMSS, configs
from tflocoformer_mss.paper import PAPER


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = configs["musdb18_small"]
    check_front(PAPER, tmp_path, [(TFLocoformerMSS, small)])
