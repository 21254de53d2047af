"""Worker processes: each item once, none left behind when the first process ends."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mss_shared.evaluation.workers import work_on

PATIENCE = 60.0  # seconds that a process may take to start or end on a busy machine


def double(number: int) -> int:
    return 2 * number


def die_at_two(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_done_once(jobs: int) -> None:
    with closing(work_on(double, range(5), jobs)) as done:
        assert sorted(done) == [(number, 2 * number) for number in range(5)]


def test_an_item_is_taken_when_a_process_is_free() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            taken.append(number)
            yield number

    with closing(work_on(double, items(), 2)) as done:
        for count, _ in enumerate(done, start=1):
            assert len(taken) <= count + 2


def test_a_process_that_is_killed_gives_none_for_its_item() -> None:
    with closing(work_on(die_at_two, [2, 3, 4], 2)) as done:
        assert dict(done)[2] is None


def test_an_error_in_the_middle_ends_the_others_at_once() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="enough"), closing(work_on(slow, [1, 99], 2)) as done:
        for _ in done:
            raise RuntimeError("enough")
    assert threading.active_count() == before


def slow(seconds: int) -> int:
    threading.Event().wait(seconds if seconds > 1 else 0)
    return seconds


SCRIPT = textwrap.dedent(
    """
    import os, signal, sys, threading
    from mss_shared import console
    from mss_shared.evaluation.workers import work_on

    def task(number):
        with open(sys.argv[1] + f"/{number}.part", "w") as file:
            file.write(str(os.getpid()))
        os.rename(sys.argv[1] + f"/{number}.part", sys.argv[1] + f"/{number}.pid")
        threading.Event().wait(600)

    if __name__ == "__main__":
        # As in the foreground: in the background, shells ignore SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with console.one_sentence_errors("scorer"):
            for _ in work_on(task, [1, 2], 2):
                pass
    """
)


@pytest.mark.parametrize(
    ("number", "group", "code", "said"),
    [
        (signal.SIGTERM, False, 143, ""),
        (signal.SIGKILL, False, -9, None),  # Python's own tracker of semaphores speaks up
        (signal.SIGINT, True, 130, "scorer: interrupted\n"),
        (signal.SIGTERM, True, 143, ""),
    ],
)
def test_no_worker_outlives_the_first_process(
    tmp_path: Path, number: signal.Signals, group: bool, code: int, said: str | None
) -> None:
    """Ctrl-C and a batch system reach the whole group, ``kill`` one process alone."""
    script = tmp_path / "scorer.py"
    script.write_text(SCRIPT)
    first = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        workers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        (os.killpg if group else os.kill)(first.pid, number)
        _, printed = first.communicate(timeout=PATIENCE)
        assert first.returncode == code and said in (None, printed)
        wait_until(lambda: not any(map(is_alive, workers)))
    finally:
        first.kill()


def is_alive(process: int) -> bool:
    """A dead process may remain as a zombie where nothing collects it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.05)
