"""From stems to 16-bit files whose integers add up: levels, one shared gain curve, rounding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mss_demo_songs.effects import Sound, compressor_gain, gated_rms, limiter_gain
from mss_demo_songs.settings import SAMPLE_RATE

#: Gated RMS of each stem in dBFS, before a draw of plus or minus LEVEL_SPREAD_DB.
TARGETS_DB = {"vocals": -19.0, "drums": -19.5, "bass": -21.0, "other": -19.5}
LEVEL_SPREAD_DB = 3.0
#: RMS in dBFS that every finished stem must have, half a decibel inside of the promise.
QUIETEST_DB, LOUDEST_DB = -25.5, -15.5
PEAK_DB = (-1.5, -0.3)
FULL_SCALE = 32_767
#: Peaks of the mix above this are turned down by the shared gain curve.
CEILING = 0.95
FADE_SECONDS = 0.25

Integers = NDArray[np.int16]


def rms_db(sound: NDArray[np.floating | np.integer], full_scale: float = 1.0) -> float:
    """RMS over all channels and samples in dB below full scale; -inf for silence."""
    power = float(np.mean((np.asarray(sound, dtype=np.float64) / full_scale) ** 2))
    return float(10 * np.log10(power)) if power > 0 else -math.inf


def _bus_gain(stems: dict[str, Sound]) -> Sound:
    """One gain curve from the mix: gentle compression, then a limiter."""
    mix = np.sum(list(stems.values()), axis=0)
    loudness_db = 20 * np.log10(gated_rms(mix) + 1e-9)
    gain = compressor_gain(mix, loudness_db + 2.0, 1.8, 0.02, 0.2)
    # A stem can peak where the mix cancels, so the limiter hears the stems as well.
    peaks = np.max(np.abs([mix, *stems.values()]), axis=(0, 1))
    return gain * limiter_gain(peaks * gain, CEILING)


def _scale(stems: dict[str, Sound], peak_db: float) -> float:
    """The factor that brings the mix to its peak, and no stem beyond it."""
    loudest = max(float(np.max(np.abs(np.sum(list(stems.values()), axis=0)))), 1e-9)
    alone = max(float(np.max(np.abs(stem))) for stem in stems.values())
    target = float(10 ** (peak_db / 20))
    return min(target / loudest, 0.999 / max(alone, 1e-9))


def balance(stems: dict[str, Sound], rng: np.random.Generator) -> dict[str, Sound]:
    """Stems at their drawn levels, through the shared gain curve, scaled by the mix's peak.

    Where the shared steps push a stem out of the promised range of RMS, its level is corrected
    and the steps are repeated, at most eight times.
    """
    draws = rng.uniform(-LEVEL_SPREAD_DB, LEVEL_SPREAD_DB, len(TARGETS_DB))
    levelled = {}
    for (name, target_db), draw in zip(TARGETS_DB.items(), draws, strict=True):
        loudness = gated_rms(stems[name])
        gain = 10 ** ((target_db + draw) / 20) / loudness if loudness > 0 else 0.0
        levelled[name] = gain * stems[name]
    peak_db = float(rng.uniform(*PEAK_DB))
    finished = levelled
    for _ in range(8):
        curve = _bus_gain(levelled)
        bused = {name: stem * curve for name, stem in levelled.items()}
        scale = _scale(bused, peak_db)
        finished = {name: scale * stem for name, stem in bused.items()}
        wrong = {name: _correction_db(rms_db(stem)) for name, stem in finished.items()}
        if not any(wrong.values()):
            break
        for name, correction_db in wrong.items():
            levelled[name] = levelled[name] * 10 ** (correction_db / 20)
    return finished


def _correction_db(level_db: float) -> float:
    """The gain in dB that a stem needs to enter the promised range; 0 for silence."""
    if np.isinf(level_db) or QUIETEST_DB <= level_db <= LOUDEST_DB:
        return 0.0
    return QUIETEST_DB + 0.2 - level_db if level_db < QUIETEST_DB else LOUDEST_DB - 0.2 - level_db


def to_integers(stems: dict[str, Sound]) -> dict[str, Integers]:
    """(2, sample) int16 per stem and for the mixture, which is the stems' integer sum.

    Each stem is rounded once, without dither. A stem of zeros stays exactly zero.
    """
    rounded = {name: np.rint(stem * FULL_SCALE).astype(np.int32) for name, stem in stems.items()}
    mixture = np.sum(list(rounded.values()), axis=0)
    assert max(np.abs(part).max() for part in (mixture, *rounded.values())) <= FULL_SCALE
    files = {"mixture": mixture, **rounded}
    return {name: sound.astype(np.int16) for name, sound in files.items()}


def fade_out(stems: dict[str, Sound]) -> dict[str, Sound]:
    """Stems that end in a short fade, as the song is cut to its length."""
    samples = next(iter(stems.values())).shape[1]
    fade = min(samples, round(FADE_SECONDS * SAMPLE_RATE))
    curve = np.ones(samples)
    curve[samples - fade :] = np.linspace(1, 0, fade) ** 2
    return {name: stem * curve for name, stem in stems.items()}


def master(stems: dict[str, Sound], rng: np.random.Generator) -> dict[str, Integers]:
    """Levels, shared gain, fade, scale and rounding: what the five files of a song hold."""
    return to_integers(balance(fade_out(stems), rng))
