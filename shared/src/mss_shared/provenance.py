"""The origin of a score: commit, versions, machine. Imports no torch."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mss_shared.atomic import write_text

SCHEMA = 1  # of run.json
PACKAGES = ("mss-shared", "torch", "lightning", "numpy", "scipy", "soundfile", "soxr")


def commit() -> str | None:
    """The commit of the source tree this code runs from; None for an installed wheel.

    ``+changes`` marks a tree with uncommitted changes to code or recipes; the tables in README
    files, which every run regenerates, do not count.
    """
    return find_commit(Path(__file__))


def find_commit(file: Path) -> str | None:
    """The commit of the source tree that contains a file; only packages/ and shared/ count."""
    folder = file.resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", file.name) != file.name:
            return None
        paths = (":/packages", ":/shared", ":(top,exclude)packages/*/README.md")
        changed = git("status", "--porcelain", "--", *paths)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_record(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write a folder's ``run.json``: what was done, with which code, on which machine.

    Args:
        folder: of a training run or of scores; this file marks it as complete.
        fields: ``kind``, the fields of that kind of record, and those of ``describe_origin``.
    """
    write_text(folder / "run.json", json.dumps({"schema": SCHEMA, **fields}, indent=2) + "\n")


def describe_origin(command: str, *packages: str) -> dict[str, Any]:
    """The fields that say what made a result.

    Args:
        command: what the user typed.
        packages: more packages than ``PACKAGES`` whose versions are recorded.
    """
    return {
        "commit": commit(),
        "versions": versions(*packages),
        "command": without_absolute_paths(command),
        "machine": machine(),
        "threads": threads(),
    }


def without_absolute_paths(command: str) -> str:
    """A command whose paths lie in the home folder (``~``) or are relative to the current one."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote: not a command line
        words = command.split()
    return " ".join(_quote(_ABSOLUTE.sub(_shorten_path, word)) for word in words)


# A path at the start of a word, or after "=", ":", "," or "file://"; not the "//" of an address.
_ABSOLUTE = re.compile(r"(?:^|(?<=[=:,])|(?<=file://))/(?!/)[^:,]*")


def _shorten_path(match: re.Match[str]) -> str:
    path = os.path.normpath(match.group())
    home = os.path.normpath(Path.home())
    if home != os.sep and (path == home or path.startswith(home + os.sep)):
        return "~" + path[len(home) :]
    return os.path.relpath(path)


def _quote(word: str) -> str:
    """A word as a shell reads it; a leading ``~`` stays outside of the quotes."""
    if word == "~" or word.startswith("~/"):
        return "~/" + shlex.quote(word[2:]) if word[2:] else word
    return shlex.quote(word)


def versions(*more: str) -> dict[str, str]:
    """Versions of Python and the installed packages that scores depend on."""
    installed = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def threads() -> int | None:
    """How many threads PyTorch computes with, on which its rounding depends; None without it."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def machine() -> str:
    """Operating system, processor count, and the GPUs that this process could use."""
    words = [platform.system(), platform.machine(), f"{os.cpu_count()} cores"]
    torch = sys.modules.get("torch")  # a process without torch used no GPU
    if torch is not None and torch.cuda.is_available():
        words.append(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return ", ".join(words)
