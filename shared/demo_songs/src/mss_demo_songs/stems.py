"""The channel strips: from rendered parts and sung takes to the four stereo stems."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mss_demo_songs.compose import Song
from mss_demo_songs.effects import (
    Sound,
    compressor_gain,
    drive,
    echo,
    gated_rms,
    high_pass,
    low_pass,
    pan,
    peak,
    reverb,
    widen,
)
from mss_demo_songs.lyrics import write_lyrics
from mss_demo_songs.midi import render
from mss_demo_songs.score import Part
from mss_demo_songs.sing import get_chorus, shifted, sing, third_above
from mss_demo_songs.speech import syllable_bank

#: Level of each part of `other` against its chord part, in dB.
PART_LEVELS_DB = {"chords": 0.0, "pad": -4.0, "lead": -1.0}
#: Programs that stand to one side like a single player; others keep the sound font's image.
GUITARS = range(24, 32)


def _levelled(sound: Sound, level_db: float) -> Sound:
    """A sound brought to a gated RMS in dBFS; silence stays silence."""
    loudness = gated_rms(sound)
    return sound if loudness == 0 else sound * (10 ** (level_db / 20) / loudness)


def _compressed(sound: Sound, threshold_db: float, ratio: float) -> Sound:
    """Compressed against a threshold in dB above the sound's own gated RMS."""
    loudness_db = 20 * np.log10(gated_rms(sound) + 1e-9)
    return sound * compressor_gain(sound, loudness_db + threshold_db, ratio)


def mix_drums(parts: list[Part], samples: int, rng: np.random.Generator) -> Sound:
    """Kit, 2-4:1 compression, a small room."""
    kit = render(parts[0], samples)
    kit = _compressed(kit, float(rng.uniform(-2, 3)), float(rng.uniform(2, 4)))
    decay, wet = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.1, 0.3))
    return reverb(kit, decay, wet, float(rng.uniform(5_000, 9_000)), 0.004, rng)


def mix_bass(parts: list[Part], samples: int, rng: np.random.Generator) -> Sound:
    """One mono line, tanh drive, low-pass at 2.5-7 kHz, compression."""
    mono = np.tile(render(parts[0], samples).mean(axis=0), (2, 1))
    driven = drive(mono, float(rng.uniform(1.0, 3.5)))
    dark = low_pass(driven, float(rng.uniform(2_500, 7_000)))
    return _compressed(high_pass(dark, 30.0), 0.0, 3.0)


def _place(part: Part, sound: Sound, side: float, rng: np.random.Generator) -> Sound:
    """A part's place between left and right, and its equaliser."""
    sound = high_pass(sound, float(rng.uniform(80, 160)))
    sound = peak(sound, float(rng.uniform(400, 4_000)), float(rng.uniform(-4, 4)))
    position = side * float(rng.uniform(0.25, 0.8))
    if part.name == "pad":
        return widen(sound, float(rng.uniform(0.009, 0.018)))
    if part.name == "lead":
        return pan(sound.mean(axis=0), position * 0.5)
    if part.program in GUITARS:
        return pan(sound.mean(axis=0), position)
    # Keyboards keep their own width and lean to one side.
    lean = np.array([[1 - max(0.0, position) * 0.7], [1 + min(0.0, position) * 0.7]])
    return np.asarray(sound * lean)


def mix_other(parts: list[Part], samples: int, rng: np.random.Generator) -> Sound:
    """Chords, pad and lead placed from side to side, in a hall of 0.5-1.7 s."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    bus = np.zeros((2, samples))
    for part in parts:
        level_db = PART_LEVELS_DB[part.name.split("-")[0]] + float(rng.uniform(-2, 2))
        bus += _levelled(_place(part, render(part, samples), side, rng), level_db)
        side = -side
    decay, wet = float(rng.uniform(0.5, 1.7)), float(rng.uniform(0.1, 0.4))
    pre_delay = float(rng.uniform(0.005, 0.025))
    return reverb(bus, decay, wet, float(rng.uniform(4_000, 8_000)), pre_delay, rng)


def sing_takes(song: Song, samples: int, rng: np.random.Generator) -> Sound:
    """The lead voice in the middle; doubles and a third in the chorus, on both sides."""
    assert song.singer is not None
    bank = syllable_bank(song.singer, write_lyrics(rng))
    takes = pan(sing(song.melody, bank, song.singer, samples, rng), 0.0)
    chorus = get_chorus(song.melody)
    if song.singer.doubled and chorus:
        for late, position in ((-0.012, -0.6), (0.012, 0.6)):
            double = sing(shifted(chorus, late), bank, song.singer, samples, rng)
            takes += 0.45 * pan(double, position)
    if song.singer.harmony and chorus:
        third = third_above(chorus, song.sections[-1].chords[0].scale)
        side = 0.4 if rng.random() < 0.5 else -0.4
        takes += 0.4 * pan(sing(third, bank, song.singer, samples, rng), side)
    return takes


def mix_vocals(
    song: Song, parts: list[Part], samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """High-pass, presence, 2.5-5:1 compression, perhaps an echo, a short reverb."""
    if song.singer is not None:
        takes = sing_takes(song, samples, rng)
    elif parts:
        takes = pan(render(parts[0], samples).mean(axis=0), 0.0)
    else:
        return np.zeros((2, samples))
    voice = high_pass(takes, 90.0)
    voice = peak(voice, float(rng.uniform(2_500, 5_000)), float(rng.uniform(0, 4)), q=0.7)
    voice = _compressed(voice, float(rng.uniform(-4, 0)), float(rng.uniform(2.5, 5)))
    if rng.random() < 0.4:
        beat = 60.0 / song.clock.bpm
        voice = echo(voice, beat * float(rng.choice([0.5, 0.75, 1.0])), 0.4, 0.18)
    decay, wet = float(rng.uniform(0.6, 1.4)), float(rng.uniform(0.08, 0.3))
    return reverb(voice, decay, wet, float(rng.uniform(5_000, 8_000)), 0.02, rng)


def mix_stems(song: Song, samples: int, rng: np.random.Generator) -> dict[str, Sound]:
    """The four stems by name, each (2, sample) at no particular level.

    Each stem has a generator of its own, so that a change in one leaves the others as they are.
    """
    of = {
        stem: [part for part in song.parts if part.stem == stem]
        for stem in ("vocals", "drums", "bass", "other")
    }
    voice, drums, bass, other = rng.spawn(4)
    return {
        "vocals": mix_vocals(song, of["vocals"], samples, voice),
        "drums": mix_drums(of["drums"], samples, drums),
        "bass": mix_bass(of["bass"], samples, bass),
        "other": mix_other(of["other"], samples, other),
    }
