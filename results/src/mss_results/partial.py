"""Names of unfinished files and folders, and the removal of those that a dead process left."""

import os
import re
import shutil
import socket
from pathlib import Path

_ENDING = ".partial"


def partial_of(path: Path) -> Path:
    """Where a process writes what will be renamed to `path`, beside it."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}{_ENDING}")


def sweep(path: Path) -> None:
    """Remove what dead processes of this host left of earlier attempts to write `path`."""
    name = re.compile(
        rf"{re.escape(f'.{path.name}.{_host()}.')}([1-9][0-9]{{0,9}}){re.escape(_ENDING)}"
    )
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        match = name.fullmatch(left.name)
        if match is None or _is_alive(int(match.group(1))):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process here
        return True
    return True
