"""What an excerpt takes to be read, counted."""

from pathlib import Path

import pytest
from counted_work import COUNTABLE, work_of
from tiny_songs import RATE, noise, write_track

from mss_shared import open_dataset

STEMS = ("vocals", "drums")


@pytest.mark.skipif(not COUNTABLE, reason="no counts of this system")
def test_an_excerpt_takes_as_much_of_a_long_song_as_of_a_short(tmp_path: Path) -> None:
    found = []
    for seconds in (20, 80):
        samples = seconds * RATE
        stems = {stem: noise(n, samples=samples) for n, stem in enumerate(STEMS)}
        write_track(tmp_path / f"{seconds}/train/song", stems)
        write_track(tmp_path / f"{seconds}/test/song", stems)
        songs = open_dataset(tmp_path / f"{seconds}", chunk_seconds=4.0)
        found.append(work_of(lambda songs=songs: songs[3]))
    short, long = found
    excerpt = 3 * 2 * 4 * 4 * RATE  # mixture and stems, stereo, 32-bit floats
    assert long.calls == short.calls
    assert abs(long.read - short.read) < 0.1 * excerpt  # other threads read as well
    assert short.read < 1.5 * excerpt
