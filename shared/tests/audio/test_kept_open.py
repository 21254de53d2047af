"""Excerpts of files that stay open."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mss_shared import audio
from mss_shared.audio import kept_open
from mss_shared.audio.kept_open import KeptOpen
from mss_shared.audio.sndfile_reader import Reader

RATE, SAMPLES = 8_000, 9_000
FORMS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    noise = 0.1 * np.random.default_rng(0).standard_normal((SAMPLES, 2))
    for suffix, subtype in FORMS.items():
        soundfile.write(tmp_path / f"noise.{suffix}", noise, RATE, subtype=subtype)
    return [tmp_path / f"noise.{suffix}" for suffix in FORMS]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened, and under "closed" how many were closed."""
    counts: Counter[str] = Counter()

    @contextmanager
    def counting(path: Path) -> Iterator[Reader]:
        counts[path.suffix[1:]] += 1
        with audio.reader.open_sound(path) as sound:
            yield sound
        counts["closed"] += 1

    monkeypatch.setattr(kept_open, "open_sound", counting)
    return counts


def test_each_file_is_opened_once_and_read_as_if_alone(
    paths: list[Path], opened: Counter[str]
) -> None:
    rng = np.random.default_rng(1)
    wanted = [
        (path, int(start), 500) for start in rng.integers(0, SAMPLES - 500, 40) for path in paths
    ]
    with KeptOpen() as kept, ThreadPoolExecutor(4) as pool:
        assert [kept.samples(path) for path in paths] == [SAMPLES] * len(paths)
        found = [*pool.map(lambda excerpt: kept.read(*excerpt), wanted)]
    for excerpt, values in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(values, audio.read(*excerpt))
    assert opened == dict.fromkeys(FORMS, 1) | {"closed": len(paths)}


def test_files_beyond_the_limit_are_opened_for_each_excerpt(
    paths: list[Path], opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_open, "MOST", 1)
    with KeptOpen() as kept:
        for _ in range(3):
            for path in paths:
                np.testing.assert_array_equal(kept.read(path, 5, 10), audio.read(path, 5, 10))
        assert [opened[suffix] for suffix in FORMS] == [1, 3, 3]
        assert opened["closed"] == 6


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_file_that_is_replaced_or_gone_is_an_error(
    suffix: str, subtype: str, paths: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / f"noise.{suffix}"
    other = tmp_path / f"other.{suffix}"
    form = "PCM_24" if (suffix, subtype) == ("flac", "FLOAT") else subtype
    soundfile.write(other, np.zeros((SAMPLES, 2)), RATE, subtype=form)
    with KeptOpen() as kept:
        kept.read(path, 0, 10)
        other.rename(path)
        with pytest.raises(ValueError, match=rf"noise\.{suffix} was changed while it was read"):
            kept.read(path, 10, 10)
        path.unlink()
        with pytest.raises((FileNotFoundError, ValueError)):
            kept.read(path, 20, 10)
