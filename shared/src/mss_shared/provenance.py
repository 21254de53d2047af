"""What made a number: commit, versions, machine, digest of the weights."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mss_shared.atomic import write_text

SCHEMA = 1  # of run.json
PACKAGES = ("mss-shared", "torch", "lightning", "numpy", "scipy", "soundfile", "soxr")


def commit() -> str | None:
    """The commit of the source tree this code runs from; None for an installed wheel.

    ``+changes`` marks a tree with uncommitted changes to code or recipes; the boards in README
    files, which every run regenerates, do not count.
    """
    return commit_of(Path(__file__))


def commit_of(file: Path) -> str | None:
    """The commit of the source tree that holds a file, in its folders packages and shared."""
    here = file.resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", file.name) != file.name:
            return None
        places = (":/packages", ":/shared", ":(top,exclude)packages/*/README.md")
        changed = git("status", "--porcelain", "--", *places)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_record(folder: Path, fields: Mapping[str, Any], command: str, *packages: str) -> None:
    """Write a folder's ``run.json``: what was done, and what made it.

    Args:
        folder: of a training run, or of scores, which it completes.
        fields: ``kind``, and what belongs to that kind.
        command: what the user typed.
        packages: whose versions are recorded beside PACKAGES'.
    """
    record = {
        "schema": SCHEMA,
        **fields,
        "commit": commit(),
        "versions": versions(*packages),
        "command": command,
        "machine": machine(),
    }
    write_text(folder / "run.json", json.dumps(record, indent=2) + "\n")


def versions(*more: str) -> dict[str, str]:
    """Versions of Python and the installed packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Operating system, processor count, and the accelerator if there is one."""
    words = [platform.system(), platform.machine(), f"{os.cpu_count()} cores"]
    if torch.cuda.is_available():
        words.append(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return ", ".join(words)


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of all tensors, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory held so far: the process's on the CPU, the allocator's on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
