"""Render a song's four stems, or its voice alone, as a spectrogram picture.

    python spectrograms.py SONG_FOLDER OUT.png [--start 0] [--seconds 8]
    python spectrograms.py SONG_FOLDER OUT.png --voice_below 5000 --start 3.2 --seconds 5

Without --voice_below frequency is logarithmic from 40 Hz to 18 kHz, with a dotted line at 300 Hz;
with it, the vocals alone are drawn on a linear axis, on which vibrato shows. Grey spans 70 dB
below the maximum of each panel. Needs Pillow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import wavfile
from scipy.signal import stft

STEMS = ("vocals", "drums", "bass", "other")
COLUMNS, RANGE_DB, WINDOW, N_FFT = 800, 70.0, 2_048, 8_192
LINE_HZ = 300.0
LOGARITHMIC = np.geomspace(40.0, 18_000.0, 200)

Grey = NDArray[np.uint8]


def picture(path: Path, start: float, seconds: float, grid: NDArray[np.float64]) -> Grey:
    """(row, column) grey levels of a part of a wav file, the first frequency at the bottom."""
    rate, pcm = wavfile.read(path)
    mono = pcm[int(start * rate) : int((start + seconds) * rate)].mean(axis=1) / 32_768
    overlap = WINDOW - max(1, len(mono) // COLUMNS)
    hertz, _, spec = stft(mono, rate, nperseg=WINDOW, nfft=N_FFT, noverlap=overlap)
    level = 20 * np.log10(np.abs(spec) + 1e-9)
    rows = level[np.searchsorted(hertz, grid)]
    grey = np.clip((rows - rows.max() + RANGE_DB) / RANGE_DB, 0, 1)
    grey[np.searchsorted(grid, LINE_HZ), ::8] = 1.0
    return np.asarray(255 * grey[::-1], dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("song", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--voice_below", type=float, default=None, metavar="HZ")
    asked = parser.parse_args()
    alone = asked.voice_below is not None
    grid = np.linspace(0.0, asked.voice_below, 400) if alone else LOGARITHMIC
    panels = [
        picture(asked.song / f"{stem}.wav", asked.start, asked.seconds, grid)
        for stem in (STEMS[:1] if alone else STEMS)
    ]
    gap = np.full((6, panels[0].shape[1]), 128, dtype=np.uint8)
    stacked = [strip for panel in panels for strip in (panel, gap)][:-1]
    whole = Image.fromarray(np.concatenate(stacked)).quantize(16)
    whole.save(asked.out, optimize=True)


if __name__ == "__main__":
    main()
