"""The demo set's sound: the sound font, the voice, the effects, the master."""

import json
import time
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_demo_songs import speech
from mss_demo_songs.effects import (
    compressor_gain,
    drive,
    echo,
    gated_rms,
    high_pass,
    limiter_gain,
    low_pass,
    pan,
    peak,
    reverb,
)
from mss_demo_songs.lyrics import Syllable
from mss_demo_songs.master import master, rms_db, to_integers
from mss_demo_songs.midi import render
from mss_demo_songs.score import Note, Part, SungNote
from mss_demo_songs.sing import sing
from mss_demo_songs.singers import MEN, WOMEN, Singer
from mss_demo_songs.speech import speak, syllable_bank

RATE = 44_100
SINGER = Singer("f2", 50, 57, 1.0, 5.5, 30.0, 0.08, 1.0, doubled=False, harmony=False)
SYLLABLES = [Syllable("", "A:", ""), Syllable("m", "oU", "n"), Syllable("s", "i:", "")]
SYLLABLES.sort(key=lambda syllable: syllable.spelling)


def tone(hertz, seconds=1.0, channels=2):
    times = np.arange(round(seconds * RATE)) / RATE
    return np.tile(np.sin(2 * np.pi * hertz * times), (channels, 1))


def gain_db(processed, sound):
    middle = slice(RATE // 2, None)
    return 20 * np.log10(processed[:, middle].std() / sound[:, middle].std())


def strongest_hertz(mono, low, high):
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), 4 * len(mono)))
    hertz = np.fft.rfftfreq(4 * len(mono), 1 / RATE)
    inside = (hertz > low) & (hertz < high)
    return hertz[inside][spectrum[inside].argmax()]


def test_the_sound_font_plays_a_above_middle_c_at_440_hz():
    sound = render(Part("lead", "other", 80, (Note(0.1, 0.8, 69, 100),)), RATE)
    assert sound.shape == (2, RATE)
    assert not np.abs(sound[:, : RATE // 20]).max() > 1e-3
    cents = 1200 * np.log2(strongest_hertz(sound[0, RATE // 4 : RATE * 3 // 4], 400, 480) / 440)
    assert abs(cents) < 10


def test_a_drum_part_plays_the_kit():
    # On a melodic channel pitch 36 would be a 65-Hz tone; the closed hat has nothing there.
    hat = render(Part("drums", "drums", 0, (Note(0.0, 0.1, 42, 100),)), RATE)
    spectrum = np.abs(np.fft.rfft(hat[0])) ** 2
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    assert spectrum[hertz > 4_000].sum() > 0.5 * spectrum.sum()


@pytest.fixture(scope="module")
def bank():
    return syllable_bank(SINGER, SYLLABLES)


def test_syllables_sound_the_same_in_every_fresh_process_and_order():
    first = speak(SINGER, SYLLABLES)
    assert len(first) == 3
    time.sleep(1.1)  # the engine would seed its noise from the second it starts in
    assert speak(SINGER, SYLLABLES[::-1]) == first


def test_a_syllable_is_onset_vowel_and_coda(bank):
    by_spelling = dict(zip([s.spelling for s in SYLLABLES], bank, strict=True))
    see = by_spelling["[[s'i:]]"]
    assert see.onset < see.vowel < see.coda <= see.end
    assert not see.voiced[see.onset + 1 : see.vowel - 1].any()
    assert see.voiced[see.vowel : see.coda].all()
    assert by_spelling["[[m'oUn]]"].voiced.all()


def test_every_voice_variant_of_the_singers_is_known_to_the_speech_engine():
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    for variant in WOMEN + MEN:
        singer = Singer(variant, 50, 57, 1.0, 5.5, 30.0, 0.08, 1.0, False, False)
        # The engine says nothing about a variant that it lacks: it takes the plain voice.
        assert (variants / variant).is_file()
        (spoken,) = speak(singer, SYLLABLES[:1])
        assert len(spoken["pcm"]) > 4_000


@pytest.mark.parametrize("pitch", [50, 57, 69])
def test_a_sung_note_has_the_pitch_of_the_melody(bank, pitch):
    steady = Singer("f2", 50, 57, 1.0, 5.5, 0.0, 0.08, 0.0, doubled=False, harmony=False)
    melody = (SungNote(Note(0.2, 1.4, pitch, 90), 0, True, "verse"),)
    take = sing(melody, bank, steady, 2 * RATE, np.random.default_rng(0))
    assert take.shape == (2 * RATE,)
    wanted = 440 * 2 ** ((pitch - 69) / 12)
    heard = strongest_hertz(take[RATE // 2 : RATE * 5 // 4], wanted * 0.9, wanted * 1.1)
    assert abs(1200 * np.log2(heard / wanted)) < 20
    half_a_step = 0.5 / 32_768
    assert np.abs(take[: RATE // 40]).max() < half_a_step
    assert np.abs(take[RATE * 18 // 10 :]).max() < half_a_step


def test_a_phrase_cut_by_the_end_of_the_song_still_fits(bank):
    melody = tuple(
        SungNote(Note(0.02 + 0.3 * k, 0.29, 57 + k, 90), k % 3, k == 0, "verse") for k in range(9)
    )
    assert sing(melody, bank, SINGER, RATE, np.random.default_rng(0)).shape == (RATE,)
    assert not sing((), bank, SINGER, RATE, np.random.default_rng(0)).any()


def test_a_failing_speech_process_names_its_last_words(monkeypatch):
    monkeypatch.setattr(speech, "LANGUAGE", "no-such-language")
    with pytest.raises(RuntimeError, match=r"ended with 1 \(.*no voice called no-such-language"):
        speak(SINGER, SYLLABLES[:1])


def test_another_speech_rate_is_refused(monkeypatch):
    answer = json.dumps({"sample_rate": 16_000, "spoken": []})
    ended = speech.subprocess.CompletedProcess([], 0, stdout=answer, stderr="")
    monkeypatch.setattr(speech.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(RuntimeError, match="speaks at 16000 Hz, not 22050 Hz: install"):
        speak(SINGER, SYLLABLES[:1])


def test_filters_fall_by_three_decibels_at_their_cutoff():
    for filtered in (high_pass(tone(1_000), 1_000.0), low_pass(tone(1_000), 1_000.0)):
        assert gain_db(filtered, tone(1_000)) == pytest.approx(-3.01, abs=0.05)


def test_a_bell_reaches_its_gain_at_its_centre_and_nothing_far_away():
    assert gain_db(peak(tone(1_000), 1_000.0, 4.0), tone(1_000)) == pytest.approx(4.0, abs=0.05)
    assert gain_db(peak(tone(30), 1_000.0, 4.0), tone(30)) == pytest.approx(0.0, abs=0.05)


def test_four_to_one_leaves_a_quarter_of_what_exceeds_the_threshold():
    sound = tone(3_000) * np.sqrt(2) * 10 ** (-8 / 20)  # -8 dB RMS, 12 dB above the threshold
    gain = compressor_gain(sound, threshold_db=-20.0, ratio=4.0)
    assert gain.shape == (RATE,)
    assert 20 * np.log10(gain[-RATE // 4]) == pytest.approx(-9.0, abs=0.2)
    assert np.all(compressor_gain(0.01 * sound, -20.0, 4.0) == 1.0)


def test_a_limiter_is_ahead_of_a_peak():
    heights = np.full(RATE, 0.3)
    heights[RATE // 2 : RATE // 2 + 30] = 2.0
    gain = limiter_gain(heights, 0.9)
    assert (gain * heights).max() <= 0.901
    assert gain[0] == 1.0 and gain[-1] > 0.99


def test_pan_keeps_the_power():
    mono = tone(100, channels=1)[0]
    for position in (-1.0, -0.3, 0.0, 0.8):
        assert np.sum(pan(mono, position) ** 2) == pytest.approx(np.sum(mono**2))
    assert np.allclose(pan(mono, 1.0)[0], 0)


def test_a_reverb_tail_falls_by_sixty_decibels_in_its_decay_time():
    click = np.zeros((2, 2 * RATE))
    click[:, 0] = 1.0
    tail = reverb(click, 1.0, 1.0, 8_000.0, 0.0, np.random.default_rng(0))
    early = np.mean(tail[:, 2_000:6_000] ** 2)
    late = np.mean(tail[:, 2_000 + RATE // 2 : 6_000 + RATE // 2] ** 2)
    assert 10 * np.log10(early / late) == pytest.approx(30.0, abs=1.0)
    assert np.abs(tail[:, RATE + 10 :]).max() < 1e-9


def test_an_echo_repeats_after_its_delay():
    click = np.zeros((2, RATE))
    click[:, 0] = 1.0
    repeated = echo(click, 0.25, 0.4, 0.5)
    first_echo = np.abs(repeated[0, 100:]).argmax() + 100
    assert abs(first_echo - RATE // 4) < 20
    assert echo(click[:, :1_000], 0.25, 0.4, 0.5) == pytest.approx(click[:, :1_000])


def test_drive_keeps_peak_and_silence():
    sound = 0.5 * tone(100)
    assert np.abs(drive(sound, 3.0)).max() == pytest.approx(np.abs(sound).max())
    assert not drive(np.zeros((2, 100)), 3.0).any()


def test_the_gate_leaves_out_pauses():
    sound = np.concatenate([tone(1_000, 4.0), np.zeros((2, 4 * RATE))], axis=1)
    assert gated_rms(sound) == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert gated_rms(np.zeros((2, RATE))) == 0.0


def noisy_stems(seed, spreads):
    rng = np.random.default_rng(seed)
    swell = 0.6 + 0.4 * np.sin(np.linspace(0, 30, 2 * RATE))
    return {
        name: spread * swell * rng.normal(size=(2, 2 * RATE))
        for name, spread in zip(("vocals", "drums", "bass", "other"), spreads, strict=True)
    }


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.lists(st.floats(1e-5, 10.0), min_size=3, max_size=3))
def test_the_master_is_exact_unclipped_and_at_level_whatever_comes_in(seed, spreads):
    files = master(noisy_stems(seed, [0.0, *spreads]), np.random.default_rng(seed))
    mixture = files.pop("mixture").astype(np.int64)
    assert len(files) == 4
    assert np.array_equal(sum(stem.astype(np.int64) for stem in files.values()), mixture)
    assert np.abs(mixture).max() <= 10 ** (-0.3 / 20) * 32_767 + 4
    assert not files["vocals"].any()
    for name in ("drums", "bass", "other"):
        assert -26.0 <= rms_db(files[name], 32_768) <= -15.0


@pytest.mark.parametrize("seed", range(4))
def test_a_stem_with_long_pauses_is_raised_into_the_promised_range(seed):
    # A level measured where the stem sounds would leave it near -19 - 10 * log10(6) = -27 dBFS.
    stems = noisy_stems(seed, [1.0, 1.0, 1.0, 1.0])
    stems["vocals"][:, RATE // 3 :] = 0
    files = master(stems, np.random.default_rng(seed))
    for name in ("vocals", "drums", "bass", "other"):
        assert -26.0 <= rms_db(files[name], 32_768) <= -15.0


def test_every_stem_gets_the_same_gain_curve():
    stems = noisy_stems(4, [1.0, 2.0, 0.5, 1.0])
    stems["other"] = 3.0 * stems["drums"]
    files = master(stems, np.random.default_rng(4))
    drums, other = (files[name].astype(float) for name in ("drums", "other"))
    factor = np.sum(drums * other) / np.sum(drums**2)
    assert np.abs(other - factor * drums).max() <= 0.5 + 0.5 * factor + 1e-6


def test_silence_everywhere_stays_silence():
    zero = {name: np.zeros((2, RATE)) for name in ("vocals", "drums", "bass", "other")}
    files = master(zero, np.random.default_rng(0))
    assert len(files) == 5 and not any(sound.any() for sound in files.values())


def test_stems_are_rounded_once_and_then_added():
    half = {"a": np.full((2, 4), 0.6 / 32_767), "b": np.full((2, 4), 0.6 / 32_767)}
    files = to_integers(half)
    assert (files["a"] == 1).all() and (files["mixture"] == 2).all()
