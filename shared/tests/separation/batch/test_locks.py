"""Whose a song is: living, dead and silent holders, and what dead ones left."""

import os
import threading
import time
from pathlib import Path

import pytest

from mss_shared.atomic import part_prefix
from mss_shared.separation.batch import locks
from mss_shared.separation.batch.locks import LOCKS, clear, holds, locked


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("content", "alive"),
    [
        ("process {pid} on {host}, started {start}", True),
        ("process {pid} on {host}, started 1", False),  # the number came back
        ("process 999999999 on {host}, started 1", False),
        ("process 1 on elsewhere, started 1", True),  # can't be asked
        ("garbage", False),
    ],
)
def test_whose_lock_counts(content: str, alive: bool, out: Path) -> None:
    _, pid, _, host, _, start = locks.identity(os.getpid()).split()
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
    lock.write_text(content.format(pid=pid, host=host.rstrip(","), start=start))
    with locked(out, "one") as holder:
        assert (holder is not None) == alive
    assert lock.exists() == alive


def test_an_empty_lock_is_a_dead_one(out: Path) -> None:
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
    lock.touch()
    with locked(out, "one") as holder:
        assert holder is None


@pytest.mark.parametrize("attempt", range(8))
def test_of_many_that_find_a_dead_lock_one_has_it_at_a_time(attempt: int, out: Path) -> None:
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
    lock.write_text("process 999999999 on nobody")
    together, inside, alone = threading.Barrier(4), threading.Lock(), []

    def take() -> None:
        together.wait()
        with locked(out, "one") as holder:
            if holder is None:
                alone.append(inside.acquire(blocking=False))
                threading.Event().wait(0.002)
                inside.release()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone and all(alone)


def lock_of_another_host(out: Path) -> Path:
    lock = locks._lock(out, "one")
    lock.parent.mkdir(parents=True)
    lock.write_text("process 1 on elsewhere, started 1")
    return lock


def test_a_lock_of_another_host_counts_as_long_as_it_is_touched(out: Path) -> None:
    lock = lock_of_another_host(out)
    now = lock.stat().st_mtime
    for silent, doubtful in ((1.0, False), (100.0, True)):
        os.utime(lock, (now - silent, now - silent))
        with locked(out, "one") as holder:
            assert holder is not None and holder.lock == lock
            assert holder.silent_seconds == pytest.approx(silent, abs=5.0)
            assert holder.is_doubtful == doubtful
    os.utime(lock, (now - 130.0, now - 130.0))
    with locked(out, "one") as holder:
        assert holder is None
    assert not lock.exists()


def test_a_holder_touches_its_lock(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
        os.utime(lock, (1, 1))
        ended = time.monotonic() + 5.0
        while lock.stat().st_mtime == 1 and time.monotonic() < ended:
            time.sleep(0.005)
        assert lock.stat().st_mtime > 1


def test_a_lock_that_was_taken_over_is_left_to_the_other(out: Path) -> None:
    with locked(out, "one"):
        assert holds(out, "one")
        [lock] = (out / LOCKS).iterdir()
        lock.write_text("process 1 on elsewhere, started 1")
        assert not holds(out, "one")
    assert lock.exists()


def test_what_a_dead_process_began_is_removed_wherever_it_is(out: Path) -> None:
    dead = "process 999999999 on nobody, started 1"
    for place in ("a", "live/a"):
        (out / place).mkdir(parents=True)
        (out / place / f"{locks._prefix(dead)}x.wav").touch()
    kept = out / "a" / f"{part_prefix()}y.wav"
    kept.touch()
    lock = lock_of_another_host(out)
    lock.write_text(dead)
    os.utime(lock, (1, 1))
    clear(out)
    assert [path for path in out.rglob("*") if path.is_file()] == [kept]
