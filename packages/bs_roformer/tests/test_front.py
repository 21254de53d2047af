from pathlib import Path

from bs_roformer import BSRoformer, MelBandRoformer
from bs_roformer.paper import PAPER
from mss_shared.testing_front import check_front


def test_the_package_is_used_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    small = {"depth": 1, "stems": ["a", "b"], "heads": 2, "dim_head": 8, "stft_n_fft": 2048}
    mel = {**small, "num_bands": 20}
    check_front(
        PAPER, tmp_path, [(BSRoformer, {"dim": 8, **small}), (MelBandRoformer, {"dim": 8, **mel})]
    )
