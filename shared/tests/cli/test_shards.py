"""The flags of a run that many processes share: shards, splits, jobs, oracles, signals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_paper.paper import PAPER
from tiny_songs import RATE, noise, write_track

from mss_shared import audio
from mss_shared.cli import run
from mss_shared.cli.mss_eval import main
from mss_shared.cli.shard_flags import without_shards
from mss_shared.datasets import open_dataset
from mss_shared.evaluation.oracles import ORACLES
from mss_shared.testing import make_dataset

STEMS = ("vocals", "drums")
TRACKS = ("a", "b", "c")
PATIENCE = 60.0  # seconds that a process may take to start or end on a busy machine


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    for number, name in enumerate(TRACKS):
        signals = {stem: noise(9 * number + n) for n, stem in enumerate(STEMS)}
        write_track(root / "test" / name, signals)
        write_track(root.parent / "estimates" / name, {s: 0.5 * x for s, x in signals.items()})
    shutil.rmtree(root / "test" / "test-0")
    return root


@pytest.fixture(scope="module")
def trained(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", str(out), "--dev_mode"]
    run(PAPER, words)
    return out


def evaluate(songs: Path, trained: Path, scores: Path, *words: str) -> None:
    common = ["--checkpoint", str(trained), "--data_root", str(songs), "--scores", str(scores)]
    run(PAPER, ["evaluate", *common, "--protocol", "usdr", "si_sdr", *words])


def files(root: Path) -> dict[str, Any]:
    """Every file; records without what differs from run to run: times, memory, output folder."""
    found: dict[str, Any] = {}
    for path in root.rglob("*.json"):
        content = json.loads(path.read_text().replace(root.name, "ROOT"))
        if path.name == "run.json":
            content["cost"] = dict.fromkeys(content["cost"])
        found[str(path.relative_to(root))] = content
    return found


def test_evaluates_shards_merge_into_the_run_at_once(
    songs: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(songs, trained, tmp_path / "at_once", "--jobs", "2")
    table = capsys.readouterr().out
    for number in (2, 1):
        evaluate(songs, trained, tmp_path / "parts", f"--shard={number}/2")
        said = capsys.readouterr().out
        assert f"shard {number}/2: {number % 2 + 1} of 3 tracks" in said and "uSDR" not in said
    assert not [*tmp_path.glob("parts/**/run.json")]
    evaluate(songs, trained, tmp_path / "parts", "--merge")
    assert capsys.readouterr().out.replace("parts", "at_once") == table
    whole, parts = (
        {name: {**content, "command": None} for name, content in files(tmp_path / root).items()}
        for root in ("at_once", "parts")
    )
    for found in (*whole.values(), *parts.values()):
        for protocol in found.get("protocols", {}).values():
            protocol["command"] = None  # one of them had --jobs 2
    assert whole == parts and len(whole) == 4 * (1 + 2 * 3)
    record = json.loads(next(tmp_path.glob("parts/*/tiny_paper/*/run.json")).read_text())
    assert "--merge" not in record["command"] and record["cost"]["real_time_factor"] > 0
    assert record["cost"]["peak_memory_bytes"] > 1e6


def score(songs: Path, out: Path, *words: str) -> int:
    line = [str(songs), str(songs.parent / "estimates"), "--out", str(out), "--protocol", "usdr"]
    try:
        main([*line, *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_mss_evals_shards_merge_into_the_bytes_of_the_run_at_once(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert score(songs, Path("out"), "--jobs", "1") == 0
    monkeypatch.chdir(tmp_path / "parts")
    for number in (3, 1, 2):
        assert score(songs, Path("out"), "--jobs", "1", "--shard", f"{number}/3") == 0
    assert score(songs, Path("out"), "--jobs", "1", "--merge") == 0
    whole, parts = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*.json")
        }
        for name in ("whole", "parts")
    )
    assert whole == parts and len(whole) == 3 + 2


def test_mss_eval_refuses_to_merge_what_is_not_all_there(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(songs, tmp_path, "--shard", "1/3") == 0
    assert score(songs, tmp_path, "--merge") == 2
    assert "2 of 3 tracks have no scores of this run in" in capsys.readouterr().err
    other = tmp_path / "other" / "estimates"
    shutil.copytree(songs.parent / "estimates", other)
    words = [str(songs), str(other), "--out", str(tmp_path), "--protocol", "usdr"]
    for number in (2, 3):
        main([*words, "--shard", f"{number}/3"])
    assert score(songs, tmp_path, "--merge") == 2
    assert "(b, c): run their shards" in capsys.readouterr().err
    assert not [*tmp_path.rglob("run.json")]


@pytest.mark.parametrize("words", [["--shard", "0/3"], ["--shard", "1/2", "--merge"]])
def test_shards_that_are_none_are_one_sentence(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert score(songs, tmp_path / "out", *words) == 2
    said = capsys.readouterr().err
    assert "0/3 is not a shard: give 1/8" in said or "not allowed with argument --shard" in said
    assert not (tmp_path / "out").exists()


def test_a_command_is_recorded_as_if_it_had_no_shards() -> None:
    assert without_shards("a b --shard 1/2 --x '1 2' --merge") == "a b --x '1 2'"
    assert without_shards("a --shard=1/2 --shards") == "a --shards"


def test_other_splits_are_a_data_set_of_their_own(
    songs: Path, trained: Path, tmp_path: Path
) -> None:
    evaluate(songs, trained, tmp_path, "--split", "valid", "--no_oracles")
    [record] = tmp_path.rglob("run.json")
    found = json.loads(record.read_text())
    assert record.parent.parent.parent.name == f"{songs.name}-valid" == found["dataset"]["name"]
    valid = [track.name for track in open_dataset(songs).valid]
    assert found["dataset"]["tracks"] == valid


def test_oracles_are_computed_once_for_all_models_of_the_same_stems(
    songs: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(songs, trained, tmp_path, "--no_oracles")
    assert [path.name for path in tmp_path.glob("*/*")] == ["tiny_paper"]
    evaluate(songs, trained, tmp_path)
    assert {path.name for path in tmp_path.glob("*/*")} == {"tiny_paper", "mixture", "irm", "mwf"}

    def never(*_: Any) -> Any:
        raise AssertionError("computed again")

    for name, (kind, _) in ORACLES.items():
        monkeypatch.setitem(ORACLES, name, (kind, never))
    evaluate(songs, trained, tmp_path, "--run", "other")


SLOW = """
import signal, sys, threading
from pathlib import Path
import mss_shared.evaluation.track_metrics as metrics
from mss_shared.evaluation import protocols
started, which = Path({started!r}), {which!r}

def slow(*_):
    (started / str(__import__("os").getpid())).touch()
    threading.Event().wait(600)

protocols.PROTOCOLS["usdr"] = protocols.replace(protocols.PROTOCOLS["usdr"], score=slow)
if __name__ == "__main__":
    # As in the foreground: in the background, shells ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if which == "mss-eval":
        from mss_shared.cli.mss_eval import main
        main(sys.argv[1:])
    else:
        from mss_shared.cli import run
        from tiny_paper.paper import PAPER
        run(PAPER, sys.argv[1:])
"""


@pytest.mark.parametrize("which", ["mss-eval", "evaluate"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_killed_commands_leave_no_worker_and_no_record(
    songs: Path, trained: Path, tmp_path: Path, which: str, number: signal.Signals, code: int
) -> None:
    script, started, out = (tmp_path / name for name in ("slow.py", "started", "out"))
    started.mkdir()
    script.write_text(SLOW.format(started=str(started), which=which))
    words = [str(songs), str(songs.parent / "estimates"), "--out", str(out)]
    if which == "evaluate":
        words = ["evaluate", "--checkpoint", str(trained), "--data_root", str(songs)]
        words += ["--scores", str(out)]
    command = [sys.executable, str(script), *words, "--protocol", "usdr", "--jobs", "2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    first = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    try:
        wait_until(lambda: len(list(started.iterdir())) == 2 or first.poll() is not None)
        os.killpg(first.pid, number) if number == signal.SIGINT else first.send_signal(number)
        said = first.communicate(timeout=PATIENCE)[1]
        assert first.returncode == code and "Traceback" not in said, said
        workers = [int(path.name) for path in started.iterdir()]
        assert len(workers) == 2
        wait_until(lambda: not any(map(is_alive, workers)))
        assert not [*out.rglob("run.json")]
        if number != signal.SIGKILL:
            assert not [*tmp_path.glob("mss-evaluate-*")]
    finally:
        first.kill()


def is_alive(process: int) -> bool:
    """A dead process may remain as a zombie where nothing collects it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.05)


def test_any_names_of_stems_are_scored_by_both_commands(tmp_path: Path) -> None:
    stems = ("guitar", "piano", "instrumental")
    root = make_dataset(tmp_path / "songs", stems, (RATE, 2), seconds=1.0)
    out = tmp_path / "run"
    named = f"[{','.join(stems)}]"
    words = ["--recipe.model.stems", named, "--recipe.data.stems", named, "--dev_mode"]
    run(PAPER, ["fit", "--recipe", "demo", "--data_root", str(root), "--out", str(out), *words])
    protocols = ["bsseval_v4", "usdr", "si_bss_eval"]
    common = ["--data_root", str(root), "--scores", str(tmp_path / "scores")]
    made = tmp_path / "made"
    words = ["evaluate", "--checkpoint", str(out), *common, "--protocol", *protocols]
    run(PAPER, [*words, "--estimates", str(made)])
    main([str(root), str(made), "--out", str(tmp_path / "again"), "--protocol", *protocols])
    ours = {
        path.relative_to(path.parents[2]): path.read_text()
        for path in tmp_path.glob("scores/*/tiny_paper/*/*/test/*.json")
    }
    again = {
        path.relative_to(path.parents[2]): path.read_text()
        for path in tmp_path.glob("again/*/made/*/*/test/*.json")
    }
    assert ours == again and {str(path.parts[0]) for path in ours} == {
        *("bsseval_v4.guitar+instrumental+piano", "usdr", "si_bss_eval.guitar+instrumental+piano")
    }
    assert audio.info(made / "test-0" / "piano.wav").samples == RATE
