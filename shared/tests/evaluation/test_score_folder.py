"""A run's scores are gone on with and never overwritten unasked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_songs import RATE, STEMS, noise, write_track

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.evaluation.evaluate import Estimator, Settings, evaluate, oracle_estimator
from mss_shared.evaluation.track_metrics import Engine

NAMES = ("x", "y", "z")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("songs") / "mine"
    for seed, name in enumerate(NAMES):
        signals = {stem: noise(10 * seed + n, samples=RATE) for n, stem in enumerate(STEMS)}
        write_track(root / "test" / name, signals)
    return open_dataset(root)


class Method:
    """An estimator of the references in some noise that counts its calls."""

    def __init__(self, scale: float = 0.01, fails_at: str = "") -> None:
        self.scale, self.fails_at = scale, fails_at
        self.called: list[str] = []

    def __call__(self, track: Track, stems: tuple[str, ...]) -> list[Audio]:
        if track.name == self.fails_at:
            raise KeyboardInterrupt
        self.called.append(track.name)
        references = track.read_stems(stems)
        estimates: Audio = references + self.scale * noise(9, samples=references.shape[-1])
        return [estimates]

    def estimator(self, digest: str = "0") -> Estimator:
        found = oracle_estimator("mine", "oracle", self, STEMS)
        found.about["weights"] = {"digest": digest, "parameters": 1}
        return found


def score(
    method: Method, dataset: Dataset, root: Path, *protocols: str, digest: str = "0", **more: Any
) -> tuple[Path, Any]:
    return evaluate(method.estimator(digest), dataset, protocols or ("usdr",), root, "run", **more)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def read(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_an_interrupted_run_goes_on_where_it_stopped(dataset: Dataset, tmp_path: Path) -> None:
    whole, summary = score(Method(), dataset, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        score(Method(fails_at="z"), dataset, tmp_path / "parts")
    folder = tmp_path / "parts" / "mine" / "mine" / "run"
    assert not (folder / "run.json").exists() and (folder / "usdr" / "test" / "y.json").is_file()
    second = Method()
    folder, found = score(second, dataset, tmp_path / "parts")
    assert second.called == ["z"] and found == summary and files(folder) == files(whole)
    assert read(folder)["protocols"] == read(whole)["protocols"]


def test_a_damaged_score_of_an_interrupted_run_is_scored_again(
    dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        score(Method(fails_at="z"), dataset, tmp_path)
    [path] = tmp_path.rglob("y.json")
    path.write_text(path.read_text().replace("uSDR", "SDR"))
    second = Method()
    score(second, dataset, tmp_path)
    assert second.called == ["y", "z"]


def test_a_complete_run_is_not_scored_again(dataset: Dataset, tmp_path: Path) -> None:
    folder, summary = score(Method(), dataset, tmp_path, command="first")
    second = Method()
    assert score(second, dataset, tmp_path, command="second") == (folder, summary)
    assert not second.called and read(folder)["command"] == "first"


def test_another_protocol_is_added_to_a_complete_run(dataset: Dataset, tmp_path: Path) -> None:
    folder, _ = score(Method(), dataset, tmp_path, "usdr")
    before = files(folder)
    _, summary = score(Method(), dataset, tmp_path, "si_sdr")
    assert list(summary) == ["si_sdr@1"] and set(read(folder)["protocols"]) == {"usdr", "si_sdr"}
    assert before.items() <= files(folder).items()
    with pytest.raises(KeyboardInterrupt):
        score(Method(fails_at="y"), dataset, tmp_path, "csdr")
    assert not (folder / "run.json").exists()
    second = Method()
    score(second, dataset, tmp_path, "csdr")
    assert second.called == ["y", "z"]
    assert set(read(folder)["protocols"]) == {"usdr", "si_sdr", "csdr"}


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("change", ["weights", "settings", "songs", "engine"])
def test_other_scores_are_replaced_only_on_request(
    dataset: Dataset, tmp_path: Path, change: str, interrupted: bool
) -> None:
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            score(Method(fails_at="z"), dataset, tmp_path, "usdr", "si_sdr")
    else:
        score(Method(), dataset, tmp_path, "usdr", "si_sdr")
    folder = tmp_path / "mine" / "mine" / "run"
    before = files(folder)
    other, engine = Method(0.5).estimator("1" if change == "weights" else "0"), Engine()
    songs = dataset
    if change == "settings":
        other.about["settings"] = {"options": {"niter": 0}}
    elif change == "songs":
        for seed, name in enumerate(NAMES):
            signals = {stem: noise(90 + seed + n, samples=RATE) for n, stem in enumerate(STEMS)}
            write_track(tmp_path / "b" / "mine" / "test" / name, signals)
        songs = open_dataset(tmp_path / "b" / "mine")
    elif change == "engine":
        engine = Engine(museval=True)
    with pytest.raises(ValueError, match="holds scores of other weights, settings or songs: give"):
        evaluate(other, songs, ("usdr",), tmp_path, "run", settings=Settings(engine))
    assert files(folder) == before
    evaluate(other, songs, ("usdr",), tmp_path, "run", settings=Settings(engine, overwrite=True))
    assert set(read(folder)["protocols"]) == {"usdr"}
    assert set(files(folder)) == {f"usdr/test/{name}.json" for name in NAMES}
    assert files(folder).items().isdisjoint(before.items())


def test_a_record_without_a_digest_of_its_inputs_is_known_by_weights_and_songs(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder, _ = score(Method(), dataset, tmp_path)
    older = {name: value for name, value in read(folder).items() if name != "inputs"}
    (folder / "run.json").write_text(json.dumps(older))
    second = Method()
    score(second, dataset, tmp_path)
    assert not second.called
    with pytest.raises(ValueError, match="holds scores of other weights"):
        score(Method(), dataset, tmp_path, digest="1")


@pytest.mark.parametrize("text", ["{", "[]", "1", "null"])
def test_a_record_that_is_none_is_named(dataset: Dataset, tmp_path: Path, text: str) -> None:
    folder, _ = score(Method(), dataset, tmp_path)
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json"):
        score(Method(), dataset, tmp_path)


def test_files_of_others_stay(dataset: Dataset, tmp_path: Path) -> None:
    folder, _ = score(Method(), dataset, tmp_path)
    (folder / "notes.txt").write_text("mine")
    (folder / "usdr" / "plot.png").write_bytes(b"mine")
    score(Method(), dataset, tmp_path, digest="1", settings=Settings(overwrite=True))
    assert (folder / "notes.txt").is_file() and (folder / "usdr" / "plot.png").is_file()


@pytest.mark.parametrize("link", ["mine", "usdr", "usdr/test"])
def test_overwriting_removes_only_files_that_the_record_lists(
    dataset: Dataset, tmp_path: Path, link: str
) -> None:
    folder, _ = score(Method(), dataset, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    for foreign in (elsewhere / "test" / "precious.json", elsewhere / "x.json"):
        foreign.parent.mkdir(parents=True, exist_ok=True)
        foreign.write_text("years")
    (elsewhere / "test" / "x.json").write_text("years")
    (folder / "notes" / "test").mkdir(parents=True)
    (folder / "notes" / "test" / "my.json").write_text("mine")
    if (folder / link).exists():
        shutil.rmtree(folder / link)
    (folder / link).symlink_to(elsewhere)
    before = files(elsewhere)
    try:
        score(Method(), dataset, tmp_path, digest="1", settings=Settings(overwrite=True))
    except ValueError as error:
        assert "nothing is written there" in str(error) and link != "mine"
    assert files(elsewhere) == before and len(before) == 3
    assert (folder / "notes" / "test" / "my.json").read_text() == "mine"


def test_estimates_are_kept_even_if_the_scores_are_there(dataset: Dataset, tmp_path: Path) -> None:
    score(Method(), dataset, tmp_path)
    kept: dict[str, Any] = {}
    score(
        Method(),
        dataset,
        tmp_path,
        keep=lambda track, found: kept.update({track.name: found.read(0, 9)}),
    )
    assert set(kept) == set(NAMES) and all(np.isfinite(found).all() for found in kept.values())


def test_overwriting_a_complete_run_scores_it_again(dataset: Dataset, tmp_path: Path) -> None:
    folder, summary = score(Method(), dataset, tmp_path)
    (path,) = (folder / "usdr" / "test").glob("x.json")
    text = path.read_text()
    path.write_text(text.replace("1", "2"))
    again = Method()
    assert score(again, dataset, tmp_path, settings=Settings(overwrite=True)) == (folder, summary)
    assert again.called == list(NAMES) and path.read_text() == text


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_record_can_be_overwritten(dataset: Dataset, tmp_path: Path, text: str) -> None:
    folder, summary = score(Method(), dataset, tmp_path)
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match="replace the run with --overwrite"):
        score(Method(), dataset, tmp_path)
    assert score(Method(), dataset, tmp_path, settings=Settings(overwrite=True)) == (
        folder,
        summary,
    )
    assert set(read(folder)["protocols"]) == {"usdr"}


@pytest.mark.parametrize("begun", ["", "{}", '{"inputs": "other", "record": null}', "link", "pipe"])
def test_an_odd_beginning_can_be_overwritten(dataset: Dataset, tmp_path: Path, begun: str) -> None:
    path = tmp_path / "mine" / "mine" / "run" / "begun.json"
    path.parent.mkdir(parents=True)
    if begun == "link":
        path.symlink_to(tmp_path / "nothing")
    elif begun == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(begun)
    first = Method()
    with pytest.raises((ValueError, OSError), match="with --overwrite|No such file"):
        score(first, dataset, tmp_path)
    assert first.called == []
    folder, _ = score(first, dataset, tmp_path, settings=Settings(overwrite=True))
    assert read(folder)["protocols"] and not path.exists()


def test_an_edited_song_is_another_song(dataset: Dataset, tmp_path: Path) -> None:
    shutil.copytree(dataset.root, tmp_path / "songs" / "mine")
    edited = open_dataset(tmp_path / "songs" / "mine")
    score(Method(), edited, tmp_path)
    path = edited.test[1].stems["vocals"]
    assert isinstance(path, Path)
    signal = audio.read(path)
    signal[:, 6_000:6_200] /= 4
    audio.write(path, signal, RATE)
    with pytest.raises(ValueError, match="other weights, settings or songs"):
        score(Method(), open_dataset(edited.root), tmp_path)


@pytest.mark.parametrize("ended", [False, True])
def test_of_two_evaluations_at_once_the_second_is_refused(
    dataset: Dataset, tmp_path: Path, ended: bool
) -> None:
    def other(track: Track, stems: tuple[str, ...]) -> list[Audio]:
        if track.name == "x":  # the second has found an empty folder, and now the first begins
            if ended:
                score(Method(), dataset, tmp_path)
            else:
                with pytest.raises(KeyboardInterrupt):
                    score(Method(fails_at="y"), dataset, tmp_path)
        estimates: Audio = track.read_stems(stems) * 0.5
        return [estimates]

    second = oracle_estimator("mine", "oracle", other, STEMS)
    with pytest.raises(ValueError, match="another evaluation has meanwhile written to"):
        evaluate(second, dataset, ("usdr",), tmp_path, "run")
    folder = tmp_path / "mine" / "mine" / "run"
    score(Method(), dataset, tmp_path)
    whole, _ = score(Method(), dataset, tmp_path / "alone")
    assert files(folder) == files(whole)


@pytest.mark.parametrize("at", ["x", "y"])
@pytest.mark.parametrize("theirs", ["si_sdr", "usdr"])
def test_two_evaluations_of_the_same_run_at_once_both_end_well(
    dataset: Dataset, tmp_path: Path, at: str, theirs: str
) -> None:
    class Overtaken(Method):
        """Another process completes the run before one of this one's songs is scored."""

        def __call__(self, track: Track, stems: tuple[str, ...]) -> list[Audio]:
            if track.name == at:
                score(Method(), dataset, tmp_path, theirs)
            return super().__call__(track, stems)

    folder, found = score(Overtaken(), dataset, tmp_path, "usdr")
    alone, expected = score(Method(), dataset, tmp_path / "alone", "usdr")
    score(Method(), dataset, tmp_path / "alone", theirs)
    assert found == expected and files(folder) == files(alone)
    assert set(read(folder)["protocols"]) == set(read(alone)["protocols"]) == {"usdr", theirs}


def test_every_protocol_keeps_the_command_that_scored_it(dataset: Dataset, tmp_path: Path) -> None:
    score(Method(), dataset, tmp_path, "usdr", command="first")
    folder, _ = score(Method(), dataset, tmp_path, "si_sdr", command="second")
    commands = {name: about["command"] for name, about in read(folder)["protocols"].items()}
    assert commands == {"usdr": "first", "si_sdr": "second"}
