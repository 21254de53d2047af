"""Headers with missing, stale or shifted lengths: all sound is read, or what is not is said."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_shared import audio
from mss_shared.audio.container_headers import read_header

RATE, SAMPLES = 44_100, 20_000
VALUES = np.random.default_rng(0).integers(-9_000, 9_000, (SAMPLES, 2)).astype(np.int16)
# Where the length of the sound stands: bytes before it, and how it is written.
LENGTHS = {
    "a.wav": (b"data", "<I"),
    "a.au": (b".snd\0\0\0\x18", ">I"),
    "a.aiff": (b"SSND", ">I"),
    "a.caf": (b"data", ">q"),
    "a.w64": (b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", "<Q"),
}
FORMATS = {"a.rf64": "RF64", "a.aifc": "AIFF"}


def written(folder: Path, name: str, subtype: str = "PCM_16") -> Path:
    path = folder / name
    soundfile.write(path, VALUES, RATE, subtype, format=FORMATS.get(name))
    return path


def set_length(path: Path, length: int) -> None:
    mark, form = LENGTHS[path.name]
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, content.index(mark) + len(mark), length)
    path.write_bytes(content)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def wav(*parts: bytes) -> bytes:
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16))
    body = b"WAVE" + form + b"".join(parts)
    return chunk(b"RIFF", body)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("name", LENGTHS)
def test_what_a_recorder_never_finished_is_read_to_its_end_in_any_format(
    tmp_path: Path, name: str, subtype: str
) -> None:
    path = written(tmp_path, name, subtype)
    whole = audio.read(path)
    set_length(path, 0)
    found = audio.read(path)
    np.testing.assert_array_equal(found[:, :SAMPLES], whole)
    info = audio.info(path)
    assert info.subtype == subtype and info.samples - SAMPLES < 20  # a PEAK chunk may be at the end
    assert "its header was never finished" in info.notes[0]


@pytest.mark.parametrize("name", ["a.wav", "a.au", "a.caf"])
def test_sound_after_the_end_that_a_stale_header_gives_is_told(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    set_length(path, 4_000)
    info = audio.info(path)
    assert info.samples in (999, 1_000)
    assert [note for note in info.notes if note.startswith("76") and "were not read" in note]


def test_sound_in_a_second_chunk_or_file_is_told(tmp_path: Path) -> None:
    path, sound = tmp_path / "a.wav", VALUES.tobytes()
    for content in (wav(*2 * [chunk(b"data", sound)]), 2 * wav(chunk(b"data", sound))):
        path.write_bytes(content)
        info = audio.info(path)
        assert info.samples == SAMPLES and "bytes after the end" in info.notes[0]


def test_chunks_and_padding_after_the_sound_are_not_worth_a_note(tmp_path: Path) -> None:
    path, data = tmp_path / "a.wav", chunk(b"data", VALUES.tobytes())
    for rest in (b"", chunk(b"LIST", bytes(9_000)), bytes(512), b"TAG" + bytes(125)):
        path.write_bytes(wav(data) + rest)
        info = audio.info(path)
        assert (info.samples, info.notes) == (SAMPLES, ())


def test_an_empty_chunk_before_the_sound_is_no_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(chunk(b"data", b""), chunk(b"data", VALUES.tobytes())))
    np.testing.assert_array_equal(audio.read(path).T * 2**15, VALUES)


def test_a_chunk_of_odd_length_that_is_not_padded_does_not_hide_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(chunk(b"LIST", b"INFOICMT\1\0\0\0a"), chunk(b"data", VALUES.tobytes())))
    np.testing.assert_array_equal(audio.read(path).T * 2**15, VALUES)


def test_a_wav_file_beyond_4_gib_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    frames = 2**30 + 1_000  # the length wraps to 4000 bytes
    content = wav(chunk(b"data", bytes(4_000)))
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) - 4_000 + 4 * frames)  # takes no space on the disk
    info = audio.info(path)
    assert info.samples == frames and "its header can't hold its length" in info.notes[0]
    assert audio.read(path, frames - 10, 10).shape == (2, 10)


@pytest.mark.parametrize("name", [*LENGTHS, "a.rf64", "a.aifc", "a.flac"])
def test_a_file_with_gigabytes_of_something_else_after_the_sound_is_refused(
    tmp_path: Path, name: str
) -> None:
    path = written(tmp_path, name)
    length = path.stat().st_size
    os.truncate(path, length + 2**38)  # takes no space on the disk; a multiple of 4 GiB
    with pytest.raises(ValueError, match=rf"has {length + 2**38} bytes and {SAMPLES} samples: cut"):
        audio.info(path)
    os.truncate(path, length + 2**29)
    np.testing.assert_array_equal(audio.read(path).T * 2**15, VALUES)


def test_a_short_wav_file_is_no_long_one_whose_length_was_counted_modulo_4_gib(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.wav"
    for more in (2**38, 256 * 10**9, 2**32 + 5_000):
        path.write_bytes(wav(chunk(b"data", VALUES.tobytes())))
        os.truncate(path, path.stat().st_size + more)
        with pytest.raises(ValueError, match=f"bytes and {SAMPLES} samples"):
            audio.info(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24"])
def test_w64_with_the_extensible_format_is_what_its_subformat_says(
    tmp_path: Path, subtype: str
) -> None:
    path = written(tmp_path, "a.w64", subtype)
    whole = audio.read(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"fmt ")
    [length] = struct.unpack_from("<Q", content, at + 16)
    tag, channels, rate, per_second, align, bits = struct.unpack_from("<HHIIHH", content, at + 24)
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    form = struct.pack("<HHIIHH", 0xFFFE, channels, rate, per_second, align, bits)
    form += struct.pack("<HHI", 22, bits, 3) + guid
    head = bytes(content[at : at + 16]) + struct.pack("<Q", 24 + len(form)) + form
    path.write_bytes(content[:at] + head + content[at + length + -length % 8 :])
    np.testing.assert_array_equal(audio.read(path), whole)
    assert audio.info(path).subtype == subtype


@pytest.mark.parametrize("name", [*LENGTHS, "a.rf64", "a.flac"])
def test_an_id3_tag_before_a_file_costs_no_sound(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    whole = audio.read(path)
    path.write_bytes(b"ID3\x04\0\0\0\0\x1f\x40" + bytes(4_032) + path.read_bytes())
    tag = path.read_bytes()
    assert len(tag) > 4_000
    np.testing.assert_array_equal(audio.read(path), whole)


@settings(max_examples=100)
@given(st.data())
def test_a_header_of_any_bytes_is_read_or_given_up(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    name = data.draw(st.sampled_from([*LENGTHS, "a.rf64", "a.aifc"]))
    if not (folder / name).exists():
        written(folder, name)
    content = bytearray((folder / name).read_bytes()[:2_000])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 150))] = data.draw(st.integers(0, 255))
    path = folder / f"damaged-{name}"
    path.write_bytes(content)
    header = read_header(path)
    if header.raw is not None:
        assert 0 <= header.raw.start and header.raw.end <= len(content)
    try:
        audio.read(path)
    except (ValueError, OSError) as error:
        assert "\n" not in str(error)
