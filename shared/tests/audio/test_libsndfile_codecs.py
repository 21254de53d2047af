"""Every codec of libsndfile: whole, in blocks and in excerpts, also where it can't seek."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mss_shared import audio
from mss_shared.audio import sndfile_reader
from mss_shared.audio.streams import open_song

# RAW has no header, and the header of SD2 is a file of its own.
CODECS = [
    (container, subtype)
    for container in sorted({*soundfile.available_formats()} - {"RAW", "SD2"})
    for subtype in soundfile.available_subtypes(container)
    if soundfile.check_format(container, subtype)
    and not subtype.startswith("MPEG")  # in test_lengths
    and subtype != "DWVW_12"  # libsndfile writes but does not read it
]


@pytest.mark.parametrize(("container", "subtype"), CODECS)
def test_every_part_of_what_libsndfile_writes_is_read(
    tmp_path: Path, container: str, subtype: str
) -> None:
    path, rate = tmp_path / "a", 8_000
    sound = 0.3 * np.sin(2 * np.pi * 200 / rate * np.arange(9_000))
    soundfile.write(path, sound, rate, subtype, format=container)
    whole = audio.read(path)
    assert whole.shape[0] == 1 and 9_000 <= whole.shape[1] == audio.info(path).samples
    assert abs((whole[0, :9_000] * sound).sum() / (sound**2).sum() - 1) < 0.2
    with open_song(path) as song:
        blocks = np.concatenate([*song.blocks()], axis=1)
    np.testing.assert_allclose(blocks, whole, atol=1e-6)
    with audio.open_sound(path) as reader:
        for start in (5_000, 1_234, 0):
            part = reader.read(start, 2_000)
            np.testing.assert_allclose(part, whole[:, start : start + 2_000], atol=2e-7)


def test_codecs_that_libsndfile_does_not_seek_in_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for container, subtype in CODECS:
        soundfile.write(path, np.zeros(2_000), 8_000, subtype, format=container)
        with soundfile.SoundFile(path) as file:
            assert file.seekable() or subtype in sndfile_reader._STATEFUL
