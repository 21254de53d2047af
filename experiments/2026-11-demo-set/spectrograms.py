"""Render a song's four stems as one spectrogram picture.

    python spectrograms.py SONG_FOLDER OUT.png [--seconds 8]

Frequency is logarithmic from 40 Hz to 18 kHz, colour spans 70 dB below each stem's maximum, a
light line stands at 300 Hz. Needs Pillow.
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
ROWS, RANGE_DB, N_FFT, HOP = 200, 70.0, 4_096, 441
LOW_HZ, HIGH_HZ, LINE_HZ = 40.0, 18_000.0, 300.0


def picture(path: Path, seconds: float) -> NDArray[np.uint8]:
    """(row, column) grey levels of one wav file, low frequencies at the bottom."""
    rate, pcm = wavfile.read(path)
    mono = pcm[: int(seconds * rate)].mean(axis=1) / 32_768
    hertz, _, spec = stft(mono, rate, nperseg=2_048, nfft=N_FFT, noverlap=2_048 - HOP)
    level = 20 * np.log10(np.abs(spec) + 1e-9)
    grid = np.geomspace(LOW_HZ, HIGH_HZ, ROWS)
    rows = level[np.searchsorted(hertz, grid)]
    grey = np.clip((rows - rows.max() + RANGE_DB) / RANGE_DB, 0, 1)
    grey[np.searchsorted(grid, LINE_HZ), ::8] = 1.0
    return np.asarray(255 * grey[::-1], dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("song", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    asked = parser.parse_args()
    panels = [picture(asked.song / f"{stem}.wav", asked.seconds) for stem in STEMS]
    gap = np.full((6, panels[0].shape[1]), 128, dtype=np.uint8)
    stacked = [strip for panel in panels for strip in (panel, gap)][:-1]
    Image.fromarray(np.concatenate(stacked)).save(asked.out, optimize=True)


if __name__ == "__main__":
    main()
