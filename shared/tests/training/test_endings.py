"""How a run ends before its time, with other processes that still hold what it had open."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_places import TESTS
from tiny_songs import RATE, STEMS

from mss_shared.stopping import stoppable
from mss_shared.testing import make_dataset
from mss_shared.training.callbacks import Stoppable
from mss_shared.training.data import _end_quietly, _Loader
from mss_shared.training.endings import ends_in_time, plain_endings


def test_a_copy_of_the_wakeup_end_in_a_forked_worker_does_not_keep_the_run() -> None:
    with ends_in_time():
        held = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(held)
        copy = os.dup(held)  # as a worker process has that was forked meanwhile
        release = threading.Timer(5.0, os.close, (copy,))
        release.start()
    waited_for_worker = not release.is_alive()
    release.cancel()
    release.join()
    if not waited_for_worker:
        os.close(copy)
    assert not waited_for_worker


@pytest.mark.parametrize(("signalled", "kind"), [(True, SystemExit), (False, ChildProcessError)])
def test_a_worker_that_ended_is_the_end_of_all_only_if_all_were_signalled(
    signalled: bool, kind: type[BaseException]
) -> None:
    trainer: Any = SimpleNamespace(received_sigterm=signalled, world_size=1)
    with pytest.raises(kind, match=r"143|continue with --resume"), plain_endings(trainer):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_after_a_signal_no_lost_worker_is_an_error(number: signal.Signals) -> None:
    """torch's own handler of SIGCHLD raises, wherever code is then."""
    heard: list[int] = []

    def lost(*_: object) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")

    ours = {signal.SIGCHLD: lost, number: lambda came, _: heard.append(came)}
    before = {each: signal.signal(each, handler) for each, handler in ours.items()}
    held = signal.getsignal(signal.SIGTERM)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    module: Any = None
    try:
        Stoppable(ours[number]).on_train_start(trainer, module)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGCHLD)
    finally:
        signal.signal(signal.SIGTERM, held)
        for each, handler in before.items():
            signal.signal(each, handler)
    assert heard == [number]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_that_another_thread_receives_waits_until_all_workers_have_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, over = torch.multiprocessing.Queue, threading.Event()

    def signalled() -> Any:
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread blocks it
        time.sleep(0.05)
        return queue()

    other = threading.Thread(target=over.wait)
    other.start()
    begun = False
    try:
        with pytest.raises(SystemExit), stoppable():
            with monkeypatch.context() as patch:
                patch.setattr(torch.multiprocessing, "Queue", signalled)
                iterator = iter(_Loader([1, 2], num_workers=1, worker_init_fn=_end_quietly))
            begun = True
            time.sleep(5.0)  # the signal acts again
            del iterator
    finally:
        over.set()
        other.join()
    assert begun


def test_a_process_group_that_is_terminated_ends_without_a_word(tmp_path: Path) -> None:
    songs = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=1.0)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS / "tiny"), *sys.path])}
    words = ["--data_root", str(songs), "--out", str(tmp_path / "run"), "--device", "cpu"]
    words += ["--recipe", "demo", "--workers", "2", "--recipe.training.epochs", "10000"]
    pipe = subprocess.PIPE
    run = subprocess.Popen(
        [sys.executable, "-m", "tiny_paper", "fit", *words],
        env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
    )  # fmt: skip
    while not (tmp_path / "run" / "metrics.csv").exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 143, said
    assert all(line.startswith("training: ") for line in said.splitlines()), said
