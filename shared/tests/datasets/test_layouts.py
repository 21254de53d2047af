"""Layouts that are named before the folder: aligned, sourcefolder, trackfolder_var."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tiny_songs import RATE, noise, plain_data, write_track

from mss_shared import audio
from mss_shared.datasets import open_dataset
from mss_shared.training.random_mixes import RandomMixes


def write(folder: Path, **seeds: int) -> dict[str, np.ndarray]:
    """A file of 900 samples of noise for each name."""
    signals = {name: noise(seed, samples=900) for name, seed in seeds.items()}
    write_track(folder, signals)
    return signals


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(found - wanted).max() < 1e-6)


def test_a_pair_is_its_output_and_what_is_left_of_its_input(tmp_path: Path) -> None:
    first = write(tmp_path / "train" / "a", mixture=1, clean=2)
    write(tmp_path / "train" / "b", mixture=3, clean=4)
    write(tmp_path / "valid" / "c", mixture=5, clean=6)
    dataset = open_dataset(f"aligned:{tmp_path}")
    track = dataset.train[0]
    assert [t.name for t in dataset.train] == ["a", "b"] and len(dataset.valid) == 1
    assert close(track.read_stem("clean", 100, 50), first["clean"][:, 100:150])
    total = track.read_stems(("clean", "rest")).sum(axis=0)
    assert close(total, first["mixture"]) and close(track.read_mixture(), first["mixture"])


def test_an_example_of_pairs_is_an_excerpt_of_one(tmp_path: Path) -> None:
    signals = write(tmp_path / "train" / "a", mixture=1, clean=2)
    write(tmp_path / "valid" / "c", mixture=5, clean=6)
    dataset = open_dataset(f"aligned:{tmp_path}")
    config = plain_data(stems=("clean", "rest"), chunk_seconds=900 / RATE)
    example = RandomMixes(dataset.train, config, ("clean",), 0)[0]
    assert close(example["mixture"].numpy(), signals["mixture"])
    assert close(example["stems"][0].numpy(), signals["clean"])


def test_a_folder_that_is_no_pair_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a", mixture=1, clean=2, more=3)
    with pytest.raises(ValueError, match="holds clean, mixture, more: a pair is"):
        open_dataset(f"aligned:{tmp_path}")


def write_sources(root: Path, lengths: Mapping[str, tuple[int, ...]]) -> None:
    for stem, samples in lengths.items():
        for number, count in enumerate(samples):
            path = root / stem / f"{number}.wav"
            audio.write(path, noise(10 * number + len(stem), samples=count), RATE)


def test_files_of_stem_folders_are_put_together_by_length(tmp_path: Path) -> None:
    write_sources(tmp_path / "train", {"speech": (300, 500, 400), "noise": (450, 350)})
    write_sources(tmp_path / "valid", {"speech": (200,), "noise": (100,)})
    dataset = open_dataset(f"sourcefolder:{tmp_path}")
    found = [
        (t.info.samples, *(path.name for path in (t.stems["speech"], t.stems["noise"])))  # type: ignore[union-attr]
        for t in dataset.train
    ]
    assert found == [(450, "1.wav", "0.wav"), (350, "2.wav", "1.wav"), (300, "0.wav", "0.wav")]
    assert dataset.train[0].read_stems(("speech", "noise")).shape == (2, 2, 450)
    assert dataset.train[0].read_mixture().shape == (2, 450)
    config = plain_data(stems=("speech", "noise"), chunk_seconds=0.02, random_mix_prob=1.0)
    example = RandomMixes(dataset.train, config, ("speech",), 0)[3]
    assert example["stems"].shape == (1, 2, 160)


def test_stem_folders_of_other_stems_or_forms_are_refused(tmp_path: Path) -> None:
    write_sources(tmp_path / "train", {"speech": (300,), "noise": (450,)})
    write_sources(tmp_path / "valid", {"speech": (300,)})
    with pytest.raises(ValueError, match="have noise, speech and speech: give each the same"):
        open_dataset(f"sourcefolder:{tmp_path}")
    audio.write(tmp_path / "valid" / "noise" / "0.wav", noise(1, channels=1), RATE)
    with pytest.raises(ValueError, match="differ, noise 8000 Hz x 1, speech 8000 Hz x 2"):
        open_dataset(f"sourcefolder:{tmp_path}")


def test_tracks_of_varying_stems_share_one_and_have_a_rest(tmp_path: Path) -> None:
    first = write(tmp_path / "train" / "a", vocals=1, guitar=2, bass=3)
    second = write(tmp_path / "train" / "b", vocals=4)
    third = write(tmp_path / "train" / "c", drums=5, mixture=6)
    write(tmp_path / "valid" / "d", vocals=7, piano=8)
    dataset = open_dataset(f"trackfolder_var:{tmp_path}")
    a, b, c = dataset.train
    assert close(a.read_stem("rest"), first["guitar"] + first["bass"])
    assert close(a.read_mixture(), sum(first.values()))
    assert close(b.read_stem("vocals"), second["vocals"]) and not b.read_stem("rest").any()
    assert not c.read_stem("vocals", 10, 20).any() and c.read_stem("vocals", 10, 20).shape[1] == 20
    assert close(c.read_mixture(), third["drums"])


def test_a_stem_that_is_not_the_most_common_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a", vocals=1, guitar=2)
    write(tmp_path / "train" / "b", vocals=4, guitar=3)
    with pytest.raises(ValueError, match="each in 2 tracks"):
        open_dataset(f"trackfolder_var:{tmp_path}")


@pytest.mark.parametrize("layout", ["aligned", "sourcefolder", "trackfolder_var"])
def test_layouts_hold_out_every_tenth_track_and_refuse_nothing(layout: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no track(s| folders) under"):
        open_dataset(f"{layout}:{tmp_path / 'empty'}")
    with pytest.raises(FileNotFoundError, match="no folder"):
        open_dataset(f"{layout}:{tmp_path / 'none'}")
    for number in range(12):
        names = {"mixture": 1, "vocals": 2} if layout == "aligned" else {"vocals": 2}
        write(tmp_path / "train" / f"{number:02d}", **names)
    dataset = open_dataset(f"{layout}:{tmp_path}")
    if layout != "sourcefolder":
        assert [track.name for track in dataset.valid] == ["00", "10"]
    assert dataset.name == tmp_path.name.replace("[", "_").replace("]", "_")


def test_fingerprints_see_every_file_of_a_sum(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a", vocals=1, guitar=2, bass=3)
    write(tmp_path / "train" / "b", vocals=4)
    before = open_dataset(f"trackfolder_var:{tmp_path}").fingerprint
    write(tmp_path / "train" / "a", guitar=9)
    assert open_dataset(f"trackfolder_var:{tmp_path}").fingerprint != before
