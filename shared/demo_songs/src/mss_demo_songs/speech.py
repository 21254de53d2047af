"""A singer's syllable bank: spoken syllables as WORLD spectral envelopes with phoneme times."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_demo_songs.lyrics import BREATHY, UNVOICED, Syllable
from mss_demo_songs.singers import Singer

SPEECH_RATE = 22_050
FRAME_SECONDS = 0.005
FFT_SIZE = 1024
WORDS_PER_MINUTE = 120
LANGUAGE = "en-us"
#: CheapTrick falls back to another window below this fundamental at this transform size.
LOWEST_F0_HZ = 66.0
#: Envelopes are power; anything below this is silence.
FLOOR = 1e-14


@dataclass(frozen=True)
class SpokenSyllable:
    """One analysed syllable.

    Attributes:
        envelope: (frame, bin) natural logarithm of the power envelope, 5 ms a frame.
        voiced: (frame,) 1 where the vocal folds sound, 0 where they don't.
        noise: (frame,) extra share of noise of voiced fricatives, 0 to 1.
        onset, vowel, coda, end: frames where onset, vowel and coda begin and the coda ends.
    """

    envelope: NDArray[np.float64]
    voiced: NDArray[np.float64]
    noise: NDArray[np.float64]
    onset: int
    vowel: int
    coda: int
    end: int


def speak(singer: Singer, syllables: list[Syllable]) -> list[dict[str, Any]]:
    """The samples and phonemes of sorted syllables, spoken in a fresh process.

    Raises:
        RuntimeError: if the speech process ends with an error.
    """
    import espeakng_loader

    request = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "voice": f"{LANGUAGE}+{singer.variant}",
        "pitch": singer.pitch,
        "rate": WORDS_PER_MINUTE,
        "syllables": [syllable.spelling for syllable in syllables],
    }
    program = Path(__file__).with_name("speech_process.py")
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(program)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(
            f"the speech process ended with {ended.returncode} ({last}): "
            f"reinstall espeakng-loader with pip install mss-demo-songs"
        )
    answer = json.loads(ended.stdout)
    if answer["sample_rate"] != SPEECH_RATE:
        raise RuntimeError(
            f"espeak-ng speaks at {answer['sample_rate']} Hz, not {SPEECH_RATE} Hz: "
            f"install the pinned espeakng-loader of mss-demo-songs"
        )
    return list(answer["spoken"])


def _median_f0(speech: NDArray[np.float64]) -> float:
    """The singer's speaking pitch in Hz; the pitch range is 0, so that one value serves."""
    import pyworld

    f0, _ = pyworld.dio(
        speech, SPEECH_RATE, f0_floor=60.0, f0_ceil=400.0, frame_period=4 * 1000 * FRAME_SECONDS
    )
    heard = f0[f0 > 0]
    return max(LOWEST_F0_HZ, float(np.median(heard)) if len(heard) else 110.0)


def _envelope(speech: NDArray[np.float64], f0_hz: float, shift: float) -> NDArray[np.float64]:
    """(frame, bin) log power envelope with its frequencies multiplied by `shift`."""
    import pyworld

    frames = 1 + int(len(speech) / SPEECH_RATE / FRAME_SECONDS)
    times = np.arange(frames) * FRAME_SECONDS
    power = pyworld.cheaptrick(
        speech, np.full(frames, f0_hz), times, SPEECH_RATE, fft_size=FFT_SIZE
    )
    log_power = np.log(np.maximum(power, FLOOR))
    source = np.minimum(np.arange(log_power.shape[1]) / shift, log_power.shape[1] - 1.0)
    low = np.minimum(source.astype(int), log_power.shape[1] - 2)
    share = source - low
    shifted: NDArray[np.float64] = log_power[:, low] * (1 - share) + log_power[:, low + 1] * share
    return shifted


def _marks(phonemes: list[tuple[int, str]]) -> tuple[float, float, float, float]:
    """Seconds where onset, vowel and coda begin and where the coda ends."""
    stressed = next(index for index, (_, name) in enumerate(phonemes) if name.startswith("'"))
    silence = next(
        index for index, (_, name) in enumerate(phonemes) if name.startswith("_") and index
    )
    samples = (
        phonemes[0][0],
        phonemes[stressed][0],
        phonemes[min(stressed + 1, silence)][0],
        phonemes[silence][0],
    )
    onset, vowel, coda, end = (sample / SPEECH_RATE for sample in samples)
    return onset, vowel, coda, end


def _flag(
    phonemes: list[tuple[int, str]], names: frozenset[str], frames: int
) -> NDArray[np.float64]:
    """(frame,) 1 while one of the named phonemes lasts."""
    flag = np.zeros(frames)
    starts = [round(sample / SPEECH_RATE / FRAME_SECONDS) for sample, _ in phonemes]
    for (_, name), start, end in zip(phonemes, starts, [*starts[1:], frames], strict=True):
        if name.lstrip("'") in names:
            flag[start:end] = 1.0
    return flag


def analyse(spoken: dict[str, Any], f0_hz: float, shift: float) -> SpokenSyllable:
    """WORLD envelope, voicing and marks of one spoken syllable."""
    pcm = np.frombuffer(base64.b64decode(spoken["pcm"]), dtype="<i2") / 32_768.0
    phonemes = [(int(sample), str(name)) for sample, name in spoken["phonemes"]]
    envelope = _envelope(pcm, f0_hz, shift)
    frames = len(envelope)
    marks = [round(seconds / FRAME_SECONDS) for seconds in _marks(phonemes)]
    onset, vowel, coda, end = (min(mark, frames - 1) for mark in marks)
    voiced = 1.0 - _flag(phonemes, UNVOICED, frames)
    noise = _flag(phonemes, BREATHY, frames)
    return SpokenSyllable(envelope, voiced, noise, onset, vowel, coda, end)


def syllable_bank(singer: Singer, syllables: list[Syllable]) -> list[SpokenSyllable]:
    """Every syllable of a song as its singer says it, in the order of `syllables`."""
    spoken = speak(singer, syllables)
    first = [np.frombuffer(base64.b64decode(entry["pcm"]), dtype="<i2") for entry in spoken[:6]]
    f0_hz = _median_f0(np.concatenate(first) / 32_768.0)
    return [analyse(entry, f0_hz, singer.formant_shift) for entry in spoken]
