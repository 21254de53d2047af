"""Whole or not at all, under the user's own umask."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe, noise

from mss_shared import audio
from mss_shared.atomic import (
    PART,
    make_part,
    making_folder,
    replace_all,
    replacing,
    write_new_text,
    write_text,
)
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.console import sentence


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_files_mode_is_the_umasks(umask: int, tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "x")
    audio.write(tmp_path / "a.wav", noise(0, samples=10), 8_000)
    save_model(tmp_path / "a.safetensors", PAPER.build_model(demo_recipe().recipe), {})
    for name in ("a.txt", "a.wav", "a.safetensors"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        assert part.parent == path.parent and part.suffix == ".txt"
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_appears_whole_and_the_first_one_stays(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "deep" / "a.json"
    with pytest.raises(UnicodeEncodeError):
        write_new_text(path, "half of it \ud800")
    assert not any(path.parent.iterdir())
    write_new_text(path, "first")
    with pytest.raises(FileExistsError):
        write_new_text(path, "second")
    assert path.read_text() == "first" and [*path.parent.iterdir()] == [path]


def test_a_folder_appears_whole_and_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "song"
    for text in ("first", "second"):
        with making_folder(path) as part:
            (part / "a.txt").write_text(text)
    with pytest.raises(ZeroDivisionError), making_folder(tmp_path / "other"):
        raise ZeroDivisionError
    assert (path / "a.txt").read_text() == "first"
    assert [each.name for each in tmp_path.rglob("*")] == ["deep", "song", "a.txt"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("fails", [0, 1, 2, 3])
def test_files_are_renamed_together_or_not_at_all(
    fails: int, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, []

    def replacing_until(old: Path, new: Path) -> None:
        calls.append(new)
        if len(calls) - 1 == fails:
            raise PermissionError
        replace(old, new)

    def no_links(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "replace", replacing_until)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    moves = [(tmp_path / f"part{n}", tmp_path / f"{n}.wav") for n in range(3)]
    for part, _ in moves:
        part.write_text("new")
    moves[1][1].write_text("old")
    if fails < 3:
        with pytest.raises(PermissionError):
            replace_all(moves)
        assert not moves[0][1].exists() and not moves[2][1].exists()
        assert moves[1][1].read_text() == "old"
    else:
        replace_all(moves)
        assert [path.read_text() for _, path in moves] == ["new"] * 3
    assert not [*tmp_path.glob(".part-*")]


def test_files_are_not_renamed_over_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"part-{name}").touch()
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_all([(tmp_path / f"part-{name}", tmp_path / name) for name in ("a", "b")])
    assert not (tmp_path / "a").exists() and (tmp_path / "b").is_dir()


@pytest.mark.parametrize("together", [False, True])
def test_content_is_on_the_disk_before_a_file_has_its_name(
    together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    rename, sync = os.replace, os.fsync

    def fsync(handle: int) -> None:
        done.append("sync")
        sync(handle)

    def replace(part: Path, path: Path) -> None:
        done.append("rename")
        rename(part, path)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    if together:
        (tmp_path / "a").write_text("a")
        (tmp_path / "b").write_text("b")
        replace_all([(tmp_path / "a", tmp_path / "c"), (tmp_path / "b", tmp_path / "d")])
        assert done == ["sync", "sync", "rename", "rename"]
    else:
        write_text(tmp_path / "a", "a")
        assert done == ["sync", "rename"]


@pytest.mark.parametrize(("reason", "is_fatal"), [(errno.EINVAL, False), (errno.ENOSPC, True)])
def test_a_disk_that_is_full_at_last_is_an_error_one_that_cannot_sync_is_none(
    reason: int, is_fatal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", fsync)
    if is_fatal:
        with pytest.raises(OSError, match="No space left"):
            write_text(tmp_path / "a", "a")
        assert list(tmp_path.iterdir()) == []
    else:
        write_text(tmp_path / "a", "a")
        assert (tmp_path / "a").read_text() == "a"


def dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_dead_processes_left_is_removed_before_the_first_writing_and_nothing_else(
    tmp_path: Path,
) -> None:
    with replacing(tmp_path / "first" / "a.ckpt") as part:
        living = part.name
    dead = living.replace(f".{os.getpid()}-", f".{dead_process()}-")
    machine = living.removeprefix(PART)[:8]
    own = "".join(reversed(machine))
    others = [living, dead.replace(machine, own), f"{dead}~", dead[1:], ".part-0123456789ab.wav"]
    folder = tmp_path / "second"
    folder.mkdir()
    for name in (dead, *others):
        (folder / name).write_text("x")
    (folder / dead.removesuffix(".ckpt")).mkdir()
    (folder / dead.removesuffix(".ckpt") / "a.txt").write_text("x")
    target = folder / dead.replace(".ckpt", ".wav")
    target.symlink_to(tmp_path / "first" / "a.ckpt")
    write_text(folder / "b.txt", "b")
    assert {each.name for each in folder.iterdir()} == {*others, "b.txt"}
    assert (tmp_path / "first" / "a.ckpt").is_file()


def test_a_killed_process_leaves_what_the_next_one_removes(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from mss_shared.atomic import PART, making_folder, replacing\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with replacing(path / 'a.txt'), making_folder(path / 'b'):\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == 9
    assert len([*tmp_path.glob(".part-*")]) == 2
    write_text(tmp_path / "a.txt", "a")
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="pipe is a device or a pipe: choose the path of"):
        write_text(tmp_path / "pipe", "x")
    (tmp_path / "new").touch()
    with pytest.raises(FileExistsError, match="pipe is a device or a pipe: choose the path of"):
        replace_all([(tmp_path / "new", tmp_path / "pipe")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "pipe"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A limit in the place of a full disk: no file gets longer than 500 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_in_folder(path: Path) -> None:
    with making_folder(path.parent) as part:
        (part / path.name).write_bytes(bytes(501))


def write_in_folder_atomically(path: Path) -> None:
    with making_folder(path.parent) as part:
        write_text(part / path.name, "x" * 501)


def write_all(path: Path) -> None:
    part = make_part(path)
    try:
        part.write_text("new")
        replace_all([(part, path)])
    finally:
        part.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda path: write_text(path, "x" * 501), "a.json"),
        (lambda path: write_new_text(path, "x" * 501), "a.json"),
        (write_in_folder, "."),  # a failing write does not say in which file
        (write_in_folder_atomically, "a.json"),
    ],
)
def test_on_a_full_disk_the_users_own_name_is_said(
    write: Callable[[Path], None], named: str, tmp_path: Path, full_disk: None
) -> None:
    with pytest.raises(OSError, match="File too large") as raised:
        write(tmp_path / "new" / "a.json")
    assert raised.value.filename == str(tmp_path / "new" / named)
    assert PART not in sentence(raised.value)


def test_of_a_copy_that_fails_the_copy_is_named_not_the_original(
    tmp_path: Path, full_disk: None
) -> None:
    (tmp_path / "long").touch()
    os.truncate(tmp_path / "long", 500)
    with pytest.raises(FileNotFoundError) as absent, replacing(tmp_path / "a") as part:
        shutil.copyfile(tmp_path / "none", part)
    assert absent.value.filename == str(tmp_path / "none")
    error = OSError(errno.ENOSPC, "No space left on device", "long", None, "b")
    with pytest.raises(OSError, match="No space") as raised, making_folder(tmp_path / "b") as part:
        error.filename2 = str(part / "c" / "d")
        raise error
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "b/c/d"), None)


@pytest.mark.parametrize("write", [lambda path: write_text(path, "x"), write_all])
def test_a_folder_where_a_file_belongs_is_named(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        write(tmp_path / "a.json")
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "a.json"), None)
    assert PART not in str(raised.value)


@pytest.mark.parametrize("call", ["open", "mkdir", "replace", "fsync"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x"),
        lambda path: write_new_text(path, "x"),
        write_all,
        write_in_folder_atomically,
    ],
)
def test_no_error_names_a_hidden_file(
    call: str, write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)

    def refuse(first: object, *others: Any, **options: Any) -> Any:
        if call == "fsync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        making = call != "open" or others[0] & os.O_CREAT
        if PART in str(first) and making:
            names = [str(first), *((None, str(others[0])) if call == "replace" else ())]
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), *names)
        return real(first, *others, **options)

    monkeypatch.setattr(os, call, refuse)
    try:
        write(tmp_path / "new" / "a.json")
    except OSError as error:
        assert error.filename in (str(tmp_path / "new"), str(tmp_path / "new" / "a.json"))
        assert PART not in str(error)
    monkeypatch.undo()
    assert not [*tmp_path.rglob(f"{PART}*")]
