"""Training examples: pure in their number, sums of their stems, each augmentation by its effect."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import RATE, STEMS, make_track, noise, plain_data, tone
from torch.utils.data import DataLoader

from mss_shared.datasets import Track
from mss_shared.training.random_mixes import ConsecutiveChunks, RandomMixes

SIZE = RATE // 10
EVERYTHING = {
    "random_mix_prob": 0.5,
    "time_shift_seconds": 0.05,
    "mixup_prob": (0.5, 0.5),
    "gain_range": (0.25, 1.25),
    "channel_swap_prob": 0.5,
    "polarity_prob": 0.5,
    "silent_stem_prob": 0.2,
    "pitch_shift_prob": 0.5,
    "pitch_shift_semitones": 2.0,
}


def constant(value: float, samples: int = RATE) -> np.ndarray:
    return np.full((2, samples), value, np.float32)


def ramp(step: float = 2.0**-14, samples: int = RATE) -> np.ndarray:
    """Sample n holds n steps, the right channel its negative: a value says where it was read."""
    up = np.arange(samples, dtype=np.float32) * step
    return np.stack([up, -up])


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    """Three songs of noise."""
    root = tmp_path_factory.mktemp("songs")
    return [
        make_track(root / f"song{n}", {s: noise(10 * n + i) for i, s in enumerate(STEMS)})
        for n in range(3)
    ]


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    """Eight songs whose every sample tells its song and stem: song / 32 + stem / 512."""
    root = tmp_path_factory.mktemp("levels")
    return [
        make_track(
            root / f"song{n}",
            {s: constant((n + 1) / 32 + i / 512) for i, s in enumerate(STEMS)},
        )
        for n in range(8)
    ]


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    root = tmp_path_factory.mktemp("ramps")
    return [make_track(root / "song", {"vocals": ramp(), "drums": ramp()})]


def starts(example: dict[str, torch.Tensor], step: float = 2.0**-14) -> list[int]:
    """First sample of each stem's excerpt of a ramp."""
    return [round(float(stem[0, 0]) / step) for stem in example["stems"]]


@settings(max_examples=30)
@given(number=st.integers(0, 2**40), seed=st.integers(0, 2**31))
def test_an_example_depends_on_seed_and_number_alone(
    songs: list[Track], number: int, seed: int
) -> None:
    data = plain_data(**EVERYTHING)
    first, second = (RandomMixes(songs, data, STEMS, seed) for _ in range(2))
    second[number + 1], second[0]  # what was drawn before must not matter
    for key in ("mixture", "stems"):
        assert torch.equal(first[number][key], second[number][key])


def test_other_numbers_and_other_seeds_give_other_examples(songs: list[Track]) -> None:
    data = plain_data()
    mixes = RandomMixes(songs, data, STEMS, 0)
    drawn = [mixes[0], mixes[1], RandomMixes(songs, data, STEMS, 1)[0]]
    for left, right in ((0, 1), (0, 2), (1, 2)):
        assert not torch.equal(drawn[left]["stems"], drawn[right]["stems"])


def test_two_workers_draw_what_the_main_process_draws(songs: list[Track]) -> None:
    mixes = RandomMixes(songs, plain_data(**EVERYTHING), STEMS, 3)
    alone, shared = (
        list(DataLoader(mixes, batch_size=2, sampler=range(4), num_workers=workers))
        for workers in (0, 2)
    )
    assert len(alone) == len(shared) == 2
    for left, right in zip(alone, shared, strict=True):
        assert torch.equal(left["stems"], right["stems"])
        assert torch.equal(left["mixture"], right["mixture"])


def test_the_mixture_is_the_sum_of_all_stems_also_when_one_alone_is_a_target(
    songs: list[Track],
) -> None:
    data = plain_data(**EVERYTHING)
    for number in range(8):
        both = RandomMixes(songs, data, STEMS, 0)[number]
        one = RandomMixes(songs, data, ("drums",), 0)[number]
        assert both["stems"].shape == (2, 2, SIZE) and both["stems"].dtype == torch.float32
        assert torch.equal(both["mixture"], both["stems"].sum(dim=0))
        assert torch.equal(one["mixture"], both["mixture"])
        assert torch.equal(one["stems"], both["stems"][1:])


def test_targets_come_in_the_models_order(songs: list[Track]) -> None:
    forth = RandomMixes(songs, plain_data(), STEMS, 0)[0]["stems"]
    back = RandomMixes(songs, plain_data(), STEMS[::-1], 0)[0]["stems"]
    assert torch.equal(forth, back.flip(0))


def songs_of(example: dict[str, torch.Tensor]) -> list[float]:
    """Which song each stem of an example of ``levels`` comes from."""
    return [round((float(s[0, 0]) - i / 512) * 32, 6) for i, s in enumerate(example["stems"])]


def test_a_random_mix_takes_its_stems_from_different_songs(levels: list[Track]) -> None:
    mixes = RandomMixes(levels, plain_data(random_mix_prob=1.0), STEMS, 0)
    different = sum(len(set(songs_of(mixes[n]))) == 2 for n in range(200))
    assert 150 <= different <= 195  # seven of eight times


def test_without_random_mixing_all_stems_come_from_one_place_of_one_song(
    levels: list[Track], ramps: list[Track]
) -> None:
    found = {tuple(songs_of(RandomMixes(levels, plain_data(), STEMS, 0)[n])) for n in range(100)}
    assert found == {(float(n), float(n)) for n in range(1, 9)}
    mixes = RandomMixes(ramps, plain_data(), STEMS, 0)
    places = [starts(mixes[n]) for n in range(20)]
    assert all(one == other for one, other in places) and len({p[0] for p in places}) > 10


def test_a_random_mix_takes_its_stems_from_different_places(ramps: list[Track]) -> None:
    mixes = RandomMixes(ramps, plain_data(random_mix_prob=1.0), STEMS, 0)
    assert all(one != other for one, other in (starts(mixes[n]) for n in range(20)))


def test_excerpts_are_whole_and_reach_both_ends_of_the_song(tmp_path: Path) -> None:
    track = make_track(tmp_path / "song", {"vocals": ramp(samples=SIZE + 3)})
    mixes = RandomMixes([track], plain_data(stems=("vocals",)), ("vocals",), 0)
    assert {starts(mixes[n])[0] for n in range(100)} == {0, 1, 2, 3}
    assert float(mixes[0]["stems"][0, 0, -1]) * 2**14 == starts(mixes[0])[0] + SIZE - 1


def test_the_grid_holds_every_start_and_reaches_the_last(tmp_path: Path) -> None:
    track = make_track(tmp_path / "song", {"vocals": ramp(samples=2_000)})
    data = plain_data(stems=("vocals",), chunk_grid_seconds=0.05)
    mixes = RandomMixes([track], data, ("vocals",), 0)
    assert {starts(mixes[n])[0] for n in range(100)} == {0, 400, 800, 1_200}


def test_a_time_shift_parts_the_stems_by_at_most_twice_its_length(ramps: list[Track]) -> None:
    mixes = RandomMixes(ramps, plain_data(time_shift_seconds=0.01), STEMS, 0)
    apart = [abs(one - other) for one, other in (starts(mixes[n]) for n in range(200))]
    assert 80 < max(apart) <= 160 and len(set(apart)) > 50


def test_a_time_shift_stays_inside_the_song(tmp_path: Path) -> None:
    track = make_track(tmp_path / "song", {"vocals": ramp(samples=SIZE + 2)})
    data = plain_data(stems=("vocals",), time_shift_seconds=0.5)
    mixes = RandomMixes([track], data, ("vocals",), 0)
    assert {starts(mixes[n])[0] for n in range(50)} >= {0, 2}
    assert max(starts(mixes[n])[0] for n in range(50)) == 2


def test_gains_fill_their_range_and_do_not_leave_it(levels: list[Track]) -> None:
    mixes = RandomMixes(levels[:1], plain_data(gain_range=(0.25, 1.25)), STEMS, 0)
    gains = [[float(stem[0, 0]) for stem in mixes[n]["stems"]] for n in range(200)]
    vocals = np.array(gains)[:, 0] * 32
    drums = np.array(gains)[:, 1] / (1 / 32 + 1 / 512)
    for drawn in (vocals, drums):
        assert 0.25 <= drawn.min() < 0.3 and 1.2 < drawn.max() <= 1.25
    assert abs(np.corrcoef(vocals, drums)[0, 1]) < 0.3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1.0),
        ({"polarity_prob": 1.0}, -1.0),
        ({"silent_stem_prob": 1.0}, 0.0),
        ({"gain_range": (0.5, 0.5)}, 0.5),
        ({"gain_range": (0.5, 0.5), "polarity_prob": 1.0}, -0.5),
    ],
)
def test_a_probability_of_one_always_acts_and_of_zero_never(
    ramps: list[Track], changes: dict[str, object], expected: float
) -> None:
    plain = RandomMixes(ramps, plain_data(), STEMS, 0)
    changed = RandomMixes(ramps, plain_data(**changes), STEMS, 0)
    for number in range(20):
        assert torch.equal(changed[number]["stems"], expected * plain[number]["stems"])


def test_a_channel_swap_turns_the_channels_round_and_changes_nothing_else(
    ramps: list[Track],
) -> None:
    plain = RandomMixes(ramps, plain_data(), STEMS, 0)
    swapped = RandomMixes(ramps, plain_data(channel_swap_prob=1.0), STEMS, 0)
    for number in range(20):
        assert torch.equal(swapped[number]["stems"], plain[number]["stems"].flip(-2))


def test_a_probability_of_one_half_acts_on_about_half_of_the_stems(levels: list[Track]) -> None:
    mixes = RandomMixes(levels, plain_data(silent_stem_prob=0.5), STEMS, 0)
    silent = sum(not bool(stem.any()) for n in range(100) for stem in mixes[n]["stems"])
    assert 75 <= silent <= 125


def test_mixup_adds_excerpts_of_the_same_stem(levels: list[Track]) -> None:
    data = plain_data(mixup_prob=(1.0, 1.0))
    mixes = RandomMixes(levels[:1], data, STEMS, 0)
    for index, stem in enumerate(mixes[0]["stems"]):
        assert torch.equal(stem, torch.full((2, SIZE), 3 * (1 / 32 + index / 512)))
    some = RandomMixes(levels[:1], plain_data(mixup_prob=(0.5,)), STEMS, 0)
    counts = [round(float(some[n]["stems"][0, 0, 0]) * 32) for n in range(100)]
    assert set(counts) == {1, 2} and 35 <= counts.count(2) <= 65


def dominant_hz(signal: torch.Tensor) -> float:
    """Frequency of the highest peak, from the spectrum's phase-free parabola."""
    padded = torch.fft.rfft(signal * torch.hann_window(len(signal)), 2**18).abs()
    return float(padded.argmax()) * RATE / 2**18


def test_a_pitch_shift_moves_a_tone_within_its_semitones_and_keeps_the_length(
    tmp_path: Path,
) -> None:
    track = make_track(tmp_path / "song", {"vocals": tone(440.0)})
    data = plain_data(
        stems=("vocals",), chunk_seconds=0.5, pitch_shift_prob=1.0, pitch_shift_semitones=3.0
    )
    mixes = RandomMixes([track], data, ("vocals",), 0)
    moved = [mixes[n]["stems"][0] for n in range(40)]
    assert {stem.shape for stem in moved} == {(2, RATE // 2)}
    semitones = np.array([12 * np.log2(dominant_hz(stem[0]) / 440.0) for stem in moved])
    assert -3.01 <= semitones.min() < -2.0 and 2.0 < semitones.max() <= 3.01
    assert np.abs([float(stem[:, 100:-100].abs().max()) for stem in moved]).min() > 0.48


@pytest.mark.parametrize("samples", [1, SIZE - 1])
def test_a_song_shorter_than_a_chunk_is_padded_with_zeros_at_its_end(
    tmp_path: Path, samples: int
) -> None:
    signals = {stem: noise(i, samples=samples) for i, stem in enumerate(STEMS)}
    track = make_track(tmp_path / "song", signals)
    for chunks in (
        RandomMixes([track], plain_data(), STEMS, 0),
        ConsecutiveChunks([track], plain_data(), STEMS),
    ):
        stems = chunks[0]["stems"].numpy()
        assert stems.shape == (2, 2, SIZE)
        np.testing.assert_array_equal(stems[..., :samples], np.stack([*signals.values()]))
        assert not stems[..., samples:].any()


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3 * SIZE), min_size=1, max_size=3))
def test_consecutive_chunks_hold_every_sample_of_every_song_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    root = tmp_path_factory.mktemp("chunks")
    songs = [{s: noise(i, samples=n) for i, s in enumerate(STEMS)} for n in lengths]
    tracks = [make_track(root / str(n), song) for n, song in enumerate(songs)]
    chunks = ConsecutiveChunks(tracks, plain_data(**EVERYTHING), STEMS[1:])
    assert len(chunks) == sum(-(-length // SIZE) for length in lengths)
    found = [chunks[n] for n in range(len(chunks))]
    first = 0
    for length, song in zip(lengths, songs, strict=True):
        count = -(-length // SIZE)
        parts = found[first : first + count]
        first += count
        drums = torch.cat([part["stems"][0] for part in parts], dim=-1).numpy()
        mixture = torch.cat([part["mixture"] for part in parts], dim=-1).numpy()
        np.testing.assert_array_equal(drums[:, :length], song["drums"])
        np.testing.assert_array_equal(mixture[:, :length], song["vocals"] + song["drums"])
        assert not mixture[:, length:].any()
