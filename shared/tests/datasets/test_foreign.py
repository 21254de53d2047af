"""Folders in the layouts of other data sets are refused by name."""

from pathlib import Path

import pytest
from tiny_songs import noise, write_track

from mss_shared import audio
from mss_shared.datasets import open_dataset


def write(folder: Path, *stems: str) -> Path:
    return write_track(folder, {stem: noise(n) for n, stem in enumerate(stems)})


def slakh(root: Path) -> None:
    for split in ("train", "validation", "test"):
        track = root / split / "Track00001"
        write(track / "stems", "S00", "S01")
        audio.write(track / "mix.flac", noise(1), 8_000)


def medleydb(root: Path) -> None:
    write(root / "Audio" / "A_Song" / "A_Song_STEMS", "A_Song_STEM_01", "A_Song_STEM_02")
    write(root / "Audio" / "A_Song", "A_Song_MIX")


def ccmixter(root: Path) -> None:
    for split in ("train", "test"):
        write(root / split / "song", "mix", "source-01", "source-02")


def dsd100(root: Path) -> None:
    for split in ("Dev", "Test"):
        write(root / "Mixtures" / split / "1 - a", "mixture")
        write(root / "Sources" / split / "1 - a", "vocals", "drums")


def moisesdb(root: Path) -> None:
    track = root / "moisesdb_v0.1" / "0a1b"
    write(track / "vocals", "one", "two")
    write(track / "bass", "three")
    (track / "data.json").write_text("{}")


def stem_folders(root: Path) -> None:
    for stem in ("vocals", "drums"):
        write(root / "train" / stem, "a", "b")


def loose_mp4(root: Path) -> None:
    root.mkdir()
    (root / "Song.STEM.mp4").write_bytes(b"")


LAYOUTS = [
    (slakh, "Slakh2100", "open it as slakh2100:"),
    (medleydb, "MedleyDB", "give each song a folder"),
    (ccmixter, "ccMixter", "give each song a folder"),
    (dsd100, "DSD100", "open it as dsd100:"),
    (moisesdb, "MoisesDB", "open it as moisesdb:"),
    (stem_folders, "a folder per stem", "files as sourcefolder:"),
    (loose_mp4, "MUSDB18 without its splits", "train/ and test/"),
]


@pytest.mark.parametrize(("make", "name", "advice"), LAYOUTS)
def test_another_layout_is_refused_with_its_name(
    make: object, name: str, advice: str, tmp_path: Path
) -> None:
    assert callable(make)
    make(tmp_path / "root")
    with pytest.raises(ValueError, match=f"root looks like {name}.*{advice}"):
        open_dataset(tmp_path / "root")


@pytest.mark.parametrize("name", ["mix", "Mix", "MIXTURE", "mixdown", "full_mix", "Song mix"])
def test_a_mixture_of_another_name_is_no_stem(name: str, tmp_path: Path) -> None:
    write(tmp_path / "test" / "a", "vocals", "drums", name)
    with pytest.raises(ValueError, match=f"holds {name}, which seems to be the mixture: name it"):
        open_dataset(tmp_path)


def test_songs_may_be_called_as_they_like(tmp_path: Path) -> None:
    for song in ("vocals", "Mix", "drums of doom", "source-01"):
        write(tmp_path / "test" / song, "vocals", "remix", "premixed")
    assert len(open_dataset(tmp_path).test) == 4
