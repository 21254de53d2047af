"""Which data set a folder holds, whatever it is called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tiny_songs import noise, write_set, write_track

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, musdb18, open_dataset
from mss_shared.datasets.identity import is_private

RATE = 44_100
TESTS = list(musdb18.official_tracks("test"))
TRAINING = list(musdb18.official_tracks("train"))


@pytest.fixture(autouse=True)
def short_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official songs, but two seconds long, and previews of half a second."""
    listed = musdb18.official_tracks

    def short(split: str) -> Mapping[str, int | None]:
        return dict.fromkeys(listed(split), 2 if split == "test" else None)

    monkeypatch.setattr(musdb18, "official_tracks", short)
    monkeypatch.setattr("mss_shared.datasets.identity._PREVIEW_SECONDS", (0.4, 0.6))


def bright(seed: int, seconds: float = 2.0) -> Audio:
    return noise(seed, samples=int(seconds * RATE))


def dull(seed: int, seconds: float = 2.0) -> Audio:
    """Noise that ends at 16 kHz."""
    spectrum = np.fft.rfft(bright(seed, seconds))
    spectrum[:, np.fft.rfftfreq(int(seconds * RATE), 1 / RATE) > 16_000] = 0
    return np.fft.irfft(spectrum, int(seconds * RATE)).astype(np.float32)


def write(root: Path, tracks: Mapping[str, Audio], rate: int = RATE) -> Dataset:
    for place, signal in tracks.items():
        for stem in ("vocals", "drums"):
            audio.write(root / place / f"{stem}.wav", signal, rate, "FLOAT")
    return open_dataset(root)


@pytest.mark.parametrize("folder", ["musdb18", "musdb18hq", "songs", "musdb18_7s"])
@pytest.mark.parametrize(
    ("make", "seconds", "name"),
    [
        (bright, 2.0, "musdb18hq"),
        (dull, 2.0, "musdb18"),
        (dull, 0.5, "musdb18_7s"),
    ],
)
def test_musdb18_is_known_by_tracks_and_sound(
    make: object, seconds: float, name: str, folder: str, tmp_path: Path
) -> None:
    assert callable(make)
    dataset = write(tmp_path / folder, {f"test/{n}": make(1, seconds) for n in TESTS[:3]})
    assert dataset.name == name and not is_private(dataset)
    assert "by names, lengths and sound" in dataset.identity and "3 test" in dataset.identity


def test_training_tracks_alone_are_known_too(tmp_path: Path) -> None:
    dataset = write(tmp_path / "x", {f"train/{n}": bright(1) for n in TRAINING[:3]})
    assert dataset.name == "musdb18hq"


def test_more_training_tracks_are_told(tmp_path: Path) -> None:
    places = [f"test/{TESTS[0]}", f"train/{TRAINING[0]}", "train/mine", "train/yours"]
    dataset = write(tmp_path / "x", {place: bright(n) for n, place in enumerate(places)})
    assert dataset.name == "musdb18hq" and "training tracks are of other origin" in dataset.identity


@pytest.mark.parametrize("folder", musdb18.NAMES)
@pytest.mark.parametrize(
    ("place", "signal", "rate"),
    [
        ("test/my song", bright(1), RATE),
        (f"test/{TESTS[0]}", bright(1, 0.9), RATE),  # too short
        (f"test/{TESTS[0]}", bright(1, 0.5), RATE),  # a preview with the sound of the wav set
        (f"test/{TESTS[0]}", bright(1, 8.0), 8_000),
        (f"test/{TESTS[0]}", bright(1)[:1], RATE),
        (f"test/{TESTS[0]}", np.zeros((2, 2 * RATE), np.float32), RATE),
        (f"test/{TRAINING[0]}", bright(1), RATE),
    ],
)
def test_a_folder_of_that_name_is_not_musdb18_unless_it_holds_it(
    place: str, signal: Audio, rate: int, folder: str, tmp_path: Path
) -> None:
    dataset = write(tmp_path / folder, {place: signal}, rate)
    assert dataset.name == f"private_{folder}" and is_private(dataset)
    assert "its tracks are not those of" in dataset.identity


def test_a_manifest_does_not_make_songs_musdb18_either(tmp_path: Path) -> None:
    write_set(tmp_path, {"test/a": 1})
    (tmp_path / "manifest.json").write_text('{"name": "musdb18hq", "validation": []}')
    assert open_dataset(tmp_path).name == "private_musdb18hq"


@pytest.mark.parametrize("folder", ["demo_small", "demo_tiny", "demo_full"])
def test_other_songs_are_no_demo_songs(folder: str, tmp_path: Path) -> None:
    write_track(tmp_path / folder / "test" / "a", {"vocals": noise(1)})
    dataset = open_dataset(tmp_path / folder)
    assert dataset.name == f"private_{folder}" and is_private(dataset)


def write_demo(root: Path) -> Path:
    """A folder with a manifest as the demo set has one."""
    write_set(root, {"test/a": 1, "train/b": 2})
    digests = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*.wav")
    }
    manifest = {"name": "demo_tiny", "validation": [], "sha256": digests}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


@pytest.mark.parametrize("change", ["none", "song", "file", "digests"])
def test_demo_songs_are_those_that_their_manifest_lists(change: str, tmp_path: Path) -> None:
    root = write_demo(tmp_path)
    if change == "song":
        write_track(root / "test" / "My Private Song", {"vocals": noise(5), "drums": noise(6)})
    elif change == "file":
        for stem in ("vocals", "drums"):
            audio.write(root / "test" / "a" / f"{stem}.wav", noise(7, samples=64), 8_000)
    elif change == "digests":
        (root / "manifest.json").write_text('{"name": "demo_tiny", "validation": []}')
    assert open_dataset(root).name == ("demo_tiny" if change == "none" else "private_demo_tiny")


def test_other_songs_keep_the_folders_name(tmp_path: Path) -> None:
    dataset = open_dataset(write_set(tmp_path / "mine", {"test/a": 1, "train/b": 2}))
    assert dataset.name == "mine" and is_private(dataset)
    assert dataset.identity == f"{tmp_path / 'mine'} is shown as mine (1 training, 1 test tracks)"
