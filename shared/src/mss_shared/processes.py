"""Processes of one command: which of them speaks, and that they end when the first one does."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from functools import cache
from typing import NoReturn

_LEADER = "MSS_PARENT_PROCESS"  # in the environment of the processes that ``lead`` is for


def is_first() -> bool:
    """Whether this is the first of the processes that torchrun, SLURM or Lightning have started.

    torchrun's number counts over all machines, whatever is around it. SLURM's does too, where
    Lightning starts no processes of its own.
    """
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    names = ("SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)


def lead() -> dict[str, str]:
    """What to add to the environment of a process that has to end when this one does."""
    return {_LEADER: str(os.getpid())}


def follow_leader() -> None:
    """End this process soon after the one that started it by ``lead``, if one did.

    The processes that this one starts follow it themselves, or nobody: they do not see the mark.
    """
    leader = os.environ.pop(_LEADER, "")
    if leader.isdecimal() and os.name == "posix":
        follow(int(leader))


@cache
def follow(parent: int) -> None:
    """End this process soon after its parent has; it may have ended already."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        end_now(1)

    threading.Thread(target=watch, daemon=True).start()


def end_now(code: int) -> NoReturn:
    """End this process at once, and those that load its data."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)
