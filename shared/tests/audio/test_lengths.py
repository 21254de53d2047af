"""Files whose headers don't say how long they are, or say it wrong, are read to their end."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import noise

from mss_shared import audio
from mss_shared.audio import pyav_reader
from mss_shared.audio.mp3_header import header_at

av = pytest.importorskip("av")

# Headers of tiny frames at 24 and 48 kHz, of tags, and what stands in or between them.
PIECES = (
    b"\xff\xf3\x14\xc4" + bytes(20),
    b"\xff\xf3\x14\xc4" + bytes(9) + b"Xing\0\0\0\x0f\0\0\0",
    b"\xff\xfb\x14\xc4" + bytes(92),
    b"\xff\xfb\x14\xc4" + bytes(17) + b"Info\0\0\0\x01\0\0\0\x09" + bytes(63),
    b"\xff\xfb\x14\xc4" + bytes(32) + b"VBRI" + bytes(56),
    b"ID3\x04\0\x10\0\0\0\x05",
    b"APETAGEX" + bytes(24),
    b"TAG" + bytes(124),
    b"\xff",
    bytes(7),
)


def write_mp3(path: Path, sound: np.ndarray, rate: int, mode: str = "VARIABLE") -> None:
    options = {"bitrate_mode": mode, "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", rate, len(sound), format="MP3", **options) as file:
        file.write(sound.T)


def louder(channels: int, samples: int = 30_000) -> np.ndarray:
    """Noise that begins in silence: the first frame is shorter than the others."""
    return noise(0, channels, samples, 0.1) * np.linspace(0.0, 1.0, samples, dtype=np.float32)


def frames_of(path: Path) -> list[Any]:
    """The frames of sound in an mp3, in FFmpeg's packets."""
    with av.open(str(path)) as container:
        return [packet for packet in container.demux() if packet.size]


def without_header(path: Path) -> tuple[bytes, int]:
    """The frames of sound alone, and how far the encoder put it off."""
    header = header_at(path, 0)
    frames = frames_of(path)
    assert header is not None and header.delay and header.frames == len(frames)
    return path.read_bytes()[frames[0].pos :], header.delay


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_without_a_header_is_read_to_its_last_frame(
    tmp_path: Path, rate: int, channels: int, mode: str
) -> None:
    path, bare = tmp_path / "a.mp3", tmp_path / "bare.mp3"
    write_mp3(path, louder(channels), rate, mode)
    whole = audio.read(path)
    assert whole.shape == (channels, 30_000)
    content, delay = without_header(path)
    bare.write_bytes(content)
    found = audio.read(bare)
    per_frame = 1152 if rate >= 32_000 else 576
    assert (
        found.shape[1]
        == audio.info(bare).samples
        == -(-(30_000 + delay) // per_frame) * (per_frame)
    )
    np.testing.assert_allclose(found[:, delay : delay + 30_000], whole, atol=2e-6)
    np.testing.assert_array_equal(audio.read(bare, 12_345, 99), found[:, 12_345:12_444])
    np.testing.assert_allclose(audio.read(path, 12_345, 99), whole[:, 12_345:12_444], atol=2e-7)


def test_tags_and_remains_around_the_frames_of_an_mp3_are_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, louder(2), 44_100)
    content, _ = without_header(path)
    path.write_bytes(content)
    bare = audio.read(path)
    id3 = b"ID3\x04\0\0\0\0\x02\0" + b"\xff\xfb\x90\x44" * 64
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16)
    path.write_bytes(id3 + content + b"\xff\xfb\x90" + ape + b"TAG" + bytes(125))
    np.testing.assert_array_equal(audio.read(path), bare)


def test_an_mp3_of_another_name_and_one_behind_other_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, louder(2), 44_100)
    content, _ = without_header(path)
    path.write_bytes(content)
    bare = audio.read(path)
    (tmp_path / "a.sound").write_bytes(content)
    np.testing.assert_array_equal(audio.read(tmp_path / "a.sound"), bare)
    path.write_bytes(np.random.default_rng(0).bytes(3_000) + content)
    np.testing.assert_array_equal(audio.read(path), bare)


def test_mp3s_put_end_to_end_are_all_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, twice = tmp_path / "a.mp3", tmp_path / "twice.mp3"
    write_mp3(path, louder(2), 44_100)
    whole = audio.read(path)
    twice.write_bytes(2 * path.read_bytes())
    found = audio.read(twice)
    assert not capfd.readouterr().err  # of libmpg123
    assert found.shape == (2, 30_000 + 1152 * len(frames_of(path)))
    np.testing.assert_allclose(found[:, :30_000], whole, atol=2e-6)
    np.testing.assert_allclose(found[:, -20_000:], whole[:, -20_000:], atol=2e-6)


def test_an_mp3_whose_header_is_right_is_read_as_libsndfile_reads_it(tmp_path: Path) -> None:
    write_mp3(tmp_path / "a.mp3", louder(2), 44_100)
    plain = soundfile.read(tmp_path / "a.mp3", dtype="float32")[0].T  # in one go
    np.testing.assert_array_equal(audio.read(tmp_path / "a.mp3"), plain)


def test_bytes_behind_an_mp3_that_look_like_a_frame_of_another_rate_are_passed_over(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mp3"
    write_mp3(path, louder(2), 44_100)
    content, _ = without_header(path)
    path.write_bytes(content)
    bare = audio.read(path)
    path.write_bytes(content + b"LYRICS" + b"\xff\xfb\x94\x44" + bytes(50))
    np.testing.assert_array_equal(audio.read(path), bare)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_bytes_make_reading_an_mp3_fail_other_than_by_a_value_error(
    tmp_path_factory: Any, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mp3"
    path.write_bytes(b"".join(pieces) + b"\xff")
    try:
        sound = audio.read(path)
    except ValueError as error:
        assert str(path) in str(error) and ": " in str(error)
    else:
        assert sound.size


def test_mp3s_of_two_rates_put_end_to_end_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mp3", tmp_path / "b.mp3"
    write_mp3(first, louder(2), 44_100)
    write_mp3(second, louder(2), 48_000)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(ValueError, match=r"changes .* after \d+ frames, from 44100 Hz .*: conv"):
        audio.info(first)


def flac_of_a_pipe(path: Path, samples: int) -> np.ndarray:
    """A flac file whose header has no length, and what it holds."""
    sound = np.random.default_rng(1).integers(-9_000, 9_000, (samples, 2)).astype(np.int16)
    soundfile.write(path, sound, 44_100)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert soundfile.info(path).frames > 2**40
    return sound.T / np.float32(2**15)


@pytest.mark.parametrize("samples", [1, 192, 4_096, 4_097, 70_000, 600_001])
def test_a_flac_file_from_a_pipe_is_as_long_as_its_last_frame_says(
    tmp_path: Path, samples: int
) -> None:
    sound = flac_of_a_pipe(tmp_path / "a.flac", samples)
    assert audio.info(tmp_path / "a.flac").samples == samples
    np.testing.assert_array_equal(audio.read(tmp_path / "a.flac"), sound)
    middle = samples // 2
    np.testing.assert_array_equal(audio.read(tmp_path / "a.flac", middle), sound[:, middle:])


def test_a_flac_file_from_a_pipe_that_was_cut_is_refused(tmp_path: Path) -> None:
    flac_of_a_pipe(tmp_path / "a.flac", 70_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"a\.flac has no length in its header, .* cut short"):
        audio.read(tmp_path / "a.flac")


def test_excerpts_of_a_flac_file_from_a_pipe_decode_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.flac"
    sound = flac_of_a_pipe(path, 70_000)
    os.utime(path, (1e9, 1e9))
    assert audio.info(path).samples == 70_000
    with monkeypatch.context() as patch:
        patch.setattr(pyav_reader, "_decode", None)
        for start in (0, 60_000, 5):
            found = audio.read(path, start, 1_000)
            np.testing.assert_array_equal(found, sound[:, start : start + 1_000])
    shorter = flac_of_a_pipe(path, 60_000)
    np.testing.assert_array_equal(audio.read(path), shorter)
