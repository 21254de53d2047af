"""Measure a demo set against what it must be: exact, loud enough, and separable.

    python measure.py tiny small [--cache FOLDER]

builds each size where it isn't built yet and prints one line per song, then the set's figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import butter, istft, sosfilt, stft

from mss_demo_songs import SIZES, demo_root

STEMS = ("vocals", "drums", "bass", "other")
N_FFT, HOP = 2_048, 512
FULL_SCALE = 32_768.0

Sound = NDArray[np.float64]


def read(folder: Path) -> dict[str, NDArray[np.int16]]:
    """(2, sample) integers of the five files."""
    names = ("mixture", *STEMS)
    return {name: wavfile.read(folder / f"{name}.wav")[1].T for name in names}


def db(power: float) -> float:
    """Power in dB, silence far down instead of minus infinity."""
    return float(10 * np.log10(power + 1e-12))


def frame_sdr(references: Sound, estimates: Sound, rate: int) -> Sound:
    """(stem,) dB: median over the 1-s frames in which no reference is silent.

    References and estimates are (stem, 2, sample).
    """
    frames = references.shape[-1] // rate
    cut = (*references.shape[:2], frames, rate)
    reference = references[..., : frames * rate].reshape(cut)
    error = estimates[..., : frames * rate].reshape(cut) - reference
    signal = (reference**2).sum(axis=(1, 3))
    noise = (error**2).sum(axis=(1, 3))
    heard = (signal > 0).all(axis=0)
    if not heard.any():
        return np.full(len(references), np.nan)
    ratio = 10 * np.log10(signal[:, heard] / np.maximum(noise[:, heard], 1e-12))
    return np.asarray(np.median(ratio, axis=1))


def ideal_ratio_mask(references: Sound, mixture: Sound, rate: int, power: float) -> Sound:
    """(stem, 2, sample): the mixture under the masks |stem|^power / sum of |stem|^power."""
    settings = {"fs": rate, "nperseg": N_FFT, "noverlap": N_FFT - HOP}
    specs = np.stack([stft(reference, **settings)[2] for reference in references])
    weights = np.abs(specs) ** power
    masks = weights / np.maximum(weights.sum(axis=0), 1e-20)
    mixed = stft(mixture, **settings)[2]
    return np.stack([istft(mask * mixed, **settings)[1] for mask in masks])[
        ..., : mixture.shape[-1]
    ]


def describe_stem(sound: Sound, rate: int) -> dict[str, float]:
    """RMS in dBFS, side against mid in dB, energy above 4 kHz and below 300 Hz in percent."""
    power = float(np.mean(sound**2))
    if power == 0:
        return {"rms": -np.inf, "side": -np.inf, "high": 0.0, "low": 0.0}
    mid, side = sound.mean(axis=0), (sound[0] - sound[1]) / 2
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(sound.shape[1], 1 / rate)
    total = spectrum.sum()
    return {
        "rms": db(power),
        "side": db(float(np.mean(side**2))) - db(float(np.mean(mid**2))),
        "high": 100 * float(spectrum[:, hertz > 4_000].sum() / total),
        "low": 100 * float(spectrum[:, hertz < 300].sum() / total),
    }


def activity(sound: Sound, rate: int) -> float:
    """Percent of the 50-ms blocks within 40 dB of the loudest."""
    block = rate // 20
    blocks = sound.shape[1] // block
    powers = (sound[:, : blocks * block].reshape(2, blocks, block) ** 2).mean(axis=(0, 2))
    return 100 * float(np.mean(powers > powers.max() * 1e-4)) if powers.max() > 0 else 0.0


def air(sound: Sound, rate: int) -> float:
    """Energy in dB of 9.5-16.5 kHz against the whole."""
    band = sosfilt(butter(4, (9_500, 16_500), "band", fs=rate, output="sos"), sound)
    return db(float(np.mean(band**2))) - db(float(np.mean(sound**2)))


def measure(folder: Path) -> dict[str, Any]:
    """Every figure of one song."""
    rate = wavfile.read(folder / "mixture.wav")[0]
    files = read(folder)
    total = np.sum([files[stem].astype(np.int64) for stem in STEMS], axis=0)
    references = np.stack([files[stem] for stem in STEMS]) / FULL_SCALE
    mixture = files["mixture"] / FULL_SCALE
    repeated = np.broadcast_to(mixture, references.shape)
    return {
        "exact": bool((total == files["mixture"]).all()),
        "peak": int(max(np.abs(sound.astype(int)).max() for sound in files.values())),
        "mixture_peak": 2 * db(float(np.abs(mixture).max())),
        "mixture_rms": db(float(np.mean(mixture**2))),
        "stems": {s: describe_stem(x, rate) for s, x in zip(STEMS, references, strict=True)},
        "active": activity(references[0], rate),
        "air": air(references[0], rate),
        "mixture_sdr": frame_sdr(references, repeated, rate),
        "irm2": frame_sdr(references, ideal_ratio_mask(references, mixture, rate, 2.0), rate),
        "irm1": frame_sdr(references, ideal_ratio_mask(references, mixture, rate, 1.0), rate),
    }


def four(values: Any) -> str:
    """Four numbers, one per stem."""
    return "/".join(f"{value:6.1f}" for value in values)


def report(root: Path, splits: tuple[str, ...]) -> None:
    """A line per song, then medians per split."""
    for split in splits:
        results = []
        for folder in sorted((root / split).iterdir()):
            found = measure(folder)
            stems = found["stems"]
            tempo = json.loads((folder / "meta.json").read_text())["tempo_bpm"]
            print(
                f"{split:5} {folder.name:20} {tempo:4.0f} bpm exact {found['exact']} "
                f"peak {found['peak']} mixture peak {found['mixture_peak']:.1f} "
                f"rms {found['mixture_rms']:.1f} stems "
                f"{four(stems[s]['rms'] for s in STEMS)} "
                f"side {four(stems[s]['side'] for s in STEMS)} "
                f"active {found['active']:.0f}% >4k {stems['vocals']['high']:.1f}% "
                f"air {found['air']:.0f} bass<300 {stems['bass']['low']:.0f}% "
                f"mixsdr {four(found['mixture_sdr'])} irm2 {four(found['irm2'])} "
                f"irm1 {four(found['irm1'])}"
            )
            results.append(found)
        if not results:
            continue
        for key in ("mixture_sdr", "irm2", "irm1"):
            values = np.stack([found[key] for found in results])
            kept = values[~np.isnan(values).any(axis=1)]
            if len(kept):
                print(f"{split} {key}: median {four(np.median(kept, axis=0))} dB")
                print(f"{split} {key}: lowest {four(kept.min(axis=0))} dB")
                print(f"{split} {key}: highest {four(kept.max(axis=0))} dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("sizes", nargs="+", choices=sorted(SIZES))
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--splits", nargs="+", default=["train", "test", "edge"])
    asked = parser.parse_args()
    for size in asked.sizes:
        root = demo_root(SIZES[size], cache=asked.cache)
        print(f"{size}: {len(list(root.glob('*/*/mixture.wav')))} songs")
        report(root, tuple(asked.splits))


if __name__ == "__main__":
    main()
