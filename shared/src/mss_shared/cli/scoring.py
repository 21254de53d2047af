"""What ``demo`` and ``evaluate`` share: open a data set, score estimators, show tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mss_shared import audio, console
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.evaluation.evaluate import (
    Estimator,
    Summary,
    oracle_estimator,
)
from mss_shared.evaluation.evaluate import evaluate as score
from mss_shared.evaluation.oracles import ORACLES
from mss_shared.evaluation.protocols import mean_of_stems
from mss_shared.evaluation.track_metrics import OURS, Engine
from mss_shared.interfaces import Checkpoint
from mss_shared.names import inside


def open_data(data_root: str) -> Dataset:
    """Open a data set, with progress for one that is generated first."""
    with console.progress("preparing songs") as progress:
        return open_dataset(data_root, progress)


def mark_variant(checkpoint: Checkpoint, flags: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint, not verbatim if the paper's own flags change what its recipe says."""
    return replace(checkpoint, verbatim=False) if flags else checkpoint


def run_suffix(flags: Mapping[str, Any]) -> str:
    """The end of a run's name for the paper's own flags: ``-niter-0-softmask``."""
    words = []
    for name, value in flags.items():
        values = value if isinstance(value, list) else [value]
        words.append("-".join([name, *map(str, values)]) if value is not True else name)
    return "".join(f"-{word}" for word in words)


def oracles_for(estimator: Estimator) -> list[tuple[Estimator, str]]:
    """The oracles of an estimator's stems and their run names, scored in the same way."""
    stems = estimator.stems
    return [
        (
            replace(oracle_estimator(name, kind, oracle, stems), best_order=estimator.best_order),
            "-".join(stems),
        )
        for name, (kind, oracle) in ORACLES.items()
    ]


def get_seed(checkpoint: Checkpoint) -> Any:
    """The seed of a checkpoint's training; ``unknown`` for third-party weights."""
    return checkpoint.training["seed"] if checkpoint.training else "unknown"


def stem_writer(folder: Path, stems: tuple[str, ...]) -> Any:
    """A function that writes a track's estimates below a folder."""

    def keep(track: Track, estimates: Audio) -> None:
        for stem, estimate in zip(stems, estimates, strict=True):
            path = inside(folder, track.name, f"{stem}.wav")
            audio.write(path, estimate, track.info.sample_rate, "FLOAT")

    return keep


def score_and_say(
    estimator: Estimator,
    dataset: Dataset,
    protocols: Sequence[str],
    root: Path,
    run: str,
    command: str,
    keep: Any,
    engine: Engine = OURS,
) -> Summary:
    """Score an estimator with progress, and print where its scores are."""
    with console.progress(f"scoring {estimator.about['method']}") as progress:
        folder, summary = score(
            estimator,
            dataset,
            protocols,
            root,
            run,
            command=command,
            keep=keep,
            engine=engine,
            progress=progress,
        )
    console.say(f"scores: {folder}")
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
