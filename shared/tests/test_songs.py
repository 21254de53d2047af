"""Songs as streams: pieces by position, bounded memory, rates changed on the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_songs import noise

from mss_shared import audio
from mss_shared.separation.channels import channel_groups, to_model
from mss_shared.separation.songs import Sliding, open_song, resampled, resampled_length


def cut(sound: NDArray[np.float32], lengths: list[int]) -> Iterator[NDArray[np.float32]]:
    start, number = 0, 0
    while start < sound.shape[-1]:
        length = lengths[number % len(lengths)]
        yield sound[..., start : start + length]
        start, number = start + length, number + 1


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 500),
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    reads=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60)), max_size=20),
)
def test_pieces_of_a_stream_are_those_of_the_whole(
    samples: int, lengths: list[int], reads: list[tuple[int, int]]
) -> None:
    sound = noise(1, 2, samples)
    window = Sliding(cut(sound, lengths), 100)
    start = 0
    for step, count in reads:
        start = min(start + step, samples - 1)
        count = min(count, samples - start)
        assert np.array_equal(window.read(start, count), sound[:, start : start + count])


def test_a_stream_forgets_what_lies_far_behind_and_reads_no_further_than_asked() -> None:
    pulled = []

    def blocks() -> Iterator[NDArray[np.float32]]:
        for number in range(1_000):
            pulled.append(number)
            yield np.full((2, 10), number, np.float32)

    window = Sliding(blocks(), keep=50)
    for start in range(0, 9_000, 25):
        window.read(start, 40)
        assert len(pulled) * 10 < start + 40 + 10
        assert sum(part.shape[-1] for part in window.parts) <= 60
    with pytest.raises(AssertionError, match="forgotten"):
        window.read(100, 10)


@settings(max_examples=30, deadline=None)
@given(
    samples=st.integers(1, 20_000),
    rates=st.sampled_from([(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (192_000, 44_100)]),
    lengths=st.lists(st.integers(1, 9_000), min_size=1, max_size=3),
)
def test_a_stream_is_resampled_as_the_whole_and_to_the_length_asked_for(
    samples: int, rates: tuple[int, int], lengths: list[int]
) -> None:
    sound = noise(samples, 2, samples, 0.1)
    length = resampled_length(samples, *rates)
    blocks = [*resampled(cut(sound, lengths), *rates, length)]
    found = np.concatenate(blocks, axis=-1)
    assert found.shape == (2, length) and found.dtype == np.float32
    wanted = audio.resample(sound, *rates)
    common = min(length, wanted.shape[1])
    np.testing.assert_allclose(found[:, :common], wanted[:, :common], atol=2e-6)


@given(samples=st.integers(1, 10**9), rate=st.sampled_from([8_000, 22_050, 48_000, 192_000]))
def test_the_way_to_the_models_rate_and_back_has_every_sample(samples: int, rate: int) -> None:
    there = resampled_length(samples, rate, 44_100)
    assert there >= 1 and there * rate >= samples * 44_100 > (there - 1) * rate


def test_blocks_of_a_file_are_its_samples_in_float64(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (2, 150_000)) / 2**31
    soundfile.write(tmp_path / "song.wav", values.T, 44_100, subtype="PCM_32")
    with open_song(tmp_path / "song.wav", (1.0, 2.0)) as song:
        blocks = [*song.blocks()]
        assert (song.samples, song.channels, song.subtype) == (88_200, 2, "PCM_32")
        assert len(blocks) == 2 and blocks[0].dtype == np.float64
        assert np.array_equal(np.concatenate(blocks, axis=1), values[:, 44_100:132_300])
        assert np.array_equal(next(song.blocks()), blocks[0])  # from the beginning again


@pytest.mark.parametrize(
    ("channels", "of_model", "groups"),
    [
        (1, 2, [(0,)]),
        (2, 2, [(0, 1)]),
        (3, 2, [(0, 1), (2,)]),
        (6, 2, [(0, 1), (2, 3), (4, 5)]),
        (2, 1, [(0,), (1,)]),
    ],
)
def test_channels_go_through_the_model_in_turn_and_a_lone_one_twice(
    channels: int, of_model: int, groups: list[tuple[int, ...]]
) -> None:
    assert channel_groups(channels, of_model) == groups
    sound = torch.from_numpy(noise(0, channels, 5))
    for group, found in zip(groups, to_model(sound, of_model), strict=True):
        assert torch.equal(found[: len(group)], sound[list(group)])
        assert torch.equal(found[-1], sound[group[-1]])
