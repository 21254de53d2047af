"""How much memory a training step may take: of the machine, within its control groups, or a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import torch

ROOT = Path("/")


def free_bytes(device: str, root: Path = ROOT) -> int | None:
    """Bytes that a process can still get on ``cpu``, ``cuda`` or ``mps``; None if unknown.

    Args:
        device: where the model trains.
        root: of the file system that describes the machine.
    """
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    if device == "mps":
        used = torch.mps.driver_allocated_memory()
        return max(0, int(torch.mps.recommended_max_memory() - used))
    limits = [_available(root / "proc/meminfo"), *_control_groups(root)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def _available(meminfo: Path) -> int | None:
    """What Linux says is available without swapping, in bytes; None elsewhere."""
    for line in _read(meminfo).splitlines():
        match = re.fullmatch(r"MemAvailable:\s*(\d+) kB", line, re.ASCII)
        if match:
            return int(match.group(1)) * 1024
    return None


def _control_groups(root: Path) -> list[int]:
    """What is left in each control group (cgroup) of this process that has a limit, in bytes."""
    left = []
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            left += _chain(mount, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            left += _chain(mount / "memory", path, names)
    return left


def _chain(mount: Path, path: str, names: tuple[str, str, str]) -> list[int]:
    """The same for a group and those around it; in a container only the mount's may be visible."""
    limit_name, usage_name, cache_name = names
    folder = mount / path.lstrip("/")
    groups = [folder, *folder.parents]
    left = []
    for group in groups[: groups.index(mount) + 1] if mount in groups else [mount]:
        limit, usage = _number(group / limit_name), _number(group / usage_name)
        if limit is not None and usage is not None:
            # The kernel drops cached files before it kills a process.
            stat = re.search(rf"^{cache_name} (\d+)$", _read(group / "memory.stat"), re.M | re.A)
            left.append(max(0, limit - usage + (int(stat.group(1)) if stat else 0)))
    return left


def _number(path: Path) -> int | None:
    """The number that a file holds; None if it holds a word, such as max, or is not there."""
    text = _read(path).strip()
    return int(text) if re.fullmatch(r"\d+", text, re.ASCII) else None


def _read(path: Path) -> str:
    """The text of a file; nothing if it can't be read, as outside of Linux."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
