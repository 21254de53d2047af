from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mss_shared import audio
from mss_shared.datasets import Track
from mss_shared.datasets.folders import read_track
from mss_shared.mixing import ConsecutiveChunks, RandomMixes, draw_stems
from mss_shared.recipe import DataConfig
from torch.utils.data import DataLoader

RATE = 1000
PLAIN = DataConfig(
    stems=("vocals", "bass"),
    chunk_seconds=0.5,
    chunk_grid_seconds=0.0,
    examples_per_epoch=8,
    random_mix_odds=0.0,
    time_shift_seconds=0.0,
    mixup_odds=(),
    gain_range=(1.0, 1.0),
    channel_swap_odds=0.0,
    polarity_odds=0.0,
    silent_stem_odds=0.0,
    pitch_shift_odds=0.0,
    pitch_shift_semitones=0.0,
)


def make_track(folder: Path, number: int, samples: int = 4000) -> Track:
    """Left counts samples, right the same plus a half: any excerpt tells where it is from.

    The fraction number / 64 tells the track; the bass is negative.
    """
    count = np.arange(samples) / 8192 + number / 64 / 8192
    ramp = np.stack([count, count + 0.25]).astype(np.float32)
    for stem, sign in (("vocals", 1), ("bass", -1)):
        audio.write(folder / f"{number}" / f"{stem}.wav", sign * ramp, RATE, "FLOAT")
    return read_track(folder / f"{number}")


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Track, ...]:
    folder = tmp_path_factory.mktemp("tracks")
    return tuple(make_track(folder, number) for number in range(1, 6))


def place(excerpt: np.ndarray) -> tuple[int, int]:
    """(track number, start) of an unaltered excerpt."""
    position = abs(float(excerpt[0, 0])) * 8192
    return round((position % 1) * 64), int(position)


def draw(tracks: tuple[Track, ...], seed: int, **changes: object) -> np.ndarray:
    config = replace(PLAIN, **changes)  # type: ignore[arg-type]
    return draw_stems(tracks, config, np.random.default_rng(seed))


def test_without_random_mixing_stems_share_track_and_place(tracks: tuple[Track, ...]) -> None:
    places = {(place(v), place(b)) for v, b in (draw(tracks, seed) for seed in range(80))}
    assert all(vocals == bass for vocals, bass in places)
    assert len({track for (track, _), _ in places}) == 5


def test_with_random_mixing_stems_come_from_places_of_their_own(tracks: tuple[Track, ...]) -> None:
    drawn = [draw(tracks, seed, random_mix_odds=1.0) for seed in range(20)]
    assert sum(place(vocals) == place(bass) for vocals, bass in drawn) == 0
    assert any(place(vocals)[0] != place(bass)[0] for vocals, bass in drawn)


def test_an_example_depends_on_seed_and_number_alone(tracks: tuple[Track, ...]) -> None:
    config = replace(PLAIN, random_mix_odds=1.0, gain_range=(0.5, 1.5))
    examples = RandomMixes(tracks, config, ("bass",), seed=3)
    numbers = [7, 0, 5, 2]
    alone = torch.stack([examples[n]["mixture"] for n in numbers])
    for workers in (0, 2):
        loader = DataLoader(examples, 2, sampler=numbers, num_workers=workers)
        assert torch.equal(torch.cat([batch["mixture"] for batch in loader]), alone)
    other = RandomMixes(tracks, config, ("bass",), seed=4)
    assert not torch.equal(other[7]["mixture"], examples[7]["mixture"])


def test_the_mixture_holds_all_stems_also_those_that_are_no_targets(
    tracks: tuple[Track, ...],
) -> None:
    config = replace(PLAIN, random_mix_odds=1.0)
    whole = RandomMixes(tracks, config, ("vocals", "bass"), 0)[4]
    part = RandomMixes(tracks, config, ("bass",), 0)[4]
    assert torch.equal(part["mixture"], whole["stems"].sum(dim=0))
    assert torch.equal(part["stems"], whole["stems"][1:])


def test_the_gain_is_drawn_per_stem_within_its_range(tracks: tuple[Track, ...]) -> None:
    gains = []
    for seed in range(40):
        stems = draw(tracks, seed, gain_range=(0.5, 1.5))
        gains.append((stems[:, 1] - stems[:, 0])[:, 0] / np.array([0.25, -0.25]))
    found = np.array(gains)
    assert 0.5 <= found.min() < 0.7 and 1.3 < found.max() <= 1.5
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.1


def test_channel_swap_polarity_and_silence_act_at_odds_of_one(tracks: tuple[Track, ...]) -> None:
    plain = draw(tracks, 0)
    assert np.array_equal(draw(tracks, 0, channel_swap_odds=1.0), plain[:, ::-1])
    assert np.array_equal(draw(tracks, 0, polarity_odds=1.0), -plain)
    assert not draw(tracks, 0, silent_stem_odds=1.0).any()


def test_starts_lie_on_the_grid(tracks: tuple[Track, ...]) -> None:
    starts = {place(draw(tracks, seed, chunk_grid_seconds=0.7)[0])[1] for seed in range(60)}
    assert starts == {0, 700, 1400, 2100, 2800, 3500}


def test_any_start_is_possible_and_the_last_one_is_drawn(tmp_path: Path) -> None:
    short = (make_track(tmp_path, 1, samples=503),)
    assert {place(draw(short, seed)[0])[1] for seed in range(60)} == {0, 1, 2, 3}


def test_a_time_shift_moves_stems_apart_within_its_bound(tracks: tuple[Track, ...]) -> None:
    apart = []
    for seed in range(40):
        vocals, bass = draw(tracks, seed, time_shift_seconds=0.1)
        assert place(vocals)[0] == place(bass)[0]
        apart.append(place(vocals)[1] - place(bass)[1])
    assert 100 < max(np.abs(apart)) <= 200


def test_mixup_adds_an_excerpt_of_the_same_stem(tracks: tuple[Track, ...]) -> None:
    once, twice = (draw(tracks, 1, mixup_odds=odds) for odds in ((), (1.0,)))
    assert float((twice[0, 1] - twice[0, 0])[0]) == pytest.approx(0.5, abs=1e-6)
    assert float((once[0, 1] - once[0, 0])[0]) == pytest.approx(0.25, abs=1e-6)
    assert (twice[1] <= 0).all()


def test_a_pitch_shift_moves_a_tone_and_keeps_the_length(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(4000) / RATE).astype(np.float32)[None]
    for stem in ("vocals", "bass"):
        audio.write(tmp_path / "t" / f"{stem}.wav", tone, RATE, "FLOAT")
    track = (read_track(tmp_path / "t"),)
    shifts = []
    for seed in range(12):
        drawn = draw(track, seed, pitch_shift_odds=1.0, pitch_shift_semitones=4.0)
        assert drawn.shape == (2, 1, 500)
        spectrum = np.abs(np.fft.rfft(drawn[0, 0] * np.hanning(500), 8000))
        shifts.append(12 * np.log2(spectrum.argmax() * RATE / 8000 / 100))
    assert -4.1 <= min(shifts) < -1 and 1 < max(shifts) <= 4.1


def test_a_track_shorter_than_an_example_is_padded_with_silence(tmp_path: Path) -> None:
    short = (make_track(tmp_path, 1, samples=300),)
    drawn = draw(short, 0)
    assert drawn.shape == (2, 2, 500)
    assert drawn[..., :300].any() and not drawn[..., 300:].any()


def test_consecutive_chunks_hold_every_sample_once_and_pad_the_last(tmp_path: Path) -> None:
    track = make_track(tmp_path, 1, samples=1203)
    chunks = ConsecutiveChunks([track, track], PLAIN, ("bass",))
    assert len(chunks) == 6
    joined = torch.cat([chunks[n]["stems"][0] for n in range(3)], dim=-1)
    assert np.array_equal(joined[:, :1203].numpy(), track.read_stem("bass"))
    assert not joined[:, 1203:].any()
    total = track.read_stem("bass") + track.read_stem("vocals")
    assert np.allclose(chunks[3]["mixture"].numpy(), total[:, :500])
