"""How much of a song is in memory at once: a chunk, its estimates, and one sum of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import RATE, Through
from tiny_songs import noise
from torch import Tensor

from mss_shared import audio
from mss_shared.audio.streams import Sliding
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import find_lookback
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.overlap_add import separate, separate_blocks
from mss_shared.separation.separate import separate_file
from mss_shared.testing_memory import peak_bytes

CHUNK = 50_000


class Fourfold(Through):
    """Returns its input as each of four stems."""

    def __init__(self) -> None:
        super().__init__()
        self.stems = ("vocals", "drums", "bass", "other")

    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack([mixture] * 4, dim=1)


@pytest.mark.parametrize("rate", [RATE, 2 * RATE])
def test_a_long_song_takes_the_memory_of_one_chunk(tmp_path: Path, rate: int) -> None:
    seconds = CHUNK / RATE
    config = InferenceConfig(seconds, 0.0, 0.0, "flat", "fit")
    audio.write(tmp_path / "song.wav", noise(0, 2, 4 * CHUNK * rate // RATE, 0.05), rate)
    most = peak_bytes(
        lambda: separate_file(Fourfold(), tmp_path / "song.wav", tmp_path, config, Delivery())
    )
    stem = 2 * CHUNK * 4
    # Four stems estimated and four added up, a chunk of the song, and the weights.
    assert most < 10.5 * stem


def test_stems_in_memory_are_there_once() -> None:
    config = InferenceConfig(CHUNK / RATE, 0.25, 0.0, "triangle", "none")
    song = torch.from_numpy(noise(0, 2, 12 * CHUNK, 0.05).astype(np.float32))
    stem = 2 * CHUNK * 4
    assert peak_bytes(lambda: separate(Fourfold(), song, config)) < (4 * 12 + 14) * stem


@settings(max_examples=60)
@given(
    samples=st.integers(1, 700),
    chunk=st.sampled_from([0.0, 0.017, 0.1, 0.256]),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
    context=st.sampled_from([0.0, 0.004]),
    edges=st.sampled_from(["none", "zeros", "fit", "reflect"]),
    batch=st.integers(1, 3),
)
def test_a_reader_that_forgets_as_it_may_gives_what_a_whole_song_gives(
    samples: int, chunk: float, overlap: float, context: float, edges: str, batch: int
) -> None:
    config = InferenceConfig(chunk, overlap, context, "triangle", edges)
    song = torch.from_numpy(noise(1, 2, samples, 0.05).astype(np.float32))
    stream = iter(song.numpy()[:, at : at + 7] for at in range(0, samples, 7))
    window = Sliding(stream, find_lookback(samples, config, RATE, batch, rerun=False))
    blocks: list[Tensor] = [
        *separate_blocks(Through(), window.tensor, samples, config, batch=batch)
    ]
    assert torch.equal(torch.cat(blocks, dim=-1), separate(Through(), song, config, batch=batch))


def test_chunks_in_order_need_nothing_of_the_past() -> None:
    for edges in ("none", "zeros", "fit"):
        config = InferenceConfig(1.0, 0.5, 0.0, "triangle", edges)
        assert find_lookback(10 * RATE, config, RATE, 1, rerun=False) == 0
        assert find_lookback(10 * RATE, config, RATE, 1, rerun=True) == 5 * RATE
    mirrored = InferenceConfig(1.0, 0.5, 0.0, "triangle", "reflect")
    assert find_lookback(10 * RATE, mirrored, RATE, 1, rerun=False) == 5 * RATE
