"""What is done, passed over and done again; locks; faults of single songs."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_locks import lock_of_another_host

from mss_shared.separation.batch.inputs import SongFile
from mss_shared.separation.batch.locks import LOCKS
from mss_shared.separation.batch.manifest import MANIFEST, Manifest
from mss_shared.separation.batch.run import run_batch
from mss_shared.separation.output.options import Guard, Separated

SETTINGS = {"paper": "tiny", "chunk": 1.0}


class Writer:
    """Writes two files per song and counts."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.seen: list[str] = []

    def __call__(self, song: SongFile, guard: Guard) -> Separated:
        self.seen.append(song.name)
        paths = {stem: self.out / song.name / f"{stem}.wav" for stem in ("a", "b")}
        guard.check(paths)
        guard.begin(paths)
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


def done_lines(out: Path) -> list[Any]:
    lines = map(json.loads, (out / MANIFEST).read_text().splitlines())
    return [line for line in lines if line["state"] == "done"]


def test_a_finished_song_has_a_line_that_says_all(songs: list[SongFile], out: Path) -> None:
    run_batch(songs, out, SETTINGS, Writer(out))
    first, second = done_lines(out)
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
    assert len((out / MANIFEST).read_text().splitlines()) == 5  # two of each song


LISTS = '{"song": "one", "settings": "", "outputs": ["a"], "input": INPUT}\n'


@pytest.mark.parametrize("line", ["7\n", '{"song": "one"}\n', "\x00\n", LISTS])
def test_lines_of_others_are_no_records(line: str, songs: list[SongFile], out: Path) -> None:
    out.mkdir()
    (out / MANIFEST).write_text(line)
    assert states(run_batch(songs[:1], out, SETTINGS, Writer(out))) == ["done"]


def test_a_bad_song_does_not_stop_the_others(
    songs: list[SongFile], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = SongFile(Path("/nowhere/x.wav"))
    writer = Writer(out)

    def separate(song: SongFile, guard: Guard) -> Separated:
        if song.name == "one":
            raise RuntimeError("shapes differ")
        return writer(song, guard)

    told: list[Any] = []
    found = run_batch([missing, *songs], out, SETTINGS, separate, report=told.append)
    assert states(found) == ["failed", "failed", "done"] and told == found
    assert (found[0]["cause"], found[1]["cause"]) == ("user", "program")
    assert found[0]["error"] == "there is no file /nowhere/x.wav: check its name"
    assert found[1]["error"].endswith("one.wav: RuntimeError: shapes differ")
    assert "Traceback" in capsys.readouterr().err
    assert not (out / LOCKS).exists()


def test_what_is_no_sound_is_not_read_for_its_digest(
    songs: list[SongFile], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(song: SongFile, guard: Guard) -> Separated:
        raise ValueError("no sound")  # as for a file of a terabyte without a header

    monkeypatch.setattr("mss_shared.separation.batch.manifest.digest", None)
    assert [each["error"] for each in run_batch(songs, out, SETTINGS, refuse)] == [
        f"{song.path}: no sound" for song in songs
    ]


def test_an_interrupt_ends_the_batch_and_frees_the_song(songs: list[SongFile], out: Path) -> None:
    def separate(song: SongFile, guard: Guard) -> Separated:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(songs, out, SETTINGS, separate)
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["done", "done"]


HOLD = """
import sys, time
from pathlib import Path
from mss_shared.separation.batch.locks import locked
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


def test_a_song_is_never_written_over_an_input(songs: list[SongFile], out: Path) -> None:
    folder = songs[0].path.parent
    (folder / "one").mkdir()
    stem = SongFile(folder / "one" / "a.wav", Path("given"))
    stem.path.write_text("a stem, given as a song")
    writer = Writer(folder)
    found = run_batch([songs[0], stem], folder, SETTINGS, writer, overwrite=True)
    assert states(found) == ["failed", "done"]
    said = f"stems of {songs[0].path} would overwrite {stem.path}, which is itself an input: choose"
    assert said in found[0]["error"]
    assert stem.path.read_text() == "a stem, given as a song"


@pytest.mark.parametrize("name", [MANIFEST, MANIFEST.upper(), LOCKS])
def test_a_song_never_takes_the_place_of_the_lists(
    name: str, songs: list[SongFile], out: Path
) -> None:
    path = songs[0].path.rename(songs[0].path.with_name(f"{name}.wav"))
    found = run_batch([SongFile(path), songs[1]], out, SETTINGS, Writer(out))
    assert states(found) == ["failed", "done"]
    assert f"has the place of {out / name}, which lists" in found[0]["error"]
    assert len(done_lines(out)) == 1


def test_two_songs_of_a_batch_are_not_written_over_each_other(
    songs: list[SongFile], out: Path
) -> None:
    def separate(song: SongFile, guard: Guard) -> Separated:
        paths = {"a": out / "a.wav"}  # as a pattern without {song} has it
        guard.check(paths)
        guard.begin(paths)
        paths["a"].write_text(song.name)
        return Separated(paths, None, 0.0, ())

    found = run_batch(songs, out, SETTINGS, separate, overwrite=True)
    assert states(found) == ["done", "failed"]
    assert f"a.wav, just written from {songs[0].path}: sep" in found[1]["error"]


def test_a_song_whose_name_is_no_text_is_separated(songs: list[SongFile], out: Path) -> None:
    path = songs[0].path.with_name(os.fsdecode(b"lat\xe9.wav"))
    try:
        path.write_text("latin")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    for state in ("done", "skipped"):
        assert states(run_batch([SongFile(path)], out, SETTINGS, Writer(out))) == [state]


def test_files_of_others_are_kept_unless_told_otherwise(songs: list[SongFile], out: Path) -> None:
    (out / "one").mkdir(parents=True)
    mine = out / "one" / "b.wav"
    mine.write_text("mine")
    found = run_batch(songs, out, SETTINGS, Writer(out))
    assert states(found) == ["failed", "done"] and mine.read_text() == "mine"
    said = f"{mine} exists and was not written from {songs[0].path}: choose another --out, or --ov"
    assert said in found[0]["error"] and not (out / "one" / "a.wav").exists()
    assert states(run_batch(songs, out, SETTINGS, Writer(out), overwrite=True)) == ["done"] * 2
    (out / MANIFEST).unlink()
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["failed"] * 2


def test_another_song_of_the_same_name_is_refused_and_a_moved_one_is_not(
    songs: list[SongFile], out: Path, tmp_path: Path
) -> None:
    run_batch(songs[:1], out, SETTINGS, Writer(out))
    moved = SongFile(tmp_path / "moved" / "one.wav")
    moved.path.parent.mkdir()
    moved.path.write_text("ONE")  # as long and as old as the other
    then = songs[0].path.stat().st_mtime_ns
    os.utime(moved.path, ns=(then, then))
    [record] = run_batch([moved], out, SETTINGS, Writer(out))
    assert "exists and was not written from" in record["error"]
    moved.path.write_text("one")
    assert states(run_batch([moved], out, {}, Writer(out))) == ["done"]


def test_a_run_that_was_killed_while_files_got_their_names_is_done_again(
    songs: list[SongFile], out: Path
) -> None:
    class Half(Writer):
        def __call__(self, song: SongFile, guard: Guard) -> Separated:
            paths = {stem: out / song.name / f"{stem}.wav" for stem in ("a", "b")}
            guard.check(paths)
            guard.begin(paths)
            paths["a"].parent.mkdir(exist_ok=True)
            paths["a"].write_text("oneone")  # as long as the other setting's
            raise KeyboardInterrupt

    for settings in (SETTINGS, {"paper": "other"}):
        with pytest.raises(KeyboardInterrupt):
            run_batch(songs[:1], out, settings, Half(out))
        assert states(run_batch(songs[:1], out, SETTINGS, Writer(out))) == ["done"]
        assert states(run_batch(songs[:1], out, SETTINGS, Writer(out))) == ["skipped"]


def test_a_song_that_another_process_finishes_meanwhile_is_not_left(
    songs: list[SongFile], out: Path
) -> None:
    lock = lock_of_another_host(out, "one")
    writer = Writer(out)

    def separate(song: SongFile, guard: Guard) -> Separated:
        if song.name != "one":
            lock.unlink()  # the other one has failed
        return writer(song, guard)

    told: list[Any] = []
    found = run_batch(songs, out, SETTINGS, separate, report=told.append)
    assert states(found) == ["done", "done"] and [r["song"] for r in told] == ["live/two", "one"]


def test_a_song_is_taken_from_another_host_that_falls_silent(
    songs: list[SongFile], out: Path, short_leases: None
) -> None:
    lock = lock_of_another_host(out, "one")
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["done", "done"]
    assert not lock.exists()


def test_a_song_is_left_to_another_host_that_beats(
    songs: list[SongFile], out: Path, short_leases: None
) -> None:
    lock = lock_of_another_host(out, "one")
    beating, ended = threading.Event(), threading.Event()

    def beat() -> None:
        while not ended.wait(0.02):
            os.utime(lock)
            beating.set()

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        assert beating.wait(5.0)
        first, second = run_batch(songs, out, SETTINGS, Writer(out))
    finally:
        ended.set()
        heart.join()
    assert (first["state"], second["state"]) == ("elsewhere", "done")
    assert first["holder"] == "process 1 on elsewhere" and first["lock"] == str(lock)


def test_a_superseded_holder_publishes_nothing(songs: list[SongFile], out: Path) -> None:
    writer = Writer(out)

    def separate(song: SongFile, guard: Guard) -> Separated:
        if song.name == "one":  # suspended for longer than a lease, then awake again
            [lock] = (out / LOCKS).glob("*.lock")
            lock.unlink()
            lock_of_another_host(out, "one")
        return writer(song, guard)

    first, second = run_batch(songs, out, SETTINGS, separate)
    assert (first["state"], second["state"]) == ("failed", "done")
    assert "was taken over by another process" in first["error"]
    assert not (out / "one").exists()


def test_a_failed_batch_leaves_no_folder_of_its_own(songs: list[SongFile], out: Path) -> None:
    def separate(song: SongFile, guard: Guard) -> Separated:
        raise ValueError("no sound")

    assert states(run_batch(songs, out / "deep", SETTINGS, separate)) == ["failed"] * 2
    assert not out.exists()
    out.mkdir()
    run_batch(songs, out, SETTINGS, separate)
    assert out.is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_batch_ends_as_an_interrupted_one(
    number: signal.Signals, songs: list[SongFile], out: Path
) -> None:
    def separate(song: SongFile, guard: Guard) -> Separated:
        os.kill(os.getpid(), number)
        raise AssertionError("not reached")

    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP would be ignored
    try:
        with pytest.raises(SystemExit) as end:
            run_batch(songs, out, SETTINGS, separate)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert end.value.code == 128 + number and not out.exists()


def test_signals_that_others_handle_are_theirs(songs: list[SongFile], out: Path) -> None:
    seen: list[Any] = []

    def separate(song: SongFile, guard: Guard) -> Separated:
        seen.append(signal.getsignal(signal.SIGHUP))
        return Writer(out)(song, guard)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        run_batch(songs[:1], out, SETTINGS, separate)
        assert seen == [signal.SIG_IGN] == [signal.getsignal(signal.SIGHUP)]
    finally:
        signal.signal(signal.SIGHUP, before)


INPUT = {"path": "/songs/x.wav", "bytes": 1, "mtime_ns": 1, "sha256": "0"}


def test_the_manifest_knows_the_files_of_all_its_lines(out: Path) -> None:
    out.mkdir()
    manifest = Manifest(out)
    record = {"song": "x", "settings": "s", "input": INPUT}
    for stem in ("a", "b"):
        manifest.add({**record, "outputs": {stem: {"path": f"x/{stem}.wav"}}})
    assert [*manifest.origins()] == [str(out / "x" / f"{stem}.wav") for stem in ("a", "b")]


def test_the_manifest_sees_what_other_processes_add(out: Path) -> None:
    out.mkdir()
    mine, theirs = Manifest(out), Manifest(out)
    record = {"song": "x", "settings": "s", "input": INPUT, "outputs": {"a": {"path": "x/a.wav"}}}
    assert mine.find("x") is None
    theirs.add(record)
    assert mine.find("x") == record and [*mine.origins()] == [str(out / "x" / "a.wav")]
    mine.add({**record, "settings": "t"})
    assert (theirs.find("x") or {})["settings"] == "t"


def test_a_line_that_a_full_disk_cuts_is_an_error(
    songs: list[SongFile], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    run_batch(songs[:1], out, SETTINGS, Writer(out))
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:9]))
    with pytest.raises(OSError, match="No space left"):
        Manifest(out).add({"song": "two"})
    monkeypatch.undo()
    assert states(run_batch(songs, out, SETTINGS, Writer(out))) == ["skipped", "done"]


@pytest.mark.skipif(os.name == "nt", reason="there are no modes there")
@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_the_manifest_has_the_mode_of_any_new_file(
    mask: int, songs: list[SongFile], out: Path
) -> None:
    before = os.umask(mask)
    try:
        run_batch(songs, out, SETTINGS, Writer(out))
    finally:
        os.umask(before)
    assert (out / MANIFEST).stat().st_mode & 0o777 == 0o666 & ~mask
