"""Whose a song is: living, dead and silent holders, and what dead ones left."""

import os
import threading
import time
from pathlib import Path

import pytest
from tiny_locks import lock_of_another_host

from mss_shared import leases
from mss_shared.separation.batch.locks import LOCKS, clear, holds, locked, part_prefix


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def own_lock(out: Path) -> dict[str, str]:
    """What a lock of this process says."""
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
        lines = lock.read_text().splitlines()[1:]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({}, True),
        ({"start": 1}, False),  # the number came back
        ({"pid": 999_999_999}, False),
        ({"host": "elsewhere"}, True),  # can't be asked
        # A container of this host name, in whose namespace the number means another process.
        ({"host": "{host}x", "pid": 999_999_999}, True),
        ({"host": "{host}?pidns-f0000001", "pid": 999_999_999}, True),
    ],
)
def test_whose_lock_counts(changes: dict[str, object], alive: bool, out: Path) -> None:
    own = own_lock(out)
    values = {"host": own["host"], "pid": int(own["pid"]), "start": int(own["start"])}
    host = str(changes.get("host", "{host}")).format(host=own["host"].partition("?")[0])
    values |= {**changes, "host": host if "host" in changes else own["host"]}
    lock = lock_of_another_host(out, "one", **values)  # type: ignore[arg-type]
    with locked(out, "one") as holder:
        assert (holder is not None) == alive
    assert lock.exists() == alive


@pytest.mark.parametrize("content", ["", "garbage", "process 1 on elsewhere, started 1"])
def test_a_lock_that_says_nothing_is_taken_after_a_while(
    content: str, out: Path, short_leases: None
) -> None:
    with locked(out, "one"):
        [lock] = (out / LOCKS).iterdir()
    lock.write_text(content)
    with locked(out, "one") as holder:
        assert holder is not None and holder.process == "another process"
    leases.LEASE_SECONDS = 3.0  # more than filelock gives half a record
    with locked(out, "one", patient=True) as holder:
        assert holder is None


@pytest.mark.parametrize("attempt", range(8))
def test_of_many_that_find_a_dead_lock_one_has_it_at_a_time(attempt: int, out: Path) -> None:
    own = own_lock(out)
    lock_of_another_host(out, "one", own["host"], 999_999_999)
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


def test_a_holder_touches_its_lock(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
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
        lock.unlink()
        lock_of_another_host(out, "one")
        assert not holds(out, "one")
    assert lock.exists()


def test_what_a_dead_process_began_is_removed_wherever_it_is(out: Path) -> None:
    own = own_lock(out)
    lock_of_another_host(out, "one", own["host"], 999_999_999)
    for place in ("a", "live/a"):
        (out / place).mkdir(parents=True)
        (out / place / f"{part_prefix(out, 'one')}x.wav").touch()
    kept = out / "a" / f"{part_prefix(out, 'other')}y.wav"
    kept.touch()
    clear(out)
    assert [path for path in out.rglob("*") if path.is_file()] == [kept]


def test_a_lock_of_no_song_removes_nothing(out: Path) -> None:
    dead = lock_of_another_host(out, "one", pid=999_999_999, host=own_lock(out)["host"])
    dead.rename(dead.with_name("*.lock"))
    (out / ".part-mine-1").write_text("of another process")
    clear(out)
    assert (out / ".part-mine-1").exists()


def test_who_takes_a_song_over_removes_what_was_begun_of_it(out: Path) -> None:
    own = own_lock(out)
    lock_of_another_host(out, "one", own["host"], 999_999_999)
    part = out / f"{part_prefix(out, 'one')}x.wav"
    part.touch()
    with locked(out, "one") as holder:
        assert holder is None and not part.exists()


def test_who_finds_a_song_held_leaves_it_to_its_holder(out: Path) -> None:
    with locked(out, "one") as first:
        assert first is None
        with locked(out, "one") as second:
            assert second is not None
        assert holds(out, "one")
