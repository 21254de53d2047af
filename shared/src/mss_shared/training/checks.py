"""Values of a recipe and of the command line that no run could use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mss_shared.datasets.sums import stem_names
from mss_shared.names import check_file_name
from mss_shared.recipe_sections import DataConfig, InferenceConfig, LoopConfig, list_numbers
from mss_shared.separation.chunks import chunk_lengths
from mss_shared.training.criteria import KEEP, MONITOR, needs_sdr

# Longer than any song: an example is drawn before its memory is estimated. Ten octaves.
_MOST = {"_seconds": 1200, "_semitones": 120}
_MOST_SDR_SECONDS = 86_400
_MOST_GAIN = 1_000_000
_MOST_MIXED = 20
_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def check_loop(loop: LoopConfig) -> None:
    """Raise ValueError for a number out of range, or an unknown word."""
    for name in ("batch", "epochs", "early_stop_epochs", "average_best", "validate_every_epochs"):
        value = getattr(loop, name)
        never = ", or null for never" if name == "early_stop_epochs" else ""
        if value is not None and value < 1:
            raise ValueError(f"training.{name} is {value}: give at least 1{never}")
    for name, choices in (("precision", _PRECISIONS), ("keep", KEEP), ("monitor", MONITOR)):
        if getattr(loop, name) not in choices:
            raise ValueError(
                f"training.{name} is {getattr(loop, name)!r}: choose from {', '.join(choices)}"
            )
    if loop.clip_norm is not None and not loop.clip_norm > 0.0:
        raise ValueError(
            f"training.clip_norm is {loop.clip_norm}: give more than 0, or null for no clipping"
        )
    if loop.ema_decay is not None and not 0.0 <= loop.ema_decay < 1.0:
        raise ValueError(
            f"training.ema_decay is {loop.ema_decay}: give 0 to below 1, or null for no average"
        )
    _check_selection(loop)
    for name, number in list_numbers(loop, "training."):
        if not 0.0 <= number < math.inf:
            raise ValueError(f"{name} is {number}: give a number, 0 or more")


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that no generator takes."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"the seed is {seed}: give 0 to {2**32 - 1}")


def _check_selection(loop: LoopConfig) -> None:
    """Raise ValueError if no epoch could be compared as the recipe says."""
    if loop.validate_every_epochs > loop.epochs:
        raise ValueError(
            f"training.validate_every_epochs is {loop.validate_every_epochs} and epochs "
            f"{loop.epochs}: give at most as many, so that there is a validation"
        )
    if loop.keep == "last" and loop.average_best > 1:
        raise ValueError(
            f"training.average_best is {loop.average_best} and keep last: set keep to best or "
            f"best_sdr, or average_best to 1"
        )
    seconds = loop.val_sdr_seconds
    if seconds is None and needs_sdr(loop):
        raise ValueError(
            f"training.keep is {loop.keep}, monitor {loop.monitor} and val_sdr_seconds null, so "
            f"that no SDR is measured: set val_sdr_seconds to 0.0 for whole songs, or to the "
            f"length of excerpts"
        )
    if seconds is not None and not 0.0 <= seconds <= _MOST_SDR_SECONDS:
        raise ValueError(
            f"training.val_sdr_seconds is {seconds}: give a length of at most "
            f"{_MOST_SDR_SECONDS} s, 0.0 for whole songs, or null"
        )


def check_stems(stems: Sequence[str], what: str) -> None:
    """Raise ValueError unless there are stems, each of which can name a file of its own.

    Args:
        stems: names.
        what: has them, the beginning of the sentence.
    """
    if not stems:
        raise ValueError(f"{what} names no stem: name one or more")
    for stem in stems:
        check_file_name(stem, f"a stem of {what}")
        if list(stems).count(stem) > 1:
            raise ValueError(f"{what} names the stem {stem} twice: name each once")


def check_data(data: DataConfig, sample_rate: int) -> None:
    """Raise ValueError for stems, lengths, probabilities and ranges that no example can have."""
    check_stems(stem_names(data.stems), "data.stems")
    for name, value in list_numbers(data, "data."):
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}: give a number")
        if name.endswith("_prob") and not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value}: give a probability from 0 to 1")
        for unit, most in _MOST.items():
            if name.endswith(unit) and value > most:
                raise ValueError(f"{name} is {value}: give at most {most}")
    if not round(data.chunk_seconds * sample_rate) > 0:
        raise ValueError(
            f"data.chunk_seconds is {data.chunk_seconds}: give at least one sample of "
            f"{sample_rate} Hz"
        )
    for name in ("chunk_grid_seconds", "time_shift_seconds", "pitch_shift_semitones"):
        if getattr(data, name) < 0.0:
            raise ValueError(f"data.{name} is {getattr(data, name)}: give 0 or more")
    low, high = data.gain_range
    if max(abs(low), abs(high)) > _MOST_GAIN:
        raise ValueError(f"data.gain_range is [{low}, {high}]: give gains up to {_MOST_GAIN}")
    if len(data.mixup_prob) > _MOST_MIXED:
        raise ValueError(
            f"data.mixup_prob has {len(data.mixup_prob)} numbers: give at most {_MOST_MIXED}"
        )
    if low > high:
        raise ValueError(f"data.gain_range is [{low}, {high}]: give the lowest gain first")


def check_inference(config: InferenceConfig, sample_rate: int) -> None:
    """Raise ValueError for what would be refused only when the trained model separates a song."""
    try:
        chunk_lengths(config, sample_rate)
    except ValueError as error:
        raise ValueError(f"the recipe's inference: {error}") from None


def check_machine(machine: Any) -> None:
    """Raise ValueError for a negative number in a ``Machine``."""
    least = {"devices": 0, "num_nodes": 1, "workers": 0, "save_top_k": 0}
    for name, lowest in least.items():
        value = getattr(machine, name)
        if value is not None and value < lowest:
            raise ValueError(f"--{name} is {value}: give {lowest} or more")
    minutes = machine.save_minutes
    if minutes is not None and not 0.0 <= minutes < math.inf:
        raise ValueError(f"--save_minutes is {minutes}: give 0 or more")
