"""How a run ends before its time: Ctrl-C, SIGTERM, and processes of its own that have ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as pl
from lightning.pytorch.utilities.exceptions import SIGTERMException


@contextmanager
def plain_endings(trainer: pl.Trainer) -> Iterator[None]:
    """Let a run end as other commands do.

    Raises:
        KeyboardInterrupt: on Ctrl-C: Lightning exits with code 1 and ignores it thereafter.
        SystemExit: with code 143 on a SIGTERM that Lightning has noted.
        ChildProcessError: if a data-loading process, or that of another device, has ended.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as end:
        if not (trainer.interrupted and end.code == 1):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        lost = _lost(str(error), trainer.world_size)
        if lost is None:
            raise
        raise ChildProcessError(f"{lost}, then continue with --resume") from None


def _lost(message: str, world: int) -> str | None:
    """What happened to another process and what to do, if an error says that one has ended."""
    if message.startswith("DataLoader worker (pid"):
        return (
            "a data-loading process was killed, as happens when memory runs out: give fewer "
            "--workers"
        )
    signs = ("Connection closed by peer", "Connection reset by peer", "NCCL", "Broken pipe")
    if world > 1 and any(sign in message for sign in signs):
        return "the process of another device has ended: see its own message for what to do"
    return None
