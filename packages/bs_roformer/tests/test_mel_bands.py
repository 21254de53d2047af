"""Mel bands against the support of a filter bank, and what must hold of any bands."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bs_roformer.mel_bands import mel_bands

SETTINGS = json.loads((Path(__file__).parent / "golden" / "mel_bands.json").read_text())


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_bands_are_the_support_of_the_filter_bank(name: str) -> None:
    numbers = re.fullmatch(r"sr(\d+)_nfft(\d+)_bands(\d+)", name)
    assert numbers is not None
    frozen = SETTINGS[name]
    bands = mel_bands(*map(int, numbers.groups()))
    assert [list(band) for band in bands] == frozen["first_last_bin"]
    assert sum(last + 1 - first for first, last in bands) == frozen["total"]


def test_there_are_five_settings() -> None:
    assert len(SETTINGS) == 5


def test_the_models_sixty_bands_are_those_of_the_description() -> None:
    widths = [last + 1 - first for first, last in mel_bands(44_100, 2048, 60)]
    assert widths[:3] == [7, 6, 6]
    assert widths[-3:] == [113, 122, 130]
    assert sum(widths) == 1979


@given(
    sample_rate=st.sampled_from([16_000, 22_050, 44_100, 48_000]),
    n_fft=st.integers(128, 4096).map(lambda n: 2 * n),
    num_bands=st.integers(1, 64),
)
def test_bands_cover_every_bin_and_rise(sample_rate: int, n_fft: int, num_bands: int) -> None:
    try:
        bands = mel_bands(sample_rate, n_fft, num_bands)
    except ValueError as error:
        assert re.search(r"band \d+ of .* Hz holds no bin", str(error))
        return
    assert len(bands) == num_bands
    assert (bands[0][0], bands[-1][1]) == (0, n_fft // 2)
    assert {b for first, last in bands for b in range(first, last + 1)} == set(
        range(n_fft // 2 + 1)
    )
    assert bands == sorted(bands)


def test_a_band_without_a_bin_is_refused_with_its_frequencies() -> None:
    with pytest.raises(ValueError, match=r"num_bands=60 with stft_n_fft=256 .* band 0 of 0.0 to"):
        mel_bands(44_100, 256, 60)
