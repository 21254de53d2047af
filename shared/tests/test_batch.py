"""What is done, passed over and done again; locks; faults of single songs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mss_shared.separation import batch
from mss_shared.separation.batch import LOCKS, MANIFEST, Manifest, locked, run_batch
from mss_shared.separation.delivery import Separated
from mss_shared.separation.inputs import SongFile

SETTINGS = {"paper": "tiny", "chunk": 1.0}


class Writer:
    """Writes two files per song and counts."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.seen: list[str] = []

    def __call__(self, song: SongFile) -> Separated:
        self.seen.append(song.name)
        paths = {stem: self.out / song.name / f"{stem}.wav" for stem in ("a", "b")}
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(song.path.read_bytes() * 2)
        return Separated(paths, float("-inf"), -1.5, ("said",))


@pytest.fixture
def songs(tmp_path: Path) -> list[SongFile]:
    for name in ("one", "two"):
        (tmp_path / f"{name}.wav").write_text(name)
    return [SongFile(tmp_path / "one.wav"), SongFile(tmp_path / "two.wav", Path("live"))]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def states(records: list[dict[str, Any]]) -> list[str]:
    return [record["state"] for record in records]


def test_a_finished_song_has_a_line_that_says_all(songs: list[SongFile], out: Path) -> None:
    run_batch(songs, out, SETTINGS, Writer(out))
    first, second = map(json.loads, (out / MANIFEST).read_text().splitlines())
    assert (first["song"], second["song"]) == ("one", "live/two")
    assert second["outputs"] == {
        "a": {"path": "live/two/a.wav", "bytes": 6},
        "b": {"path": "live/two/b.wav", "bytes": 6},
    }
    assert first["input"]["sha256"].startswith("7692c3ad3540bb80")  # sha256sum of "one"
    assert (first["sum_is_exact"], first["null_depth_dbfs"]) == (True, None)
    assert (first["joint_gain_db"], first["notes"]) == (-1.5, ["said"])
    assert not (out / LOCKS).exists()


def test_finished_songs_are_passed_over(songs: list[SongFile], out: Path) -> None:
    writer = Writer(out)
    run_batch(songs[:1], out, SETTINGS, writer)
    assert states(run_batch(songs, out, SETTINGS, writer)) == ["skipped", "done"]
    assert writer.seen == ["one", "live/two"]
    os.utime(songs[0].path, (1, 1))  # copied anew, the same sound
    assert states(run_batch(songs, out, SETTINGS, writer)) == ["skipped", "skipped"]


@pytest.mark.parametrize("change", ["input", "settings", "lost", "cut short", "overwrite"])
def test_what_has_changed_is_done_again(change: str, songs: list[SongFile], out: Path) -> None:
    writer, settings = Writer(out), dict(SETTINGS)
    run_batch(songs, out, SETTINGS, writer)
    if change == "input":
        songs[0].path.write_text("ONE")  # as long as before
        os.utime(songs[0].path, (1, 1))
    elif change == "settings":
        settings["chunk"] = 2.0
    elif change == "lost":
        (out / "one" / "b.wav").unlink()
    elif change == "cut short":
        (out / "one" / "b.wav").write_text("1")
    found = run_batch(songs[:1], out, settings, writer, overwrite=change == "overwrite")
    assert states(found) == ["done"] and writer.seen == ["one", "live/two", "one"]
    assert states(run_batch(songs[:1], out, settings, writer)) == ["skipped"]


def test_half_a_line_of_a_killed_process_costs_that_line_alone(
    songs: list[SongFile], out: Path
) -> None:
    writer = Writer(out)
    run_batch(songs[:1], out, SETTINGS, writer)
    with (out / MANIFEST).open("a") as file:
        file.write('{"song": "live/two", "sett')
    assert states(run_batch(songs, out, SETTINGS, writer)) == ["skipped", "done"]
    assert states(run_batch(songs, out, SETTINGS, writer)) == ["skipped", "skipped"]
    assert len((out / MANIFEST).read_text().splitlines()) == 3


@pytest.mark.parametrize("line", ["7\n", '{"song": "one"}\n', "\x00\n"])
def test_lines_of_others_are_no_records(line: str, songs: list[SongFile], out: Path) -> None:
    out.mkdir()
    (out / MANIFEST).write_text(line)
    assert states(run_batch(songs[:1], out, SETTINGS, Writer(out))) == ["done"]


def test_a_bad_song_does_not_stop_the_others(
    songs: list[SongFile], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = SongFile(Path("/nowhere/x.wav"))
    writer = Writer(out)

    def separate(song: SongFile) -> Separated:
        if song.name == "one":
            raise RuntimeError("shapes differ")
        return writer(song)

    told: list[Any] = []
    found = run_batch([missing, *songs], out, SETTINGS, separate, report=told.append)
    assert states(found) == ["failed", "failed", "done"] and told == found
    assert (found[0]["cause"], found[1]["cause"]) == ("user", "program")
    assert found[0]["error"] == "there is no file /nowhere/x.wav: check its name"
    assert found[1]["error"].endswith("one.wav: RuntimeError: shapes differ")
    assert "Traceback" in capsys.readouterr().err
    assert not (out / LOCKS).exists()


def test_an_interrupt_ends_the_batch_and_frees_the_song(songs: list[SongFile], out: Path) -> None:
    def separate(song: SongFile) -> Separated:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(songs, out, SETTINGS, separate)
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["done", "done"]


HOLD = """
import sys, time
from pathlib import Path
from mss_shared.separation.batch import locked
with locked(Path(sys.argv[1]), "one") as holder:
    assert holder is None
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_song_held_by_another_process_is_left_to_it_until_that_is_killed(
    songs: list[SongFile], out: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        first, second = run_batch(songs, out, SETTINGS, Writer(out))
        assert (first["state"], second["state"]) == ("elsewhere", "done")
        assert f"process {process.pid} on " in first["holder"]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert [path.suffix for path in (out / LOCKS).iterdir()] == [".lock"]
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["done", "skipped"]
    assert not (out / LOCKS).exists()


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
    _, pid, _, host, _, start = batch._identity(os.getpid()).split()
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


def test_the_manifest_sees_what_other_processes_add(out: Path) -> None:
    out.mkdir()
    mine, theirs = Manifest(out), Manifest(out)
    record = {"song": "x", "settings": "s", "input": {}, "outputs": {"a": {"path": "x/a.wav"}}}
    assert mine.find("x") is None
    theirs.add(record)
    assert mine.find("x") == record and mine.written() == [out / "x" / "a.wav"]
    mine.add({**record, "settings": "t"})
    assert (theirs.find("x") or {})["settings"] == "t"
