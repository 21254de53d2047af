"""Files that do not fit, read by flags; sums of stems; several roots."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import noise, tone, write_set, write_track

from mss_shared import audio
from mss_shared.datasets import open_dataset
from mss_shared.datasets.check import check_root
from mss_shared.datasets.converted import adapt
from mss_shared.datasets.opening import join_datasets
from mss_shared.datasets.sums import parse_stem, pick_stems, prepare, with_sums
from mss_shared.datasets.tracks import Reading, check_fits

ALL = Reading(silence_missing=True, trim=True, convert_channels=True, resample=True)
STEMS = ("vocals", "drums")
RATE = 8_000


def close(found: np.ndarray, wanted: np.ndarray, within: float = 1e-6) -> bool:
    return found.shape == wanted.shape and bool(np.abs(found - wanted).max() < within)


# ---- flags


def test_files_are_cut_to_the_shortest_if_asked(tmp_path: Path) -> None:
    signals = {"vocals": noise(1, samples=900), "drums": noise(2, samples=700)}
    write_track(tmp_path / "a", signals)
    with pytest.raises(ValueError, match=r"must agree, unless fit and evaluate get --trim"):
        open_dataset(tmp_path)
    dataset = adapt(open_dataset(tmp_path, reading=Reading(trim=True)), STEMS, RATE, 2)
    [track] = dataset.test
    assert track.info.samples == 700 and dataset.changes == {"trim": ("a",)}
    expected = np.stack([signals[stem][:, :700] for stem in STEMS])
    assert close(track.read_stems(STEMS), expected)
    assert close(track.read_mixture(), expected.sum(axis=0))


def test_a_missing_stem_is_silence_if_asked(tmp_path: Path) -> None:
    write_set(tmp_path, {"train/a": 1, "train/b": 2, "valid/v": 3})
    (tmp_path / "train" / "b" / "drums.wav").unlink()
    reading = Reading(silence_missing=True)
    dataset = adapt(open_dataset(tmp_path, reading=reading), STEMS, RATE, 2)
    assert dataset.changes == {"silence_missing": ("b",)}
    assert not dataset.train[1].read_stem("drums", 3, 20).any()
    with pytest.raises(ValueError, match="no track of .* has drum, only drums, vocals: correct"):
        adapt(open_dataset(tmp_path, reading=reading), ("vocals", "drum"), RATE, 2)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("Drums.WAV", r"Drums.WAV is there: rename it to drums.WAV"),
        ("DRUMS.flac", r"DRUMS.flac is there: rename it to drums.flac"),
        ("drums .wav", r"drums .wav is there: rename it to drums.wav"),
        ("drums.mp3", r"drums.mp3 is there, but only wav and flac are read: convert it"),
        ("Drums.M4A", r"Drums.M4A is there, but only wav and flac are read: convert it"),
    ],
)
def test_a_stem_that_is_there_in_another_form_is_told_and_never_silence(
    tmp_path: Path, there: str, said: str
) -> None:
    write_set(tmp_path, {"train/a": 1, "train/b": 2, "valid/v": 3})
    (tmp_path / "train/b/drums.wav").rename(tmp_path / "train/b" / there)
    if there.endswith("flac"):
        (tmp_path / "train/b" / there).unlink()
        audio.write(tmp_path / "train/b" / there, noise(2, samples=64), RATE)
    opened = open_dataset(tmp_path)
    with pytest.raises(ValueError, match=rf"track b has no drums.wav, only .*: {said}$"):
        check_fits(opened.train[1], STEMS, RATE, 2)
    with pytest.raises(ValueError, match=rf"no stem 'drums', only .*: {said} or leave"):
        opened.train[1].read_stem("drums")
    with pytest.raises(ValueError, match=rf"track b has no drums.wav: {said}$"):
        adapt(open_dataset(tmp_path, reading=Reading(silence_missing=True)), STEMS, RATE, 2)
    assert dict(check_root(tmp_path))["train/b"][0].startswith("no drums.wav (")


def test_a_stem_that_is_not_there_at_all_gets_the_flags_name(tmp_path: Path) -> None:
    write_set(tmp_path, {"train/a": 1, "train/b": 2, "valid/v": 3})
    (tmp_path / "train/b/drums.wav").rename(tmp_path / "train/b/drumset.wav")
    with pytest.raises(ValueError, match="no drums.wav, only .*--silence_missing"):
        check_fits(open_dataset(tmp_path).train[1], STEMS, RATE, 2)


def test_mono_becomes_equal_channels_and_stereo_its_mean(tmp_path: Path) -> None:
    mono, stereo = noise(1, 1, 800), noise(2, 2, 800)
    write_track(tmp_path / "a", {"vocals": mono, "drums": stereo})
    with pytest.raises(ValueError, match="--convert_channels"):
        open_dataset(tmp_path)
    opened = open_dataset(tmp_path, reading=Reading(convert_channels=True))
    two, one = adapt(opened, STEMS, RATE, 2).test[0], adapt(opened, STEMS, RATE, 1).test[0]
    assert close(two.read_stem("vocals"), np.repeat(mono, 2, axis=0))
    assert close(two.read_stem("drums"), stereo)
    assert close(one.read_stem("vocals"), mono)
    assert close(one.read_stem("drums"), stereo.mean(axis=0, keepdims=True))


def test_files_that_fit_are_read_as_before(tmp_path: Path) -> None:
    dataset = open_dataset(write_set(tmp_path, {"train/a": 1}), reading=ALL)
    adapted = adapt(dataset, STEMS, RATE, 2)
    assert adapted.train == dataset.train and not adapted.changes
    assert adapted.fingerprint == open_dataset(tmp_path).fingerprint


@pytest.mark.parametrize(("own", "rate"), [(48_000, 44_100), (22_050, 44_100), (44_100, 16_000)])
def test_a_tone_of_another_rate_is_the_same_tone(own: int, rate: int, tmp_path: Path) -> None:
    write_track(tmp_path / "a", {"vocals": tone(440.0, own, own)}, own)
    dataset = open_dataset(tmp_path, reading=Reading(resample=True))
    [track] = adapt(dataset, ("vocals",), rate, 2).test
    assert (track.info.samples, track.info.sample_rate) == (rate, rate)
    found = track.read_stem("vocals", rate // 4, rate // 2)
    wanted = tone(440.0, rate, rate)[:, rate // 4 : rate // 4 + rate // 2]
    assert close(found, wanted, 1e-4)


@settings(max_examples=25)
@given(start=st.integers(0, 29_000), samples=st.integers(1, 2_000))
def test_excerpts_of_resampled_files_do_not_depend_on_their_borders(
    start: int, samples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rates")
    write_track(folder / "a", {"vocals": noise(1, 2, 40_000)}, 48_000)
    dataset = open_dataset(folder, reading=Reading(resample=True))
    [track] = adapt(dataset, ("vocals",), 44_100, 2).test
    whole = audio.resample(audio.read(folder / "a" / "vocals.wav"), 48_000, 44_100)
    assert close(track.read_stem("vocals", start, samples), whole[:, start : start + samples], 1e-4)


def test_rates_within_a_track_are_read_together(tmp_path: Path) -> None:
    write_track(tmp_path / "a", {"vocals": tone(440.0, 24_000, 48_000)}, 48_000)
    write_track(tmp_path / "a", {"drums": tone(440.0, 22_050, 44_100)}, 44_100)
    with pytest.raises(ValueError, match="unless fit and evaluate get --resample"):
        open_dataset(tmp_path)
    dataset = open_dataset(tmp_path, reading=Reading(resample=True))
    [track] = adapt(dataset, STEMS, 44_100, 2).test
    assert track.info.samples == 22_050
    vocals, drums = track.read_stems(STEMS, 4_000, 10_000)
    assert close(vocals, drums, 1e-3)


# ---- sums


def test_a_stem_may_be_a_sum(tmp_path: Path) -> None:
    signals = {stem: noise(n, samples=90) for n, stem in enumerate(("vocals", "drums", "bass"))}
    write_track(tmp_path / "a", signals)
    stems = ("vocals", "accompaniment = drums + bass")
    [track] = with_sums(open_dataset(tmp_path), stems).test
    assert set(track.stems) == {"vocals", "accompaniment"}
    assert close(
        track.read_stem("accompaniment", 9, 50), (signals["drums"] + signals["bass"])[:, 9:59]
    )
    assert close(track.read_mixture(), sum(signals.values()))
    assert pick_stems(("accompaniment", "x"), stems) == ("accompaniment = drums + bass", "x")


def test_a_sum_may_have_the_name_of_a_part_and_a_part_may_be_missing(tmp_path: Path) -> None:
    write_track(
        tmp_path / "a", {s: noise(n, samples=90) for n, s in enumerate(("other", "piano", "x"))}
    )
    write_track(tmp_path / "b", {s: noise(n, samples=90) for n, s in enumerate(("other", "x"))})
    stems = ("x", "other = other + piano")
    first, second = with_sums(open_dataset(tmp_path), stems).test
    assert close(first.read_stem("other"), noise(0, samples=90) + noise(1, samples=90))
    assert close(second.read_stem("other"), noise(0, samples=90))
    silent = open_dataset(tmp_path, reading=Reading(silence_missing=True))
    _, second = prepare(silent, stems, RATE, 2).test
    assert close(second.read_stem("other"), noise(0, samples=90))


@pytest.mark.parametrize("text", ["", " = a + b", "x =", "x = a + ", "x = a + a", "+ = +"])
def test_a_sum_without_names_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a stem's name, or a sum such as accompaniment ="):
        parse_stem(text)


# ---- several roots


def test_several_roots_are_one_set_with_a_list_of_each(tmp_path: Path) -> None:
    places = {"train/Intro": 1, "train/b": 2, "test/x": 3}
    one = open_dataset(write_set(tmp_path / "one", places))
    two = open_dataset(write_set(tmp_path / "two", {p: seed + 10 for p, seed in places.items()}))
    both = join_datasets([one, two])
    assert both.name == "one+two" and both.parts == (one, two)
    assert [t.name for t in both.train] == ["b", "b"] and len(both.valid) == len(both.test) == 2
    assert both.fingerprint not in (one.fingerprint, two.fingerprint)
    assert join_datasets([one]) is one
    with pytest.raises(ValueError, match="two has no training tracks: leave it out"):
        join_datasets([one, replace(two, train=(), valid=())])
    with pytest.raises(ValueError, match="names .*one twice: give each folder once"):
        join_datasets([one, two, open_dataset(tmp_path / "two" / ".." / "one")])
