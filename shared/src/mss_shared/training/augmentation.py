"""Audio effects on single stems, drawn at random for training examples.

Audio is (channel, sample) float32 in and out, of the same length; every effect keeps the channels
in phase with each other.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.recipe_sections import EffectsConfig, Range

# Ranges of the centre frequencies of the equaliser: low shelf, five peaks, high shelf.
BANDS_HZ: tuple[Range, ...] = (
    (42.5, 95.0),
    (91.0, 204.0),
    (196.0, 441.0),
    (421.0, 948.0),
    (909.0, 2045.0),
    (1957.0, 4404.0),
    (4216.0, 9486.0),
)
_PEAK_Q = (0.5, 5.0)
_SHELF_Q = (0.3, 1.0)
_WINDOW, _HOP = 2048, 512  # of the phase vocoder
_MP3_MOST_COMPRESSION = 0.99  # libsndfile refuses 1.0


def affect(
    stem: Audio, index: int, config: EffectsConfig, sample_rate: int, rng: np.random.Generator
) -> Audio:
    """Draw and apply the effects of the stem at ``index``; (channel, sample) in and out."""
    if rng.random() < config.reversal_prob:
        stem = stem[:, ::-1]
    if rng.random() < config.pitch_prob[index]:
        largest = config.pitch_semitones[index]
        stem = shift_pitch(stem, rng.uniform(-largest, largest))
    if rng.random() < config.equalizer_prob[index]:
        stem = equalize(stem, config.equalizer_gain_db[index], sample_rate, rng)
    if rng.random() < config.distortion_prob[index]:
        stem = distort(stem, rng.uniform(*config.distortion_amount[index]))
    if rng.random() < config.noise_prob[index]:
        level = rng.uniform(*config.noise_level[index])
        stem = stem + np.float32(level) * rng.standard_normal(stem.shape, dtype=np.float32)
    if rng.random() < config.stretch_prob[index]:
        rate = rng.uniform(*config.stretch_rate[index])
        stem = audio.fit_length(stretch(stem, rate), stem.shape[1])
    if rng.random() < config.mp3_prob[index]:
        stem = mp3(stem, sample_rate, rng.uniform(*config.mp3_quality[index]))
    return np.ascontiguousarray(stem, dtype=np.float32)


def equalize(stem: Audio, gain_db: Range, sample_rate: int, rng: np.random.Generator) -> Audio:
    """A low shelf, five peaks and a high shelf, each of random centre, width and gain."""
    from scipy.signal import sosfilt  # takes half a second, too long for --help

    sections = []
    for band, (low, high) in enumerate(BANDS_HZ):
        shelf = band in (0, len(BANDS_HZ) - 1)
        centre = min(rng.uniform(low, high), 0.45 * sample_rate)
        q = rng.uniform(*(_SHELF_Q if shelf else _PEAK_Q))
        gain = 10.0 ** (rng.uniform(*gain_db) / 40.0)
        angle = 2.0 * np.pi * centre / sample_rate
        sections.append(_peak(gain, angle, q) if not shelf else _shelf(gain, angle, q, band > 0))
    filtered: Audio = sosfilt(np.stack(sections), stem, axis=1).astype(np.float32)
    return filtered


def _peak(gain: float, angle: float, q: float) -> NDArray[np.float64]:
    """A second-order section with ``gain`` squared at ``angle`` and 1 far from it."""
    alpha, cosine = np.sin(angle) / (2.0 * q), np.cos(angle)
    up = (1.0 + alpha * gain, -2.0 * cosine, 1.0 - alpha * gain)
    down = (1.0 + alpha / gain, -2.0 * cosine, 1.0 - alpha / gain)
    section: NDArray[np.float64] = np.array([*up, *down]) / down[0]
    return section


def _shelf(gain: float, angle: float, q: float, high: bool) -> NDArray[np.float64]:
    """A second-order section with ``gain`` squared on one side of ``angle``, 1 on the other."""
    sign = -1.0 if high else 1.0
    cosine, slope = sign * np.cos(angle), np.sin(angle) / q * np.sqrt(gain)
    plus, minus = gain + 1.0, gain - 1.0
    up = (
        gain * (plus - minus * cosine + slope),
        sign * 2.0 * gain * (minus - plus * cosine),
        gain * (plus - minus * cosine - slope),
    )
    down = (
        plus + minus * cosine + slope,
        -sign * 2.0 * (minus + plus * cosine),
        plus + minus * cosine - slope,
    )
    section: NDArray[np.float64] = np.array([*up, *down]) / down[0]
    return section


def distort(stem: Audio, amount: float) -> Audio:
    """Saturate by a tanh a share ``amount`` of the samples; the level stays the same."""
    level = np.sqrt(np.square(stem, dtype=np.float64).mean())
    if not level:
        return stem
    threshold = float(np.quantile(np.abs(stem), 1.0 - 0.99 * amount))
    saturated = np.tanh(stem * np.float32(0.5 / max(threshold, 1e-6)))
    after = np.sqrt(np.square(saturated, dtype=np.float64).mean())
    distorted: Audio = (saturated * np.float32(level / after)).astype(np.float32)
    return distorted


def shift_pitch(stem: Audio, semitones: float) -> Audio:
    """Raise the pitch by ``semitones`` at the same tempo and length."""
    ratio = 2.0 ** (semitones / 12.0)
    longer = stretch(stem, 1.0 / ratio)
    return audio.fit_length(audio.resample(longer, longer.shape[1], stem.shape[1]), stem.shape[1])


def stretch(stem: Audio, rate: float) -> Audio:
    """Play ``rate`` times as fast at the same pitch, by a phase vocoder.

    Returns:
        (channel, round(sample / rate)). All channels are rotated by the same phase, which keeps
        the phase differences between them and so the stereo image.
    """
    samples = round(stem.shape[1] / rate)
    spec = _frames(stem)  # (channel, frame, bin)
    # The phase advance to the next frame, common to the channels, and its sum at rate 1.
    advance = np.angle((spec[:, 1:] * spec[:, :-1].conj()).sum(axis=0))
    analysis = np.concatenate([np.zeros_like(advance[:1]), np.cumsum(advance, axis=0)])
    positions = np.arange(0.0, spec.shape[1] - 1, rate)
    first = positions.astype(int)
    share = (positions - first)[:, None]
    magnitude = (1.0 - share) * np.abs(spec[:, first]) + share * np.abs(spec[:, first + 1])
    synthesis = np.concatenate([np.zeros_like(advance[:1]), np.cumsum(advance[first[:-1]], axis=0)])
    phase = np.angle(spec[:, first]) + synthesis - analysis[first]
    return _overlap_add(magnitude * np.exp(1j * phase), samples)


def _window() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_WINDOW) / _WINDOW)


def _frames(stem: Audio) -> NDArray[np.complex128]:
    """(channel, sample) -> (channel, frame, bin) with a Hann window, zero-padded at both ends."""
    tail = _WINDOW + -stem.shape[1] % _HOP
    padded = np.pad(stem.astype(np.float64), ((0, 0), (_WINDOW // 2, tail)))
    cut = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=1)[:, ::_HOP]
    return np.fft.rfft(cut * _window(), axis=-1)


def _overlap_add(spec: NDArray[np.complex128], samples: int) -> Audio:
    """The inverse of ``_frames``, cut or padded to ``samples``."""
    window = _window()
    frames = np.fft.irfft(spec, _WINDOW, axis=-1) * window
    total = np.zeros((spec.shape[0], (spec.shape[1] - 1) * _HOP + _WINDOW))
    weight = np.zeros(total.shape[1])
    for frame in range(spec.shape[1]):
        span = slice(frame * _HOP, frame * _HOP + _WINDOW)
        total[:, span] += frames[:, frame]
        weight[span] += window**2
    summed = (total / np.maximum(weight, 1e-3))[:, _WINDOW // 2 :].astype(np.float32)
    return audio.fit_length(summed, samples)


def mp3(stem: Audio, sample_rate: int, quality: float) -> Audio:
    """Encode to mp3 and decode again; libsndfile restores length and timing.

    Args:
        stem: (channel, sample).
        sample_rate: one that mp3 supports.
        quality: from 0.0, the smallest file, to 1.0.

    Raises:
        ValueError: if libsndfile can't encode it.
    """
    file = io.BytesIO()
    peak = max(1.0, float(np.abs(stem).max(initial=0.0)))
    level = min(1.0 - quality, _MP3_MOST_COMPRESSION)
    try:
        soundfile.write(file, stem.T / peak, sample_rate, format="MP3", compression_level=level)
        file.seek(0)
        decoded = soundfile.read(file, dtype="float32", always_2d=True)[0].T * np.float32(peak)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{sample_rate} Hz can't be encoded as mp3 ({error.error_string}): set "
            f"data.effects.mp3_prob to zeros"
        ) from None
    return audio.fit_length(decoded, stem.shape[1])
