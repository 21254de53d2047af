"""Files that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it there: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)


def part_prefix() -> str:
    """How the names of this process's unfinished files begin."""
    return _prefix(identity(os.getpid()))


def identity(process: int) -> str:
    """Host, process, and when it started, as numbers of processes come back."""
    return f"process {process} on {socket.gethostname()}, started {_started(process) or 'unknown'}"


def _prefix(process: str) -> str:
    return f".part-{hashlib.sha256(process.encode()).hexdigest()[:8]}-"


def _started(process: int) -> str | None:
    """The kernel's count at the process's start; None if there is none or it can't be told."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]  # the name before it may hold spaces
