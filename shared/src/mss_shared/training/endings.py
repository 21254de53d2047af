"""How a run ends before its time: Ctrl-C, SIGTERM, and processes of its own that have ended."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mss_shared import processes

GRACE_SECONDS = 8.0  # from a SIGTERM to the end of the process
_WORKER = "DataLoader worker (pid"  # begins torch's messages of one that has ended
_FIRST = "MSS_FIRST_PROCESS"  # its id, in the environment of those that it starts


def end_together(trainer: pl.Trainer) -> None:
    """Let processes that Lightning starts for other devices end when the first one is killed.

    Otherwise they wait for it, up to half an hour while a run begins. If something else starts the
    processes, as torchrun does, that ends them.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if not isinstance(environment, LightningEnvironment):
        return  # torchrun's or SLURM's; the variable may be left from a run around this one
    if trainer.local_rank == 0:
        os.environ[_FIRST] = str(os.getpid())
    elif _FIRST in os.environ and os.name == "posix":
        processes.follow(int(os.environ[_FIRST]))


@contextmanager
def plain_endings(trainer: pl.Trainer) -> Iterator[None]:
    """Let a run end as other commands do.

    Raises:
        KeyboardInterrupt: on Ctrl-C: Lightning exits with code 1 and ignores it thereafter.
        SystemExit: with code 143 on a SIGTERM that Lightning has noted, also where the whole
            process group got it, as schedulers send it, and a data-loading process ended first.
        ChildProcessError: if a data-loading process, or that of another device, has ended.
        ValueError: if the optimizer's numbers are beyond those of its weights.
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
        if "without overflow" in str(error):
            raise ValueError(
                f"the optimizer's step is too large for its numbers (step {trainer.global_step}: "
                f"{error}): lower the learning rate"
            ) from None
        if trainer.received_sigterm and str(error).startswith(_WORKER):
            raise SystemExit(128 + signal.SIGTERM) from None
        lost = _lost(str(error), trainer.world_size)
        if lost is None:
            raise
        raise ChildProcessError(f"{lost}, then continue with --resume") from None


@contextmanager
def ends_in_time() -> Iterator[None]:
    """End the process with code 143 a while after a SIGTERM, also in a computation that is longer.

    Python runs a signal's handler only between two of its own instructions. Another thread waits
    for the signal, and ends the process if it is still in the block after ``GRACE_SECONDS``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(reader, over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        writer.shutdown(socket.SHUT_WR)  # forked workers hold copies, which closing leaves open
        writer.close()
        watch.join()
        reader.close()


def _watch(reader: socket.socket, over: threading.Event) -> None:
    """Read the numbers of signals until the other end is closed."""
    while numbers := reader.recv(1):
        if numbers[0] == signal.SIGTERM and not over.wait(GRACE_SECONDS):
            processes.end_now(128 + signal.SIGTERM)


def _lost(message: str, world: int) -> str | None:
    """What happened to another process and what to do, if an error says that one has ended."""
    if message.startswith(_WORKER):
        return (
            "a data-loading process was killed, as happens when memory runs out: give fewer "
            "--workers"
        )
    signs = ("Connection closed by peer", "Connection reset by peer", "NCCL", "Broken pipe")
    if world > 1 and any(sign in message for sign in signs):
        return "the process of another device has ended: see its own message for what to do"
    return None
