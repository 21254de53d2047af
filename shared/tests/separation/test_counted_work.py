"""What more of a song takes from file to files, counted: of a longer song, less of a shorter."""

from pathlib import Path

import pytest
import soundfile
from counted_work import COUNTABLE, Work, work_of
from tiny_models import Through
from tiny_songs import noise

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation import Delivery, separate_file

RATE, BLOCK, BLOCKS = 44_100, 2**16, 8
FILE = 2 * 2 * BLOCK  # bytes of a block in a file of 16 bits
WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")
CHUNKS = InferenceConfig(BLOCK / RATE, 0.5, 0.0, "triangle", "none")


def per_block(folder: Path, inference: InferenceConfig, delivery: Delivery) -> Work:
    """Bytes in those of a block of the song, and calls, for each block more."""
    model = Through(2, RATE)

    def separating(blocks: int) -> Work:
        song = folder / f"{blocks}.wav"
        soundfile.write(song, noise(0, 2, blocks * BLOCK, 0.05).T, RATE, subtype="PCM_16")
        return work_of(lambda: separate_file(model, song, folder / "out", inference, delivery))

    more = separating(2 * BLOCKS) - separating(BLOCKS)
    return Work(*(round(n / BLOCKS / unit) for n, unit in zip(more, (FILE, FILE, 1), strict=True)))


@pytest.mark.skipif(not COUNTABLE, reason="no counts of this system")
@pytest.mark.parametrize(
    ("inference", "delivery", "expected"),
    [
        (WHOLE, Delivery(), Work(read=1, written=2, calls=25)),
        (CHUNKS, Delivery(), Work(read=1, written=2, calls=73)),
        # The mixture is read beside its stems, and again, as the stems are, to add them up.
        (WHOLE, Delivery(lossless="mask"), Work(read=5, written=2, calls=90)),
        (CHUNKS, Delivery(lossless="rerun"), Work(read=5, written=2, calls=227)),
    ],
)
def test_a_block_more_takes_no_more_than_it_did(
    tmp_path: Path, inference: InferenceConfig, delivery: Delivery, expected: Work
) -> None:
    found = per_block(tmp_path, inference, delivery)
    assert found[:2] == expected[:2]
    assert abs(found.calls - expected.calls) <= 0.1 * expected.calls
