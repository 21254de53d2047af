"""Syllables re-sung on a melody with the WORLD vocoder, phrase by phrase.

Onset and coda consonants keep their spoken pace, the onset ends on the beat, the vowel stretches.
Pitch glides between notes, scoops into phrases, vibrates on long notes, drifts and jitters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt, sosfiltfilt

from mss_demo_songs.score import SungNote
from mss_demo_songs.settings import SAMPLE_RATE
from mss_demo_songs.singers import Singer
from mss_demo_songs.speech import (
    FFT_SIZE,
    FRAME_SECONDS,
    SPEECH_RATE,
    SpokenSyllable,
)

Signal = NDArray[np.float64]

LONGEST_ONSET_SECONDS, LONGEST_CODA_SECONDS = 0.16, 0.14
VIBRATO_AFTER_SECONDS, VIBRATO_NEEDS_SECONDS = 0.18, 0.30
SCOOP_SECONDS = 0.12
DRIFT_CENTS, JITTER_CENTS = 6.0, 1.5
#: Vowel frames that keep their pace next to a consonant, so that formant transitions survive.
KEPT_FRAMES = 10
#: Share of noise (an amplitude) in a sung vowel at the lowest and the highest frequency.
VOWEL_NOISE_LOW, VOWEL_NOISE_HIGH = 0.02, 0.75
#: The band that espeak-ng can't speak, and how loud it is against 6 to 10 kHz.
AIR_BAND_HZ, AIR_MODEL_HZ, AIR_SHARE = (9_500, 16_500), (6_000, 10_000), 0.8


@dataclass(frozen=True)
class Phrase:
    """The notes between two breaths, their times in seconds from the song's start."""

    notes: tuple[SungNote, ...]

    @property
    def start(self) -> float:
        """When the first beat sounds."""
        return self.notes[0].note.start

    @property
    def end(self) -> float:
        """When the last note ends."""
        return self.notes[-1].note.start + self.notes[-1].note.seconds


def split_phrases(melody: tuple[SungNote, ...]) -> list[Phrase]:
    """Cut a melody where a note opens a phrase."""
    phrases: list[list[SungNote]] = []
    for sung in melody:
        if sung.opens or not phrases:
            phrases.append([])
        phrases[-1].append(sung)
    return [Phrase(tuple(notes)) for notes in phrases]


def _stretch(length: int, first: int, last: int) -> Signal:
    """Source frames for `length` target frames of a vowel: ends keep pace, the middle stretches."""
    spoken = last - first
    kept = min(KEPT_FRAMES, length // 3, max(1, spoken // 3))
    middle = np.linspace(first + kept, last - kept, max(1, length - 2 * kept))
    head = np.arange(first, first + kept, dtype=float)
    tail = np.arange(last - kept, last, dtype=float)
    return np.concatenate([head, middle, tail])[:length]


@dataclass(frozen=True)
class _Slot:
    """Where a note's syllable lies on the phrase's frames."""

    sung: SungNote
    onset: int
    beat: int
    coda: int
    end: int


def _slots(phrase: Phrase, bank: list[SpokenSyllable], origin: float) -> list[_Slot]:
    """Onsets reach back into the note before; its coda makes room."""
    frame = [round((sung.note.start - origin) / FRAME_SECONDS) for sung in phrase.notes]
    last = round((phrase.end - origin) / FRAME_SECONDS)
    slots: list[_Slot] = []
    onsets = []
    for index, sung in enumerate(phrase.notes):
        spoken = bank[sung.syllable]
        longest = round(LONGEST_ONSET_SECONDS / FRAME_SECONDS)
        room = frame[index] if index == 0 else (frame[index] - frame[index - 1]) // 2
        onsets.append(frame[index] - min(spoken.vowel - spoken.onset, longest, room))
    for index, sung in enumerate(phrase.notes):
        spoken = bank[sung.syllable]
        end = onsets[index + 1] if index + 1 < len(onsets) else last
        longest = round(LONGEST_CODA_SECONDS / FRAME_SECONDS)
        coda = end - min(spoken.end - spoken.coda, longest, max(0, end - frame[index]) // 2)
        slots.append(_Slot(sung, onsets[index], frame[index], coda, max(coda, end)))
    return slots


def _source_frames(slot: _Slot, spoken: SpokenSyllable) -> Signal:
    """The spoken frame that each target frame of a slot takes its envelope from."""
    onset = spoken.vowel - np.arange(slot.beat - slot.onset, 0, -1, dtype=float)
    vowel = _stretch(slot.coda - slot.beat, spoken.vowel, max(spoken.vowel + 2, spoken.coda))
    coda = spoken.coda + np.arange(slot.end - slot.coda, dtype=float)
    frames = np.concatenate([onset, vowel, coda])
    return np.asarray(np.clip(frames, 0, len(spoken.envelope) - 1))


@dataclass(frozen=True)
class _Frames:
    """Envelope, voicing and noise of a phrase, (frame, bin) and (frame,)."""

    envelope: Signal
    voiced: Signal
    noise: Signal


def _blank(frames: int, bins: int) -> _Frames:
    silence = np.full((frames, bins), np.log(1e-12))
    return _Frames(silence, np.ones(frames), np.zeros(frames))


def _lay_syllables(slots: list[_Slot], bank: list[SpokenSyllable], frames: int) -> _Frames:
    """Lay every syllable's frames in place, joined by a short cross-fade of log envelopes."""
    laid = _blank(frames, FFT_SIZE // 2 + 1)
    for slot in slots:
        spoken = bank[slot.sung.syllable]
        source = _source_frames(slot, spoken)
        low = np.minimum(source.astype(int), len(spoken.envelope) - 2)
        share = (source - low)[:, None]
        span = slice(slot.onset, slot.onset + len(source))
        loudness = 2 * np.log(slot.sung.note.velocity / 90.0)
        laid.envelope[span] = (
            spoken.envelope[low] * (1 - share) + spoken.envelope[low + 1] * share + loudness
        )
        nearest = np.round(source).astype(int)
        laid.voiced[span] = spoken.voiced[nearest]
        laid.noise[span] = spoken.noise[nearest]
    for slot in slots[1:]:
        for frame in range(max(1, slot.onset - 1), min(frames - 1, slot.onset + 1)):
            around = laid.envelope[frame - 1] + laid.envelope[frame + 1]
            laid.envelope[frame] = around / 2
    return laid


def _smooth_step(frames: int) -> Signal:
    """Rises from 0 to 1 with flat ends."""
    position = (np.arange(frames) + 0.5) / max(1, frames)
    return np.asarray(position * position * (3 - 2 * position))


def _wander(frames: int, period_seconds: float, rng: np.random.Generator) -> Signal:
    """Smooth noise of unit deviation that turns about once per period."""
    knots = max(4, int(frames * FRAME_SECONDS / period_seconds) + 3)
    return np.interp(np.linspace(0, knots - 1, frames), np.arange(knots), rng.normal(size=knots))


def _pitch(slots: list[_Slot], frames: int, singer: Singer, rng: np.random.Generator) -> Signal:
    """(frame,) pitch in MIDI semitones."""
    pitch = np.full(frames, float(slots[0].sung.note.pitch))
    for before, slot in zip(slots, slots[1:], strict=False):
        pitch[slot.onset :] = slot.sung.note.pitch
        glide = round(singer.glide_seconds / FRAME_SECONDS)
        first = max(0, slot.beat - glide // 2)
        span = min(glide, frames - first)
        step = slot.sung.note.pitch - before.sung.note.pitch
        pitch[min(first, slot.onset) : first] = before.sung.note.pitch
        pitch[first : first + span] = before.sung.note.pitch + step * _smooth_step(glide)[:span]
    scoop = min(round(SCOOP_SECONDS / FRAME_SECONDS), frames - slots[0].beat)
    if scoop > 0:
        depth = singer.scoop_semitones * (1 - _smooth_step(scoop))
        pitch[: slots[0].beat] -= singer.scoop_semitones
        pitch[slots[0].beat : slots[0].beat + scoop] -= depth
    pitch += DRIFT_CENTS / 100 * _wander(frames, 0.35, rng)
    pitch += JITTER_CENTS / 100 * rng.normal(size=frames)
    return pitch


def _add_vibrato(
    pitch: Signal, slots: list[_Slot], singer: Singer, rng: np.random.Generator
) -> None:
    """Vibrato fades in on the long notes, in place."""
    for slot in slots:
        phase = rng.uniform(0, 2 * np.pi)
        held = slot.end - slot.beat
        if held * FRAME_SECONDS < VIBRATO_NEEDS_SECONDS:
            continue
        first = slot.beat + round(VIBRATO_AFTER_SECONDS / FRAME_SECONDS)
        times = np.arange(slot.end - first) * FRAME_SECONDS
        swell = np.clip(times / 0.2, 0, 1)
        wave = np.sin(2 * np.pi * singer.vibrato_hz * times + phase)
        pitch[first : slot.end] += singer.vibrato_cents / 100 * swell * wave


def _aperiodicity(frames: _Frames) -> Signal:
    """(frame, bin) share of noise: a fixed ramp over frequency in place of an analysis."""
    bins = np.linspace(0, 1, FFT_SIZE // 2 + 1)
    ramp = VOWEL_NOISE_LOW + (VOWEL_NOISE_HIGH - VOWEL_NOISE_LOW) * bins**1.5
    fricative = np.clip(0.15 + 2.5 * bins, 0, 1)
    mixed = np.maximum(ramp[None], frames.noise[:, None] * fricative[None])
    return np.where(frames.voiced[:, None] > 0.5, mixed, 1.0)


def _fade(frames: int, voice: Signal) -> None:
    """Fade a phrase in over 8 ms and out over 40 ms, in place."""
    rise, fall = round(0.008 * SPEECH_RATE), round(0.04 * SPEECH_RATE)
    voice[:rise] *= np.linspace(0, 1, rise)
    voice[-fall:] *= np.linspace(1, 0, fall)


def _sing_phrase(
    phrase: Phrase, bank: list[SpokenSyllable], singer: Singer, rng: np.random.Generator
) -> tuple[float, Signal]:
    """(start in seconds, (sample,) at the speech rate) of one phrase."""
    import pyworld

    origin = max(0.0, phrase.start - LONGEST_ONSET_SECONDS)
    slots = _slots(phrase, bank, origin)
    frames = max(slots[-1].end + 1, 12)
    laid = _lay_syllables(slots, bank, frames)
    pitch = _pitch(slots, frames, singer, rng)
    _add_vibrato(pitch, slots, singer, rng)
    f0 = np.where(laid.voiced > 0.5, 440.0 * 2 ** ((pitch - 69) / 12), 0.0)
    voice = pyworld.synthesize(
        f0,
        np.ascontiguousarray(np.exp(laid.envelope)),
        np.ascontiguousarray(_aperiodicity(laid)),
        SPEECH_RATE,
        1000 * FRAME_SECONDS,
    )
    _fade(frames, voice)
    return origin, voice


def _air(voice: Signal, rng: np.random.Generator) -> Signal:
    """Noise above the band of the speech, as loud as the highest band that it has."""
    model = sosfilt(butter(4, AIR_MODEL_HZ, "band", fs=SAMPLE_RATE, output="sos"), voice)
    smooth = butter(1, 40.0, fs=SAMPLE_RATE, output="sos")
    loudness = np.sqrt(np.maximum(sosfiltfilt(smooth, model * model), 0))
    noise = sosfilt(
        butter(4, AIR_BAND_HZ, "band", fs=SAMPLE_RATE, output="sos"), rng.normal(size=len(voice))
    )
    return np.asarray(AIR_SHARE * loudness * noise / np.sqrt(np.mean(noise * noise)))


def sing(
    melody: tuple[SungNote, ...],
    bank: list[SpokenSyllable],
    singer: Singer,
    samples: int,
    rng: np.random.Generator,
) -> Signal:
    """One take of a melody: (sample,) at 44.1 kHz, `samples` long, air included."""
    length = -(-samples * SPEECH_RATE // SAMPLE_RATE)
    speech = np.zeros(length)
    for phrase in split_phrases(melody):
        start, voice = _sing_phrase(phrase, bank, singer, rng)
        first = round(start * SPEECH_RATE)
        voice = voice[: max(0, length - first)]
        speech[first : first + len(voice)] += voice
    take = resample_poly(speech, SAMPLE_RATE // SPEECH_RATE, 1)[:samples]
    return np.asarray(take + _air(take, rng))


def get_chorus(melody: tuple[SungNote, ...]) -> tuple[SungNote, ...]:
    """The notes of the chorus."""
    return tuple(sung for sung in melody if sung.section == "chorus")


def third_above(melody: tuple[SungNote, ...], scale: tuple[int, ...]) -> tuple[SungNote, ...]:
    """The melody a diatonic third higher: two degrees up the scale."""
    lifted = []
    for sung in melody:
        above = [step for step in range(1, 8) if (sung.note.pitch + step) % 12 in scale]
        note = replace(sung.note, pitch=sung.note.pitch + above[1])
        lifted.append(replace(sung, note=note))
    return tuple(lifted)


def shifted(melody: tuple[SungNote, ...], seconds: float) -> tuple[SungNote, ...]:
    """The melody sung a little late (or early, but never before the song's start)."""
    return tuple(
        replace(sung, note=replace(sung.note, start=max(0.0, sung.note.start + seconds)))
        for sung in melody
    )
