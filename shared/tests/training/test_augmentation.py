"""Effects: what each does to a tone or to noise, known by arithmetic; lengths; probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_shared.audio import Audio
from mss_shared.recipe_sections import EffectsConfig
from mss_shared.training import augmentation
from mss_shared.training.augmentation import affect

RATE = 44_100
OFF = EffectsConfig(
    reversal_prob=0.0,
    pitch_prob=(0.0,),
    pitch_semitones=(0.0,),
    equalizer_prob=(0.0,),
    equalizer_gain_db=((0.0, 0.0),),
    distortion_prob=(0.0,),
    distortion_amount=((0.5, 0.5),),
    noise_prob=(0.0,),
    noise_level=((0.0, 0.0),),
    stretch_prob=(0.0,),
    stretch_rate=((1.0, 1.0),),
    mp3_prob=(0.0,),
    mp3_quality=((0.5, 0.5),),
)


def tone(hz: float = 440.0, samples: int = 2 * RATE) -> Audio:
    """A sine, half as loud and inverted on the right."""
    left = 0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)
    return np.stack([left, -0.5 * left]).astype(np.float32)


def noise(samples: int = RATE, channels: int = 2) -> Audio:
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((channels, samples), dtype=np.float32)


def loudest_hz(stem: Audio) -> float:
    middle = stem[0, RATE // 4 : RATE // 4 + RATE]
    return float(np.abs(np.fft.rfft(middle * np.hanning(RATE))).argmax())


def drawn(stem: Audio, config: EffectsConfig, seed: int = 0) -> Audio:
    return affect(stem, 0, config, RATE, np.random.default_rng(seed))


def test_at_probability_zero_nothing_changes() -> None:
    assert np.array_equal(drawn(noise(), OFF), noise())


def test_reversal_plays_backwards() -> None:
    assert np.array_equal(drawn(noise(), replace(OFF, reversal_prob=1.0)), noise()[:, ::-1])


@pytest.mark.parametrize("semitones", [-5.0, -0.5, 3.0, 12.0])
def test_a_shifted_tone_has_the_pitch_of_its_semitones(semitones: float) -> None:
    shifted = augmentation.shift_pitch(tone(), semitones)
    assert shifted.shape == tone().shape
    assert loudest_hz(shifted) == pytest.approx(440.0 * 2 ** (semitones / 12), abs=1.0)


@pytest.mark.parametrize("rate", [0.8, 1.25, 1.5])
def test_a_stretched_tone_keeps_pitch_level_and_channels(rate: float) -> None:
    stretched = augmentation.stretch(tone(), rate)
    assert stretched.shape == (2, round(2 * RATE / rate))
    assert loudest_hz(stretched) == pytest.approx(440.0, abs=1.0)
    middle = stretched[:, RATE // 4 : RATE]
    assert np.sqrt(2 * np.mean(middle[0] ** 2)) == pytest.approx(0.5, rel=0.1)
    assert middle[1] == pytest.approx(-0.5 * middle[0], abs=1e-6)


def test_a_click_moves_to_its_place_in_the_slower_tempo() -> None:
    click = np.zeros((1, RATE), np.float32)
    click[0, RATE // 2 : RATE // 2 + 50] = 1.0
    slower = augmentation.stretch(click, 0.5)
    assert abs(int(np.abs(slower[0]).argmax()) - RATE) < 1500  # a window of the vocoder


def test_stretching_at_rate_1_gives_the_sound_back() -> None:
    assert augmentation.stretch(noise(), 1.0) == pytest.approx(noise(), abs=1e-6)


def test_an_equaliser_without_gain_is_transparent() -> None:
    rng = np.random.default_rng(0)
    assert augmentation.equalize(noise(), (0.0, 0.0), RATE, rng) == pytest.approx(noise(), abs=1e-6)


@pytest.mark.parametrize("hz, decibels", [(20.0, 6.0), (18_000.0, 6.0)])
def test_shelves_raise_what_lies_beyond_them_by_their_gain(hz: float, decibels: float) -> None:
    rng = np.random.default_rng(0)
    louder = augmentation.equalize(tone(hz), (decibels, decibels), RATE, rng)[:, RATE:]
    gain = 10 * np.log10(np.mean(louder**2) / np.mean(tone(hz)[:, RATE:] ** 2))
    assert gain == pytest.approx(decibels, abs=1.0)


def test_a_peak_has_its_gain_at_its_centre_and_none_far_away() -> None:
    from scipy.signal import sosfreqz

    angle = 2 * np.pi * 1000 / RATE
    section = augmentation._peak(10 ** (9 / 40), angle, 2.0)[None]
    _, response = sosfreqz(section, worN=[1e-4, angle, 3.14])
    assert 20 * np.log10(np.abs(response)) == pytest.approx([0.0, 9.0, 0.0], abs=1e-2)


@pytest.mark.parametrize("high", [False, True])
def test_a_shelf_has_half_its_gain_at_its_corner(high: bool) -> None:
    from scipy.signal import sosfreqz

    angle = 2 * np.pi * 1000 / RATE
    _, response = sosfreqz(
        augmentation._shelf(10 ** (6 / 40), angle, 0.7, high)[None], worN=[1e-4, angle, 3.14]
    )
    expected = [0.0, 3.0, 6.0] if high else [6.0, 3.0, 0.0]
    assert 20 * np.log10(np.abs(response)) == pytest.approx(expected, abs=1e-2)


def test_distortion_keeps_the_level_and_flattens_peaks() -> None:
    bent = augmentation.distort(noise(), 0.6)
    assert np.mean(bent**2) == pytest.approx(np.mean(noise() ** 2), rel=1e-4)

    def crest(stem: Audio) -> float:
        return float(np.abs(stem).max() / np.sqrt(np.mean(stem**2)))

    assert crest(bent) < 0.7 * crest(noise())
    assert crest(augmentation.distort(noise(), 0.9)) < crest(bent)


def test_noise_has_its_level() -> None:
    loud = replace(OFF, noise_prob=(1.0,), noise_level=((0.01, 0.01),))
    added = drawn(noise(), loud) - noise()
    assert added.std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("rate", [44_100, 48_000, 16_000])
def test_mp3_gives_back_a_tone_at_its_place(rate: int) -> None:
    stem = tone(300.0)
    coded = augmentation.mp3(stem, rate, 0.9)
    assert coded.shape == stem.shape
    assert np.sum((coded - stem) ** 2) < 1e-3 * np.sum(stem**2)
    worse = augmentation.mp3(noise(), rate, 0.0) - noise()
    assert np.sum((augmentation.mp3(noise(), rate, 1.0) - noise()) ** 2) < np.sum(worse**2)


def test_mp3_keeps_what_exceeds_full_scale() -> None:
    assert np.abs(augmentation.mp3(4.0 * tone(300.0), RATE, 1.0)).max() == pytest.approx(
        2.0, rel=0.05
    )


def test_mp3_of_a_rate_it_lacks_says_what_to_change() -> None:
    with pytest.raises(ValueError, match="96000 Hz can't be encoded .* data.effects.mp3_prob"):
        augmentation.mp3(noise(), 96_000, 0.5)


def test_an_entry_too_few_is_refused_with_the_stems() -> None:
    with pytest.raises(ValueError, match="pitch_prob has 1 entries for 2 stems: .* vocals, bass"):
        replace(OFF, reversal_prob=0.5).check(("vocals", "bass"))


EVERYTHING = EffectsConfig(
    reversal_prob=0.5,
    pitch_prob=(0.5,),
    pitch_semitones=(5.0,),
    equalizer_prob=(0.5,),
    equalizer_gain_db=((-9.0, 9.0),),
    distortion_prob=(0.5,),
    distortion_amount=((0.1, 0.7),),
    noise_prob=(0.5,),
    noise_level=((0.001, 0.015),),
    stretch_prob=(0.5,),
    stretch_rate=((0.8, 1.25),),
    mp3_prob=(0.5,),
    mp3_quality=((0.0, 1.0),),
)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    samples=st.integers(1, 9000),
    channels=st.integers(1, 2),
    silent=st.booleans(),
)
def test_effects_keep_length_and_stay_finite(
    seed: int, samples: int, channels: int, silent: bool
) -> None:
    stem = noise(samples, channels) * np.float32(not silent)
    first, second = (drawn(stem, EVERYTHING, seed) for _ in range(2))
    assert first.shape == stem.shape and first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)
