"""Every reader and writer: length, rate, channels, sample format, and, lossless, the sum."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import CHUNKS, WHOLE, OneStem, Through, Uneven

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.separate import separate_file

READERS = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("wav", "ULAW"),
    ("flac", "PCM_S8"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("aiff", "PCM_S8"),
    ("aiff", "PCM_16"),
    ("aiff", "PCM_24"),
    ("aiff", "FLOAT"),
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
]
NATIVE = {"PCM_24": "PCM_24", "PCM_32": "PCM_32", "FLOAT": "FLOAT", "DOUBLE": "DOUBLE"}
FULL_SCALE = {"PCM_16": 2**15, "PCM_24": 2**23, "PCM_32": 2**31}


def total(paths: list[Path]) -> NDArray[np.float64]:
    """(channel, sample) the sum of files, in float64 and their order."""
    return sum(soundfile.read(path, always_2d=True)[0].T for path in paths)


@settings(max_examples=60)
@given(
    reader=st.sampled_from(READERS),
    samples=st.integers(1, 3_000),
    rate=st.sampled_from([8_000, 44_100, 48_000]),
    channels=st.integers(1, 2),
    model=st.sampled_from([Through, Uneven, OneStem]),
    of_model=st.integers(1, 2),
    lossless=st.sampled_from([None, "mask", "rerun"]),
    inference=st.sampled_from([WHOLE, CHUNKS]),
)
def test_files_have_the_songs_length_rate_channels_and_format_and_lossless_its_sum(
    tmp_path_factory: pytest.TempPathFactory,
    reader: tuple[str, str],
    samples: int,
    rate: int,
    channels: int,
    model: type[Through],
    of_model: int,
    lossless: str | None,
    inference: InferenceConfig,
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    suffix, subtype = reader
    song = folder / f"song.{suffix}"
    sound = 0.3 * np.random.default_rng(samples).standard_normal((samples, channels))
    soundfile.write(song, sound.clip(-1, 0.99), rate, subtype=subtype)
    found = soundfile.info(song)
    done = separate_file(
        model(of_model, 8_000), song, folder, inference, Delivery(lossless=lossless)
    )
    written = {soundfile.info(path).subtype for path in done.paths.values()}
    for path in done.paths.values():
        about = soundfile.info(path)
        assert path.suffix == (".flac" if suffix == "flac" else ".wav")
        assert (about.frames, about.samplerate, about.channels) == (found.frames, rate, channels)
    [subtype] = written
    clipped = any("full scale" in note or "exceeds" in note for note in done.notes)
    wanted = NATIVE.get(reader[1], "PCM_16")
    wider = lossless and wanted == "FLOAT"
    assert subtype == wanted or clipped or (wider and subtype == "DOUBLE")
    assert done.joint_gain_db == 0.0 or not lossless
    if lossless is None:
        assert done.null_depth_dbfs is None
        return
    heard = soundfile.read(song, always_2d=True)[0].T
    depth = np.abs(total([*done.paths.values()]) - heard).max()
    if reader[1] in ("VORBIS", "MPEG_LAYER_III"):  # their sum is the song in 16 bits
        rounded = np.rint(heard * 2**15) / 2**15
        assert np.array_equal(total([*done.paths.values()]), rounded)
        return
    if reader[1] == "DOUBLE":
        assert depth <= 2.0**-51
        return
    assert depth == 0.0 and done.null_depth_dbfs == -math.inf
