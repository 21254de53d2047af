"""Worker processes that share a list of songs, and report each finished one to the caller."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mss_demo_songs.settings import SongPlan

WORKER = (sys.executable, "-P", "-m", "mss_demo_songs.worker")


def _start() -> subprocess.Popen[str]:
    """A worker, which inherits that Ctrl-C is left to this process."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _ask(process: subprocess.Popen[str], request: dict[str, Any]) -> dict[str, str]:
    """Let one worker make one song."""
    assert process.stdin is not None and process.stdout is not None
    line = ""
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        pass  # the worker is gone, which the empty line says as well
    if not line:
        code = process.wait()
        song = request["plan"]["name"]
        return {"song": song, "kind": "ended", "error": f"its process ended with {code}"}
    answer: dict[str, str] = json.loads(line)
    return answer


def _work(
    process: subprocess.Popen[str],
    todo: queue.SimpleQueue[SongPlan],
    done: queue.SimpleQueue[tuple[SongPlan, dict[str, str]]],
    folder: Path,
    versions: dict[str, str],
) -> None:
    """Feed one worker until no song is left."""
    while True:
        try:
            plan = todo.get_nowait()
        except queue.Empty:
            return
        target = str(folder / plan.split / plan.name)
        request = {"plan": asdict(plan), "folder": target, "versions": versions}
        done.put((plan, _ask(process, request)))


def _stop(processes: Sequence[subprocess.Popen[str]], threads: Sequence[threading.Thread]) -> None:
    """End every worker, whatever it is doing, then the threads that listened to it."""
    for process in processes:
        process.kill()
        process.wait()
    for thread in threads:
        if thread.ident is not None:  # else a signal came before it was started
            thread.join()
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            # A request that the worker never read is lost.
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()


def make_songs(
    plans: Sequence[SongPlan], folder: Path, versions: dict[str, str], jobs: int
) -> Iterator[SongPlan]:
    """Write every song to `<folder>/<split>/<name>` with `jobs` processes; yield finished ones.

    Raises:
        OSError: with the system's own words, if a song can't be written.
        RuntimeError: if a song fails otherwise or its process ends.
    """
    todo: queue.SimpleQueue[SongPlan] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[SongPlan, dict[str, str]]] = queue.SimpleQueue()
    for plan in plans:
        todo.put(plan)
    processes: list[subprocess.Popen[str]] = []
    threads: list[threading.Thread] = []
    try:
        for _ in range(min(jobs, len(plans))):
            processes.append(_start())
            arguments = (processes[-1], todo, done, folder, versions)
            threads.append(threading.Thread(target=_work, args=arguments, daemon=True))
            threads[-1].start()
        for _ in plans:
            plan, answer = done.get()
            if answer.get("kind") == "OSError":
                raise OSError(answer["error"])
            if "error" in answer:
                raise RuntimeError(
                    f"the song {plan.name} was not made ({answer['error']}): "
                    f"run the same command again, which keeps the finished songs"
                )
            yield plan
    finally:
        with contextlib.suppress(queue.Empty):
            while True:  # a thread whose worker was ended must not take another song
                todo.get_nowait()
        _stop(processes, threads)
