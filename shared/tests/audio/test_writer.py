"""A file written block by block: what was written comes back, and its name comes last."""

import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_songs import RATE, noise

from mss_shared import audio
from mss_shared.audio import writer
from mss_shared.audio.formats import MP3, PCM_BITS, SPOOL, Format, encode_pcm
from mss_shared.audio.tags import Tags
from mss_shared.audio.writer import SoundWriter, read_back

SAMPLES = 70_001
PCM = [Format(kind, name) for kind, name in (("WAV", "PCM_16"), ("WAV", "PCM_24"))]
PCM += [Format("WAV", "PCM_32"), Format("FLAC", "PCM_16"), Format("FLAC", "PCM_24")]
FLOATS = [SPOOL, Format("WAV", "DOUBLE")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def steps(subtype: str) -> np.ndarray:
    """(channel, sample) all kinds of multiples of a format's step, both ends among them."""
    full = 2 ** (PCM_BITS[subtype] - 1)
    values = np.random.default_rng(0).integers(-full, full, (2, SAMPLES))
    values[:, :2] = -full, full - 1
    return values / full


@pytest.mark.parametrize("form", PCM, ids=str)
def test_multiples_of_the_step_come_back_exactly(form: Format, tmp_path: Path) -> None:
    sound, target = steps(form.subtype), tmp_path / f"a{form.suffix}"
    writer = SoundWriter(target, form, RATE, 2, SAMPLES)
    for first, last in ((0, 1), (1, 66_000), (66_000, SAMPLES)):
        writer.write(sound[:, first:last])
    writer.close()
    assert not target.exists()
    writer.finish_header()
    writer.part.rename(writer.target)
    writer.discard()
    assert names(tmp_path) == [target.name] and soundfile.info(target).subtype == form.subtype
    assert np.array_equal(np.concatenate([*read_back(target)], axis=1), sound)


@pytest.mark.parametrize("form", FLOATS, ids=str)
def test_floats_beyond_full_scale_come_back_exactly(form: Format, tmp_path: Path) -> None:
    sound = 5.0 * noise(0, 2, SAMPLES).astype(np.float64)
    writer = SoundWriter(tmp_path / "a.wav", form, RATE, 2, SAMPLES)
    writer.write(sound)
    writer.close()
    kept = sound.astype(np.float32) if form == SPOOL else sound
    assert np.array_equal(np.concatenate([*read_back(writer.part)], axis=1), kept)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_file_in_blocks_is_the_file_written_at_once(
    suffix: str, subtype: str, tmp_path: Path
) -> None:
    sound = noise(0, 2, SAMPLES, 0.1)
    audio.write(tmp_path / f"once.{suffix}", sound, RATE, subtype)
    writer = SoundWriter(
        tmp_path / f"blocks.{suffix}", Format(suffix.upper(), subtype), RATE, 2, SAMPLES
    )
    writer.write(sound.astype(np.float64))
    writer.close()
    assert writer.part.read_bytes() == (tmp_path / f"once.{suffix}").read_bytes()


def test_another_format_takes_over_what_was_written_times_the_gain(tmp_path: Path) -> None:
    sound = steps("PCM_16")
    writer = SoundWriter(tmp_path / "a.flac", SPOOL, RATE, 2, SAMPLES)
    writer.write(2.0 * sound[:, :9])
    writer.change_format(Format("FLAC", "PCM_16"), 0.5)
    writer.write(sound[:, 9:])
    writer.close()
    assert names(tmp_path) == [writer.part.name] and writer.part.suffix == ".flac"
    assert np.array_equal(np.concatenate([*read_back(writer.part)], axis=1), sound)


@pytest.mark.parametrize("form", [*PCM, *FLOATS], ids=str)
@pytest.mark.parametrize("arrived", [1, 9, 11])
def test_another_length_than_promised_is_refused_and_leaves_nothing(
    form: Format, arrived: int, tmp_path: Path
) -> None:
    writer = SoundWriter(tmp_path / "a.wav", form, RATE, 2, 10)
    writer.write(np.zeros((2, arrived)))
    with pytest.raises(OSError, match=rf"a\.wav can't be written \({arrived} of 10 samples"):
        writer.close()
    writer.discard()
    assert not names(tmp_path)


def test_a_format_that_lacks_the_channels_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mp3 can't hold 5 channels at 8000 Hz .*: write wav"):
        SoundWriter(tmp_path / "a.mp3", MP3, RATE, 5, 10)
    assert not names(tmp_path)


def test_a_file_that_cannot_be_opened_is_no_fault_of_its_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "native_name", lambda part: str(tmp_path / "gone" / part.name))
    with pytest.raises(
        OSError, match=r"a.wav can't be opened for writing \(.*\): check the folder"
    ):
        SoundWriter(tmp_path / "a.wav", PCM[0], RATE, 2, SAMPLES)
    assert names(tmp_path) == []


def test_the_loudspeakers_are_in_the_header(tmp_path: Path) -> None:
    writer = SoundWriter(tmp_path / "a.wav", SPOOL, RATE, 6, 10)
    writer.write(np.zeros((6, 10)))
    writer.close()
    writer.finish_header(0x3F)
    assert audio.info(writer.part).channel_mask == 0x3F


@given(
    subtype=st.sampled_from([*PCM_BITS]),
    value=st.floats(-3.0, 3.0, width=32)
    | st.floats(-3.0, 3.0)
    | st.sampled_from([3e38, -math.inf]),
    kind=st.sampled_from([np.float64, np.float32]),
)
def test_integers_are_the_nearest_within_full_scale(
    subtype: str, value: float, kind: type[np.floating]
) -> None:
    bits = PCM_BITS[subtype]
    full = 2 ** (bits - 1)
    given_value = np.array([value], kind)
    encoded = encode_pcm(given_value, subtype)
    [found] = encoded.astype(np.int64) // (256 if bits == 24 else 1)
    within = min(max(float(given_value[0]), -1.0), 1.0)
    assert found == min(round(within * full), full - 1)
    assert encoded.itemsize == (2 if bits == 16 else 4)
    assert given_value[0] == kind(value)  # as it was


ODD_NAMES = st.binary(min_size=1, max_size=60).filter(
    lambda name: not {0, 47} & {*name} and name not in (b".", b"..")
)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
@given(
    form=st.sampled_from([*PCM, *FLOATS]),
    channels=st.integers(1, 8),
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=5),
    rate=st.sampled_from([1, 8_000, 44_100, 96_000, 655_350]),
    name=ODD_NAMES,
    title=st.text(max_size=60),
    reference=st.none() | st.integers(0, 2**64 - 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_is_read_again(
    form: Format,
    channels: int,
    lengths: list[int],
    rate: int,
    name: bytes,
    title: str,
    reference: int | None,
    seed: int,
    tmp_path: Path,
) -> None:
    samples, bits = sum(lengths), PCM_BITS.get(form.subtype, 24)
    full = 2 ** (bits - 1)
    sound = np.random.default_rng(seed).integers(-full, full, (channels, samples)) / full
    folder = tmp_path / os.fsdecode(name)
    tags = Tags(title.replace("\0", ""), time_reference=reference)
    writer = SoundWriter(folder / f"a{form.suffix}", form, rate, channels, samples, tags=tags)
    for last, length in zip(np.cumsum(lengths), lengths, strict=True):
        writer.write(sound[:, last - length : last])
    writer.close()
    writer.finish_header()
    info = audio.info(writer.part)
    assert (info.samples, info.sample_rate, info.channels) == (samples, rate, channels)
    assert info.subtype == form.subtype and not info.notes
    blocks = audio.read_blocks(writer.part, 0, samples, 500)
    assert np.array_equal(np.concatenate([*blocks], axis=1), sound)
    shutil.rmtree(folder)


@pytest.mark.parametrize("step", ["close", "change_format"])
def test_a_file_that_lost_its_header_is_named_as_it_is_to_be(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SoundWriter(tmp_path / "a.flac", Format("FLAC", "PCM_16"), RATE, 2, SAMPLES)
    writer.write(steps("PCM_16"))
    close = writer._close

    def lose() -> None:
        close()
        writer.part.write_bytes(b"")

    monkeypatch.setattr(writer, "_close", lose)
    with pytest.raises(OSError, match=r"a\.flac can't be written .*: is the disk full") as caught:
        writer.close() if step == "close" else writer.change_format(SPOOL)
    assert ".part" not in str(caught.value)
    writer.discard()
    assert not names(tmp_path)
