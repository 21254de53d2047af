"""From a sound file to stem files: length, rate, channels, sample format, sums, faults."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import noise
from torch import Tensor, nn

from mss_shared import audio
from mss_shared.delivery import Delivery
from mss_shared.recipe import InferenceConfig
from mss_shared.stems import separate_file

RATE = 1_000
WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")
CHUNKS = InferenceConfig(0.1, 0.5, 0.0, "triangle", "none")


class Through(nn.Module):
    """Returns its input as the first stem and its negative half as the second."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__()
        self.stems = ("vocals", "drums")
        self.sample_rate = sample_rate
        self.channels = channels
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, mixture: Tensor) -> Tensor:
        return self.gain * torch.stack([mixture, -0.5 * mixture], dim=1)


class Uneven(Through):
    """Three stems that have little to do with each other and lack much of the mixture."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__(channels, sample_rate)
        self.stems = ("vocals", "drums", "other")

    def forward(self, mixture: Tensor) -> Tensor:
        stems = [0.9 * mixture, 0.3 * mixture.roll(1, -1), -0.4 * mixture.abs()]
        return self.gain * torch.stack(stems, dim=1)


class OneStem(Through):
    """Half of its input, as the only stem."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__(channels, sample_rate)
        self.stems = ("vocals",)

    def forward(self, mixture: Tensor) -> Tensor:
        return 0.5 * self.gain * mixture[:, None]


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 400),
    rate=st.sampled_from([RATE, 2 * RATE, 441, 3_000]),
    channels=st.integers(1, 2),
    suffix=st.sampled_from(["wav", "flac"]),
)
def test_stems_of_a_file_have_its_length_rate_and_channels(
    tmp_path_factory: pytest.TempPathFactory, samples: int, rate: int, channels: int, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("file")
    audio.write(folder / f"song.{suffix}", noise(0, channels, samples, 0.05), rate)
    written = separate_file(
        Through(), folder / f"song.{suffix}", folder / "out", WHOLE, Delivery()
    ).paths.values()
    assert [path.name for path in written] == [f"vocals.{suffix}", f"drums.{suffix}"]
    for path in written:
        found = audio.info(path)
        assert (found.samples, found.sample_rate, found.channels) == (samples, rate, channels)


def test_a_file_at_the_models_rate_comes_back_exactly(tmp_path: Path) -> None:
    for channels in (1, 2):
        song = noise(0, channels, 300)
        audio.write(tmp_path / "song.wav", song, RATE)
        separate_file(Through(), tmp_path / "song.wav", tmp_path, WHOLE, Delivery())
        np.testing.assert_array_equal(audio.read(tmp_path / "song/vocals.wav"), song)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("PCM_U8", "PCM_16"),
        ("PCM_16", "PCM_16"),
        ("PCM_24", "PCM_24"),
        ("PCM_32", "PCM_32"),
        ("FLOAT", "FLOAT"),
        ("DOUBLE", "DOUBLE"),
    ],
)
def test_stems_are_written_in_the_nearest_sample_format(
    tmp_path: Path, theirs: str, ours: str
) -> None:
    soundfile.write(tmp_path / "song.wav", noise(0, samples=100).T, RATE, subtype=theirs)
    written = [
        *separate_file(Through(), tmp_path / "song.wav", tmp_path, WHOLE, Delivery()).paths.values()
    ]
    assert {audio.info(path).subtype for path in written} == {ours}


def test_a_stem_beyond_full_scale_is_written_in_float_and_said(tmp_path: Path) -> None:
    model = Through()
    nn.init.constant_(model.gain, 3.0)
    song = np.full((2, 100), 0.5, np.float32)
    audio.write(tmp_path / "song.wav", song, RATE)
    done = separate_file(model, tmp_path / "song.wav", tmp_path, WHOLE, Delivery())
    assert done.notes == ("a stem exceeds full scale, written as 32-bit float",)
    np.testing.assert_allclose(audio.read(tmp_path / "song/vocals.wav"), 3 * song, rtol=1e-6)


def test_a_stem_that_resampling_lifts_beyond_full_scale_is_written_in_float(
    tmp_path: Path,
) -> None:
    # A full-scale square wave overshoots once its highest partials are gone.
    square = np.sign(np.sin(2 * np.pi * 50 * np.arange(4_000) / 2_000 + 0.1))
    audio.write(tmp_path / "song.wav", np.tile(square, (2, 1)).astype(np.float32), 2_000)

    class Bounded(Through):
        def forward(self, mixture: Tensor) -> Tensor:
            return super().forward(mixture).clamp(-1.0, 1.0)

    written = [
        *separate_file(Bounded(), tmp_path / "song.wav", tmp_path, WHOLE, Delivery()).paths.values()
    ]
    assert len(written) == 2
    assert np.abs(audio.read(written[0])).max() > 1.0


def test_inference_options_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WHOLE.overlap = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("start", "seconds", "kept"),
    [
        (0.0, None, (0, 800)),
        (0.2, None, (200, 800)),
        (0.4, 0.2, (400, 600)),
        (0.72, 9.0, (720, 800)),
    ],
)
def test_a_part_of_a_file_is_separated(
    start: float, seconds: float | None, kept: tuple[int, int], tmp_path: Path
) -> None:
    signal = noise(3, samples=800)
    audio.write(tmp_path / "song.wav", signal, RATE)
    written = [
        *separate_file(
            Through(),
            tmp_path / "song.wav",
            tmp_path,
            WHOLE,
            Delivery(),
            part_seconds=(start, seconds),
        ).paths.values()
    ]
    assert np.array_equal(audio.read(written[0]), signal[:, slice(*kept)])


@pytest.mark.parametrize(
    ("start", "seconds", "message"),
    [
        (0.9, None, "lasts 0.8 s and the part starts at 0.9 s"),
        (-1.0, None, "give --start of 0 or more"),
        (0.0, 0.0, "--duration above 0"),
    ],
)
def test_a_part_outside_the_file_is_refused(
    start: float, seconds: float | None, message: str, tmp_path: Path
) -> None:
    audio.write(tmp_path / "song.wav", noise(3, samples=800), RATE)
    with pytest.raises(ValueError, match=message):
        separate_file(
            Through(),
            tmp_path / "song.wav",
            tmp_path,
            WHOLE,
            Delivery(),
            part_seconds=(start, seconds),
        )
