"""Runs the fits of a reproduction: in turn, side by side, or as a SLURM array job."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mss_shared import console
from mss_shared.processes import lead
from mss_shared.stopping import interruptible, uninterrupted

END_SECONDS = 30.0  # then a fit that was asked to end is killed


@dataclass(frozen=True)
class Command:
    """A fit, as a command of its own; run again, it goes on where it stopped.

    Attributes:
        name: of the recipe.
        words: of the command.
        log: where its output goes if others run beside it.
    """

    name: str
    words: tuple[str, ...]
    log: Path

    def __call__(self) -> int:
        """Run it in a SLURM job; its exit code."""
        return subprocess.run(self.words, check=False).returncode

    def checkpoint(self) -> Any:
        """What SLURM queues again when it takes the node away: the same, which resumes."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def run_fits(commands: Sequence[Command], devices: int | None) -> dict[str, int]:
    """Run fits, as many side by side as there are devices; the exit code of each that failed.

    Args:
        commands: of the fits that are not done.
        devices: to share among them; None for one after another, each on all devices. With several
            fits at once, each sees its own devices alone and writes to its log.

    Raises:
        ValueError: if CUDA_VISIBLE_DEVICES names fewer.
    """
    if devices is None or min(devices, len(commands)) == 1:
        more = () if devices is None else ("--devices", str(devices))
        return _failed(commands, [_run((*command.words, *more)) for command in commands])
    at_once = min(devices, len(commands))
    each = devices // at_once
    names = _device_names(devices)
    free = [names[n * each : (n + 1) * each] for n in range(at_once)]
    running: set[subprocess.Popen[bytes]] = set()
    lock, stopped = threading.Lock(), threading.Event()

    def work(command: Command) -> int:
        with lock:
            chosen = free.pop()
        try:
            console.say(f"training {command.name}: its output goes to {command.log}")
            command.log.parent.mkdir(parents=True, exist_ok=True)
            with command.log.open("ab") as log:
                environment = {"CUDA_VISIBLE_DEVICES": ",".join(chosen)}
                process = _start((*command.words, "--devices", str(each)), environment, log)
                with lock:
                    running.add(process)
                if stopped.is_set():
                    _end(process)
                return process.wait()
        finally:
            with lock:
                free.append(chosen)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            futures = [pool.submit(work, command) for command in commands]
            return _failed(commands, [future.result() for future in futures])
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            with lock:
                started = [*running]
            for process in started:
                process.terminate()
            for process in started:
                _end(process)
            raise


def _device_names(count: int) -> list[str]:
    """Of the first devices that this process may see."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [*map(str, range(count))] if visible is None else visible.split(",")
    if len(names) < count:
        raise ValueError(
            f"--devices {count} is more than CUDA_VISIBLE_DEVICES={visible} names: choose fewer"
        )
    return names[:count]


def _failed(commands: Sequence[Command], codes: Sequence[int]) -> dict[str, int]:
    return {c.name: code for c, code in zip(commands, codes, strict=True) if code}


def _start(
    words: Sequence[str], environment: dict[str, str], output: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words, env={**os.environ, **lead(), **environment}, stdout=output, stderr=subprocess.STDOUT
    )


def _run(words: Sequence[str]) -> int:
    """Run one fit with our output; it ends with us."""
    with uninterrupted():
        process = subprocess.Popen(words, env={**os.environ, **lead()})
        try:
            with interruptible():
                return process.wait()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a fit that has not ended; it may take a while to leave its folder in order."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()


def check_slurm() -> None:
    """Raise ModuleNotFoundError without submitit."""
    if importlib.util.find_spec("submitit") is None:
        raise ModuleNotFoundError(
            'SLURM jobs need submitit, which is not installed: pip install "mss-shared[slurm]"'
        )


def submit_fits(commands: Sequence[Command], folder: Path, settings: dict[str, str]) -> list[str]:
    """Submit fits as one array job; the id of each job.

    Args:
        commands: of the fits that are not done.
        folder: of the jobs' logs.
        settings: submitit's parameters by name, as ``timeout_min`` or ``slurm_partition``; numbers
            are made of digits.

    Raises:
        ModuleNotFoundError: without submitit.
        ValueError: if it or SLURM refuses.
    """
    check_slurm()
    import submitit

    values = {name: int(x) if x.isdigit() else x for name, x in settings.items()}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
        executor.update_parameters(**values)
        jobs = executor.map_array(_call, [*commands])
    except Exception as error:  # of submitit's own classes
        raise ValueError(
            f"SLURM takes no jobs ({' '.join(str(error).split()).rstrip('.')}): run this where "
            f"sbatch is, with --slurm settings that the cluster knows"
        ) from None
    return [str(job.job_id) for job in jobs]


def _call(command: Command) -> int:
    return command()


def fit_words(package: str, recipe: str, data_root: str, out: Path, more: Sequence[str]) -> Any:
    """The words of a fit that resumes if it was begun."""
    words = [sys.executable, "-m", package, "fit", "--recipe", recipe, "--data_root", data_root]
    return (*words, "--out", str(out), "--resume", *more)
