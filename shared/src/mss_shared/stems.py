"""From a sound file to a folder of stem files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mss_shared import audio, console
from mss_shared.audio import Audio
from mss_shared.delivery import Delivery, Separated
from mss_shared.recipe import InferenceConfig
from mss_shared.separate import Separator, separate

Report = Callable[[str, int, int], None]

# What a file's stems are written as; PCM_16 where the input had less, or was lossy.
_SUBTYPES = {"PCM_24": "PCM_24", "PCM_32": "PCM_24", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"}


def separate_file(
    model: Separator,
    path: Path,
    out: Path,
    inference: InferenceConfig,
    delivery: Delivery,
    *,
    part_seconds: tuple[float, float | None] = (0.0, None),
    batch: int = 1,
    progress: Report | None = None,
) -> Separated:
    """Separate one file into ``out/<file's name>/<stem>.wav`` of its own rate, length and channels.

    ``part_seconds`` is where to start and how much to take, None for all that follows.

    A mono file goes through a stereo model as two equal channels and comes back as their mean.
    Files are written in the input's sample format or the nearest of ours, in float if a stem would
    clip in it.

    Raises:
        FileNotFoundError, ValueError: if the file can't be read, has too many channels, or ends
            before the part starts.
    """
    start, about = _part(path, audio.info(path), part_seconds)
    mixture = _to_model(audio.read(path, start, about.samples), about, path, model)
    estimates = separate(
        model, torch.from_numpy(mixture), inference, batch=batch, progress=progress
    ).numpy()
    del mixture  # a long song's stems fill the memory by themselves
    subtype = _SUBTYPES.get(about.subtype, "PCM_16")
    if subtype != "FLOAT" and any(_peak(e, about, model) > 1.0 for e in estimates):
        console.say(f"{path.name}: a stem exceeds full scale, written as 32-bit float")
        subtype = "FLOAT"
    written = {}
    for stem, estimate in zip(model.stems, estimates, strict=True):
        target = out / path.stem / f"{stem}.wav"
        audio.write(target, _to_file(estimate, about, model), about.sample_rate, subtype)
        written[stem] = target
    return Separated(written, None, 0.0, ())


def _part(
    path: Path, about: audio.AudioInfo, part_seconds: tuple[float, float | None]
) -> tuple[int, audio.AudioInfo]:
    """First sample of a part, and the file's header as if the part were all of it."""
    start_seconds, seconds = part_seconds
    if start_seconds < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(
            f"a part of {seconds} s from {start_seconds} s: give --start of 0 or more and "
            f"--duration above 0"
        )
    start = round(start_seconds * about.sample_rate)
    if start and start >= about.samples:
        raise ValueError(
            f"{path} lasts {about.seconds:.1f} s and the part starts at {start_seconds} s: give an "
            f"earlier --start"
        )
    left = about.samples - start
    samples = left if seconds is None else min(left, round(seconds * about.sample_rate))
    return start, replace(about, samples=samples)


def _to_model(mixture: Audio, about: audio.AudioInfo, path: Path, model: Separator) -> Audio:
    """Bring (channel, sample) audio to the model's rate and channels."""
    if not about.samples:
        raise ValueError(f"{path} has no samples: give a file with sound")
    if about.channels not in (1, model.channels):
        raise ValueError(
            f"{path} has {about.channels} channels, the model takes {model.channels}: mix it down "
            f"first"
        )
    at_rate = audio.resample(mixture, about.sample_rate, model.sample_rate)
    at_rate = audio.fit_length(at_rate, max(1, at_rate.shape[1]))
    return np.broadcast_to(at_rate, (model.channels, at_rate.shape[1])).copy()


def _peak(estimate: Audio, about: audio.AudioInfo, model: Separator) -> float:
    """Largest magnitude of what would be written of a stem."""
    final = _to_file(estimate, about, model)
    return float(max(final.max(initial=0.0), -final.min(initial=0.0)))


def _to_file(estimate: Audio, about: audio.AudioInfo, model: Separator) -> Audio:
    """Bring one stem back to the file's channels, rate and length."""
    if about.channels < model.channels:
        estimate = estimate.mean(axis=0, keepdims=True)
    back = audio.resample(estimate, model.sample_rate, about.sample_rate)
    return audio.fit_length(back, about.samples)
