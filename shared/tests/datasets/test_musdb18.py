"""MUSDB18's stem files: decoded into the cache, found, downloaded, split."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_places import GOLDEN, PREVIEWS, SAMPLE
from tiny_songs import names, noise

from mss_shared import audio
from mss_shared.audio.containers import write_streams
from mss_shared.datasets import Dataset, folders, musdb18, open_dataset, tree
from mss_shared.datasets.content import digest_files
from mss_shared.metrics.bsseval import bsseval

MUSDB_STEMS = ("vocals", "drums", "bass", "other")
LEAK_ESTIMATE = GOLDEN / "metrics" / "musdb_sample_leak_estimate.json"


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
