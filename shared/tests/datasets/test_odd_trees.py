"""Random data trees: whatever lies in one, check goes through, lists it once, and goes on."""

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import noise, write_set, write_track

from mss_shared.cli.mss_data import main
from mss_shared.datasets import open_dataset, tree
from mss_shared.datasets.check import check_root

PATIENCE = 120  # seconds after which an example hangs
GOOD = {"train/good": 1, "train/better": 2, "test/best": 3}
NAMES = (
    *(b"vocals.wav", b"drums.WAV", b"Vocals.wav", b"drums.Flac", b"bass.mp3", b"other.flac"),
    *(b"mixture.wav", b"Mix.wav", b".wav", b"vocals", b"notes.txt", b"data.json", b"stems"),
    *(b"caf\xe9", b"caf\xe9.wav", b"\xff.flac", b"two\nlines", b"\x1b[31mred.wav", b"~", b" "),
    *(b".hidden", b".hidden.wav", b"@eaDir", b"__MACOSX", b"song", b"Song", b"train", b"Valid"),
    "\u202egnos".encode(),
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645".encode(),
)
KINDS = ("sound", "empty", "broken", "text", "folder", "pipe", "gone", "loop", "up", "song")
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from((b"", b"train", b"test", b"train/good", b"train/new", b"train/new/in")),
        st.sampled_from(NAMES),
        st.sampled_from(KINDS),
    ),
    max_size=8,
)


def place(root: bytes, folder: bytes, name: bytes, kind: str, seed: int) -> None:
    """Put one odd thing somewhere, unless something is there."""
    path = os.path.join(root, folder, name)
    if os.path.lexists(path) or not _make_room(os.path.dirname(path)):
        return
    if kind in ("sound", "empty", "broken", "text"):
        shutil.copyfile(os.path.join(root, b"..", b"sound", b"vocals.wav"), path)
        with open(path, "r+b") as file:
            file.truncate({"sound": None, "empty": 0, "broken": 60, "text": 7}[kind])
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "song":
        stems = {stem: noise(seed + n, samples=64) for n, stem in enumerate(("vocals", "drums"))}
        write_track(Path(os.fsdecode(path)), stems)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.symlink({"gone": b"/nowhere/at all", "loop": name, "up": b".."}[kind], path)


def _make_room(folder: bytes) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:  # a file or a link of an earlier entry
        return False
    return os.path.realpath(folder) == folder


@contextmanager
def grown(entries: list[tuple[bytes, bytes, str]]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        write_track(top / "sound", {"vocals": noise(0, samples=64)})
        root = write_set(top / "set", GOOD)
        for number, entry in enumerate(entries):
            place(os.fsencode(root), *entry, seed=10_000 + 10 * number)
        with no_hanging():
            yield root


@contextmanager
def no_hanging() -> Iterator[None]:
    def hangs(*_: Any) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@given(entries=ENTRIES)
def test_check_lists_each_thing_once_and_goes_on(entries: list[tuple[bytes, bytes, str]]) -> None:
    with grown(entries) as root:
        try:
            splits = tree.find_splits(root)
            found = dict(listed := [*check_root(root)])
        except ValueError as error:  # two folders of one split, or another layout
            assert is_sentence(str(error))
            return
        ignored = tree.look(root).ignored
        said = Counter([name for name, _ in listed] + [*ignored])
        folders = [*splits.values()]
        things = [path for folder in folders for path in folder.iterdir()]
        things += [path for path in root.iterdir() if path not in folders]
        places = [path.relative_to(root).as_posix() for path in things]
        assert {name: said[name] for name in places} == dict.fromkeys(places, 1)
        assert max(said.values()) == 1
        assert found["test/best"] == [] and found["train/better"] == []
        assert all(is_sentence(fault) for faults in found.values() for fault in faults)


@given(entries=ENTRIES)
def test_opening_is_refused_in_a_sentence_or_leaves_out_what_is_faulty(
    entries: list[tuple[bytes, bytes, str]],
) -> None:
    with grown(entries) as root:
        for faults in (None, {}):
            try:
                dataset = open_dataset(root, faults=faults)
            except (ValueError, OSError) as error:
                assert is_sentence(str(error))
            else:
                assert "best" in [track.name for track in dataset.test]


def is_sentence(text: str) -> bool:
    """One that names what it is about; the names of files may be anything."""
    return 10 < len(text) < 700 and "Traceback" not in text


@pytest.mark.parametrize("verb", ["check", "info"])
@given(entries=ENTRIES)
def test_what_is_printed_commands_no_terminal(
    verb: str, entries: list[tuple[bytes, bytes, str]]
) -> None:
    with grown(entries) as root, pytest.MonkeyPatch.context() as patch:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as printed:
            for stream in ("sys.stdout", "sys.stderr"):
                patch.setattr(stream, printed)
            patch.setattr("sys.argv", ["mss-data", verb, str(root)])
            with pytest.raises(SystemExit) as end:
                main()
            printed.seek(0)
            said = printed.read()
        assert end.value.code in ((0, 1, 2) if verb == "check" else (0, 2))
        assert all(line.replace("\u200c", "").isprintable() for line in said.split("\n"))
        if end.value.code != 2:
            assert "best" in said
