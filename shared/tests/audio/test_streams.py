"""Songs as streams: pieces by position, bounded memory, rates changed on the way."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_songs import noise
from torch import Tensor

from mss_shared import audio
from mss_shared.audio.channel_layout import set_mask
from mss_shared.audio.streams import (
    Sliding,
    open_song,
    resampled,
    resampled_length,
    song_from_array,
)
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.channels import channel_groups, to_model
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.separate import separate_file, separate_song


class Split:
    stems = ("vocals", "other")
    sample_rate = 44_100
    channels = 2

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([0.3 * mixture, 0.6 * mixture], dim=1)


def cut(sound: NDArray[np.float32], lengths: list[int]) -> Iterator[NDArray[np.float32]]:
    start, number = 0, 0
    while start < sound.shape[-1]:
        length = lengths[number % len(lengths)]
        yield sound[..., start : start + length]
        start, number = start + length, number + 1


@settings(max_examples=60)
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


@settings(max_examples=30)
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


@pytest.mark.parametrize(("coded", "bits"), [(16, 16), (20, 24), (24, 24), (32, 32)])
def test_apple_lossless_keeps_its_integers_and_its_bits(
    tmp_path: Path, coded: int, bits: int
) -> None:
    # Quiet: libsndfile's own codec breaks noise of full scale.
    values = np.random.default_rng(0).integers(-(2 ** (coded - 7)), 2 ** (coded - 7), (9_000, 2))
    whole = (values << (32 - coded)).astype(np.int32)
    path = tmp_path / "song.caf"
    soundfile.write(path, whole, 44_100, subtype=f"ALAC_{coded}")
    inference = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none")
    done = separate_file(Split(), path, tmp_path, inference, Delivery(lossless="mask"))
    assert done.null_depth_dbfs == -np.inf
    files = [soundfile.SoundFile(each) for each in done.paths.values()]
    assert {file.subtype for file in files} == {f"PCM_{bits}"}
    total = sum(file.read(dtype="int32").astype(np.int64) for file in files)
    np.testing.assert_array_equal(total, whole)
    for file in files:
        file.close()


def test_an_array_as_soundfile_returns_it_is_refused() -> None:
    with pytest.raises(ValueError, match="has 500 channels of 2 samples: pass .* transpose"):
        song_from_array(np.zeros((500, 2), np.float32), 44_100)
    with pytest.raises(ValueError, match="has 65 channels of 500 samples"):
        song_from_array(np.zeros((65, 500), np.float32), 44_100)
    assert song_from_array(np.zeros((64, 500), np.float32), 44_100).channels == 64
    with pytest.raises(ValueError, match="has 9 channels of 2 samples"):
        song_from_array(np.zeros((9, 2), np.float32), 44_100)
    assert song_from_array(np.zeros((2, 1), np.float32), 44_100).channels == 2


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.complex64])
def test_an_array_of_integers_is_refused_with_what_to_divide_by(kind: type) -> None:
    with pytest.raises(ValueError, match=r"has dtype (int|complex)\d+: pass floats .* by 32768"):
        song_from_array(np.ones((2, 500), kind), 44_100)


def test_tensors_that_train_or_have_16_bits_are_songs() -> None:
    sound = torch.ones(2, 9, requires_grad=True)
    for each in (sound, sound.bfloat16(), sound.half()):
        [block] = song_from_array(each, 44_100).blocks()
        assert block.dtype == np.float64 and (block == 1.0).all()


def test_values_too_large_for_sound_are_refused_with_their_place(tmp_path: Path) -> None:
    sound = noise(0, 2, 90_000)
    sound[1, 70_000] = -1e30
    soundfile.write(tmp_path / "song.wav", sound.T, 44_100, subtype="FLOAT")
    said = r"holds 1e\+30 times full scale at sample 70000: repair the file"
    with (
        open_song(tmp_path / "song.wav") as song,
        pytest.raises(ValueError, match=r"song\.wav " + said),
    ):
        [*song.blocks()]
    with pytest.raises(ValueError, match="the mixture " + said):
        song_from_array(sound, 44_100)
    sound[1, 70_000] = 1e6
    assert song_from_array(sound, 44_100).samples == 90_000


def test_a_song_is_named_by_text_as_by_a_path(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", noise(0, 2, 9_000, 0.1).T, 44_100)
    inference = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none")
    found = separate_song(f"{tmp_path}/song.wav", Split(), inference)
    np.testing.assert_array_equal(found, separate_song(tmp_path / "song.wav", Split(), inference))
    done = separate_file(Split(), f"{tmp_path}/song.wav", f"{tmp_path}/out", inference, Delivery())
    assert done.paths["vocals"] == tmp_path / "out/song/vocals.wav"
    with pytest.raises(ValueError, match="lossless is 'foo': choose from mask, rerun"):
        separate_song(f"{tmp_path}/song.wav", Split(), inference, lossless="foo")


def masks(paths: Iterable[Path]) -> set[str]:
    """The format and the mask of wav files, by their bytes."""
    found = set()
    for path in paths:
        header = path.read_bytes()[:200]
        place = header.index(b"fmt ") + 8
        mask = int.from_bytes(header[place + 20 : place + 24], "little")
        found.add(f"{int.from_bytes(header[place : place + 2], 'little'):x} {mask:x}")
    return found


@pytest.mark.parametrize(("channels", "mask"), [(6, 0x60F), (4, 0x33), (3, 0)])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_stems_of_more_than_two_channels_are_for_the_loudspeakers_of_the_song(
    tmp_path: Path, channels: int, mask: int, subtype: str
) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(0, channels, 9_000, 0.1).T, 44_100, subtype, format="WAVEX")
    set_mask(path, mask)
    inference = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none")
    done = separate_file(Split(), path, tmp_path, inference, Delivery(lossless="mask"))
    assert done.null_depth_dbfs == -np.inf
    assert masks(done.paths.values()) == {f"fffe {mask:x}"}
    total = sum(audio.read(each) for each in done.paths.values())
    np.testing.assert_array_equal(total, audio.read(path))


@pytest.mark.parametrize(("suffix", "mask"), [("wav", 0), ("flac", 0x3F)])
def test_a_song_that_names_no_loudspeakers_has_those_of_its_format_or_none(
    tmp_path: Path, suffix: str, mask: int
) -> None:
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(0, 6, 9_000, 0.1).T, 44_100)
    inference = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none")
    done = separate_file(Split(), path, tmp_path / "out", inference, Delivery("wav"))
    assert masks(done.paths.values()) == {f"fffe {mask:x}"}


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
