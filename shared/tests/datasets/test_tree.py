"""Which folders are tracks: suffixes, hidden folders, names of splits, and what is passed over."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import noise, write_set, write_track

from mss_shared import audio
from mss_shared.datasets import Dataset, musdb18, open_dataset, tree
from mss_shared.datasets.check import check_root

HIDDEN = (".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX", "#recycle", "lost+found")


def names(dataset: Dataset, split: str) -> list[str]:
    return [track.name for track in dataset.split(split)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", {"train/a": 1, "train/b": 2, "valid/v": 3, "test/x": 4})


@pytest.mark.parametrize("suffix", [".WAV", ".Wav", ".wAV", ".FLAC", ".Flac"])
def test_a_suffix_may_have_any_case(root: Path, suffix: str) -> None:
    for place in ("train/b", "test/x"):
        for path in list((root / place).iterdir()):
            path.rename(path.with_suffix(suffix))
    dataset = open_dataset(root)
    assert names(dataset, "train") == ["a", "b"] and names(dataset, "test") == ["x"]
    assert set(dataset.test[0].stems) == {"vocals", "drums"}


def test_of_two_files_of_a_stem_the_usual_suffix_is_read(tmp_path: Path) -> None:
    write_track(tmp_path / "a", {"vocals": noise(1)})
    for suffix, seed in ((".WAV", 2), (".flac", 3)):
        audio.write(tmp_path / "other.wav", noise(seed), 8_000)
        (tmp_path / "other.wav").rename(tmp_path / "a" / f"vocals{suffix}")
    found = tree.look(tmp_path)
    assert tree.find_stem_files(tmp_path / "a")["vocals"].name == "vocals.wav"
    assert [*found.ignored] == ["a/vocals.WAV", "a/vocals.flac"] == found.unheard


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_folders_are_no_tracks_wherever_they_lie(root: Path, name: str) -> None:
    for place in ("", "train", "test", "train/a"):
        write_track(root / place / name, {"vocals": noise(9), "drums": noise(8)})
        write_track(root / place / name / "train" / "t", {"vocals": noise(9)})
    dataset = open_dataset(root)
    assert names(dataset, "train") == ["a", "b"] and names(dataset, "test") == ["x"]
    assert set(dataset.train[0].stems) == {"vocals", "drums"} and not dataset.unheard
    assert len([why for why in tree.look(root).ignored.values() if why == "hidden"]) == 4


@pytest.mark.parametrize("name", ["validation", "val", "Valid", "VALIDATION", "Val"])
def test_valid_may_be_called_otherwise(root: Path, name: str) -> None:
    (root / "valid").rename(root / name)
    (root / "train").rename(root / "Train")
    dataset = open_dataset(root)
    assert names(dataset, "valid") == ["v"] and names(dataset, "train") == ["a", "b"]


def test_two_folders_of_one_split_are_refused(root: Path) -> None:
    write_track(root / "val" / "w", {"vocals": noise(9)})
    with pytest.raises(ValueError, match="holds val/ and valid/: keep one"):
        open_dataset(root)


def test_a_song_called_validation_is_a_song(tmp_path: Path) -> None:
    dataset = open_dataset(write_set(tmp_path, {"Validation": 1, "training": 2, "a": 3}))
    assert sorted(names(dataset, "test")) == ["Validation", "a", "training"]


def test_a_valid_folder_wins_over_musdbs_14_names(tmp_path: Path) -> None:
    places = {f"train/{name}": n for n, name in enumerate(musdb18.VALIDATION)}
    write_set(tmp_path, {**places, "train/own": 20, "valid/v": 21, "test/x": 22})
    dataset = open_dataset(tmp_path)
    assert names(dataset, "valid") == ["v"] and len(dataset.train) == 15


def test_a_valid_folder_stays_valid_beside_a_manifest(root: Path) -> None:
    (root / "manifest.json").write_text('{"name": "own", "validation": ["b"]}')
    dataset = open_dataset(root)
    assert names(dataset, "valid") == ["b", "v"] and names(dataset, "train") == ["a"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_song_in_a_folder_too_deep_is_refused_and_not_lost(root: Path, split: str) -> None:
    write_track(root / split / "album" / "song", {"vocals": noise(9), "drums": noise(8)})
    with pytest.raises(ValueError, match=r"album holds no sound file itself, but song/.*: move"):
        open_dataset(root)
    faults: dict[str, str] = {}
    dataset = open_dataset(root, faults=faults)
    assert [*faults] == ["album"] and names(dataset, "test") == ["x"]


def test_a_folder_around_the_data_set_is_told(root: Path) -> None:
    with pytest.raises(ValueError, match="set holds .*/: pass it"):
        open_dataset(root.parent)


def test_a_folder_around_stem_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "MUSDB" / "train").mkdir(parents=True)
    (tmp_path / "MUSDB" / "train" / "a.stem.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match="MUSDB holds train/: pass it"):
        open_dataset(tmp_path)


def test_track_folders_beside_stem_files_are_refused(root: Path) -> None:
    (root / "train" / "a.stem.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match="stem.mp4 files and track folders such as a: move one"):
        open_dataset(root)
    found = dict(check_root(root))
    assert found["train/b"] == ["not read beside .stem.mp4 files: move it"]


def test_songs_of_other_formats_are_refused_and_not_lost(root: Path) -> None:
    for path in (root / "train" / "b").iterdir():
        path.rename(path.with_suffix(".mp3"))
    with pytest.raises(ValueError, match=r"holds drums.mp3, and only wav and flac are read: conv"):
        open_dataset(root)


def test_what_is_passed_over_is_listed(root: Path) -> None:
    audio.write(root / "train" / "loose.wav", noise(1), 8_000)
    write_track(root / "extra" / "song", {"vocals": noise(9)})
    write_track(root / "train" / "a" / "takes", {"first": noise(9)})
    (root / "train" / "a" / "notes.txt").write_text("")
    (root / "train" / "nothing").mkdir()
    assert tree.look(root).ignored == {
        "train/a/notes.txt": "not a sound file",
        "train/a/takes": "a folder inside a track folder",
        "train/loose.wav": "not in a track folder",
        "train/nothing": "no sound files",
        "extra": "neither train, valid nor test",
    }
    assert open_dataset(root).unheard == ("train/a/takes", "train/loose.wav", "extra")


def test_a_split_that_is_a_link_to_nothing_is_a_fault_and_the_others_go_on(root: Path) -> None:
    (root / "test").rename(root.parent / "moved")
    (root / "test").symlink_to(root.parent / "unmounted")
    found = dict(check_root(root))
    assert found.pop("test") == [
        f"{root / 'test'} is a link to nothing: restore its target, or remove it"
    ]
    assert list(found) == ["train/a", "train/b", "valid/v"] and not any(found.values())
    (root / "test").unlink()
    (root / "test").write_text("a file")
    assert tree.look(root).ignored == {"test": "no folder"}


@pytest.mark.parametrize("place", ["train/closed", "closed", "train/a/closed"])
def test_what_can_not_be_entered_does_not_stop_the_others(
    place: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / place).mkdir()
    is_dir = Path.is_dir

    def refusing(path: Path) -> bool:
        if path.name == "closed":  # as the system does for a link into a closed folder
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refusing)
    found = dict(check_root(root))
    assert [name for name, faults in found.items() if not faults] == [
        *("train/a", "train/b", "valid/v", "test/x")
    ]
    assert [*map(str, found)].count(place) + [*tree.look(root).ignored].count(place) == 1


def test_what_the_manifest_lists_beside_the_songs_is_no_surprise(root: Path) -> None:
    write_track(root / "edge" / "odd", {"vocals": noise(9)})
    write_track(root / "extra" / "own", {"vocals": noise(8)})
    manifest = {"name": "own", "validation": [], "sha256": {"edge/odd/vocals.wav": "0"}}
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert open_dataset(root).unheard == ("extra",)
    assert "edge" in tree.look(root).ignored


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_an_empty_track_is_refused_by_name(root: Path, split: str) -> None:
    write_track(root / split / "none", {s: noise(1, samples=0) for s in ("vocals", "drums")})
    with pytest.raises(ValueError, match="track none is empty, .* has 0 samples: remove it"):
        open_dataset(root)


def test_odd_entries_are_refused_in_a_sentence(root: Path) -> None:
    path = root / "train" / "a" / "vocals.wav"
    path.unlink()
    path.symlink_to("/nowhere/vocals.wav")
    with pytest.raises(FileNotFoundError, match=r"vocals.wav is a link to nothing: restore"):
        open_dataset(root)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"vocals.wav is a pipe or device, not a sound file"):
        open_dataset(root)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=r"vocals.wav is a folder, not a sound file: rename"):
        open_dataset(root)
    path.rmdir()
    (root / "train" / "gone").symlink_to("/nowhere")
    with pytest.raises(ValueError, match="gone is a link to nothing: restore"):
        open_dataset(root)


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"bell\x07"])
def test_a_name_that_is_no_text_is_refused(root: Path, name: bytes) -> None:
    os.rename(os.fsencode(root / "train" / "b"), os.fsencode(root / "train") + b"/" + name)
    with pytest.raises(ValueError, match=r"the name .* (is not valid UTF-8|has control char.*): "):
        open_dataset(root)


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1))
def test_every_name_is_hidden_by_a_dot_and_plain_without_control_characters(name: str) -> None:
    assert tree.is_hidden(f".{name}") and not tree.is_hidden(f"a{name}")
    is_plain = not any(ord(mark) < 32 or 127 <= ord(mark) < 160 for mark in name)
    assert (tree.name_fault(name) is None) == is_plain
