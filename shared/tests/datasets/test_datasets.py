"""Data sets: layouts, splits, names, refusals, fingerprints."""

import os
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_places import GOLDEN, PREVIEWS, SAMPLE
from tiny_songs import STEMS, noise, write_set, write_track

from mss_shared import audio
from mss_shared.audio.containers import write_streams
from mss_shared.datasets import Dataset, folders, musdb18, open_dataset, tree
from mss_shared.datasets.content import digest_files
from mss_shared.datasets.tracks import track_fingerprint
from mss_shared.metrics.bsseval import bsseval

MUSDB_STEMS = ("vocals", "drums", "bass", "other")
LEAK_ESTIMATE = GOLDEN / "metrics" / "musdb_sample_leak_estimate.json"


def names(dataset: Dataset) -> dict[str, list[str]]:
    return {
        split: [track.name for track in getattr(dataset, split)]
        for split in ("train", "valid", "test")
    }


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


# MUSDB18's stem.mp4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: folder / name)
    return folder


def write_stem_file(path: Path, seed: int, streams: int = 5, seconds: float = 0.5) -> Path:
    """A ``.stem.mp4`` of noise, or of fewer streams."""
    pytest.importorskip("av")
    parts = {}
    for n, stem in enumerate(("mixture", "drums", "bass", "other", "vocals")[:streams]):
        parts[stem] = path.parent / f".{path.stem}-{stem}.wav"
        audio.write(parts[stem], noise(seed + n, samples=int(seconds * 44_100)), 44_100)
    write_streams(path, parts)
    for part in parts.values():
        part.unlink()
    return path


@pytest.fixture
def stem_files(tmp_path: Path) -> Path:
    """A folder of two stem files, as MUSDB18 has them."""
    write_stem_file(tmp_path / "songs" / "train" / "a.stem.mp4", 0)
    write_stem_file(tmp_path / "songs" / "test" / "x y.stem.mp4", 50)
    return tmp_path / "songs"


def test_stem_mp4_files_are_decoded_once_into_the_cache(stem_files: Path, cache: Path) -> None:
    told: list[tuple[str, int, int]] = []
    dataset = open_dataset(stem_files, lambda *words: told.append(words))
    assert dataset.name.isalnum() and told == [("a", 0, 2), ("x y", 1, 2)]
    assert names(dataset) == {"train": ["a"], "valid": [], "test": ["x y"]}
    track = dataset.test[0]
    assert set(track.stems) == set(MUSDB_STEMS) and track.info.sample_rate == 44_100
    assert cache in dataset.root.parents and track.info.subtype == "FLOAT"
    heard = {
        stem: np.corrcoef(
            track.read_stem(stem)[0, :20_000], noise(50 + n, samples=22_050)[0, :20_000]
        )[0, 1]
        for n, stem in enumerate(("drums", "bass", "other", "vocals"), 1)
    }
    assert min(heard.values()) > 0.6, heard  # noise through AAC
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")}
    assert len(before) == 10
    assert open_dataset(stem_files).fingerprint == dataset.fingerprint
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")} == before


def test_a_stem_file_that_was_replaced_is_decoded_again(stem_files: Path, cache: Path) -> None:
    before, path = open_dataset(stem_files).test[0].read_stem("vocals"), stem_files / "test"
    copies = {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")}
    os.utime(path / "x y.stem.mp4", ns=(1, 1))  # touched, its bytes are the same
    assert np.array_equal(open_dataset(stem_files).test[0].read_stem("vocals"), before)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")} == copies
    write_stem_file(path / "x y.stem.mp4", 90)
    after = open_dataset(stem_files).test[0].read_stem("vocals")
    assert not np.array_equal(after, before)
    next(cache.rglob("x y/.source")).write_text("of an older version")
    assert np.array_equal(open_dataset(stem_files).test[0].read_stem("vocals"), after)


def test_of_two_that_replace_a_decoded_track_the_second_leaves_it_to_the_first(
    stem_files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = open_dataset(stem_files).test[0].read_stem("vocals")
    path = write_stem_file(stem_files / "test" / "x y.stem.mp4", 90)
    folder, first = next(cache.rglob("x y")).parent, list[int]()
    read = musdb18._read_source

    def overtaken(target: Path) -> Any:
        source = read(target)
        monkeypatch.setattr(musdb18, "_read_source", read)
        assert musdb18.decode_track(path, folder) == target
        first.append((target / "vocals.wav").stat().st_mtime_ns)
        return source

    monkeypatch.setattr(musdb18, "_is_decoded", lambda *_: False)
    monkeypatch.setattr(musdb18, "_read_source", overtaken)
    done = musdb18.decode_track(path, folder)
    assert [(done / "vocals.wav").stat().st_mtime_ns] == first
    monkeypatch.undo()
    assert not np.array_equal(audio.read(folder / "x y" / "vocals.wav"), stale)
    assert {each.name for each in (folder / "x y").iterdir()} == {
        ".source",
        *(f"{stem}.wav" for stem in ("mixture", *MUSDB_STEMS)),
    }


@pytest.mark.parametrize("fresh_one_comes", [False, True])
def test_a_decoded_track_that_another_process_takes_away_is_no_error(
    tmp_path: Path, fresh_one_comes: bool
) -> None:
    target, aside = tmp_path / "a", tmp_path / "old"
    if fresh_one_comes:
        target.mkdir()
        (target / ".source").write_text("new\nnew\n")
    musdb18._remove_old(target, ("old", "old"), aside)
    assert target.exists() is fresh_one_comes and not aside.exists()


def test_two_stem_files_of_one_name_are_not_one_track(stem_files: Path, cache: Path) -> None:
    write_stem_file(stem_files / "test" / "x y.STEM.MP4", 90)
    found = tree.look(stem_files)
    assert [path.name for path in found.stem_files["test"]] == ["x y.STEM.MP4"]
    [(place, fault)] = found.faults.items()
    assert place == "test/x y.stem.mp4" and "is named as the track of x y.STEM.MP4 is" in fault


def test_inputs_of_scores_are_the_stem_files_and_not_how_a_processor_rounds_them(
    stem_files: Path, cache: Path
) -> None:
    tracks = open_dataset(stem_files).test
    before = digest_files(tracks)
    for path in cache.rglob("x y/*.wav"):
        samples = audio.read(path)
        audio.write(path, samples * np.float32(1 + 2**-23), 44_100, "FLOAT")
    assert digest_files(tracks) == before
    write_stem_file(stem_files / "test" / "x y.stem.mp4", 90)
    assert digest_files(open_dataset(stem_files).test) != before


def test_a_track_whose_decoding_failed_is_decoded_again(
    stem_files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    write = audio.write

    def failing(path: Path, *rest: Any) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write(path, *rest)

    monkeypatch.setattr(audio, "write", failing)
    with pytest.raises(OSError, match="No space left"):
        open_dataset(stem_files)
    monkeypatch.setattr(audio, "write", write)
    dataset = open_dataset(stem_files)
    assert set(dataset.train[0].stems) == set(MUSDB_STEMS)
    assert not [path for path in cache.rglob(".part-*")]


def test_an_mp4_of_other_streams_is_no_stem_file(tmp_path: Path, cache: Path) -> None:
    write_stem_file(tmp_path / "test" / "a.stem.mp4", 0, streams=3)
    with pytest.raises(
        ValueError, match=r"a\.stem\.mp4 has 3 audio streams, a stem file five: mix"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an mp4", b"\0\0\0\x18ftypmp42" + bytes(40)])
def test_a_damaged_stem_file_is_named(tmp_path: Path, cache: Path, content: bytes) -> None:
    pytest.importorskip("av")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.stem.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.stem\.mp4"):
        open_dataset(tmp_path)
    assert not list(cache.rglob("*.wav"))


def test_stem_mp4_files_without_pyav_are_refused_with_what_to_install(
    stem_files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'needs PyAV.*pip install "mss-shared\[separate\]"'):
        open_dataset(stem_files)


def test_the_previews_are_found_where_the_environment_says(
    stem_files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSDB18_7S_ROOT", str(stem_files))
    assert names(open_dataset("musdb18_7s"))["test"] == ["x y"]
    monkeypatch.setenv("MUSDB18_7S_ROOT", str(stem_files.parent))
    with pytest.raises(FileNotFoundError, match="MUSDB18_7S_ROOT is .* has no .stem.mp4 files"):
        open_dataset("musdb18_7s")


def test_a_part_of_the_previews_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUSDB18_7S_ROOT", str(tmp_path))
    for split, count in (("train", 94), ("test", 49)):
        (tmp_path / split).mkdir()
        for number in range(count):
            (tmp_path / split / f"{number}.stem.mp4").touch()
    musdb18.find_previews()
    assert "has 94 of 94 training and 49 of 50 test songs" in capsys.readouterr().out
    (tmp_path / "test" / "last.stem.mp4").touch()
    musdb18.find_previews()
    assert not capsys.readouterr().out


@pytest.mark.parametrize("place", ["home/MUSDB18/MUSDB18-7", "cache/mss/musdb18_7s"])
def test_the_previews_are_found_where_they_were_downloaded(
    place: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUSDB18_7S_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / place / "test").mkdir(parents=True)
    (tmp_path / place / "test" / "a.stem.mp4").touch()
    assert musdb18.find_previews() == tmp_path / place


def test_the_previews_are_downloaded_through_musdb_with_their_terms(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MUSDB18_7S_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def download(root: str, download: bool) -> None:
        assert download
        (Path(root) / "test").mkdir()
        (Path(root) / "test" / "a.stem.mp4").touch()

    fake = SimpleNamespace(DB=download, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "musdb", fake)
    monkeypatch.setattr("shutil.which", lambda tool: f"/bin/{tool}")
    target = cache / "mss" / "musdb18_7s"
    target.mkdir(parents=True)  # what is fetched would be lost, as it can't replace this
    with pytest.raises(FileExistsError, match="where the previews go, holds no .stem.mp4 files"):
        musdb18.find_previews()
    target.rmdir()
    assert musdb18.find_previews() == cache / "mss" / "musdb18_7s"
    assert "non-commercial" in capsys.readouterr().out
    assert musdb18.find_previews() == cache / "mss" / "musdb18_7s"  # from now on from there


def test_a_download_that_fails_says_what_to_set(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MUSDB18_7S_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(cache / "home"))

    def download(root: str, download: bool) -> None:
        print(f"to {root}...")
        raise OSError("<urlopen error [Errno 111] Connection refused>")

    fake = SimpleNamespace(DB=download, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "musdb", fake)
    monkeypatch.setattr("shutil.which", lambda tool: f"/bin/{tool}")
    with pytest.raises(OSError, match=r"can't be downloaded \(<.*>\): set MUSDB18_7S_ROOT to a"):
        open_dataset("musdb18_7s")
    assert ".part" not in capsys.readouterr().out
    assert not [*(cache / "mss").iterdir()]


def test_of_a_part_of_musdb18_the_validation_songs_that_are_there_are_held_out() -> None:
    official = musdb18.official_tracks("train")
    others = [name for name in official if name not in musdb18.VALIDATION]

    def held(names: list[str]) -> list[str]:
        tracks = tuple(SimpleNamespace(name=name) for name in sorted(names))
        dataset: Any = Dataset("x", Path(), tracks, (), ())  # type: ignore[arg-type]
        return [track.name for track in musdb18.hold_out_validation(dataset).valid]

    assert held([*others, *musdb18.VALIDATION[1:]]) == sorted(musdb18.VALIDATION[1:])
    assert held([*others[:3], musdb18.VALIDATION[0]]) == [musdb18.VALIDATION[0]]
    assert held(["mine", *musdb18.VALIDATION]) == sorted(musdb18.VALIDATION)
    tenth = ["mine", *others[:9], musdb18.VALIDATION[0]]  # other songs, too
    assert held(tenth) == sorted(tenth)[::10]
    assert held(others[:11]) == sorted(others[:11])[::10]
    assert held([*musdb18.VALIDATION[:5]]) == sorted(musdb18.VALIDATION[:5])[::10]


def test_without_musdb_the_previews_are_refused_with_what_to_do(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUSDB18_7S_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("shutil.which", lambda tool: None)
    with pytest.raises(ModuleNotFoundError, match="install ffmpeg, or set MUSDB18_7S_ROOT"):
        open_dataset("musdb18_7s")


def test_the_previews_themselves_are_known_by_their_sound(cache: Path, tmp_path: Path) -> None:
    if not PREVIEWS.is_dir():
        pytest.skip("there is no musdb18_7s folder in shared/data beside the repository")
    for split, files in musdb18.find_stem_files(PREVIEWS).items():
        (tmp_path / split).mkdir()
        for path in files[:2]:
            (tmp_path / split / path.name).symlink_to(path)
    dataset = open_dataset(tmp_path)
    assert dataset.name == "musdb18_7s" and len(dataset.test) == 2
    track = dataset.test[0]
    rest = track.read_mixture() - track.read_stems(MUSDB_STEMS).sum(axis=0)
    assert np.square(rest).mean() < 1e-2 * np.square(track.read_mixture()).mean()


def test_the_sample_track_of_musdb18_has_the_scores_of_museval(cache: Path) -> None:
    import json

    if not SAMPLE.is_dir():
        pytest.skip("there is no musdb18_sample folder in shared/data beside the repository")
    expected = json.loads(LEAK_ESTIMATE.read_text())
    (track,) = open_dataset(SAMPLE).train
    assert track.info.samples == expected["n_samples"]
    references = track.read_stems(MUSDB_STEMS).astype(np.float64)
    mixture = references.sum(axis=0)
    gains = np.array([1, -1, 0.5, 0.25])[:, None, None]
    estimates = 0.9 * references + (0.1 / 3) * (mixture - references)
    estimates += 0.02 * gains * np.tanh(3 * mixture)
    found = bsseval(references, estimates, window=44_100, hop=44_100)
    for target in expected["museval_json"]["targets"]:
        row = MUSDB_STEMS.index(target["name"]) if target["name"] in MUSDB_STEMS else None
        if row is not None:
            frames = [frame["metrics"]["SDR"] for frame in target["frames"]]
            np.testing.assert_allclose(found.sdr[row], frames, atol=0.02)


def test_stem_mp4_files_are_looked_for_in_train_and_test_only(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert not musdb18.find_stem_files(tmp_path)
    (tmp_path / "train" / "a.stem.mp4").touch()
    assert [*musdb18.find_stem_files(tmp_path)] == ["train"]
    assert not folders.find_track_folders(tmp_path / "train")


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


def test_how_much_decoding_will_write_is_said_before_it_begins(
    stem_files: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> str:
        open_dataset(stem_files)
        return capsys.readouterr().out

    of_one = 5 * 22_050 * 2 * 4 / 1e6
    first = said()
    assert f"2 stem files to decode to {cache}" in first
    megabytes = int(first.split(": ")[1].split(" MB")[0])
    assert megabytes == pytest.approx(2 * of_one, abs=1.0)
    written = sum(path.stat().st_size for path in cache.rglob("*.wav")) / 1e6
    assert megabytes == pytest.approx(written, abs=1.0)
    assert not said()
    (stem_files / "test" / "x y.stem.mp4").touch()
    assert "1 stem file to decode to" in said()
