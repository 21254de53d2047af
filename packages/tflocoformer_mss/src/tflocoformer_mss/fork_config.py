"""Configurations of the music fork as a recipe with changes. Loads no torch.

Keys that would change a result and have no counterpart are refused; those of the machine that have
none are named and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mss_shared import console

BASE = "musdb18"  # the recipe for what a configuration does not state
TABLE = "the README of mss-tflocoformer-mss maps each key"
# The fork's key to ours, where the value stays as it is; `model.*` keep their names.
SAME = {
    "dataset.sample_rate": "model.sample_rate",
    "training.num_epochs": "training.epochs",
    "training.gradient_clip": "training.clip_norm",
    "training.gradient_checkpointing": "training.gradient_checkpointing",
    "training.warmup_steps": "training.warmup_steps",
    "training.warmup_start_lr": "training.warmup_start_lr",
    "training.optimizer.lr": "training.lr",
    "training.optimizer.weight_decay": "training.weight_decay",
    "training.optimizer.betas": "training.betas",
    "training.optimizer.eps": "training.adam_eps",
    "training.optimizer.fused": "training.fused",
    "training.scheduler.factor": "training.plateau_factor",
    "training.scheduler.patience": "training.plateau_patience",
    "training.scheduler.cooldown": "training.plateau_cooldown",
    "training.scheduler.min_lr": "training.plateau_min_lr",
    "performance.tf32": "training.tf32",
    "performance.cudnn_benchmark": "training.cudnn_benchmark",
    "seed": "training.seed",
    **{
        f"model.{name}": f"model.{name}"
        for name in (
            *("n_fft", "hop_length", "n_layers", "emb_dim", "norm_type", "num_groups", "tf_order"),
            *("n_heads", "flash_attention", "attention_dim", "pos_enc", "ffn_type"),
            *("ffn_hidden_dim", "conv1d_kernel", "conv1d_shift", "dropout", "eps"),
        )
    },
}
# Values that all of its configurations have, and the only ones that mean the same here.
FIXED: dict[str, Any] = {
    "dataset.random_chunks": True,
    "loss.eps": 1.0e-8,
    "training.optimizer.type": "adamw",
    "training.scheduler.type": "reducelronplateau",
    "training.scheduler.mode": "min",
    "training.val_interval": 1,
}
# Of the machine, of files and of evaluation: flags here, or nothing.
LEFT_OUT = (
    *("dataset.name", "training.pin_memory", "training.prefetch_factor"),
    *("training.persistent_workers", "training.save_interval", "training.keep_last"),
    *("training.save_best", "training.save_optimizer", "training.early_stopping.min_delta"),
    *("evaluation.", "paths.", "device", "num_gpu", "gpu_id", "performance.cudnn_deterministic"),
    *("performance.compile_model", "performance.channels_last", "performance.cuda."),
)
PRECISIONS = {"bfloat16": "bf16-mixed", "float16": "16-mixed"}
LOSSES = {
    "combined": ("si_sdr_weight", "l1_weight", "spectral_weight"),
    "si_sdr": ("si_sdr_weight",),
    "l1": ("l1_weight",),
    "l2": (),
}
TERMS = ("si_sdr_weight", "l1_weight", "l2_weight", "spectral_weight")


def is_fork_config(content: Any) -> bool:
    """Whether a YAML file's content has the sections of the music fork."""
    return isinstance(content, dict) and bool({"dataset", "loss"} & content.keys())


def words_from_config(path: Path, content: Mapping[str, Any]) -> list[str]:
    """The words of ``fit`` that a configuration stands for.

    Args:
        path: for messages.
        content: of the file, as ``is_fork_config`` accepts it.

    Raises:
        ValueError: for a key that is unknown, or a value that can't be had here.
    """
    values = dict(_leaves(content, ""))
    words = ["--recipe", BASE]
    if "dataset.root_dir" in values:
        words += ["--data_root", str(values.pop("dataset.root_dir"))]
    if "training.num_workers" in values:
        words += ["--workers", str(values.pop("training.num_workers"))]
    changes: dict[str, Any] = {}
    for read in READERS:
        read(values, changes)
    for key, ours in SAME.items():
        if key in values:
            changes[ours] = values.pop(key)
    left = _check_rest(path, values)
    said = f"{path}: read as the recipe {BASE} with {len(changes)} values of the file"
    console.say(said + (f"; without a counterpart here: {', '.join(left)}" if left else ""))
    return words + [f"--recipe.{key}={_as_word(value)}" for key, value in changes.items()]


def _as_word(value: Any) -> str:
    """A value as YAML on one line; its floats have a point, without which they would be text."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000)
    return text.removesuffix("...\n").strip()


def _leaves(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_rest(path: Path, values: dict[str, Any]) -> list[str]:
    """The keys that are left out; a ValueError for one that can't be."""
    left = []
    for key, value in values.items():
        if any(key == name or name.endswith(".") and key.startswith(name) for name in LEFT_OUT):
            left.append(key)
        elif key not in FIXED:
            raise ValueError(f"{path} has the key {key}, which is not read: {TABLE}")
        elif value != FIXED[key]:
            raise ValueError(f"{path} has {key} {value}, here it is {FIXED[key]}: {TABLE}")
    return left


def _read_stems(values: dict[str, Any], changes: dict[str, Any]) -> None:
    stems = values.pop("dataset.sources", None)
    count = values.pop("model.n_sources", None)
    if stems is not None:
        changes |= {"data.stems": stems, "model.stems": stems}
        if count not in (None, len(stems)):
            raise ValueError(f"model.n_sources is {count}, dataset.sources has {len(stems)} stems")


def _read_length(values: dict[str, Any], changes: dict[str, Any]) -> None:
    samples = values.pop("dataset.segment_length", None)
    if samples is not None:
        seconds = samples / values.get("dataset.sample_rate", 44_100)
        changes |= {"data.chunk_seconds": seconds, "inference.chunk_seconds": seconds}


def _read_augmentation(values: dict[str, Any], changes: dict[str, Any]) -> None:
    if values.pop("dataset.augmentation", True) is False:
        changes |= {"data.gain_range": [1.0, 1.0]}
        changes |= {"data.channel_swap_prob": 0.0, "data.polarity_prob": 0.0}


def _read_loss(values: dict[str, Any], changes: dict[str, Any]) -> None:
    kind = values.pop("loss.loss_type", None)
    weights = {name: values.pop(f"loss.{name}", None) for name in TERMS}
    if kind is None:
        changes |= {f"training.{name}": w for name, w in weights.items() if w is not None}
        return
    if kind not in LOSSES:
        raise ValueError(f"loss.loss_type is {kind!r}: choose from {', '.join(LOSSES)}")
    for name in TERMS:
        changes[f"training.{name}"] = (1.0 if kind == "l2" else 0.0) * (name == "l2_weight")
    for name in LOSSES[kind]:
        changes[f"training.{name}"] = 1.0 if weights[name] is None else weights[name]


def _read_batch(values: dict[str, Any], changes: dict[str, Any]) -> None:
    size = values.pop("training.batch_size", None)
    steps = values.pop("training.gradient_accumulation_steps", 1)
    if size is not None:
        changes["training.batch"] = size * steps


def _read_precision(values: dict[str, Any], changes: dict[str, Any]) -> None:
    used, kind = values.pop("training.use_amp", None), values.pop("training.amp_dtype", "bfloat16")
    if used is not None:
        if used and kind not in PRECISIONS:
            raise ValueError(f"training.amp_dtype is {kind!r}: choose from {', '.join(PRECISIONS)}")
        changes["training.precision"] = PRECISIONS[kind] if used else "32-true"


def _read_early_stopping(values: dict[str, Any], changes: dict[str, Any]) -> None:
    patience = values.pop("training.early_stopping.patience", None)
    enabled = values.pop("training.early_stopping.enabled", patience is not None)
    changes["training.early_stop_epochs"] = patience if enabled else None


READERS: tuple[Callable[[dict[str, Any], dict[str, Any]], None], ...] = (
    *(_read_stems, _read_length, _read_augmentation, _read_loss, _read_batch),
    *(_read_precision, _read_early_stopping),
)
