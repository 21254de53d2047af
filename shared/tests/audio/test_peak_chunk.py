"""The same sound is the same bytes, whenever it is written."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_songs import RATE, noise

from mss_shared.audio.peak_chunk import remove_time


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_forget_when_they_were_written(form: str, subtype: str, tmp_path: Path) -> None:
    path, sound = tmp_path / "x.wav", noise(0, samples=100)
    soundfile.write(path, sound.T, RATE, subtype=subtype, format=form)
    content = path.read_bytes()
    place = content.index(b"PEAK") + 12
    path.write_bytes(content[:place] + b"time" + content[place + 4 :])
    remove_time(path)
    assert path.read_bytes() == content[:place] + bytes(4) + content[place + 4 :]
    assert np.array_equal(soundfile.read(path, dtype="float32")[0].T, sound)


@pytest.mark.parametrize(
    ("name", "subtype"), [("x.wav", "PCM_24"), ("x.flac", "PCM_16"), ("x.rf64", "FLOAT")]
)
def test_other_files_stay_as_they_are(name: str, subtype: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / name, noise(0, samples=100).T, RATE, subtype=subtype)
    content = (tmp_path / name).read_bytes()
    remove_time(tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFFxxxxWAVE", b"RIFFxxxxWAVEfmt \xff\xff\xff"]
)
def test_what_is_no_sound_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    remove_time(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content
