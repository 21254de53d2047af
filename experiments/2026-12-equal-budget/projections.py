"""Why ISR, SIR and SAR of MUSDB18's previews say nothing: one song, an ideal mask, a little noise.

    python projections.py

The stems that the mask gives are scored against the song's, then against these with white noise of
some dB of full scale; and by museval.
"""

from __future__ import annotations

import warnings

import museval
import numpy as np
import torch
from torch import Tensor

from mss_shared.datasets import open_dataset
from mss_shared.metrics.bsseval import bsseval

STEMS = ("vocals", "drums", "bass", "other")
SONG = "AM Contra - Heart Peripheral"
RATE = 44_100
NOISES_DB = (-120, -110, -100, -80, -60)
RATIOS = ("SDR", "ISR", "SIR", "SAR")


def ideal_mask(stems: Tensor) -> np.ndarray:
    """(stem, channel, sample): the mixture's spectrogram, in the proportions of the powers."""
    count, channels, samples = stems.shape
    window = torch.hann_window(2048, dtype=stems.dtype)
    options = {"n_fft": 2048, "hop_length": 512, "window": window}
    parts = torch.stft(stems.flatten(0, 1), **options, return_complex=True)
    parts = parts.unflatten(0, (count, channels))
    power = parts.abs().square()
    masked = power / power.sum(dim=0).clamp(min=1e-12) * parts.sum(dim=0)
    return torch.istft(masked.flatten(0, 1), **options, length=samples).numpy().reshape(stems.shape)


def print_row(what: str, ratios: list[np.ndarray]) -> None:
    means = [np.nanmedian(ratio, axis=-1).mean() for ratio in ratios]
    print(f"| {what} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    [track] = (track for track in open_dataset("musdb18_7s").test if track.name == SONG)
    stems = track.read_stems(STEMS).astype(np.float64)
    estimate = ideal_mask(torch.from_numpy(stems))
    print(f"{SONG}, mean of four stems\n\n| references | {' | '.join(RATIOS)} |\n|{'---|' * 5}")
    for noise in (None, *NOISES_DB):
        dither = 0.0 if noise is None else 10 ** (noise / 20)
        references = stems + dither * np.random.default_rng(0).standard_normal(stems.shape)
        found = bsseval(references, estimate, window=RATE, hop=RATE)
        what = "as they are" if noise is None else f"with noise of {noise} dB"
        print_row(what, [getattr(found, ratio.lower()) for ratio in RATIOS])
    sdr, isr, sir, sar, _ = museval.metrics.bss_eval(
        stems.transpose(0, 2, 1), estimate.transpose(0, 2, 1), window=RATE, hop=RATE,
        framewise_filters=False, compute_permutation=False,
    )  # fmt: skip
    print_row("as they are, museval", [sdr, isr, sir, sar])


if __name__ == "__main__":
    main()
