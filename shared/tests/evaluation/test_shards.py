"""Shards: every track once, and merged they are the run that is scored at once."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import RATE, STEMS, noise, write_track

from mss_shared import console
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.evaluation.block_signals import BlockSignals, spool, spool_folder
from mss_shared.evaluation.evaluate import Estimator, Settings, evaluate, oracle_estimator
from mss_shared.evaluation.shards import Shard, parse_shard

NAMES = ("u", "v", "w", "x", "y")
PROTOCOLS = ("usdr", "si_sdr", "bsseval_v4")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("songs") / "mine"
    for seed, name in enumerate(NAMES):
        signals = {stem: noise(10 * seed + n, samples=RATE) for n, stem in enumerate(STEMS)}
        write_track(root / "test" / name, signals)
    return open_dataset(root)


def estimate(track: Track, stems: tuple[str, ...]) -> list[Audio]:
    """In two blocks."""
    estimates = track.read_stems(stems) + 0.1 * noise(7, samples=RATE)
    return [estimates[..., :999], estimates[..., 999:]]


def estimator(scale: str = "0") -> Estimator:
    found = oracle_estimator("mine", "oracle", estimate, STEMS)
    found.about["weights"] = {"digest": scale, "parameters": 1}
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@given(st.integers(1, 9), st.integers(0, 30))
def test_every_item_is_in_one_shard(count: int, items: int) -> None:
    shards = [Shard(number, count).choose(range(items)) for number in range(1, count + 1)]
    assert sorted(item for shard in shards for item in shard) == [*range(items)]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    "text",
    ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1.0/2", "1 /2", "\u0661/2", "1/"],
)
def test_other_words_are_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match="is not a shard: give 1/8 for the first of eight"):
        parse_shard(text)
    assert parse_shard("2/8") == Shard(2, 8)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("count", [2, 7])
def test_merged_shards_are_the_run_at_once(
    dataset: Dataset, tmp_path: Path, jobs: int, count: int
) -> None:
    whole, summary = evaluate(estimator(), dataset, PROTOCOLS, tmp_path / "whole", "run")
    for number in reversed(range(1, count + 1)):
        settings = Settings(jobs=jobs, shard=Shard(number, count))
        folder, _ = evaluate(
            estimator(), dataset, PROTOCOLS, tmp_path / "parts", "run", settings=settings
        )
        assert not (folder / "run.json").exists()
    _, merged = evaluate(
        estimator(), dataset, PROTOCOLS, tmp_path / "parts", "run", settings=Settings(merge=True)
    )
    assert merged == summary and files(folder) == files(whole)


def test_shards_that_lack_tracks_are_not_merged(dataset: Dataset, tmp_path: Path) -> None:
    evaluate(estimator(), dataset, PROTOCOLS, tmp_path, "run", settings=Settings(shard=Shard(1, 2)))
    before = files(tmp_path)
    merge = Settings(merge=True)
    with pytest.raises(ValueError, match=r"2 of 5 tracks have no scores .*\(v, x\): run their"):
        evaluate(estimator(), dataset, PROTOCOLS, tmp_path, "run", settings=merge)
    with pytest.raises(ValueError, match=r"5 of 5 tracks have no scores .*\(u, v, w, \.\.\.\)"):
        evaluate(estimator(), dataset, (*PROTOCOLS, "csdr"), tmp_path, "run", settings=merge)
    assert files(tmp_path) == before


def test_shards_of_other_weights_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    evaluate(estimator(), dataset, PROTOCOLS, tmp_path, "run", settings=Settings(shard=Shard(1, 2)))
    before = files(tmp_path)
    for settings in (Settings(shard=Shard(2, 2)), Settings(merge=True), Settings()):
        with pytest.raises(ValueError, match="holds scores of other weights, settings or songs"):
            evaluate(estimator("1"), dataset, PROTOCOLS, tmp_path, "run", settings=settings)
    assert files(tmp_path) == before


def test_a_run_at_once_takes_over_what_shards_of_any_number_did(
    dataset: Dataset, tmp_path: Path
) -> None:
    whole, _ = evaluate(estimator(), dataset, ("usdr",), tmp_path / "whole", "run")
    for shard in (Shard(1, 3), Shard(2, 4)):
        evaluate(
            estimator(), dataset, ("usdr",), tmp_path / "s", "run", settings=Settings(shard=shard)
        )
    scored: list[str] = []

    def told(track: Track, stems: tuple[str, ...]) -> list[Audio]:
        scored.append(track.name)
        return estimate(track, stems)

    last = estimator()
    last.estimate = lambda track: told(track, STEMS)
    folder, _ = evaluate(last, dataset, ("usdr",), tmp_path / "s", "run")
    assert scored == ["w", "y"] and files(folder) == files(whole)


def test_estimates_are_spooled_as_they_are(dataset: Dataset, tmp_path: Path) -> None:
    kept: dict[str, Audio] = {}

    def keep(track: Track, signals: BlockSignals) -> None:
        assert signals.shape == (2, 2, RATE)
        kept[track.name] = signals.sums([[0], [1], [0, 1]]).read(500, 1_500)

    evaluate(estimator(), dataset, ("usdr",), tmp_path, "run", keep=keep)
    for track in dataset.test:
        first, second = np.concatenate(estimate(track, STEMS), axis=-1)[..., 500:1_500]
        np.testing.assert_array_equal(kept[track.name], [first, second, first + second])


def test_folders_of_dead_processes_are_removed_and_those_of_others_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("mss-evaluate-dead", "mss-evaluate-foreign", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.f32").write_bytes(b"1234")
    for name in ("mss-evaluate-dead", "other"):
        (tmp_path / name / "lock").touch()
    with spool_folder() as first:
        with spool_folder() as second:
            assert first.is_dir() and second.is_dir() and first != second
        assert first.is_dir() and not second.exists()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mss-evaluate-foreign", "other"}


def test_a_full_disk_is_named(dataset: Dataset, tmp_path: Path) -> None:
    [track, *_] = dataset.test

    def full() -> Iterator[Audio]:
        yield track.read_stems(STEMS)[..., :99]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as error:
        spool(full(), 2, track, tmp_path / "0.f32")
    assert console.sentence(error.value).startswith(f"no space left on the disk of {tmp_path}:")
