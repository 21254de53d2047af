"""Data sets: layouts, splits, names, refusals, fingerprints."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import STEMS, names, noise, write_set, write_track

from mss_shared import audio
from mss_shared.datasets import folders, musdb18, open_dataset
from mss_shared.datasets.tracks import track_fingerprint


def songs(*places: str) -> dict[str, int]:
    return {place: seed for seed, place in enumerate(places)}


# Layouts


def test_musdb18_hqs_layout_gives_every_split_by_name(tmp_path: Path) -> None:
    write_set(tmp_path / "set", songs("train/b", "train/a", "valid/v", "test/y", "test/x"))
    dataset = open_dataset(tmp_path / "set")
    assert names(dataset) == {"train": ["a", "b"], "valid": ["v"], "test": ["x", "y"]}
    assert (dataset.name, dataset.root) == ("set", tmp_path / "set")
    assert set(dataset.train[0].stems) == set(STEMS) and dataset.train[0].mixture is None


def test_without_a_valid_folder_every_tenth_training_track_is_held_out(tmp_path: Path) -> None:
    write_set(tmp_path, songs(*(f"train/{n:02}" for n in range(21)), "test/x"))
    found = names(open_dataset(tmp_path))
    assert found["valid"] == ["00", "10", "20"]
    assert sorted(found["train"] + found["valid"]) == [f"{n:02}" for n in range(21)]
    assert len(found["train"]) == 18 and found["test"] == ["x"]


def test_a_single_training_track_is_not_held_out(tmp_path: Path) -> None:
    dataset = open_dataset(write_set(tmp_path, songs("train/a", "test/x")))
    assert names(dataset) == {"train": ["a"], "valid": [], "test": ["x"]}
    with pytest.raises(ValueError, match=r"has no valid tracks: the data set must hold a valid/"):
        dataset.split("valid")


def test_a_folder_of_track_folders_is_test_tracks_alone(tmp_path: Path) -> None:
    dataset = open_dataset(write_set(tmp_path, songs("b", "a")))
    assert names(dataset) == {"train": [], "valid": [], "test": ["a", "b"]}


def test_hidden_files_other_files_and_empty_folders_are_no_tracks(tmp_path: Path) -> None:
    write_set(tmp_path, songs("test/a"))
    (tmp_path / "test" / "empty").mkdir()
    (tmp_path / "test" / "readme.txt").write_text("no track")
    (tmp_path / "test" / "a" / "._vocals.wav").write_bytes(b"left by a file manager")
    dataset = open_dataset(tmp_path)
    assert names(dataset)["test"] == ["a"] and set(dataset.test[0].stems) == set(STEMS)


def test_flac_is_read_and_wav_taken_first(tmp_path: Path) -> None:
    folder = tmp_path / "test" / "a"
    audio.write(folder / "vocals.flac", noise(1, samples=64), 8_000)
    audio.write(folder / "drums.flac", noise(2, samples=64), 8_000)
    audio.write(folder / "drums.wav", noise(3, samples=64), 8_000)
    track = open_dataset(tmp_path).test[0]
    np.testing.assert_array_equal(track.read_stem("vocals"), noise(1, samples=64))
    np.testing.assert_array_equal(track.read_stem("drums"), noise(3, samples=64))


def test_the_14_validation_tracks_are_held_out_where_all_are_there(tmp_path: Path) -> None:
    assert len(set(musdb18.VALIDATION)) == 14
    names_14 = [f"train/{name}" for name in musdb18.VALIDATION]
    write_set(tmp_path / "all", songs(*names_14, "train/a", "train/z", "test/x"))
    dataset = open_dataset(tmp_path / "all")
    assert sorted(track.name for track in dataset.valid) == sorted(musdb18.VALIDATION)
    assert names(dataset)["train"] == ["a", "z"] and dataset.name == "all"
    write_set(tmp_path / "some", songs(*names_14[:-1], "train/a", "train/z", "test/x"))
    assert len(open_dataset(tmp_path / "some").valid) == 2  # every tenth of fifteen


def test_the_14_names_are_musdbs_own() -> None:
    try:
        import musdb
        import yaml
    except (ImportError, RuntimeError) as reason:  # musdb raises without ffmpeg
        pytest.skip(f"musdb can't be imported: {reason}")
    listed = yaml.safe_load((Path(musdb.__file__).parent / "configs" / "mus.yaml").read_text())
    assert sorted(listed["validation_tracks"]) == sorted(musdb18.VALIDATION)


# Reading


def test_a_track_reads_its_stems_in_the_order_asked_and_any_excerpt(tmp_path: Path) -> None:
    signals = {stem: noise(n, samples=64) for n, stem in enumerate(STEMS)}
    write_track(tmp_path / "a", signals)
    track = open_dataset(tmp_path).test[0]
    expected = np.stack([signals["drums"], signals["vocals"]])
    np.testing.assert_array_equal(track.read_stems(("drums", "vocals")), expected)
    np.testing.assert_array_equal(track.read_stems(("drums", "vocals"), 5, 9), expected[..., 5:14])
    np.testing.assert_array_equal(track.read_mixture(5, 9), expected.sum(axis=0)[:, 5:14])


def test_the_mixture_file_is_read_where_there_is_one(tmp_path: Path) -> None:
    write_track(tmp_path / "a", {"vocals": noise(0), "mixture": noise(1)})
    track = open_dataset(tmp_path).test[0]
    np.testing.assert_array_equal(track.read_mixture(), noise(1))
    assert set(track.stems) == {"vocals"}


def test_a_stem_the_track_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    track = open_dataset(write_set(tmp_path, songs("a"))).test[0]
    with pytest.raises(ValueError, match="track a has no stem 'bass', only .*: add bass.wav or"):
        track.read_stem("bass")


# Refusals


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*gone: a data set is the folder"):
        open_dataset(tmp_path / "gone")


@pytest.mark.parametrize("inside", [[], ["train", "test"], ["notes"]])
def test_a_folder_without_tracks_is_refused(tmp_path: Path, inside: list[str]) -> None:
    for name in inside:
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=r"no track folders under .*: a data set holds"):
        open_dataset(tmp_path)


def test_an_unknown_demo_size_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="no demo set 'huge': choose demo:.*demo:small"):
        open_dataset("demo:huge")


@pytest.mark.parametrize(
    ("signal", "rate", "message"),
    [
        (noise(0, samples=65), 8_000, "65 samples at 8000 Hz in 2 channels"),
        (noise(0, samples=64), 9_000, "64 samples at 9000 Hz in 2 channels"),
        (noise(0, 1, 64), 8_000, "64 samples at 8000 Hz in 1 channels"),
    ],
)
def test_files_of_a_track_that_differ_are_refused_with_both(
    tmp_path: Path, signal: audio.Audio, rate: int, message: str
) -> None:
    write_set(tmp_path, songs("test/a"))
    audio.write(tmp_path / "test/a/mixture.wav", signal, rate)
    with pytest.raises(ValueError, match=f"a: mixture has {message}, .* has 64 samples .*: all"):
        open_dataset(tmp_path)


def test_an_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    write_set(tmp_path, songs("test/a"))
    (tmp_path / "test/a/bass.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bass\.wav is not a readable sound file"):
        open_dataset(tmp_path)


def test_a_mixture_without_stems_is_refused(tmp_path: Path) -> None:
    write_track(tmp_path / "test/a", {"mixture": noise(0)})
    with pytest.raises(ValueError, match="a holds a mixture but no stems: add one wav file"):
        open_dataset(tmp_path)


# Fingerprints


def test_the_fingerprint_is_that_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    places = songs("train/a", "train/b", "test/x")
    marks = {
        open_dataset(write_set(tmp_path / place, places)).fingerprint
        for place in ("here", "there/below")
    }
    assert len(marks) == 1 and len(marks.pop()) == 64


@settings(max_examples=15)
@given(sample=st.integers(0, 63), channel=st.integers(0, 1), stem=st.sampled_from(STEMS))
def test_one_other_sample_changes_the_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, sample: int, channel: int, stem: str
) -> None:
    root = write_set(tmp_path_factory.mktemp("mark"), songs("train/a", "train/b", "test/x"))
    before = open_dataset(root)
    kept = before.fingerprint, track_fingerprint(before.test[0])
    path = root / "test/x" / f"{stem}.wav"
    signal = audio.read(path)
    signal[channel, sample] += 1 / 32_768
    audio.write(path, signal, 8_000)
    after = open_dataset(root)
    assert after.fingerprint != kept[0] and track_fingerprint(after.test[0]) != kept[1]


def test_fingerprints_are_those_that_score_folders_have_had_from_the_first_on(
    tmp_path: Path,
) -> None:
    samples = np.arange(-6000, 6000, dtype="<i2").repeat(2)
    for stem in ("vocals", "drums"):
        path = tmp_path / "test" / "song" / f"{stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((2, 2, 44_100, 0, "NONE", "not compressed"))
            file.writeframes(samples.tobytes())
    found = open_dataset(tmp_path)
    assert track_fingerprint(found.test[0])[:16] == "383533ac74701c36"
    assert found.fingerprint[:16] == "039910f437cad71a"


def test_a_sample_in_the_middle_of_a_long_file_changes_the_fingerprint(tmp_path: Path) -> None:
    signals = {"vocals": noise(0, samples=100_000)}
    write_track(tmp_path / "a", signals)
    before = open_dataset(tmp_path).fingerprint
    signals["vocals"][0, 50_000] += 1 / 32_768
    write_track(tmp_path / "a", signals)
    assert open_dataset(tmp_path).fingerprint != before


@pytest.mark.parametrize(
    ("old", "new"), [("train/b", "train/c"), ("train/b", "test/b"), ("train/b", "valid/b")]
)
def test_another_name_or_split_changes_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    root = write_set(tmp_path, songs("train/a", "train/b", "train/d", "test/x"))
    before = open_dataset(root).fingerprint
    (root / new).parent.mkdir(exist_ok=True)
    (root / old).rename(root / new)
    assert open_dataset(root).fingerprint != before


def test_a_tracks_fingerprint_ignores_its_name_so_that_copies_are_found(tmp_path: Path) -> None:
    signals = {stem: noise(n, samples=64) for n, stem in enumerate(STEMS)}
    for name in ("a", "copy of a"):
        write_track(tmp_path / name, signals)
    write_track(tmp_path / "b", {**signals, "vocals": noise(9, samples=64)})
    a, b, copy = open_dataset(tmp_path).test
    assert copy.name == "copy of a"
    assert track_fingerprint(a) == track_fingerprint(copy) != track_fingerprint(b)


def test_held_out_names_replace_an_earlier_hold_out_and_lose_no_track(tmp_path: Path) -> None:
    write_set(tmp_path, {f"train/{n}": n for n in range(6)})
    found = folders.hold_out(folders.read(tmp_path, "x"), ("4", "5"))
    assert [track.name for track in found.train] == ["0", "1", "2", "3"]
    assert [track.name for track in found.valid] == ["4", "5"]


def test_of_several_odd_tracks_the_first_is_named_and_the_others_counted(tmp_path: Path) -> None:
    write_set(tmp_path / "set", songs("train/a", "train/b", "train/c", "valid/v", "test/x"))
    for place in ("train/b", "train/c", "test/x"):
        (tmp_path / "set" / place / f"{STEMS[0]}.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"/b/.*; 2 more faults, which mss-data check lists$"):
        open_dataset(tmp_path / "set")
    for song in ("a", "b"):
        (tmp_path / "moisesdb" / song).mkdir(parents=True)
        (tmp_path / "moisesdb" / song / "data.json").write_text("{}")
    with pytest.raises(ValueError, match=r"/a/.*; 1 more fault, which mss-data check lists$"):
        open_dataset(f"moisesdb:{tmp_path}/moisesdb")
