"""The reader over containers, codecs and lengths: exact samples, any part of them, or a refusal."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_sounds import write_av

from mss_shared import audio
from mss_shared.audio.mp3_header import header_at

av = pytest.importorskip("av")

RATE = 44_100
# Suffix, codec, FFmpeg's sample format, bits, by PyAV; or suffix and libsndfile's sample format.
BY_PYAV = [
    ("mkv", "pcm_u8", "u8", 8),
    ("mkv", "pcm_s24le", "s32", 24),
    ("mkv", "flac", "s16", 16),
    ("mkv", "wavpack", "s32p", 32),
    ("avi", "pcm_s16le", "s16", 16),
    ("mov", "pcm_s16be", "s16", 16),
    ("mov", "alac", "s16p", 16),
    ("m4a", "alac", "s32p", 24),
    ("caf", "alac", "s16p", 16),
    ("ogg", "flac", "s32", 24),
    ("tta", "tta", "s16", 16),
    ("wv", "wavpack", "s16p", 16),
    ("voc", "pcm_s16le", "s16", 16),
]
BY_LIBSNDFILE = [
    ("wav", "PCM_U8", 8),
    ("wav", "PCM_16", 16),
    ("wav", "PCM_24", 24),
    ("wav", "PCM_32", 32),
    ("flac", "PCM_24", 24),
    ("aiff", "PCM_24", 24),
    ("au", "PCM_16", 16),
    ("caf", "PCM_32", 32),
    ("w64", "PCM_24", 24),
    ("rf64", "PCM_16", 16),
]
TYPES = {"u8": np.uint8, "s16": np.int16, "s32": np.int32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reader")


def sound(bits: int, channels: int, samples: int, seed: int) -> NDArray[np.int64]:
    values = np.random.default_rng(seed).normal(0.0, 0.2, (channels, samples)).clip(-0.99, 0.99)
    return np.rint(values * 2 ** (bits - 1)).astype(np.int64)


def write(path: Path, form: tuple[str, ...], values: NDArray[np.int64]) -> None:
    bits = int(form[-1])
    if len(form) == 3:
        whole = (values << (32 - bits)).astype(np.int32)
        if path.suffix == ".rf64":
            soundfile.write(path, whole.T, RATE, form[1], format="RF64")
        else:
            soundfile.write(path, whole.T, RATE, form[1])
        return
    base = form[2].removesuffix("p")
    width = 8 * TYPES[base]().itemsize
    shifted = (values << (width - bits)) + (128 if base == "u8" else 0)
    write_av(path, [shifted.astype(TYPES[base])], form[1], form[2])


@settings(max_examples=60)
@given(
    form=st.sampled_from([*BY_PYAV, *BY_LIBSNDFILE]),
    channels=st.sampled_from([1, 2]),
    samples=st.sampled_from([1, 700, 4_096, 9_001]),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_every_part_of_a_lossless_file_is_exact_whatever_it_is_called_and_none_of_a_cut_one(
    folder: Path,
    form: tuple[str, ...],
    channels: int,
    samples: int,
    seed: int,
    data: st.DataObject,
) -> None:
    path = folder / f"a.{form[0]}"
    if form[0] == "mov":  # its edit list counts in thousandths of a second
        samples = max(samples, 700)
    values = sound(int(form[-1]), channels, samples, seed)
    write(path, form, values)
    content = path.read_bytes()
    renamed = folder / f"b.{data.draw(st.sampled_from(['wav', 'mp3', 'txt']))}"
    renamed.write_bytes(content)
    with audio.open_sound(renamed) as reader:
        assert (reader.info.samples, reader.info.channels) == (samples, channels)
        for _ in range(3):
            start = data.draw(st.integers(0, samples))
            count = data.draw(st.integers(0, samples - start))
            size = data.draw(st.integers(1, 5_000))
            part = values[:, start : start + count]
            blocks = [*reader.blocks(start, count, size)]
            found = np.concatenate(blocks, axis=1) * 2.0 ** (int(form[-1]) - 1)
            np.testing.assert_array_equal(found, part)
            singles = (found / 2.0 ** (int(form[-1]) - 1)).astype(np.float32)
            np.testing.assert_allclose(reader.read(start, count), singles, rtol=2e-7)
    renamed.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        left = audio.read(renamed)
    except ValueError as error:
        assert str(renamed) in str(error) and ": " in str(error) and "\n" not in str(error)
    else:  # what was cut off is no sound
        np.testing.assert_allclose(left * 2.0 ** (int(form[-1]) - 1), values, rtol=2e-7)


@settings(max_examples=25)
@given(
    suffix=st.sampled_from(["mp3", "ogg", "opus", "m4a", "mkv"]),
    starts=st.lists(st.integers(0, 38_000), min_size=1, max_size=4),
)
def test_excerpts_of_lossy_files_are_those_of_the_whole(
    folder: Path, suffix: str, starts: list[int]
) -> None:
    path = folder / f"lossy.{suffix}"
    if not path.exists():
        values = sound(16, 2, 40_000, 0) / 2**15
        if suffix in ("m4a", "mkv"):
            write_av(path, [values.astype(np.float32)], "aac", "fltp", rate=48_000)
        else:
            form = {"mp3": ("MPEG_LAYER_III", "MP3"), "ogg": ("VORBIS", "OGG")}
            subtype, container = form.get(suffix, ("OPUS", "OGG"))
            soundfile.write(path, values.T, 48_000, subtype, format=container)
    with audio.open_sound(path) as reader:
        whole = reader.read()
        for start in starts:
            found = reader.read(start, 1_500)
            # A decoder of mp3 rounds the last bit otherwise by where it began.
            np.testing.assert_allclose(found, whole[:, start : start + 1_500], atol=2e-7)
            blocks = [*reader.blocks(start, 1_500, 400)]
            np.testing.assert_allclose(np.concatenate(blocks, axis=1), found, atol=2e-7)


def quiet_and_loud(path: Path, rate: int) -> None:
    """An mp3 of variable bit rate whose frames take bits from far before them."""
    time = np.arange(120_000) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    tone += 0.3 * np.sin(2 * np.pi * 3_000 * time) * (time % 0.5 < 0.05)
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", rate, 1, format="MP3", **options) as file:
        file.write(tone)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_an_mp3_in_blocks_is_the_mp3_in_one_go(tmp_path: Path, rate: int) -> None:
    quiet_and_loud(tmp_path / "a.mp3", rate)
    whole = audio.read(tmp_path / "a.mp3")
    blocks = [*audio.read_blocks(tmp_path / "a.mp3", 0, 120_000, 12_345)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    for start in range(1_000, 119_000, 9_001):
        found = audio.read(tmp_path / "a.mp3", start, 1_000)
        np.testing.assert_allclose(found, whole[:, start : start + 1_000], atol=2e-7)


def test_an_mp3_behind_zeros_and_a_tag_begins_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    quiet_and_loud(path, 44_100)
    whole = audio.read(path)
    header = header_at(path, 0)
    assert header is not None and header.delay and header.delay > 1_000
    tag = b"ID3\x04\0\0\0\0\x00\x14" + bytes(20)
    path.write_bytes(tag + bytes(500) + path.read_bytes())
    found = audio.read(path)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, atol=5e-6)


def test_tags_between_mp3s_are_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    quiet_and_loud(path, 44_100)
    content = path.read_bytes()
    path.write_bytes(2 * content)
    twice = audio.read(path)
    text = b"ID3\x04\0\0\0\0\x02\x00" + b"TIT2 a title and nothing that looks like sound".ljust(256)
    path.write_bytes(content + b"TAG".ljust(128, b" ") + text + content)
    np.testing.assert_allclose(audio.read(path), twice, atol=2e-7)


def test_many_readers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    values = sound(16, 2, 9_000, 0)
    write_av(tmp_path / "a.mkv", [values.astype(np.int16)], "flac", "s16")
    with audio.open_sound(tmp_path / "a.mkv") as reader:
        first, second = reader.blocks(0, 9_000, 1_000), reader.blocks(4_500, 4_500, 500)
        for number in range(9):
            middle = reader.read(number, 100) * 2**15
            np.testing.assert_array_equal(middle, values[:, number : number + 100])
            at = 4_500 + 500 * number
            np.testing.assert_array_equal(next(second) * 2**15, values[:, at : at + 500])
            at = 1_000 * number
            np.testing.assert_array_equal(next(first) * 2**15, values[:, at : at + 1_000])


@given(
    subtype=st.sampled_from(["PCM_16", "FLOAT"]),
    channels=st.integers(1, 3),
    samples=st.integers(1, 400),
    order=st.sampled_from(["LITTLE", "BIG"]),
    data=st.data(),
)
def test_excerpts_of_plain_samples_are_those_that_libsndfile_reads(
    subtype: str,
    channels: int,
    samples: int,
    order: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("plain") / "a.wav"
    values = np.random.default_rng(samples).uniform(-1.0, 1.0, (samples, channels))
    soundfile.write(path, values, 8_000, subtype=subtype, endian=order, format="WAV")
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    start = data.draw(st.integers(0, samples))
    count = data.draw(st.integers(0, samples - start))
    found = audio.read(path, start, count)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected.T[:, start : start + count])
    with pytest.raises(ValueError, match=f"has {samples} samples, {start} to"):
        audio.read(path, start, samples + 1)
