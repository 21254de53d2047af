"""Sound files: exact round trips, seeking, refusals, and nothing left behind on failure."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_songs import noise, tone

from mss_shared import audio

FULL_SCALE = {"PCM_16": 2**15, "PCM_24": 2**23}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


def integers(seed: int, channels: int, samples: int, full: int) -> NDArray[np.int64]:
    values = np.random.default_rng(seed).integers(-full, full, (channels, samples))
    if values.size:
        values[0, 0], values[-1, -1] = -full, full - 1
    return values


shapes = st.tuples(st.integers(1, 8), st.sampled_from([0, 1, 2, 3, 63, 64, 255, 1001]))


@settings(max_examples=60)
@given(
    shape=shapes,
    subtype=st.sampled_from(sorted(FULL_SCALE)),
    suffix=st.sampled_from(["wav", "flac"]),
    rate=st.integers(1_000, 192_000),
    seed=st.integers(0, 2**20),
)
def test_pcm_files_give_back_the_exact_integers(
    folder: Path, shape: tuple[int, int], subtype: str, suffix: str, rate: int, seed: int
) -> None:
    # libsndfile opens no flac without samples, and its header has no room for higher rates.
    assume(suffix == "wav" or (shape[1] and rate < 2**16))
    full = FULL_SCALE[subtype]
    values = integers(seed, *shape, full)
    path = folder / f"round.{suffix}"
    audio.write(path, (values / full).astype(np.float32), rate, subtype)
    back = audio.read(path)
    assert back.dtype == np.float32 and back.shape == shape
    np.testing.assert_array_equal(back.astype(np.float64) * full, values)
    about = audio.AudioInfo(shape[1], rate, shape[0], subtype, suffix.upper())
    assert audio.info(path) == about


@settings(max_examples=20)
@given(shape=shapes, seed=st.integers(0, 2**20), scale=st.sampled_from([1e-30, 1.0, 50.0]))
def test_float_files_give_back_every_bit_even_beyond_full_scale(
    folder: Path, shape: tuple[int, int], seed: int, scale: float
) -> None:
    signal = (scale * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)
    audio.write(folder / "float.wav", signal, 44_100, "FLOAT")
    np.testing.assert_array_equal(audio.read(folder / "float.wav"), signal)


@settings(max_examples=40)
@given(st.data())
def test_an_excerpt_equals_the_slice_of_the_whole(folder: Path, data: st.DataObject) -> None:
    path = folder / "seek.wav"
    signal = noise(5, channels=2, samples=501)
    if not path.exists():
        audio.write(path, signal, 8_000)
    start = data.draw(st.integers(0, 501))
    samples = data.draw(st.integers(0, 501 - start))
    np.testing.assert_array_equal(
        audio.read(path, start, samples), signal[:, start : start + samples]
    )
    np.testing.assert_array_equal(audio.read(path, start), signal[:, start:])


@pytest.mark.parametrize(("start", "samples"), [(-1, 2), (0, 65), (65, None), (60, 5), (3, -1)])
def test_an_excerpt_outside_the_file_is_refused_with_both_lengths(
    tmp_path: Path, start: int, samples: int | None
) -> None:
    audio.write(tmp_path / "a.wav", noise(0, samples=64), 8_000)
    with pytest.raises(ValueError, match="has 64 samples, .* were asked for: choose an excerpt"):
        audio.read(tmp_path / "a.wav", start, samples)


def test_half_a_step_is_rounded_to_the_even_integer_and_full_scale_to_the_largest(
    tmp_path: Path,
) -> None:
    steps = np.array([[0.5, 1.5, -0.5, 0.49, 32_768.0, -32_768.0]]) / 32_768
    audio.write(tmp_path / "a.wav", steps.astype(np.float32), 8_000)
    written, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert written.tolist() == [0, 2, 0, 0, 32_767, -32_768]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_writing_nan_or_infinity_is_refused_with_its_first_sample(
    tmp_path: Path, value: float
) -> None:
    signal = noise(1, samples=20)
    signal[1, 7] = signal[0, 12] = value
    with pytest.raises(ValueError, match="holds NaN or infinity, first at sample 7: repair"):
        audio.write(tmp_path / "a.wav", signal, 8_000, "FLOAT")
    assert not list(tmp_path.iterdir())


def test_reading_nan_is_refused_with_its_place_in_the_file(tmp_path: Path) -> None:
    signal = np.zeros((30, 1), np.float32)
    signal[21] = np.nan
    soundfile.write(tmp_path / "a.wav", signal, 8_000, subtype="FLOAT")
    with pytest.raises(ValueError, match="a.wav holds NaN or infinity, first at sample 21"):
        audio.read(tmp_path / "a.wav", 10, 15)
    assert audio.read(tmp_path / "a.wav", 0, 10).shape == (1, 10)


def test_pcm_beyond_full_scale_is_refused_with_its_peak(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"would clip: the peak is 1\.250, PCM_16 .* FLOAT"):
        audio.write(tmp_path / "a.wav", np.array([[0.0, -1.25]], np.float32), 8_000)


def test_an_unknown_sample_format_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'PCM_12': choose from PCM_16, PCM_24, FLOAT"):
        audio.write(tmp_path / "a.wav", noise(0, samples=4), 8_000, "PCM_12")


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.xyz", "PCM_16"), ("a.flac", "FLOAT"), ("a", "PCM_16")]
)
def test_a_container_that_cannot_hold_the_format_is_refused_by_name(
    tmp_path: Path, name: str, subtype: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} can't hold {subtype} with this suffix: .*wav"):
        audio.write(tmp_path / name, noise(0, samples=4), 8_000, subtype)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone\.wav: check its name"):
        audio.read(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match="is a folder, not a sound file: rename or remove it"):
        audio.info(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello, this is no sound at all", b"RIFF\0\0\0\0WAVE"])
@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a.mp3"])
def test_a_file_without_sound_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    said = f"{name} is not a readable sound file .*: "
    said += "use wav, flac" if name.endswith("raw") else "it is damaged or no sound, restore or rep"
    if not content:
        said = f"{name} is empty, it has 0 bytes: restore or remove it"
    with pytest.raises(ValueError, match=said):
        audio.read(tmp_path / name)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.sampled_from(["wav", "flac", "mp3", "ogg", "aiff", "raw"]))
def test_no_bytes_make_reading_fail_other_than_by_a_value_error(
    folder: Path, content: bytes, suffix: str
) -> None:
    path = folder / f"any.{suffix}"
    path.write_bytes(content)
    try:
        audio.read(path)
    except ValueError as error:
        assert str(path) in str(error) and ": " in str(error)


@pytest.mark.parametrize("share", [0.5, 0.99])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.wav", r"holds \d+ of the 80000 bytes of sound its header promises: the file is cut"),
        ("a.aiff", r"holds \d+ of the 80008 bytes of sound its header promises: the file is cut"),
        ("a.flac", r"can't be decoded \(.*\): replace the file"),
        ("a.mp3", r".* \d+ of the \d+ (bytes of sound|samples) its header promises: the file is"),
    ],
)
def test_a_truncated_file_is_refused_and_never_taken_for_a_shorter_one(
    tmp_path: Path, name: str, message: str, share: float
) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(2, samples=20_000).T, 16_000)
    assert audio.read(path).shape == (2, 20_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    with pytest.raises(ValueError, match=f"{name} {message}"):
        audio.read(path)


def test_a_wav_file_from_a_pipe_whose_length_was_not_known_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(2, samples=500), 8_000)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + b"\xff\xff\xff\xff" + whole[44:])
    np.testing.assert_array_equal(audio.read(path), noise(2, samples=500))


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    audio.write(path, noise(3, samples=50), 8_000)
    before = path.read_bytes()

    def full(file: str | bytes, *_: object, **__: object) -> None:
        Path(os.fsdecode(file)).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OSError, match="No space left"):
        audio.write(path, noise(4, samples=50), 8_000)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


def test_an_error_of_the_sound_library_while_writing_is_an_os_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "write", broken)
    with pytest.raises(OSError, match=r"a\.wav can't be written \(.+\): is the disk full"):
        audio.write(tmp_path / "a.wav", noise(4, samples=50), 8_000)
    assert not list(tmp_path.iterdir())


@settings(max_examples=40)
@given(
    samples=st.integers(0, 3_000),
    rates=st.tuples(
        st.sampled_from([8_000, 11_025, 44_100, 48_000]), st.sampled_from([7_999, 16_000, 44_100])
    ),
    channels=st.integers(1, 3),
)
def test_resampling_gives_the_nearest_length_and_keeps_the_channels(
    samples: int, rates: tuple[int, int], channels: int
) -> None:
    out = audio.resample(noise(0, channels, samples), *rates)
    assert out.shape == (channels, round(samples * rates[1] / rates[0]))
    assert out.dtype == np.float32


def test_resampling_to_the_same_rate_is_the_same_array() -> None:
    signal = noise(0)
    assert audio.resample(signal, 8_000, 8_000) is signal


def test_resampling_keeps_a_tone_at_its_frequency_and_amplitude() -> None:
    signal = audio.resample(tone(1_000.0, 16_000, 16_000), 16_000, 12_000)
    expected = tone(1_000.0, 12_000, 12_000)
    np.testing.assert_allclose(signal[:, 500:-500], expected[:, 500:-500], atol=1e-4)


@given(st.integers(0, 9), st.integers(0, 9))
def test_fitting_a_length_cuts_or_pads_zeros_at_the_end(samples: int, wanted: int) -> None:
    signal = np.arange(1, samples + 1, dtype=np.float32)[None]
    fitted = audio.fit_length(signal, wanted)
    assert fitted.tolist() == [[*range(1, min(samples, wanted) + 1), *[0] * (wanted - samples)]]


def test_seconds_are_samples_over_rate() -> None:
    assert audio.AudioInfo(12_000, 8_000, 2, "PCM_16", "WAV").seconds == 1.5


def test_a_sound_much_larger_than_its_file_is_read_whole(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.flac", 5 * 2**18 + 77
    silence = np.zeros((samples, 2), np.int16)
    silence[-1] = 2**14
    soundfile.write(path, silence, 44_100)
    assert path.stat().st_size < 4 * samples / 50
    np.testing.assert_array_equal(audio.read(path) * 2**15, silence.T)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_as_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(
        ValueError, match=r"a\.wav is a pipe or device, not a sound file: save the sound"
    ):
        audio.read(tmp_path / "a.wav")


def test_the_same_sound_is_the_same_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", noise(0, samples=100), 8_000, "FLOAT")
    content = (tmp_path / "a.wav").read_bytes()
    place = content.index(b"PEAK") + 12
    assert content[place : place + 4] == bytes(4)
