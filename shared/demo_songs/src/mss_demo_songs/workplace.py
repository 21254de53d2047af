"""The folder in which a process builds songs, and the removal of those that dead ones left."""

import os
import re
import shutil
import socket
import uuid
from pathlib import Path

_PREFIX = ".building-"


def new_workplace(root: Path) -> Path:
    """Make a folder whose name tells which process of which machine builds in it."""
    folder = root / f"{_PREFIX}{_machine()}.{os.getpid()}-{uuid.uuid4().hex}"
    folder.mkdir()
    return folder


def sweep(root: Path) -> None:
    """Remove the workplaces in a set's folder whose process, of this machine, is dead."""
    name = re.compile(re.escape(f"{_PREFIX}{_machine()}.") + r"([1-9][0-9]{0,9})-[0-9a-f]{32}")
    for left in root.iterdir():
        match = name.fullmatch(left.name)
        if match is not None and not left.is_symlink() and not _is_alive(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)


def _machine() -> str:
    """The host and, in a container, the numbering of its processes."""
    try:
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbering = ""
    return re.sub(r"[^A-Za-z0-9-]", "-", f"{socket.gethostname()}-{numbering}".rstrip("-"))


def _is_alive(process: int) -> bool:
    """Whether there is such a process, or may be: where that can't be asked, all are alive."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True
