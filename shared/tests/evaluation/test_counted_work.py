"""What a second more of a song takes to be scored, counted: of a longer, less of a shorter."""

from pathlib import Path

import pytest
import soundfile
from counted_work import COUNTABLE, Work, work_of
from tiny_songs import noise

from mss_shared.datasets.tracks import Sum
from mss_shared.evaluation.batch import Work as Scoring
from mss_shared.evaluation.batch import score_song
from mss_shared.evaluation.file_signals import FileSignals
from mss_shared.evaluation.track_metrics import Engine, Song

RATE, SECONDS, STEMS = 8_000, 20, ("vocals", "drums")


def per_second(folder: Path, protocols: tuple[str, ...]) -> Work:
    """Reads, as often as all of the second's bytes, and calls, for each second more."""

    def scoring(seconds: int) -> Work:
        def signals(side: int) -> FileSignals:
            files = []
            for number, stem in enumerate(STEMS):
                files.append(folder / f"{seconds}_{side}_{stem}.wav")
                values = noise(2 * side + number, 1, seconds * RATE)
                soundfile.write(files[-1], values.T, RATE, subtype="PCM_16")
            return FileSignals(tuple(Sum.of(file) for file in files), 1, seconds * RATE)

        song = Song("song", STEMS, signals(0), signals(1), signals(2), RATE)

        def act() -> None:
            result = score_song(Scoring(song, protocols, False), Engine(workers=1))
            assert not isinstance(result, str), result

        return work_of(act)

    more = scoring(2 * SECONDS) - scoring(SECONDS)
    bytes_of_second = 2 * RATE * 2 * len(STEMS)  # 16 bits, of references and estimates
    return Work(round(more.read / SECONDS / bytes_of_second), 0, round(more.calls / SECONDS))


@pytest.mark.skipif(not COUNTABLE, reason="no counts of this system")
@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        (("usdr",), Work(read=1, written=0, calls=3)),
        (("bsseval_v4",), Work(read=3, written=0, calls=113)),
        (("bsseval_v4", "usdr", "si_sdr"), Work(read=7, written=0, calls=126)),
    ],
)
def test_a_second_more_takes_no_more_than_it_did(
    tmp_path: Path, protocols: tuple[str, ...], expected: Work
) -> None:
    found = per_second(tmp_path, protocols)
    assert found.read == expected.read
    assert abs(found.calls - expected.calls) <= max(1, 0.1 * expected.calls)
