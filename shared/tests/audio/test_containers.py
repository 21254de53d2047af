"""Sound through PyAV: m4a, video and mp4 with stems, in and out."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from mss_shared import audio
from mss_shared.atomic import PART
from mss_shared.audio import containers
from mss_shared.audio.streams import open_song
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.separate import separate_file

av = pytest.importorskip("av")

RATE = 44_100
CHUNKS = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none")


class Halves:
    stems = ("vocals", "drums", "bass", "other")
    sample_rate = RATE
    channels = 2

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([share * mixture for share in (0.5, 0.2, 0.2, 0.1)], dim=1)


def tones(samples: int = 2 * RATE) -> np.ndarray:
    time = np.arange(samples) / RATE
    return 0.4 * np.stack([np.sin(2 * np.pi * hz * time) for hz in (440.0, 660.0)])


def coded_snr(found: np.ndarray, wanted: np.ndarray) -> float:
    """dB of the middle of a song over what coding changed of it."""
    middle = slice(RATE // 2, RATE)
    error = found[:, middle] - wanted[:, middle]
    return 10 * np.log10((wanted[:, middle] ** 2).sum() / (error**2).sum())


def encode(path: Path, sound: np.ndarray, codec: str, kind: str = "fltp") -> None:
    """A file with one audio stream, in frames of 1024 samples."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.layout, stream.format = "stereo", kind
        for start in range(0, sound.shape[1], 1024):
            values = np.ascontiguousarray(sound[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(values, kind, "stereo")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", ["m4a", "mov", "mkv"])
def test_the_sound_of_m4a_and_video_is_separated_into_wav(tmp_path: Path, suffix: str) -> None:
    encode(tmp_path / f"song.{suffix}", tones().astype(np.float32), "aac")
    delivery = Delivery(lossless="mask")
    done = separate_file(Halves(), tmp_path / f"song.{suffix}", tmp_path, CHUNKS, delivery)
    total = np.sum([audio.read(path) for path in done.paths.values()], axis=0)
    assert [audio.info(path).subtype for path in done.paths.values()] == ["PCM_16"] * 4
    assert abs(total.shape[1] - 2 * RATE) < 2_100
    assert coded_snr(total, tones()) > 20.0


def test_integers_of_a_lossless_codec_come_through_exactly(tmp_path: Path) -> None:
    integers = np.random.default_rng(0).integers(-(2**14), 2**14, (2, 5_000)).astype(np.int16)
    encode(tmp_path / "song.m4a", integers, "alac", "s16p")
    delivery = Delivery(lossless="mask")
    done = separate_file(Halves(), tmp_path / "song.m4a", tmp_path, CHUNKS, delivery)
    found = sum(soundfile.read(path, dtype="int16")[0].astype(int) for path in done.paths.values())
    np.testing.assert_array_equal(found.T[:, :5_000], integers)
    assert done.null_depth_dbfs == -np.inf


def test_a_lossless_song_of_24_bits_is_written_in_24_and_one_of_32_in_32(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for codec, name in (("alac", "song.m4a"), ("wavpack", "song.wv")):
        full = rng.integers(-(2**30), 2**30, (2, 5_000)).astype(np.int32)
        for bits, values in ((24, full >> 8 << 8), (32, full)):
            if (codec, bits) == ("alac", 32):
                continue  # FFmpeg writes no more than 24
            encode(tmp_path / name, values, codec, "s32p")
            done = separate_file(Halves(), tmp_path / name, tmp_path, CHUNKS, Delivery())
            assert audio.info(done.paths["vocals"]).subtype == f"PCM_{bits}"
            with open_song(tmp_path / name) as song:
                found = np.concatenate([*song.blocks()], axis=1) * 2**31
            np.testing.assert_array_equal(found[:, :5_000], values)


def test_dolby_digital_is_read(tmp_path: Path) -> None:
    encode(tmp_path / "song.ac3", tones().astype(np.float32), "ac3")
    with open_song(tmp_path / "song.ac3") as song:
        found = np.concatenate([*song.blocks()], axis=1)
    assert coded_snr(np.roll(found, -256, axis=1), tones()) > 20.0 or coded_snr(found, tones()) > 20


def test_sound_around_the_listener_keeps_its_loudspeakers(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.layout = "5.1"
        frame = av.AudioFrame.from_ndarray(np.zeros((6, 1024), np.float32), "fltp", "5.1")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_song(tmp_path / "song.m4a") as song:
        assert (song.channels, song.channel_mask) == (6, 0x3F)


def test_a_full_disk_for_temporary_files_is_told_with_their_folder_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(tmp_path / "song.m4a", tones(5_000).astype(np.float32), "aac")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def refuse(*_: object) -> None:
        raise soundfile.LibsndfileError(2)

    with monkeypatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "write", refuse)
        with (
            pytest.raises(OSError, match=r"song\.m4a can't be decoded into .*temporary \(.*full\?"),
            open_song(tmp_path / "song.m4a"),
        ):
            pass
    assert not [*folder.iterdir()]
    with open_song(tmp_path / "song.m4a") as song:
        assert os.name != "posix" or not [*folder.iterdir()]  # nothing is left if it is killed
        assert np.concatenate([*song.blocks()], axis=1).any()
    assert not [*folder.iterdir()]


def test_stems_become_streams_of_one_mp4_with_the_mixture_first(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tones().T, RATE)
    out = tmp_path / "out"
    done = separate_file(Halves(), tmp_path / "song.wav", out, CHUNKS, Delivery("mp4"))
    [path] = set(done.paths.values())
    assert path.name == "song.stem.mp4"
    assert [*done.paths] == ["mixture", "vocals", "drums", "bass", "other"]
    assert [each.name for each in path.parent.iterdir()] == ["song.stem.mp4"]
    with av.open(str(path)) as container:
        titles = [stream.metadata["handler_name"] for stream in container.streams.audio]
        assert titles == [*done.paths]
        for number, share in enumerate((1.0, 0.5, 0.2, 0.2, 0.1)):
            frames = [f.to_ndarray() for f in container.decode(audio=number)]
            found = np.concatenate(frames, axis=1)
            assert coded_snr(found, share * tones()) > 20.0
            container.seek(0)
    with open_song(path) as song:  # its first stream is the mixture
        heard = np.concatenate([*song.blocks()], axis=1)
        assert coded_snr(heard, tones()) > 20.0


def boxes(content: bytes, *path: bytes) -> list[bytes]:
    """What the boxes at a path of kinds hold."""
    if not path:
        return [content]
    found, place = [], 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == path[0]:
            found += boxes(content[place + 8 : place + size], *path[1:])
        place += size
    assert place == len(content)
    return found


def test_an_mp4_of_four_stems_says_to_dj_software_what_they_are(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tones(5_000).T, RATE)
    done = separate_file(Halves(), tmp_path / "song.wav", tmp_path, CHUNKS, Delivery("mp4"))
    content = done.paths["vocals"].read_bytes()
    [about] = map(json.loads, boxes(content, b"moov", b"udta", b"stem"))
    assert about["version"] == 1
    assert [stem["name"] for stem in about["stems"]] == ["vocals", "drums", "bass", "other"]
    assert len({stem["color"] for stem in about["stems"]}) == 4
    assert not any(effect["enabled"] for effect in about["mastering_dsp"].values())
    headers = boxes(content, b"moov", b"trak", b"tkhd")
    # Players that know nothing of stems play what is enabled: the mixture.
    assert [header[3] & 1 for header in headers] == [1, 0, 0, 0, 0]


def test_an_unfinished_mp4_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "a.wav", tones(1_000).astype(np.float32), RATE)
    seen: list[str] = []
    encode = containers._encode

    def look(*given: Any) -> None:
        seen.extend(path.name for path in (tmp_path / "out").iterdir())
        encode(*given)

    monkeypatch.setattr(containers, "_encode", look)
    containers.write_streams(tmp_path / "out" / "a.mp4", {"mixture": tmp_path / "a.wav"})
    [name] = seen
    assert name.startswith(PART)


def test_an_mp4_of_two_stems_is_plain_music(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tones(5_000).T, RATE)
    delivery = Delivery("mp4", stems=("vocals", "drums"))
    done = separate_file(Halves(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    content = done.paths["vocals"].read_bytes()
    assert len(boxes(content, b"moov", b"trak")) == 3
    assert not boxes(content, b"moov", b"udta", b"stem")


def test_mp3_and_mp4_are_refused_where_their_codecs_have_no_such_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tones(500).T, 192_000)
    for container in ("mp3", "mp4"):
        with pytest.raises(ValueError, match=f"{container} can't hold 2 channels at 192000 Hz"):
            separate_file(
                Halves(), tmp_path / "song.wav", tmp_path / "out", CHUNKS, Delivery(container)
            )


def test_mp3_stems_have_the_songs_length_and_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tones().T, RATE)
    done = separate_file(Halves(), tmp_path / "song.wav", tmp_path, CHUNKS, Delivery("mp3"))
    vocals = audio.read(done.paths["vocals"])
    assert vocals.shape == (2, 2 * RATE)
    assert coded_snr(vocals, 0.5 * tones()) > 20.0


def test_files_without_sound_or_that_are_no_films_are_refused(tmp_path: Path) -> None:
    (tmp_path / "song.m4a").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(ValueError, match=r"song\.m4a is not a readable sound file \(.*\): it is"):
        separate_file(Halves(), tmp_path / "song.m4a", tmp_path / "out", CHUNKS, Delivery())
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"mute\.mp4 has no audio stream: give a file with sound"):
        separate_file(Halves(), tmp_path / "mute.mp4", tmp_path / "out", CHUNKS, Delivery())


def test_without_pyav_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    encode(tmp_path / "song.m4a", tones(5_000).astype(np.float32), "aac")
    (tmp_path / "song.wav").write_bytes(b"no sound at all" * 9)
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from mss_shared import audio\n"
        "for path in sys.argv[1:]:\n"
        "    try: audio.info(path)\n"
        "    except (ImportError, ValueError) as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "song.m4a"), str(tmp_path / "song.wav")]
    film, other = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    assert film.startswith("ImportError") and other.startswith("ValueError")
    assert 'PyAV, which is not installed: pip install "mss-shared[separate]"' in film
    assert "song.wav is not a readable sound file" in other and "pip install" in other


def test_the_audio_room_imports_neither_torch_nor_pyav_nor_soxr() -> None:
    code = (
        "import sys, mss_shared.audio, mss_shared.audio.streams, mss_shared.audio.containers\n"
        "print({'torch', 'av', 'soxr'} & {*sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert said.strip() == "set()"
