"""DSD100, Slakh2100 and MoisesDB as they come."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_songs import noise, write_track

from mss_shared import audio
from mss_shared.cli.mss_data import main
from mss_shared.datasets import open_dataset
from mss_shared.datasets.check import check_root
from mss_shared.datasets.tracks import Sum

RATE = 8_000
STEMS = ("vocals", "drums", "bass", "other")


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(found - wanted).max() < 1e-6)


def dsd100(root: Path) -> Path:
    for split, count in (("Dev", 11), ("Test", 2)):
        for number in range(count):
            name = f"{split}/{number:03d} - song"
            signals = {s: noise(100 * number + n + 10 * len(split)) for n, s in enumerate(STEMS)}
            write_track(root / "Sources" / name, signals)
            mixture = np.sum([*signals.values()], axis=0)
            audio.write(root / "Mixtures" / name / "mixture.wav", mixture, RATE, "FLOAT")
    return root


def slakh(root: Path) -> Path:
    classes = {"train": ("Bass", "Strings (continued)", "Bass"), "validation": ("Synth Lead",)}
    for split, names in {**classes, "test": ("Drums", "Bass"), "omitted": ("Bass",)}.items():
        track = root / split / "Track00001"
        lines = ["UUID: abc", "stems:"]
        for number, family in enumerate(names):
            signal = noise(10 * len(split) + number, channels=1)
            audio.write(track / "stems" / f"S{number:02d}.flac", signal, RATE)
            lines += [f"  S{number:02d}:", "    audio_rendered: true", f"    inst_class: {family}"]
        lines += ["  S09:", "    audio_rendered: false", "    inst_class: Piano"]
        (track / "metadata.yaml").write_text("\n".join(lines))
        audio.write(track / "mix.flac", noise(5, channels=1), RATE)
    return root


def moisesdb(root: Path) -> Path:
    for number in range(3):
        track = root / "provider" / f"0000-{number}"
        listed = []
        for stem, lengths in {"vocals": (900, 700), "other_keys": (800,)}.items():
            names = [f"{stem}{n}" for n in range(len(lengths))]
            tracks = [{"id": name, "extension": "wav", "trackType": "x"} for name in names]
            listed.append({"stemName": stem, "tracks": tracks})
            for name, samples in zip(names, lengths, strict=True):
                channels = 1 if stem == "other_keys" else 2
                signal = noise(number + samples, channels, samples)
                audio.write(track / stem / f"{name}.wav", signal, RATE)
        (track / "data.json").write_text(json.dumps({"song": "Intro", "stems": listed}))
    return root


def test_dsd100_reads_mixtures_beside_their_sources(tmp_path: Path) -> None:
    dataset = open_dataset(f"dsd100:{dsd100(tmp_path)}")
    assert (len(dataset.train), len(dataset.valid), len(dataset.test)) == (9, 2, 2)
    track = dataset.test[0]
    assert dataset.name == "dsd100" and set(track.stems) == set(STEMS)
    assert close(track.read_mixture(), track.read_stems(STEMS).sum(axis=0))
    (tmp_path / "Mixtures" / "Test" / "001 - song" / "mixture.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*001 - song/mixture.wav"):
        open_dataset(f"dsd100:{tmp_path}")


@pytest.mark.parametrize("root", ["", "dsd100:", "slakh2100:", "moisesdb:", "sourcefolder:"])
def test_an_empty_folder_name_is_not_the_current_folder(root: str) -> None:
    with pytest.raises(FileNotFoundError, match="the data set is an empty word: give a f"):
        open_dataset(root)


def test_slakh2100_sums_the_files_of_a_class(tmp_path: Path) -> None:
    dataset = open_dataset(f"slakh2100:{slakh(tmp_path)}")
    [train], [valid], [test] = dataset.train, dataset.valid, dataset.test
    assert set(train.stems) == {"bass", "strings", "synth_lead", "drums"} == set(test.stems)
    two = [audio.read(tmp_path / f"train/Track00001/stems/S0{n}.flac") for n in (0, 2)]
    assert close(train.read_stem("bass"), sum(two))
    assert not train.read_stem("drums").any() and valid.read_stem("synth_lead").any()
    assert close(train.read_mixture(), audio.read(tmp_path / "train/Track00001/mix.flac"))
    (tmp_path / "test/Track00001/stems/S01.flac").unlink()
    with pytest.raises(ValueError, match="has no S01.flac: copy it from the original"):
        open_dataset(f"slakh2100:{tmp_path}")


@pytest.mark.parametrize("below", ["", "provider"])
def test_moisesdb_sums_files_of_any_length(below: str, tmp_path: Path) -> None:
    moisesdb(tmp_path)
    dataset = open_dataset(f"moisesdb:{tmp_path / below}")
    assert [t.name for t in dataset.valid] == ["0000-0"] and len(dataset.train) == 2
    track = dataset.train[0]
    assert (track.info.samples, track.info.channels) == (900, 2)
    folder = tmp_path / "provider" / track.name
    long, short = (audio.read(folder / f"vocals/vocals{n}.wav") for n in (0, 1))
    assert close(track.read_stem("vocals"), long + audio.fit_length(short, 900))
    assert close(track.read_stem("vocals", 650, 100), (track.read_stem("vocals"))[:, 650:750])
    keys = track.read_stem("other_keys")
    assert close(keys[0], keys[1]) and not keys[:, 800:].any()
    assert isinstance(track.stems["vocals"], Sum) and close(
        track.read_mixture(), keys + track.read_stem("vocals")
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"stems": [{"stemName": "vocals"}]}',
        '{"stems": []}',
        '{"stems": [{"stemName": "../..", "tracks": [{"id": "x", "extension": "wav"}]}]}',
        '{"stems": [{"stemName": "vocals", "tracks": [{"id": "../../x", "extension": "wav"}]}]}',
        '{"stems": [{"stemName": "vocals", "tracks": [{"id": null, "extension": "wav"}]}]}',
        "[" * 100_000,
    ],
)
def test_a_data_json_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    moisesdb(tmp_path)
    (tmp_path / "provider" / "0000-1" / "data.json").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=r"0000-1|vocals|nothing is written"):
        open_dataset(f"moisesdb:{tmp_path}")


def test_check_passes_over_nothing_that_a_layout_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mss-data", "check", f"slakh2100:{slakh(tmp_path)}"])
    with pytest.raises(SystemExit) as end:
        main()
    out = capsys.readouterr().out
    assert end.value.code == 0 and out.endswith("3 tracks, 0 with faults\n")
    assert "ignored" not in out


def test_their_tracks_are_checked(tmp_path: Path) -> None:
    for layout, make, count in (("dsd100", dsd100, 13), ("slakh2100", slakh, 3)):
        found = dict(check_root(make(tmp_path / layout), layout=layout))
        assert len(found) == count and not any(found.values())
    root = moisesdb(tmp_path / "moisesdb")
    (root / "provider" / "0000-2" / "vocals" / "vocals1.wav").write_bytes(b"cut")
    found = dict(check_root(root, layout="moisesdb"))
    assert [bool(faults) for faults in found.values()] == [False, False, True]
    with pytest.raises(ValueError, match="no tracks of dsd100 under"):
        [*check_root(root, layout="dsd100")]
