"""Names, presets and arguments: what can be built, and what is refused."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from bs_roformer import BSRoformer, MelBandRoformer, configs
from bs_roformer.config import DEFAULT_BANDS

SMALL = {"dim": 8, "depth": 1}
# Entries and sizes of the public files, and the papers' counts without gates (see test_model.py).
PUBLIC = {
    "zfturbo_4stem": (131_704_164, 1355),
    "viperx_vocals": (159_758_092, 699),
    "viperx_other": (98_194_828, 699),
    "viperx_mel_vocals": (251_869_636, 828),
    "kim_mel_vocals": (228_202_852, 684),
}


def test_importing_the_package_and_its_presets_loads_no_torch() -> None:
    code = (
        "import sys, bs_roformer, bs_roformer.config; bs_roformer.configs['paper_bs_l6'];"
        "assert dir(bs_roformer).count('BSRoformer') == 1; print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'FlowBSRoformer'"):
        import bs_roformer

        bs_roformer.FlowBSRoformer  # noqa: B018


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_preset_of_public_weights_has_their_count_and_entries(name: str) -> None:
    with torch.device("meta"):
        model = (MelBandRoformer if "mel" in name else BSRoformer)(**configs[name])
    assert sum(p.numel() for p in model.parameters()) == PUBLIC[name][0]
    assert len(model.state_dict()) == PUBLIC[name][1]


def test_ten_presets_share_no_list() -> None:
    assert len(configs) == 10
    assert len({id(config["stems"]) for config in configs.values()}) == 10


def test_the_default_bands_are_sixty_two_and_cover_the_spectrum() -> None:
    assert len(DEFAULT_BANDS) == 62
    assert sum(DEFAULT_BANDS) == 1025
    hz = 44_100 / 2048  # of a bin; the narrow bands end near 1, 2, 4, 8 and 16 kHz
    assert [round(sum(DEFAULT_BANDS[:n]) * hz / 1000) for n in (24, 36, 44, 52, 60)] == [
        1,
        2,
        4,
        8,
        17,
    ]


def test_what_existing_configurations_say_without_effect_is_accepted() -> None:
    with torch.device("meta"):
        BSRoformer(**SMALL, dim_freqs_in=1025)


def test_lists_stand_for_tuples() -> None:
    with torch.device("meta"):
        model = BSRoformer(**SMALL, freqs_per_bands=[*DEFAULT_BANDS])
    assert model.config.freqs_per_bands == DEFAULT_BANDS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depht": 2}, "there is no argument depht: choose from .*depth"),
        ({"dim": 0}, "dim=0: it must be at least 1"),
        ({"depth": 0}, "depth=0: it must be at least 1"),
        ({"dim_head": 7}, "dim_head=7: it must be positive and even"),
        ({"attn_dropout": 1.0}, "attn_dropout=1.0: .* below 1"),
        ({"mask_estimator_depth": 0}, "mask_estimator_depth=0: "),
        ({"layout": "1.1"}, r"layout='1.1': .*\['paper', 'checkpoint', '1.2'\]"),
        ({"num_residual_streams": 4}, "num_residual_streams with layout='checkpoint': only '1.2'"),
        ({"layout": "1.2", "num_residual_streams": 0}, "num_residual_streams=0: .* at least 1"),
        ({"layout": "1.2", "num_residual_fracs": 0}, "num_residual_fracs=0: .* at least 1"),
        ({"layout": "1.2", "num_residual_fracs": 7}, "num_residual_fracs=7: choose fractions"),
        ({"layout": "1.2", "skip_connection": True}, "skip_connection=True with layout='1.2'"),
        ({"freqs_per_bands": (1000,)}, "cover 1000 bins, there are 1025: .* stft_n_fft // 2"),
        ({"freqs_per_bands": (1025, 0)}, "every band must have at least 1 bin"),
        ({"freqs_per_bands": ()}, "every band must have at least 1 bin"),
        ({"num_bands": 60}, "kind='bs' with .* num_bands=60: 'bs' takes freqs_per_bands alone"),
        ({"stft_hop_length": 1024}, "stft_hop_length=1024, stft_win_length=2048, stft_n_fft=2048"),
        ({"stft_win_length": 4096}, "stft_win_length=4096, stft_n_fft=2048: "),
        ({"multi_stft_hop_size": 0}, "multi_stft_hop_size=0 and .*: they must be positive"),
        ({"stems": []}, r"stems are \[\]: give one or more"),
        ({"stems": ["a", "a"]}, r"stems are \['a', 'a'\]: .* each once"),
        ({"stems": "vocals"}, "stems is 'vocals': it must list"),
        ({"stems": ["a"], "num_stems": 2}, r"num_stems=2 with stems \['a'\]: leave num_stems out"),
        ({"num_stems": 0}, "num_stems=0: it must be a whole number of at least 1"),
        ({"num_stems": "2"}, "num_stems='2': it must be a whole number"),
        ({"depth": "2"}, "depth='2': it must be a whole number"),
        ({"heads": 2.0}, "heads=2.0: it must be a whole number"),
        ({"dim": True}, "dim=True: it must be a whole number"),
        ({"stereo": "yes"}, "stereo='yes': it must be true or false"),
        ({"attn_dropout": None}, "attn_dropout=None: it must be a number"),
        ({"layout": 1.2}, "layout=1.2: it must be a text"),
        ({"stems": 2}, "stems is 2: it must list stem names"),
        ({"stems": [1, 2]}, r"stems=\(1, 2\): it must be a list of texts"),
        ({"freqs_per_bands": 62}, "freqs_per_bands=62: it must be a list of whole numbers, or"),
        ({"freqs_per_bands": (2.5,)}, r"freqs_per_bands=\(2.5,\): it must be a list of whole"),
        ({"multi_stft_resolutions_window_sizes": None}, "sizes=None: it must be a list of whole"),
        ({"layout": "1.2", "freq_range": (0, 1, 2)}, "it must be a list of 2 whole numbers, or"),
        ({"layout": "1.2", "num_residual_streams": "4"}, "streams='4': it must be a whole number"),
        ({"layout": "1.2", "freq_range": (1, 1026)}, r"freq_range=\(1, 1026\) of 1025 bins: it"),
        (
            {"layout": "1.2", "freq_range": (0, 9)},
            "cover 1025 bins, there are 9: .* the length of freq_range",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused_with_its_numbers(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BSRoformer(**{**SMALL, **changes})


def test_mel_bands_take_no_list_of_bands() -> None:
    with pytest.raises(ValueError, match="kind='mel' with freqs_per_bands=.*: .* 'mel' num_bands"):
        MelBandRoformer(**SMALL, freqs_per_bands=(1025,))
    with pytest.raises(ValueError, match="num_bands=400 with stft_n_fft=2048 at 44100 Hz: band"):
        MelBandRoformer(**SMALL, num_bands=400)


def test_mel_bands_take_no_range_of_bins() -> None:
    with pytest.raises(ValueError, match=r"freq_range=\(0, 100\) with mel bands, .*: leave it out"):
        MelBandRoformer(**SMALL, layout="1.2", freq_range=(0, 100))


def test_numbers_of_numpy_are_numbers() -> None:
    with torch.device("meta"):
        model = BSRoformer(dim=np.int64(8), depth=1, attn_dropout=np.float32(0.5))
    assert model.config.dim == 8
