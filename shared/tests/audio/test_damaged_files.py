"""Files that are as long as they say and were damaged on the way: refused, never read shorter."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import noise
from tiny_sounds import write_av

from mss_shared import audio

av = pytest.importorskip("av")

SECONDS, RATE = 10, 48_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def written(folder: Path, suffix: str) -> Path:
    """A whole file of ten seconds."""
    path = folder / f"whole.{suffix}"
    codec, kind = {"webm": ("libopus", "flt"), "mkv": ("pcm_s16le", "s16")}.get(
        suffix, ("aac", "fltp")
    )
    values = noise(0, 2, SECONDS * RATE)
    if kind == "s16":
        values = np.rint(values.clip(-1, 1) * 2**14).astype(np.int16)
    if not path.exists():
        write_av(path, [values.astype(np.int16 if kind == "s16" else np.float32)], codec, kind,
                 rate=RATE)  # fmt: skip
    return path


@settings(max_examples=40)
@given(suffix=st.sampled_from(["webm", "mkv", "m4a", "flv"]), place=st.floats(0.0, 0.97))
def test_a_file_with_a_hole_is_refused_or_as_long_as_before(
    folder: Path, suffix: str, place: float
) -> None:
    path = written(folder, suffix)
    content = bytearray(path.read_bytes())
    at = int(place * (len(content) - 3_000))
    content[at : at + 3_000] = bytes(3_000)
    damaged = folder / f"damaged.{suffix}"
    damaged.write_bytes(content)
    samples = audio.info(path).samples
    try:
        left = audio.info(damaged).samples
    except ValueError as error:
        assert str(damaged) in str(error) and ": " in str(error) and "\n" not in str(error)
    else:
        assert left >= samples - RATE // 10


def test_a_hole_in_the_middle_is_told_with_what_is_lost(folder: Path, tmp_path: Path) -> None:
    content = bytearray(written(folder, "webm").read_bytes())
    content[len(content) // 3 : len(content) // 3 + 3_000] = bytes(3_000)
    (tmp_path / "a.webm").write_bytes(content)
    said = r"a\.webm lacks \d\.\d{3} s of sound in the first \d\.\d{3} s: the file is damaged, rep"
    with pytest.raises(ValueError, match=said):
        audio.info(tmp_path / "a.webm")


def test_a_hole_up_to_the_end_is_told(folder: Path, tmp_path: Path) -> None:
    content = bytearray(written(folder, "mkv").read_bytes())
    content[len(content) - 90_000 : len(content) - 2_000] = bytes(88_000)
    (tmp_path / "a.mkv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mkv holds 9\.\d+ of the 10\.000 s its header prom"):
        audio.info(tmp_path / "a.mkv")
