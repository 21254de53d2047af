"""What ``demo`` and ``evaluate`` share: open a data set, score estimators, show tables."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mss_shared import audio, console
from mss_shared.cli.shard_flags import say_shard
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.datasets.folders import AS_IT_IS
from mss_shared.datasets.identity import is_private
from mss_shared.datasets.tracks import Reading
from mss_shared.evaluation.block_signals import BlockSignals
from mss_shared.evaluation.evaluate import (
    PLAIN,
    Estimator,
    Settings,
    Summary,
    oracle_estimator,
)
from mss_shared.evaluation.evaluate import evaluate as score
from mss_shared.evaluation.oracles import ORACLES
from mss_shared.evaluation.protocols import find_protocols, mean_of_stems, sort_stems
from mss_shared.evaluation.shards import WHOLE
from mss_shared.names import inside, printable, real_path

PUBLISHED = Path("results/scores")  # in a checkout of the repository


@dataclass(frozen=True)
class ScoreSettings:
    """How estimators are scored, the same for all of one command.

    Attributes:
        dataset: its test tracks are scored.
        protocols: names.
        root: of the score folders.
        command: what the user typed.
        how: what does not change a score.
    """

    dataset: Dataset
    protocols: Sequence[str]
    root: Path
    command: str
    how: Settings = PLAIN


def open_data(data_root: str, reading: Reading = AS_IT_IS) -> Dataset:
    """Open a data set, with progress for one that is generated first, and say which it is."""
    with console.progress("preparing songs") as progress:
        dataset = open_dataset(data_root, progress, reading=reading)
    console.say(printable(dataset.identity))
    if dataset.unheard:
        console.say(
            f"sound passed over below {dataset.root}: {printable(', '.join(dataset.unheard[:5]))}"
            f"{' and others' if len(dataset.unheard) > 5 else ''} (mss-data check says why)"
        )
    return dataset


def check_protocols(recipe: Any) -> None:
    """Raise ValueError for protocols that would be refused only when the model is scored."""
    try:
        find_protocols(recipe.evaluation.protocols)
    except ValueError as error:
        raise ValueError(f"the recipe's evaluation.protocols: {error}") from None


def choose_scores(dataset: Dataset, *, publish: bool) -> Path:
    """The root of the score folders: the repository's for benchmarks, ``scores`` for all others.

    ``publish`` puts the scores of private songs into the repository's too.
    """
    in_repository = (PUBLISHED.parent / "papers.csv").is_file()
    if in_repository and (publish or not is_private(dataset)):
        return PUBLISHED
    if in_repository:
        console.say(
            f"{dataset.name} is private: its scores go to scores/, with --publish to {PUBLISHED}/"
        )
    return Path("scores")


def build_boards(root: Path) -> None:
    """Write the boards of the repository anew if its scores have changed.

    Scores elsewhere are the user's own: a line says how to see them.
    """
    if importlib.util.find_spec("mss_results") is None:
        return
    if real_path(root) == real_path(PUBLISHED) and (PUBLISHED.parent / "papers.csv").is_file():
        built = subprocess.run([sys.executable, "-m", "mss_results", "build"], check=False)
        if built.returncode:
            raise ValueError(f"the scores are in {root}, but mss-results build failed: see above")
    else:
        console.say(f"boards: mss-results build --scores {root} --out boards")


def run_suffix(flags: Mapping[str, Any]) -> str:
    """The end of a run's name for the paper's own flags: ``-niter-0-softmask``."""
    words = []
    for name, value in flags.items():
        values = value if isinstance(value, list) else [value]
        words.append("-".join([name, *map(str, values)]) if value is not True else name)
    return "".join(f"-{word}" for word in words)


def oracles_for(estimator: Estimator) -> list[tuple[Estimator, str]]:
    """The oracles of an estimator's stems and their run names, scored in the same way.

    In the order of tables, so that all models of the same stems share them.
    """
    stems = sort_stems(estimator.stems)
    return [
        (
            replace(oracle_estimator(name, kind, oracle, stems), best_order=estimator.best_order),
            "-".join(stems),
        )
        for name, (kind, oracle) in ORACLES.items()
    ]


def as_test_set(dataset: Dataset, split: str) -> Dataset:
    """The data set with another split as its test tracks, and a name that says so.

    So no table mixes them with test tracks.

    Raises:
        ValueError: if there are no such tracks.
    """
    if split == "test":
        return dataset
    return replace(dataset, name=f"{dataset.name}-{split}", test=dataset.split(split))


def stem_writer(folder: Path, stems: tuple[str, ...]) -> Any:
    """A function that writes a track's estimates below a folder."""

    def keep(track: Track, estimates: BlockSignals) -> None:
        for number, stem in enumerate(stems):
            path = inside(folder, track.name, f"{stem}.wav")
            [estimate] = estimates.sums([[number]]).read(0, estimates.length)
            audio.write(path, estimate, track.info.sample_rate, "FLOAT")

    return keep


def score_and_say(
    estimator: Estimator, run: str, settings: ScoreSettings, keep: Any = None
) -> Summary:
    """Score an estimator with progress, and print where its scores are."""
    with console.progress(f"scoring {estimator.about['method']}") as progress:
        folder, summary = score(
            estimator,
            settings.dataset,
            settings.protocols,
            settings.root,
            run,
            command=settings.command,
            keep=keep,
            settings=settings.how,
            progress=progress,
        )
    if settings.how.shard == WHOLE:
        console.say(f"scores: {folder}")
    else:
        tracks = settings.dataset.split("test")
        mine = len(settings.how.shard.choose(tracks))
        console.say(say_shard(settings.how.shard, mine, len(tracks), folder))
    return summary


def print_tables(tables: dict[str, Summary]) -> None:
    """One block per protocol: a line per method, a column per stem, the mean of all four last."""
    for protocol in next(iter(tables.values())):
        first = next(iter(tables.values()))[protocol]
        metric = next(iter(next(iter(first.values()))))
        console.say(f"\n{metric} in dB, {protocol}")
        lines = {
            method: {stem: summary[protocol][stem][metric] for stem in first}
            for method, summary in tables.items()
        }
        means = {method: mean_of_stems(values) for method, values in lines.items()}
        header = [*first, "mean"] if None not in means.values() else [*first]
        widths = [max(9, len(stem) + 1) for stem in header]
        console.say(f"{'':16}" + _cells(header, widths))
        for method, values in lines.items():
            mean = means[method]
            numbers = [*values.values()] if mean is None else [*values.values(), mean]
            console.say(f"{method:16}" + _cells([f"{each:.2f}" for each in numbers], widths))


def _cells(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
