"""Filters, reverberation, compression and other effects; sound is (2, sample) float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from mss_demo_songs.settings import SAMPLE_RATE

Sound = NDArray[np.float64]

#: Samples between two values of a gain curve; the curve is interpolated between them.
GAIN_HOP = 64


def high_pass(sound: Sound, cutoff_hz: float) -> Sound:
    """Second-order Butterworth."""
    return np.asarray(sosfilt(butter(2, cutoff_hz, "high", fs=SAMPLE_RATE, output="sos"), sound))


def low_pass(sound: Sound, cutoff_hz: float) -> Sound:
    """Second-order Butterworth."""
    return np.asarray(sosfilt(butter(2, cutoff_hz, "low", fs=SAMPLE_RATE, output="sos"), sound))


def peak(sound: Sound, centre_hz: float, gain_db: float, q: float = 1.0) -> Sound:
    """A bell of `gain_db` around `centre_hz`.

    Source: the peaking filter of Bristow-Johnson's audio EQ cookbook.
    """
    amplitude = 10 ** (gain_db / 40)
    angle = 2 * np.pi * centre_hz / SAMPLE_RATE
    alpha = np.sin(angle) / (2 * q)
    cosine = -2 * np.cos(angle)
    numerator = np.array([1 + alpha * amplitude, cosine, 1 - alpha * amplitude])
    denominator = np.array([1 + alpha / amplitude, cosine, 1 - alpha / amplitude])
    section = np.concatenate([numerator, denominator])[None] / denominator[0]
    return np.asarray(sosfilt(section, sound))


def pan(mono: Sound, position: float) -> Sound:
    """(sample,) -> (2, sample), constant power; -1 is left, 1 is right."""
    angle = (position + 1) * np.pi / 4
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono])


def widen(sound: Sound, delay_seconds: float) -> Sound:
    """Delay the right channel, which spreads a pad over both sides."""
    delay = round(delay_seconds * SAMPLE_RATE)
    wide = sound.copy()
    wide[1, delay:] = sound[1, : sound.shape[1] - delay]
    wide[1, :delay] = 0
    return wide


def drive(sound: Sound, amount: float) -> Sound:
    """A tanh curve after normalising the peak; `amount` 1 is nearly clean, 4 is audible."""
    loudest = np.max(np.abs(sound))
    if loudest == 0:
        return sound
    return np.asarray(np.tanh(amount * sound / loudest) * loudest / np.tanh(amount))


def reverb(
    sound: Sound,
    decay_seconds: float,
    wet: float,
    damping_hz: float,
    pre_delay_seconds: float,
    rng: np.random.Generator,
) -> Sound:
    """The sound plus a diffuse tail that falls by 60 dB in `decay_seconds`.

    The impulse response is decaying noise, another one for each channel, of unit energy; `wet` is
    the tail's amplitude beside the dry sound.
    """
    length = round(decay_seconds * SAMPLE_RATE)
    decay = 10 ** (-3 * np.arange(length) / length)
    response = low_pass(rng.normal(size=(2, length)) * decay, damping_hz)
    response = high_pass(response, 180.0)
    response /= np.sqrt(np.sum(response**2, axis=1, keepdims=True))
    delayed = np.zeros_like(sound)
    delay = round(pre_delay_seconds * SAMPLE_RATE)
    delayed[:, delay:] = sound[:, : sound.shape[1] - delay]
    tail = oaconvolve(delayed, response, axes=1)[:, : sound.shape[1]]
    return np.asarray(sound + wet * tail)


def echo(sound: Sound, delay_seconds: float, feedback: float, level: float) -> Sound:
    """Four darker repeats, alternately to the left and to the right."""
    out = sound.copy()
    repeat = low_pass(high_pass(sound, 250.0), 4_000.0)
    delay = round(delay_seconds * SAMPLE_RATE)
    for count in range(1, 5):
        shift = count * delay
        if shift >= sound.shape[1]:
            break
        gains = np.array([[1.0], [0.5]]) if count % 2 else np.array([[0.5], [1.0]])
        out[:, shift:] += level * feedback ** (count - 1) * gains * repeat[:, : -shift or None]
    return out


def _block_levels(sound: Sound) -> NDArray[np.float64]:
    """(block,) the loudest RMS of the channels in each block of GAIN_HOP samples."""
    blocks = -(-sound.shape[1] // GAIN_HOP)
    padded = np.pad(sound, ((0, 0), (0, blocks * GAIN_HOP - sound.shape[1])))
    squares = padded.reshape(2, blocks, GAIN_HOP) ** 2
    return np.asarray(np.sqrt(squares.mean(axis=2).max(axis=0)))


def _follow(wanted: NDArray[np.float64], attack: float, release: float) -> NDArray[np.float64]:
    """One-pole smoothing of a gain in dB: `attack` seconds down, `release` seconds up."""
    step = GAIN_HOP / SAMPLE_RATE
    down, up = np.exp(-step / attack), np.exp(-step / release)
    followed, now = [], 0.0
    for target in wanted.tolist():
        share = down if target < now else up
        now = share * now + (1 - share) * target
        followed.append(now)
    return np.array(followed)


def compressor_gain(
    sound: Sound,
    threshold_db: float,
    ratio: float,
    attack_seconds: float = 0.008,
    release_seconds: float = 0.12,
) -> Sound:
    """(sample,) linear gain of a compressor that listens to `sound`."""
    level_db = 20 * np.log10(_block_levels(sound) + 1e-9)
    over = np.maximum(0, level_db - threshold_db)
    gain_db = _follow(-over * (1 - 1 / ratio), attack_seconds, release_seconds)
    centres = (np.arange(len(gain_db)) + 0.5) * GAIN_HOP
    return np.asarray(10 ** (np.interp(np.arange(sound.shape[1]), centres, gain_db) / 20))


def limiter_gain(heights: Sound, ceiling: float) -> Sound:
    """(sample,) linear gain that brings peaks to about `ceiling`, ahead of them by 4 ms.

    `heights` is (sample,): the largest absolute value among all that the gain is for.
    """
    blocks = -(-len(heights) // GAIN_HOP)
    padded = np.pad(heights, (0, blocks * GAIN_HOP - len(heights)))
    peaks = padded.reshape(blocks, GAIN_HOP).max(axis=1)
    ahead = 3
    windows = np.stack([np.roll(peaks, -shift) for shift in range(-ahead, ahead + 1)])
    wanted = np.minimum(0, 20 * np.log10(ceiling / (windows.max(axis=0) + 1e-9)))
    gain_db = np.minimum(wanted, _follow(wanted, 0.0005, 0.08))
    centres = (np.arange(blocks) + 0.5) * GAIN_HOP
    return np.asarray(10 ** (np.interp(np.arange(len(heights)), centres, gain_db) / 20))


def gated_rms(sound: Sound) -> float:
    """RMS over both channels of the 0.4-s blocks within 30 dB of the loudest; 0 for silence."""
    block = round(0.4 * SAMPLE_RATE)
    blocks = max(1, sound.shape[1] // block)
    powers = [float(np.mean(part**2)) for part in np.array_split(sound, blocks, axis=1)]
    loudest = max(powers)
    return float(np.sqrt(np.mean([power for power in powers if power >= loudest * 1e-3])))
