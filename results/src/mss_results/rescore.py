"""Check score files against audio: score the estimates again and compare every value."""

import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results.aggregate import combine
from mss_results.cache import Cache
from mss_results.read import Run, ScoreSet, read_run
from mss_results.track_file import Frames, TrackScores

TOLERANCE = 0.001  # dB; SDR repeats to 1e-9, but filters depend on the linear algebra library
_LARGE = 100.0  # dB; above it, what is left is rounding noise
_SHOWN = 5
_SAYS = "mss-eval: "  # before each of its lines about what is wrong
_ID = re.compile(r"(?P<name>[a-z0-9_]+)(\.[a-z0-9_+]+)?@\d+")
_OTHERS = (".museval", ".best_order")  # what mss-eval does not compute


@dataclass(frozen=True)
class Match:
    """How many values were compared, of how many tracks, and the largest difference in dB."""

    values: int
    tracks: int
    largest: float


def rescore(id: str, estimates: Path, references: Path, scores: Sequence[Path]) -> Match:
    """Score the estimates of a run with mss-eval, and compare all values of its files.

    Args:
        id: <dataset>/<method>/<run>.
        estimates: holds <track>/<stem>.wav or .flac.
        references: a data set's folder, or its registered name.
        scores: the score folders to look for the run in.

    Raises:
        FileNotFoundError: if there is no such run or folder, or mss-eval is not installed.
        ValueError: if a value differs, or mss-eval can't score the estimates, with its sentence.
    """
    run = _find(id, scores)
    if not estimates.is_dir():
        raise FileNotFoundError(f"no folder {estimates}: --rescore needs <track>/<stem>.wav in it")
    command = find_scorer()
    with tempfile.TemporaryDirectory() as out:
        words = [str(references), str(estimates), "--out", out]
        words += ["--method", run.method, "--run", run.name, "--stems", *run.stems]
        words += ["--protocol", *(_name(each.protocol.id) for each in run.scores)]
        led = {**os.environ, "MSS_PARENT_PROCESS": str(os.getpid())}  # mss-eval ends with this one
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, check=False, env=led
        )
        if done.returncode:
            raise ValueError(f"mss-eval can't score {estimates}: {_reason(done.stderr)}")
        (folder,) = Path(out).glob(f"*/{run.method}/{run.name}")
        return _compare(run, read_run(folder, Cache(None)))


def _reason(said: str) -> str:
    """What mss-eval said of single tracks, or else its last line, about all of them."""
    lines = said.strip().splitlines() or ["it ended without a word"]
    own = [line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)]
    faults = [line for line in own if not line.startswith("error: ")]
    if not faults:
        return lines[-1].removeprefix(_SAYS).removeprefix("error: ")
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "; ".join([*faults[:_SHOWN], *more])


def find_scorer() -> list[str]:
    """The command that starts mss-eval; mss_results itself computes no scores."""
    if importlib.util.find_spec("mss_shared") is not None:
        return [sys.executable, "-m", "mss_shared.cli.mss_eval"]
    program = shutil.which("mss-eval")
    if program is None:
        raise FileNotFoundError(
            "--rescore needs mss-eval: pip install ./shared, from the repository"
        )
    return [program]


def _find(id: str, scores: Sequence[Path]) -> Run:
    for root in scores:
        if (root / id / "run.json").is_file():
            return read_run(root / id, Cache(None))
    raise FileNotFoundError(f"no run {id} in any score folder: --run is <dataset>/<method>/<run>")


def _name(id: str) -> str:
    match = _ID.fullmatch(id)
    if match is None or any(each in id for each in _OTHERS):
        raise ValueError(f"protocol {id} is not one that mss-eval computes: it can't be rescored")
    return match["name"]


def _compare(run: Run, again: Run) -> Match:
    if run.tracks != again.tracks:
        raise ValueError(
            f"{run.id} has {len(run.tracks)} tracks, the references have {len(again.tracks)} test "
            f"tracks: they must be the same"
        )
    renewed = {each.protocol.id: each for each in again.scores}
    count, largest, wrong = 0, 0.0, []
    for scores in run.scores:
        for where, old, new in _pairs(scores, renewed[scores.protocol.id]):
            count += 1
            difference = _difference(old, new)
            largest = max(largest, difference)
            if difference > TOLERANCE:
                wrong.append(f"{where} is {old:.5f} in {run.id}, {new:.5f} from the audio")
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise ValueError(
            f"{len(wrong)} of {count} values differ by more than {TOLERANCE} dB: "
            f"{'; '.join([*wrong[:_SHOWN], *more])}: these scores are not those of this audio"
        )
    return Match(count, len(run.tracks), largest)


def _pairs(old: ScoreSet, new: ScoreSet) -> Iterator[tuple[str, float, float]]:
    """Place, value in the files, and value from the audio, frame by frame or track by track."""
    for one, two in zip(old.tracks, new.tracks, strict=True):
        for (stem, metric), frames in one.frames.items():
            renewed = _frames(two, (stem, metric))
            if not old.has_frames:
                renewed = np.array([combine(renewed, old.protocol.frames)] * len(frames))
            place = f"{old.protocol.id} {one.track} {stem} {metric}"
            if len(frames) != len(renewed):
                raise ValueError(
                    f"{place} has {len(frames)} frames in the file, {len(renewed)} from the audio: "
                    f"it is another audio, or another protocol"
                )
            for index, (before, after) in enumerate(zip(frames, renewed, strict=True)):
                yield f"{place}, frame {index}", float(before), float(after)


def _frames(track: TrackScores, key: tuple[str, str]) -> Frames:
    return track.frames.get(key, np.empty(0))


def _difference(old: float, new: float) -> float:
    """dB; infinite if only one is NaN, 0 if both are beyond what can be measured."""
    if math.isnan(old) or math.isnan(new):
        return 0.0 if math.isnan(old) and math.isnan(new) else math.inf
    return 0.0 if min(old, new) > _LARGE else abs(old - new)
