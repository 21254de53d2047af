"""From a sound file to stem files: length, rate, channels, sample format, sums, faults."""

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import CHUNKS, RATE, WHOLE, Through, Uneven
from tiny_songs import noise
from torch import Tensor, nn

from mss_shared import audio
from mss_shared.audio import streams
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation import separate as songs_to_stems
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.overlap_add import separate
from mss_shared.separation.separate import iterate_song, separate_file, separate_song


@settings(max_examples=40)
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
    assert done.notes == ("a stem exceeds full scale: written as 32-bit float",)
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


@pytest.mark.parametrize("channels", [3, 8])
def test_more_channels_than_the_model_takes_go_through_it_in_turn(
    tmp_path: Path, channels: int
) -> None:
    song = noise(0, channels, 400, 0.1)
    audio.write(tmp_path / "song.wav", song, RATE)
    for of_model in (1, 2):
        done = separate_file(Through(of_model), tmp_path / "song.wav", tmp_path, CHUNKS, Delivery())
        found = audio.read(done.paths["vocals"])
        np.testing.assert_allclose(found, audio.read(tmp_path / "song.wav"), atol=2.0**-15)
        assert f"{channels} channels through a {of_model}-channel model" in done.notes[0]


def test_a_stem_of_one_channel_is_the_mean_of_what_the_model_made_of_it_twice(
    tmp_path: Path,
) -> None:
    class Sides(Through):
        def forward(self, mixture: Tensor) -> Tensor:
            return super().forward(mixture * torch.tensor([[0.5], [0.25]]))

    audio.write(tmp_path / "song.wav", noise(0, 1, 100, 0.1), RATE, "FLOAT")
    done = separate_file(Sides(), tmp_path / "song.wav", tmp_path, WHOLE, Delivery())
    song = audio.read(tmp_path / "song.wav")
    np.testing.assert_allclose(audio.read(done.paths["vocals"]), 0.375 * song, rtol=1e-6)


def test_streamed_resampling_is_that_of_the_whole_song() -> None:
    song = noise(5, 2, 32_000, 0.1)
    wanted = audio.resample(audio.resample(song, 48_000, 44_100), 44_100, 48_000)
    model = Through(2, 44_100)
    blocks = [*iterate_song(song, model, CHUNKS, sample_rate=48_000)]
    assert len(blocks) > 5
    found = np.concatenate(blocks, axis=-1)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@settings(max_examples=40)
@given(
    samples=st.integers(1, 2_000),
    block=st.integers(20, 300),
    batch=st.integers(1, 3),
    edges=st.sampled_from(["none", "zeros", "reflect"]),
    overlap=st.sampled_from([0.0, 0.5, 0.9]),
    context=st.sampled_from([0.0, 0.02]),
    lossless=st.sampled_from([None, "mask", "rerun"]),
)
def test_a_song_in_blocks_of_any_length_is_that_in_one(
    samples: int,
    block: int,
    batch: int,
    edges: str,
    overlap: float,
    context: float,
    lossless: str | None,
) -> None:
    config = InferenceConfig(0.1, overlap, context, "triangle", edges)
    song = noise(samples, 2, samples, 0.1)
    wanted = separate_song(song, Uneven(), config, lossless=lossless)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK_SAMPLES", block)
        patch.setattr(songs_to_stems, "BLOCK_SAMPLES", block)
        found = separate_song(song, Uneven(), config, lossless=lossless, batch=batch)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    if lossless is None:
        whole = separate(Uneven(), torch.from_numpy(song), config)
        np.testing.assert_array_equal(wanted, whole.numpy())


# What to write


def test_stems_can_be_chosen_and_added_up(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 300, 0.1), RATE)
    delivery = Delivery(
        stems=("vocals",),
        aggregates={"accompaniment": ("drums", "other"), "rest": ("mixture", "-vocals")},
        filename="{song}_{stem}",
    )
    done = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    assert [path.name for path in done.paths.values()] == [
        "song_vocals.wav",
        "song_accompaniment.wav",
        "song_rest.wav",
    ]
    everything = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, Delivery())
    all_stems = {name: audio.read(path) for name, path in everything.paths.items()}
    step = 2.0**-15
    found = {name: audio.read(path) for name, path in done.paths.items()}
    np.testing.assert_array_equal(found["vocals"], all_stems["vocals"])
    both = all_stems["drums"] + all_stems["other"]
    np.testing.assert_allclose(found["accompaniment"], both, atol=1.5 * step)
    rest = audio.read(tmp_path / "song.wav") - all_stems["vocals"]
    np.testing.assert_allclose(found["rest"], rest, atol=step)


@pytest.mark.parametrize(
    ("delivery", "readings"),
    [
        (Delivery(), 1),
        (Delivery(aggregates={"both": ("vocals", "drums")}), 1),
        (Delivery(aggregates={"rest": ("mixture", "-vocals")}), 2),
        (Delivery(lossless="mask"), 3),  # the third to check the sum
    ],
)
def test_a_song_is_read_again_only_for_what_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delivery: Delivery, readings: int
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 300, 0.1), RATE)
    begun: list[Path] = []

    @contextmanager
    def counted(path: Path, part: tuple[float, float | None]) -> Iterator[streams.Song]:
        with streams.open_song(path, part) as song:

            def blocks() -> Iterator[streams.Block]:
                begun.append(path)
                return song.blocks()

            yield dataclasses.replace(song, blocks=blocks)

    monkeypatch.setattr(songs_to_stems, "open_song", counted)
    separate_file(Through(), tmp_path / "song.wav", tmp_path, WHOLE, delivery)
    assert len(begun) == readings


def test_a_sum_of_stems_is_rounded_only_once(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 300, 0.1), RATE)
    delivery = Delivery(subtype="FLOAT", aggregates={"all": Uneven().stems})
    paths = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, WHOLE, delivery).paths
    found = {name: audio.read(path) for name, path in paths.items()}
    stems = [found[name].astype(np.float64) for name in Uneven().stems]
    np.testing.assert_array_equal(found["all"], sum(stems).astype(np.float32))
    assert (found["all"] != sum(found[name] for name in Uneven().stems)).any()


@pytest.mark.parametrize(
    ("delivery", "whole"),
    [
        (Delivery(("same"), lossless="mask", stems=("drums",)), False),
        (
            Delivery(lossless="mask", stems=("vocals",), aggregates={"rest": ("drums", "other")}),
            True,
        ),
        (Delivery(lossless="mask", aggregates={"rest": ("drums", "other")}), True),
        (
            Delivery(
                lossless="mask", stems=("vocals",), aggregates={"rest": ("mixture", "-vocals")}
            ),
            True,
        ),
    ],
)
def test_the_sum_is_checked_over_the_files_that_are_the_song(
    tmp_path: Path, delivery: Delivery, whole: bool
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 300, 0.1), RATE)
    done = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    assert done.null_depth_dbfs == (-math.inf if whole else None)
    assert ("is not checked" in " ".join(done.notes)) != whole


def test_a_stem_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 300, 0.1), RATE)
    for delivery in (Delivery(stems=("piano",)), Delivery(aggregates={"keys": ("piano",)})):
        with pytest.raises(ValueError, match="no stem 'piano': choose from vocals, drums"):
            separate_file(Through(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    with pytest.raises(ValueError, match="two files would be named drums: rename the aggre"):
        delivery = Delivery(aggregates={"drums": ("vocals",)})
        separate_file(Through(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"container": "ogg"}, "container is 'ogg': choose from same, wav"),
        ({"subtype": "PCM_8"}, "subtype is 'PCM_8': choose from PCM_16"),
        ({"lossless": "yes"}, "lossless is 'yes': choose from mask, rerun"),
        ({"container": "mp3", "lossless": "mask"}, "stems in mp3 can't add up"),
        ({"container": "flac", "subtype": "FLOAT"}, "flac can't hold FLOAT: choose PCM_16"),
        ({"filename": "{song}"}, "pattern '{song}' is invalid or lacks {stem}: use"),
        ({"filename": "{stem}{nothing}"}, "is invalid or lacks {stem}: use {song} and"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    settings: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Delivery(**settings)  # type: ignore[arg-type]


def test_arrays_and_files_are_separated_in_memory_whole_or_block_by_block(tmp_path: Path) -> None:
    song = noise(0, 2, 700, 0.1)
    audio.write(tmp_path / "song.wav", song, RATE, "FLOAT")
    wanted = separate_song(song, Uneven(), CHUNKS)
    assert wanted.shape == (3, 2, 700) and wanted.dtype == np.float32
    np.testing.assert_array_equal(separate_song(tmp_path / "song.wav", Uneven(), CHUNKS), wanted)
    np.testing.assert_array_equal(separate_song(torch.from_numpy(song), Uneven(), CHUNKS), wanted)
    blocks = [*iterate_song(song, Uneven(), CHUNKS)]
    assert len(blocks) > 5
    np.testing.assert_array_equal(np.concatenate(blocks, axis=-1), wanted)
    exact = separate_song(song, Uneven(), CHUNKS, lossless="mask")
    np.testing.assert_allclose(exact.sum(axis=0), song, atol=1e-6)
    with pytest.raises(ValueError, match=r"the mixture is \(5,\): pass \(channel, sample\)"):
        separate_song(np.zeros(5, np.float32), Uneven(), CHUNKS)


def test_a_model_that_gives_no_number_is_named(tmp_path: Path) -> None:
    class Broken(Through):
        def forward(self, mixture: Tensor) -> Tensor:
            found = super().forward(mixture)
            found[:, 1, 0, 7] = torch.nan
            return found

    audio.write(tmp_path / "song.wav", noise(0, 2, 50), RATE)
    with pytest.raises(ValueError, match="estimate of drums is NaN or infinite near sample 7: "):
        separate_file(Broken(), tmp_path / "song.wav", tmp_path / "out", WHOLE, Delivery())
    assert not [*(tmp_path / "out").rglob("*.wav")]


class Listening(Through):
    """Writes down how much it was given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.heard.append(mixture.shape[-1])
        return super().forward(mixture)


@pytest.mark.parametrize(
    ("longest", "heard", "said"),
    [(601.0, [601_000], False), (600.0, [320_000] * 2, True), (math.inf, [601_000], False)],
)
def test_a_song_too_long_to_be_taken_at_once_is_cut(
    tmp_path: Path, longest: float, heard: list[int], said: bool
) -> None:
    song = noise(0, samples=601_000)
    audio.write(tmp_path / "set.wav", song, RATE)
    model = Listening()
    done = separate_file(
        model, tmp_path / "set.wav", tmp_path, WHOLE, Delivery(), longest_seconds=longest
    )
    assert model.heard == heard
    assert any("longer than 600 s: separated in pieces of 320 s" in n for n in done.notes) == said
    assert np.array_equal(audio.read(done.paths["vocals"]), song)
