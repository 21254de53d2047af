"""Tags: read from any container, written to every format, without a change of the samples."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_songs import RATE, noise

from mss_shared import audio
from mss_shared.audio.containers import write_streams
from mss_shared.audio.formats import MP3, Format
from mss_shared.audio.tags import Tags, read_tags
from mss_shared.audio.writer import SoundWriter

TAGS = Tags("Söng", "Ärtist 東", "Album", "3/12", "2020-01-02")
FORMATS = [
    Format("WAV", "PCM_16"),
    Format("WAV", "FLOAT"),
    Format("WAV", "DOUBLE"),
    Format("FLAC", "PCM_24"),
    MP3,
]


def write(path: Path, form: Format, tags: Tags | None, channels: int = 2) -> None:
    signal = noise(0, channels, 1_000).astype(np.float64)
    writer = SoundWriter(path, form, RATE, channels, 1_000, tags=tags)
    writer.write(signal)
    writer.close()
    writer.finish_header(0x3F)
    writer.part.rename(path)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("channels", [2, 6])
def test_tags_are_written_and_read_and_samples_stay(
    form: Format, channels: int, tmp_path: Path
) -> None:
    if form == MP3 and channels > 2:
        return
    plain, tagged = tmp_path / f"plain{form.suffix}", tmp_path / f"tagged{form.suffix}"
    tags = Tags(**(TAGS.texts() | {"time_reference": 2**40 + 7}))
    write(plain, form, None, channels)
    write(tagged, form, tags, channels)
    read = read_tags(tagged)
    assert read.texts() == TAGS.texts() and read_tags(plain) == Tags()
    assert read.time_reference == (2**40 + 7 if form.container == "WAV" else None)
    assert np.array_equal(audio.read(plain), audio.read(tagged))
    assert audio.info(plain) == audio.info(tagged)
    assert audio.info(tagged).channel_mask == audio.info(plain).channel_mask
    if form.container == "WAV":
        content = tagged.read_bytes()
        assert struct.unpack("<I", content[4:8])[0] == len(content) - 8


def test_a_time_reference_is_put_into_a_long_wav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mss_shared.audio.writer._RIFF_BYTES", 100)
    write(tmp_path / "a.wav", Format("WAV", "PCM_16"), Tags(time_reference=5))
    content = (tmp_path / "a.wav").read_bytes()
    assert content[:4] == b"RF64" and content.find(b"ds64") < content.find(b"bext") < 200
    assert struct.unpack("<Q", content[20:28])[0] == len(content) - 8
    assert read_tags(tmp_path / "a.wav").time_reference == 5
    assert np.array_equal(audio.read(tmp_path / "a.wav"), noise(0, 2, 1_000))


def test_an_mp4_has_the_tags_of_the_song(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", Format("WAV", "FLOAT"), None)
    parts = {name: tmp_path / "a.wav" for name in ("mixture", "a", "b", "c", "d")}
    write_streams(tmp_path / "s.stem.mp4", parts, tags=TAGS)
    assert read_tags(tmp_path / "s.stem.mp4") == TAGS
    assert b"stem" in (tmp_path / "s.stem.mp4").read_bytes()


@pytest.mark.parametrize("suffix", ["ogg", "aiff", "m4a", "mka"])
def test_tags_are_read_from_other_containers(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix in ("ogg", "aiff"):
        with soundfile.SoundFile(path, "w", RATE, 2) as file:
            file.title, file.artist = "Söng", "Ärtist 東"
            file.write(noise(0, 2, 1_000).T)
    else:
        write(tmp_path / "a.wav", Format("WAV", "FLOAT"), None)
        codec = {"m4a": "aac", "mka": "pcm_s16le"}[suffix]
        with av.open(tmp_path / "a.wav") as source, av.open(path, "w") as target:
            target.metadata.update({"title": "Söng", "artist": "Ärtist 東"})
            stream = target.add_stream(codec, rate=RATE)
            stream.layout = "stereo"
            for frame in source.decode(audio=0):
                frame.pts = None
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    tags = read_tags(path)
    assert (tags.title, tags.artist) == ("Söng", "Ärtist 東")


def test_a_stem_has_its_name_in_the_title_and_a_part_starts_later() -> None:
    assert TAGS.of_stem("vocals").title == "Söng (vocals)"
    assert Tags(artist="a").of_stem("vocals") == Tags(artist="a")
    assert Tags(time_reference=100).later(44).time_reference == 144
    assert Tags(time_reference=2**64 - 1).later(44).time_reference == 2**64 - 1
    assert TAGS.later(44) == TAGS


def with_chunk(path: Path, name: bytes, content: bytes) -> None:
    """Add a chunk at the end of a wav file."""
    data = path.read_bytes() + name + struct.pack("<I", len(content)) + content
    data += bytes(len(content) % 2)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (b"caf\xe9\0", "café"),
        (b"\x1b[2J\x07red\0", "[2J red"),
        (b"a\r\n b\0", "a b"),
        (b"x" * 500 + b"\0", "x" * 500),
        (b"x" * 501 + b"\0", ""),
        (b"x" * 5_000_000, ""),
        (b"", ""),
    ],
    ids=["latin", "escapes", "lines", "long", "longer", "huge", "empty"],
)
def test_odd_texts_are_cleaned_or_left_out(value: bytes, title: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(0, 2, 100), RATE)
    info = b"INFO" + b"INAM" + struct.pack("<I", len(value)) + value + bytes(len(value) % 2)
    with_chunk(path, b"LIST", info)
    assert read_tags(path).title == title
    assert audio.read(path).shape == (2, 100)


@given(st.binary(max_size=700), st.sampled_from([b"LIST", b"bext", b"id3 ", b"ID3 ", b"cart"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_chunk_of_tags_is_an_error(tmp_path: Path, content: bytes, name: bytes) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(0, 2, 100), RATE)
    with_chunk(path, name, (b"INFO" if name == b"LIST" else b"") + content)
    write(tmp_path / "b.wav", Format("WAV", "PCM_16"), read_tags(path))
    assert np.array_equal(audio.read(tmp_path / "b.wav"), noise(0, 2, 1_000))


@given(
    st.builds(
        Tags,
        *[st.text(max_size=120)] * 5,
        time_reference=st.none() | st.integers(0, 2**64 - 1),
    ),
    st.sampled_from(FORMATS[:4]),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_read_once_is_written_and_read_again(
    tmp_path: Path, tags: Tags, form: Format
) -> None:
    write(tmp_path / f"a{form.suffix}", form, tags)
    once = read_tags(tmp_path / f"a{form.suffix}")
    write(tmp_path / f"b{form.suffix}", form, once)
    assert read_tags(tmp_path / f"b{form.suffix}") == once
    assert np.array_equal(audio.read(tmp_path / f"b{form.suffix}"), noise(0, 2, 1_000))
