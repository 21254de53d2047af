"""Files that are encoded side by side: the same bytes, and an end of all when one fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_songs import noise
from torch import Tensor

from mss_shared import audio
from mss_shared.audio import streams
from mss_shared.audio.formats import SPOOL, Format
from mss_shared.audio.streams import BLOCK_SAMPLES
from mss_shared.audio.writer import SoundWriter
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.output import stem_files
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.output.stem_files import StemFiles
from mss_shared.separation.separate import separate_file

RATE = 8_000
BLOCKS = 5


class Parts:
    """A part of the mixture per stem; twice full scale in the second."""

    stems = ("vocals", "drums", "bass", "other")
    sample_rate, channels = RATE, 2

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([share * mixture for share in (0.5, 4.0, 0.25, 0.125)], dim=1)


@pytest.mark.parametrize("container", ["wav", "flac", "mp3"])
def test_files_are_the_same_in_any_number_of_threads(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song.wav"
    audio.write(song, noise(0, 2, 150_000, 0.1), 11_025)
    delivery = Delivery(container, subtype=None if container == "mp3" else "PCM_16")
    made = []
    for count in (1, 3):
        for module in (stem_files, streams):
            monkeypatch.setattr(module, "cpu_count", lambda count=count: count)
        chunks = InferenceConfig(1.0, 0.5, 0.0, "triangle", "none")
        done = separate_file(Parts(), song, tmp_path / str(count), chunks, delivery)
        made.append([path.read_bytes() for path in done.paths.values()])
    assert made[0] == made[1] and len({*made[0]}) == 4


@pytest.mark.parametrize("failed", ["a.wav", "b.wav"])
def test_when_one_file_fails_the_others_end_at_their_next_block(
    failed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = SoundWriter.write, []
    monkeypatch.setattr(stem_files, "cpu_count", lambda: 2)
    with StemFiles([tmp_path / "a.wav", tmp_path / "b.wav"], SPOOL, RATE, 1, 9) as files:
        files.write(np.zeros((2, 1, BLOCKS * BLOCK_SAMPLES)))

        def failing(writer: SoundWriter, values: NDArray[np.floating]) -> None:
            if writer.target.name == failed:
                raise OSError("the disk is gone")
            written.append(values)
            files._stop.wait(10)
            write(writer, values)

        monkeypatch.setattr(SoundWriter, "write", failing)
        with pytest.raises(OSError, match="the disk is gone"):
            files.change_format(Format("FLAC", "PCM_16"))
        files.discard()
    assert len(written) < 2 and not [*tmp_path.iterdir()]
