"""Files that went wrong once: each is read as what it is, or refused in one sentence."""

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tiny_songs import noise
from tiny_sounds import write_av

from mss_shared import audio
from mss_shared.audio import decoded_sound, pyav_reader
from mss_shared.audio.streams import open_song

pytest.importorskip("av")

RATE = 44_100
HZ = (300, 400, 500, 100, 700, 800)  # of FL FR FC LFE BL BR


def integers(bits: int, samples: int = 9_000, channels: int = 2) -> NDArray[np.int64]:
    values = np.random.default_rng(bits).normal(0.0, 0.1, (channels, samples))
    return np.rint(values.clip(-0.9, 0.9) * 2 ** (bits - 1)).astype(np.int64)


def tones(samples: int = RATE, rate: int = RATE) -> NDArray[np.float64]:
    return 0.3 * np.stack([np.sin(2 * np.pi * hz * np.arange(samples) / rate) for hz in HZ])


def heard_hz(sound: NDArray[np.floating], rate: int) -> list[int]:
    spectra = np.abs(np.fft.rfft(sound * np.hanning(sound.shape[1])))
    return [round(100 * round(n * rate / sound.shape[1] / 100)) for n in spectra.argmax(axis=1)]


def chunks(*parts: tuple[bytes, bytes], mark: bytes = b"RIFF") -> bytes:
    """A wav file of these chunks."""
    body = b"".join(n + struct.pack("<I", len(c)) + c + bytes(len(c) % 2) for n, c in parts)
    return mark + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def pcm_16(rate: int = RATE) -> tuple[bytes, bytes]:
    return b"fmt ", struct.pack("<HHIIHH", 1, 2, rate, 4 * rate, 4, 16)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "pcm_u8"), ("avi", "pcm_u8"),
                                               ("mov", "pcm_u8"), ("mov", "pcm_s8")])  # fmt: skip
def test_8_bits_in_any_container_are_as_loud_as_in_wav(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    values = integers(8)
    write_av(tmp_path / f"a.{suffix}", [(values + 128).astype(np.uint8)], codec, "u8")
    soundfile.write(tmp_path / "a.wav", (values.T << 8).astype(np.int16), RATE, "PCM_U8")
    found = audio.read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(found, audio.read(tmp_path / "a.wav"))
    np.testing.assert_array_equal(found * 128, values)
    assert audio.info(tmp_path / f"a.{suffix}").subtype == "PCM_U8"


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_all_songs_of_an_ogg_file_are_read(tmp_path: Path, subtype: str) -> None:
    path, rate = tmp_path / "a.ogg", 48_000
    parts = []
    content = b""
    for seed, samples in enumerate((30_000, 1_234, 20_000)):
        soundfile.write(path, noise(seed, samples=samples).T, rate, subtype)
        parts.append(audio.read(path))
        content += path.read_bytes()
    path.write_bytes(content)
    whole = audio.read(path)
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    assert "3 parts in sequence, read as one" in audio.info(path).notes
    for start, samples in ((0, 51_234), (29_000, 5_000), (31_234, 0), (51_000, 234)):
        found = audio.read(path, start, samples)
        np.testing.assert_array_equal(found, whole[:, start : start + samples])
    blocks = [*audio.read_blocks(path, 100, 50_000, 7_000)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole[:, 100:50_100])


def test_an_ogg_file_of_more_parts_than_files_may_be_open_is_read(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise(0, samples=500).T, RATE, "VORBIS")
    part = audio.read(path)
    path.write_bytes(200 * path.read_bytes())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    try:
        np.testing.assert_array_equal(audio.read(path), np.tile(part, 200))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_an_ogg_file_is_not_searched_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise(0, samples=500).T, RATE, "VORBIS")
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match=r"16777216 bytes before byte \d+ that are no Ogg page"):
        audio.info(path)


def test_an_mp3_file_is_not_searched_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav_reader, "_MOST_BETWEEN", 2**20)
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(0, samples=9_000).T, RATE)
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match=r"more than 1048576 bytes without sound before byte \d+:"):
        audio.info(path)


def test_sound_may_begin_after_much_of_another_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav_reader, "_MOST_BETWEEN", 2**23)
    path, sound = tmp_path / "a.mkv", integers(16)
    before = np.zeros((2, 3_000_000), np.int16)  # of which FFmpeg writes all but ten seconds first
    write_av(path, [before, sound.astype(np.int16)], "pcm_s16le", "s16", default=1)
    np.testing.assert_array_equal(audio.read(path) * 2**15, sound)


def test_songs_of_an_ogg_file_that_differ_or_of_which_one_is_cut_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ogg"
    contents = []
    for rate, channels in ((44_100, 2), (48_000, 2), (44_100, 1)):
        soundfile.write(path, noise(0, channels, 9_000).T, rate, "VORBIS")
        contents.append(path.read_bytes())
    said = r"a\.ogg changes from 44100 Hz in 2 .* in part 2 of 2: split it, or convert"
    for other in contents[1:]:
        path.write_bytes(contents[0] + other)
        with pytest.raises(ValueError, match=said):
            audio.info(path)
    last = contents[0].rindex(b"OggS")
    path.write_bytes(contents[0][:last] + contents[0])
    with pytest.raises(ValueError, match=r"no last page in 1 of the 1 streams of part 1 of 2"):
        audio.info(path)


@pytest.mark.parametrize("tags", [20, 2_600, 9_000])
def test_a_wav_file_cut_in_half_is_refused_however_much_stands_before_its_samples(
    tmp_path: Path, tags: int
) -> None:
    path = tmp_path / "a.wav"
    list_chunk = b"LIST", b"INFOICMT" + struct.pack("<I", tags) + bytes(tags)
    content = chunks(pcm_16(), list_chunk, (b"data", bytes(80_000)))
    path.write_bytes(content)
    assert audio.info(path).samples == 20_000
    path.write_bytes(content[:-40_000])
    with pytest.raises(ValueError, match=r"holds 40000 of the 80000 bytes of sound its header"):
        audio.info(path)


@pytest.mark.parametrize(("name", "form"), [("a.rf64", "RF64"), ("a.w64", "W64"), ("a.au", "AU"),
                                            ("a.aifc", "AIFF"), ("a.caf", "CAF")])  # fmt: skip
def test_other_files_that_libsndfile_reads_are_refused_in_half(
    tmp_path: Path, name: str, form: str
) -> None:
    soundfile.write(tmp_path / name, noise(0, samples=20_000).T, RATE, "PCM_24", format=form)
    assert audio.read(tmp_path / name).shape == (2, 20_000)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"holds \d+ of the 12\d+ bytes of sound its header"):
        audio.info(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "pcm_s16le", {}),
        ("a.mkv", "pcm_s16le", {}),
        ("a.mov", "pcm_s16le", {}),
        ("first.mov", "pcm_s16le", {"movflags": "faststart"}),
        ("a.wma", "wmav2", {}),
        ("a.oga", "flac", {}),
        ("a.wv", "wavpack", {}),
        ("a.tta", "tta", {}),
        ("a.flv", "pcm_s16le", {}),
    ],
)
def test_files_that_pyav_reads_are_refused_when_cut(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    kind = {"wmav2": "fltp", "wavpack": "s16p"}.get(codec, "s16")
    sound = noise(0, samples=60_000)
    values = sound if kind == "fltp" else (sound * 2**15).astype(np.int16)
    write_av(path, [values], codec, kind, options=options, codec_options={"b": "128000"})
    whole = audio.read(path)
    assert codec == "wmav2" or np.array_equal(whole, sound)
    content = path.read_bytes()
    for share in (0.5, 0.93):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(
            ValueError, match=rf"{name} .*: (the file is cut|replace|it is damaged)"
        ):
            audio.read(path)


@pytest.mark.parametrize(
    ("codec", "kind", "samples"),
    [
        ("adpcm_ima_wav", "s16p", 1_017),
        ("adpcm_ms", "s16", 1_012),
        ("vorbis", "fltp", 128),
        ("pcm_s16le", "s16", 1_024),
    ],
)
def test_an_avi_is_as_long_as_its_blocks_whatever_ffmpeg_takes_for_its_duration(
    tmp_path: Path, codec: str, kind: str, samples: int
) -> None:
    path, sound = tmp_path / "a.avi", noise(0, samples=40 * samples)
    values = sound if kind == "fltp" else (sound * 2**15).astype(np.int16)
    write_av(path, [values], codec, kind, codec_options={"strict": "-2"})
    found = audio.read(path).shape[1]
    assert 40 * samples <= found <= 60 * samples
    content = bytearray(path.read_bytes())
    at = content.index(b"strh") + 8 + 32  # how many blocks
    [count] = struct.unpack_from("<I", content, at)
    struct.pack_into("<I", content, at, 2 * count)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.avi holds 0\.\d+ of the \d\.\d+ s its header"):
        audio.info(path)


@pytest.mark.parametrize(
    ("name", "codec", "kind", "subtype"),
    [
        ("a.mkv", "pcm_f32le", "flt", "FLOAT"),
        ("a.mov", "pcm_f64be", "dbl", "DOUBLE"),
        ("a.wv", "wavpack", "fltp", "FLOAT"),
        ("a.avi", "pcm_f32le", "flt", "FLOAT"),
        ("a.m4a", "aac", "fltp", ""),
    ],
)
def test_floats_of_a_lossless_codec_are_lossless(
    tmp_path: Path, name: str, codec: str, kind: str, subtype: str
) -> None:
    sound = 1e-3 * np.random.default_rng(0).normal(size=(2, 5_000))
    sound = sound.astype(np.float64 if kind == "dbl" else np.float32)
    write_av(tmp_path / name, [sound], codec, kind)
    with open_song(tmp_path / name) as song:
        assert song.subtype == subtype
        found = np.concatenate([*song.blocks()], axis=1)
    assert not subtype or np.array_equal(found, sound)


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.xyz", "a", "a:b.mp3", "ä %d.m4a"])
def test_a_file_is_what_it_holds_and_not_what_it_is_called(tmp_path: Path, name: str) -> None:
    sound = noise(0, samples=20_000)
    values = (sound * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "sound.wav", sound.T, RATE)
    soundfile.write(tmp_path / "sound.flac", sound.T, RATE)
    write_av(tmp_path / "sound.m4a", [values], "alac", "s16p")
    write_av(tmp_path / "sound.ogg", [values], "flac", "s16")
    for suffix in ("wav", "flac", "m4a", "ogg"):
        (tmp_path / name).write_bytes((tmp_path / f"sound.{suffix}").read_bytes())
        np.testing.assert_array_equal(audio.read(tmp_path / name), sound)


def test_an_m4a_of_which_a_part_is_to_be_played_is_that_part(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    write_av(path, [noise(0, samples=3 * RATE)], "aac", "fltp")
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    content[at : at + 4] = (1_000).to_bytes(4, "big")  # of 3000 ms
    path.write_bytes(content)
    assert RATE <= audio.info(path).samples <= RATE + 2_048


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "m4a"])
def test_a_name_that_is_no_text_is_a_name(tmp_path: Path, suffix: str) -> None:
    sound = noise(0, samples=5_000)
    plain = tmp_path / f"a.{suffix}"
    if suffix == "m4a":
        write_av(plain, [(sound * 2**15).astype(np.int16)], "alac", "s16p")
    else:
        soundfile.write(plain, sound.T, RATE)
    wanted = audio.read(plain)
    odd = plain.rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xe9." + suffix.encode()))
    np.testing.assert_array_equal(audio.read(odd), wanted)


@pytest.mark.parametrize(("rate", "channels"), [(22_050, 2), (44_100, 1)])
def test_a_stream_that_changes_is_refused_with_both_kinds_and_the_place(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = tmp_path / "a.aac"
    content = b""
    for each, count in ((RATE, 2), (rate, channels)):
        write_av(path, [noise(0, count, RATE)], "aac", "fltp", rate=each, container="adts")
        content += path.read_bytes()
    path.write_bytes(content)
    layout = {1: "mono", 2: "stereo"}[channels]
    said = rf"changes from 44100 Hz, stereo, flt to {rate} Hz, {layout}, flt after 1\.\d+ s: conv"
    with pytest.raises(ValueError, match=said):
        audio.read(path)


def test_a_wav_file_that_was_never_finished_is_read_to_its_end_and_it_is_said(
    tmp_path: Path,
) -> None:
    path, values = tmp_path / "a.wav", integers(16).T.astype(np.int16)
    content = bytearray(chunks(pcm_16(), (b"data", values.tobytes())))
    content[4:8] = content[40:44] = bytes(4)
    path.write_bytes(content)
    with open_song(path) as song:
        assert (song.samples, song.subtype) == (9_000, "PCM_16")
        assert song.notes == ("its header was never finished: read to its end, 36000 bytes",)
        [block] = song.blocks()
    np.testing.assert_array_equal(block * 2**15, values.T)
    np.testing.assert_array_equal(audio.read(path, 100, 50) * 2**15, values.T[:, 100:150])


@pytest.mark.parametrize("name", ["a.w64", "a.caf"])
def test_a_file_from_a_pipe_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    sound = noise(0, samples=40_001)
    soundfile.write(tmp_path / name, sound.T, RATE)
    content = bytearray((tmp_path / name).read_bytes())
    mark = content.index(b"data")
    at, unknown = (mark + 16, 2**63 - 1) if name == "a.w64" else (mark + 4, 2**64 - 1)
    content[at : at + 8] = unknown.to_bytes(8, "little")
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(audio.read(tmp_path / name), sound)


def test_an_empty_wav_file_with_tags_behind_its_samples_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(chunks(pcm_16(), (b"data", b""), (b"LIST", b"INFO" + bytes(40))))
    assert audio.info(path).samples == 0 and not audio.info(path).notes


def test_a_damaged_peak_chunk_is_passed_over(tmp_path: Path) -> None:
    path, sound = tmp_path / "a.wav", noise(0, samples=999)
    about = b"fmt ", struct.pack("<HHIIHH", 3, 2, RATE, 8 * RATE, 8, 32)
    path.write_bytes(chunks(about, (b"PEAK", bytes(6)), (b"data", sound.T.tobytes())))
    with pytest.raises(soundfile.LibsndfileError, match="PEAK"):
        soundfile.info(path)
    np.testing.assert_array_equal(audio.read(path), sound)
    assert audio.info(path) == audio.AudioInfo(999, RATE, 2, "FLOAT", "WAV")


def test_bw64_is_read_and_refused_when_cut(tmp_path: Path) -> None:
    path, sound = tmp_path / "a.wav", noise(0, samples=999)
    soundfile.write(path, sound.T, RATE, format="RF64")
    content = b"BW64" + path.read_bytes()[4:]
    path.write_bytes(content)
    np.testing.assert_array_equal(audio.read(path), sound)
    path.write_bytes(content[:-400])
    with pytest.raises(ValueError, match="holds 3596 of the 3996 bytes"):
        audio.read(path)


@pytest.mark.parametrize(
    ("name", "codec", "kind", "mask"),
    [
        ("a.mkv", "flac", "s16", 0x3F),
        ("a.m4a", "aac", "fltp", 0x3F),
        ("a.opus", "libopus", "flt", 0x3F),
        ("a.ac3", "ac3", "fltp", 0x60F),
        ("a.caf", "alac", "s16p", 0x3F),
        ("a.caf", "pcm_s16le", "s16", 0x60F),
        ("a.wav", "pcm_s16le", "s16", 0x3F),
        ("a.wv", "wavpack", "s16p", 0x3F),
    ],
)
def test_surround_arrives_in_one_order_with_its_mask(
    tmp_path: Path, name: str, codec: str, kind: str, mask: int
) -> None:
    rate = 48_000
    sound = tones(rate, rate).astype(np.float32)
    values = (sound * 2**15).astype(np.int16) if kind.startswith("s16") else sound
    write_av(tmp_path / name, [values], codec, kind, rate=rate)
    with open_song(tmp_path / name) as song:
        assert (song.channels, song.channel_mask) == (6, mask)
    assert heard_hz(audio.read(tmp_path / name), rate) == [*HZ]


def test_surround_in_vorbis_is_put_in_order(tmp_path: Path) -> None:
    theirs = tones()[[0, 2, 1, 4, 5, 3]]  # FL FC FR BL BR LFE
    with soundfile.SoundFile(tmp_path / "a.ogg", "w", RATE, 6, "VORBIS") as file:
        for start in range(0, RATE, 4_410):
            file.write(theirs.T[start : start + 4_410])
    assert audio.info(tmp_path / "a.ogg").channel_mask == 0x3F
    assert heard_hz(audio.read(tmp_path / "a.ogg"), RATE) == [*HZ]


def test_the_default_audio_track_is_read_and_it_is_said_which(tmp_path: Path) -> None:
    first, second = (integers(16).astype(np.int16), integers(15).astype(np.int16))
    write_av(tmp_path / "a.mkv", [first, second], "pcm_s16le", "s16", default=1)
    np.testing.assert_array_equal(audio.read(tmp_path / "a.mkv") * 2**15, second)
    assert audio.info(tmp_path / "a.mkv").notes == ("read audio track 2 of 2, the default",)


@pytest.mark.parametrize(("bits", "subtype"), [(20, "PCM_24"), (32, "PCM_32")])
def test_flac_of_20_and_32_bits_is_read(tmp_path: Path, bits: int, subtype: str) -> None:
    values = (integers(bits) << (32 - bits)).astype(np.int32)
    options = {"bits_per_raw_sample": str(bits), "strict": "experimental"}
    write_av(tmp_path / "a.flac", [values], "flac", "s32", codec_options=options)
    with open_song(tmp_path / "a.flac") as song:
        assert song.subtype == subtype
        np.testing.assert_array_equal(np.concatenate([*song.blocks()], axis=1) * 2**31, values)


def test_a_sample_format_that_is_not_known_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_av(tmp_path / "a.mkv", [integers(16).astype(np.int16)], "pcm_s16le", "s16")
    monkeypatch.delitem(decoded_sound.FORMATS, "s16")
    with pytest.raises(ValueError, match=r"has samples in the format s16, .* u8, s32, .*: convert"):
        audio.info(tmp_path / "a.mkv")


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [("a.m4a", "aac", "fltp"), ("a.mkv", "wavpack", "s32p"), ("a.wv", "wavpack", "fltp")],
)
def test_eight_channels_that_are_not_interleaved_are_read(
    tmp_path: Path, name: str, codec: str, kind: str
) -> None:
    hz = (*HZ, 900, 1000)
    sound = 0.3 * np.stack([np.sin(2 * np.pi * each * np.arange(RATE) / RATE) for each in hz])
    values = (sound * 2**31).astype(np.int32) if kind == "s32p" else sound.astype(np.float32)
    write_av(tmp_path / name, [values], codec, kind)
    found = audio.read(tmp_path / name)
    assert heard_hz(found, RATE) == [300, 400, 500, 100, 700, 800, 900, 1000]


def test_a_layout_without_a_name_is_read_and_put_in_order(tmp_path: Path) -> None:
    path, hz = tmp_path / "a.mov", (300, 400, 500, 100, 900, 1000, 1100)
    sound = 0.3 * np.stack([np.sin(2 * np.pi * each * np.arange(RATE) / RATE) for each in hz])
    write_av(path, [(sound * 2**15).astype(np.int16)], "pcm_s16le", "s16")
    content = bytearray(path.read_bytes())
    at = content.index(b"chan") + 8
    content[at : at + 4] = bytes((0, 125, 0, 7))  # FL FR FC LFE SL SR BC, for which FFmpeg has none
    path.write_bytes(content)
    for _ in range(3):
        found = audio.read(path)
        assert heard_hz(found, RATE) == [300, 400, 500, 100, 1100, 900, 1000]
        assert audio.info(path).channel_mask == 0x70F
        os.utime(path)  # to decode it again


@pytest.mark.parametrize(("comment", "mask"), [(b"0x60F", 0x60F), (b"0x7", 0x3F), (b"", 0x3F)])
def test_a_flac_has_the_channel_mask_of_its_comment(
    tmp_path: Path, comment: bytes, mask: int
) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, tones().T, RATE)
    content = path.read_bytes()
    words = b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=" + comment
    block = struct.pack("<II", 0, 1) + struct.pack("<I", len(words)) + words
    head = b"\x04" + len(block).to_bytes(3, "big")
    path.write_bytes(content[:42] + head + block + content[42:])
    assert audio.info(path).channel_mask == mask
    np.testing.assert_allclose(audio.read(path), tones(), atol=1e-4)


def test_a_file_for_streaming_that_lacks_fragments_of_its_index_is_refused(tmp_path: Path) -> None:
    path, sound = tmp_path / "a.m4a", noise(0, samples=4 * RATE)
    flags = "dash+global_sidx+frag_keyframe+empty_moov"
    options = {"movflags": flags, "frag_duration": "500000"}
    write_av(path, [sound], "aac", "fltp", container="mp4", options=options)
    assert audio.info(path).samples >= 4 * RATE
    content = path.read_bytes()
    assert content.count(b"sidx") == 1 and content.count(b"moof") > 3
    path.write_bytes(content[: content.rindex(b"moof") - 4])
    with pytest.raises(ValueError, match=r"holds \d+ of the \d+ bytes its header promises"):
        audio.info(path)
