"""The verb reproduce: every recipe of a row trained once, scored together, compared."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_paper.paper import PAPER
from tiny_songs import RATE

from mss_shared.cli import reproduce as verb
from mss_shared.cli import reproduce_fits, run
from mss_shared.cli.budget import Budget, parse_budget
from mss_shared.cli.reproduce_fits import Command, run_fits, submit_fits
from mss_shared.cli.reproduce_plan import find_row, group_fits, plan_fits, short_run
from mss_shared.evaluation.claims import Claim, compare, read_claims
from mss_shared.leases import make_lease
from mss_shared.testing import make_dataset

STEMS = ("vocals", "drums")
PATIENCE = 90.0  # seconds that a process may take to start or end on a busy machine


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and processes that find the tiny paper."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(songs: Path, *more: str) -> list[str]:
    common = ["--data_root", str(songs), "--scores", "scores", "--device", "cpu"]
    return ["reproduce", "row", *common, "--budget", "2steps", *more]


def refused(capsys: pytest.CaptureFixture[str], *line: str) -> str:
    """Run, expect exit code 2, return the last sentence on stderr."""
    with pytest.raises(SystemExit) as end:
        run(PAPER, [*line])
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_row_is_trained_scored_together_and_compared(
    songs: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = here / "papers.csv"
    claims.write_text(
        "recipe,dataset,protocol,stem,metric,value_db\n"
        "tiny_paper/row,musdb18hq,usdr@1,vocals,uSDR,100.0\n"
    )
    monkeypatch.setattr(verb, "PUBLISHED", here / "scores")
    run(PAPER, words(songs, "--devices", "2"))
    said = capsys.readouterr().out
    assert "budget: 2 steps of one example for each of 2 recipes" in said
    for stem in STEMS:
        record = json.loads((here / f"runs/reproduce/row/row_{stem}/run.json").read_text())
        assert record["training"]["steps"] == 2 and record["verbatim"] is False
        assert (here / f"runs/reproduce/row/row_{stem}.log").read_text()
    [scores] = here.glob("scores/*/tiny_paper/*/run.json")
    assert json.loads(scores.read_text())["stems"] == ["vocals", "drums"]
    [line] = [line.split() for line in said.splitlines() if line.startswith("usdr@1 uSDR vocals")]
    assert line[3] == "100.00" and float(line[5]) == pytest.approx(float(line[4]) - 100.0, abs=0.02)
    assert "claimed on musdb18hq, measured on" in said

    def never(*_: Any) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(verb, "run_fits", never)
    run(PAPER, words(songs))
    assert "2 of 2 runs done, in runs/reproduce/row" in capsys.readouterr().out
    assert "holds a reproduction with another budget" in refused(
        capsys, *words(songs)[:-2], "--budget", "3steps"
    )


def test_one_that_is_stopped_leaves_no_run_at_work_and_no_scores(songs: Path, here: Path) -> None:
    line = words(songs)
    line[line.index("2steps")] = "100000steps"
    command = [sys.executable, "-m", "tiny_paper", *line]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    lock = here / "runs" / "reproduce" / "row" / "row_drums" / ".fit.lock"
    try:
        wait_until(lambda: lock.exists() or first.poll() is not None)
        first.send_signal(signal.SIGTERM)
        assert "Traceback" not in first.communicate(timeout=PATIENCE)[1]
        assert first.returncode == 143 and not lock.exists()
    finally:
        first.kill()
    assert not (here / "scores").exists()


def test_a_run_that_fails_is_named_and_the_others_are_kept(
    songs: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = here / "runs" / "reproduce" / "row" / "row_drums"
    held.mkdir(parents=True)
    (held / "last.ckpt").write_text("no checkpoint")
    said = refused(capsys, *words(songs))
    assert "1 of 2 runs failed (row_drums with exit code 2): see what they said" in said
    assert (here / "runs/reproduce/row/row_vocals/model.safetensors").is_file()
    shutil.rmtree(held)
    run(PAPER, words(songs))
    assert [*here.glob("scores/*/tiny_paper/*/run.json")]


def test_a_plan_prints_every_recipe_and_does_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(PAPER, ["reproduce", "row", "--data_root", "nowhere", "--plan"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "tiny_paper/row: 2 recipes"
    assert said[2].split() == ["row_drums", "4", "8", "32", "drums"]
    commands = [line for line in said if line.startswith("tiny-paper fit --recipe row_")]
    assert len(commands) == 2 and "row_drums --data_root nowhere --out runs/" in commands[0]
    assert [line for line in said if line.startswith("plan of ")] == [
        "plan of row_drums:",
        "plan of row_vocals:",
    ]
    assert "then they are scored as one model" in said[-1] and "all recipes" in said[-3]
    assert said[-2].endswith("for songs as many and as long as those of MUSDB18")
    run(PAPER, ["reproduce", "row", "--plan"])  # no songs are needed for it
    assert "row_drums --data_root ROOT --out runs/" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(PAPER, ["reproduce", "row"])
    assert "reproduce needs songs: give --data_root, or use --plan" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_what_is_no_row_or_budget_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "reproduce", "demo", "--data_root", "x")
    assert "demo is no claimed row of tiny_paper: choose from row" in said
    said = refused(capsys, "reproduce", "row", "--data_root", "x", "--budget", "soon")
    assert "soon is no budget: give a time such as 90s, 5m or 2h, or 4steps" in said


@given(st.text(alphabet="0123456789.smhdtep -", max_size=8))
def test_budgets_are_above_nothing(text: str) -> None:
    try:
        found = parse_budget(text)
    except ValueError:
        return
    assert (found.steps or found.seconds or 0) > 0


def test_budgets_have_units() -> None:
    assert [parse_budget(text).seconds for text in ("90s", "5m", "1.5h")] == [90, 300, 5400]
    assert parse_budget("4steps") == Budget(steps=4)


def test_steps_fit_into_a_budget_of_time(
    songs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of one step takes 10 s: of 300 s, 60 % are 180, less 10, for two recipes 85 each."""
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(verb, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    asked: list[Sequence[Command]] = []

    mine = here / "runs" / "reproduce" / "row" / "probe" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years")

    def run_fits(commands: Sequence[Command], _: int | None) -> dict[str, int]:
        asked.append(commands)
        return {}

    monkeypatch.setattr(verb, "run_fits", run_fits)
    monkeypatch.setattr(verb, "_score", lambda *_: None)
    line = words(songs)
    line[line.index("2steps")] = "300s"
    for _ in range(2):  # the second time, the steps are known
        run(PAPER, line)
    assert [len(commands) for commands in asked] == [1, 2, 2]
    assert all(short_run(8)[-1] in command.words for command in (*asked[1], *asked[2]))
    assert mine.read_text() == "years"
    assert not [*mine.parent.parent.glob(".part-*")]


def test_recipes_that_share_a_stem_are_alternatives(tmp_path: Path) -> None:
    row, recipes = find_row(PAPER, "row")
    assert row == "tiny_paper/row"
    fits = plan_fits(PAPER, recipes, tmp_path)
    assert group_fits(fits) == [fits]
    assert group_fits([*fits, fits[0]]) == [[fits[0]], [fits[1]], [fits[0]]]


def test_fits_side_by_side_see_devices_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    code = "import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv[1:])"
    commands = [
        Command(name, (sys.executable, "-c", code), tmp_path / f"{name}.log") for name in "ab"
    ]
    assert run_fits(commands, 8) == {}
    said = sorted((tmp_path / f"{name}.log").read_text().strip() for name in "ab")
    assert said == ["0,1,2,3 --devices 4", "4,5,6,7 --devices 4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,9")
    assert run_fits(commands, 2) == {}
    last = sorted((tmp_path / f"{name}.log").read_text().splitlines()[-1] for name in "ab")
    assert last == ["5 --devices 1", "7 --devices 1"]
    with pytest.raises(ValueError, match="--devices 4 is more than CUDA_VISIBLE_DEVICES=5,7,9"):
        run_fits(commands, 4)


class Executor:
    """Stands for submitit's: remembers what it is given."""

    made: list["Executor"] = []

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder, self.cluster, self.parameters = folder, cluster, {}
        self.made.append(self)

    def update_parameters(self, **parameters: Any) -> None:
        if "unknown" in parameters:
            raise NameError("unknown argument(s)")
        self.parameters = parameters

    def map_array(self, function: Any, commands: Sequence[Command]) -> list[Any]:
        self.codes = [function(command) for command in commands]
        return [SimpleNamespace(job_id=f"7_{n}") for n, _ in enumerate(commands)]


def test_slurm_gets_one_array_of_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Executor))
    monkeypatch.setattr(reproduce_fits, "check_slurm", lambda: None)
    commands = [
        Command(name, (sys.executable, "-c", f"raise SystemExit({n})"), tmp_path / "x")
        for n, name in enumerate("ab")
    ]
    settings = {"timeout_min": "30", "slurm_partition": "gpu"}
    assert submit_fits(commands, tmp_path, settings) == ["7_0", "7_1"]
    executor = Executor.made[-1]
    assert executor.cluster == "slurm" and executor.codes == [0, 1]
    assert executor.parameters == {"timeout_min": 30, "slurm_partition": "gpu"}
    with pytest.raises(ValueError, match=r"SLURM takes no jobs \(unknown argument\(s\)\): run"):
        submit_fits(commands, tmp_path, {"unknown": "1"})


SQUEUE = "#!/bin/sh\n[ -e refuse ] && echo 'slurm is down.' >&2 && exit 1\ncat queue\n"


@pytest.fixture
def slurm(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A submitit that runs nothing, and a squeue that prints the file ``queue``."""
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Executor))
    monkeypatch.setattr(reproduce_fits, "check_slurm", lambda: None)
    monkeypatch.setattr(verb, "check_slurm", lambda: None)
    monkeypatch.setattr(Command, "__call__", lambda _: 0)
    program = here / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(SQUEUE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    return here


def test_jobs_that_have_not_ended_are_not_submitted_again(
    songs: Path, slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = words(songs, "--slurm")
    run(PAPER, line)
    assert "submitted 7_0, 7_1\nrun this command again once" in capsys.readouterr().out
    made = len(Executor.made)
    (slurm / "queue").write_text("5_0\n7_0\n7_1\n")
    run(PAPER, line)
    said = capsys.readouterr().out
    assert len(Executor.made) == made and "submitted 7" not in said
    for name, job in {"row_drums": "7_0", "row_vocals": "7_1"}.items():
        assert f"{name} is job {job}, which has not ended: it is not submitted again" in said
    said = refused(capsys, *words(songs))
    assert "row_drums is job 7_0, which has not ended: wait for it, or scancel it" in said
    (slurm / "refuse").touch()
    assert "squeue can't say whether the jobs 7_0, 7_1 have ended (slurm is down)" in refused(
        capsys, *line
    )
    (slurm / "refuse").unlink()
    (slurm / "queue").write_text("7_1\n")
    run(PAPER, line)  # the first one has ended without a model
    assert len(Executor.made) == made + 1 and Executor.made[-1].codes == [0]
    jobs = json.loads((slurm / "runs/reproduce/row/slurm/jobs.json").read_text())
    assert jobs == {"row_drums": "7_0", "row_vocals": "7_1"}


def test_runs_end_when_the_reproduction_around_them_is_killed(songs: Path, here: Path) -> None:
    line = words(songs)
    line[line.index("2steps")] = "100000steps"
    first = subprocess.Popen([sys.executable, "-m", "tiny_paper", *line])
    lease = make_lease(here / "runs" / "reproduce" / "row" / "row_drums" / ".fit.lock")
    try:
        wait_until(lambda: lease.owner is not None or first.poll() is not None)
        assert lease.owner is not None
        child = lease.owner.pid
        assert child != first.pid and is_alive(child)
    finally:
        first.kill()
        first.wait()
    wait_until(lambda: not is_alive(child))


def is_alive(process: int) -> bool:
    """Whether a process has not ended; an ended one may wait for a parent to notice."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True)
    return listed.stdout.strip()[:1] not in (b"", b"Z")


def test_slurm_without_submitit_is_one_sentence(
    songs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", _without_submitit())
    said = refused(capsys, *words(songs, "--slurm"))
    assert 'which is not installed: pip install "mss-shared[slurm]"' in said


def _without_submitit() -> Callable[..., Any]:
    from importlib.util import find_spec

    return lambda name, *more: None if name == "submitit" else find_spec(name, *more)


SUMMARY = {
    "p@1": {stem: {"SDR": float(n)} for n, stem in enumerate("vocals drums bass other".split())}
}


def test_averages_are_of_the_four_stems_and_what_is_missing_has_no_number() -> None:
    claims = [
        Claim("mine", "p@1", "average", "SDR", 1.0),
        Claim("mine", "p@1", "piano", "SDR", 2.0),
        Claim("mine", "q@1", "average", "SDR", 3.0),
    ]
    lines = [line.split() for line in compare(claims, SUMMARY, "mine")]
    assert lines[1][2:] == ["average", "1.00", "1.50", "+0.50"]
    assert lines[2][2:] == ["piano", "2.00", "-", "-"] and lines[3][3:] == ["3.00", "-", "-"]
    assert [line[3:] for line in lines[4:]] == [["-", f"{n}.00", "-"] for n in range(4)]


def test_claims_are_those_of_the_row(tmp_path: Path) -> None:
    file = tmp_path / "papers.csv"
    assert read_claims(file, "a/b") == ()
    header = "recipe,dataset,protocol,stem,metric,value_db\n"
    file.write_text(f"{header}a/b,d,p@1,bass,SDR,1.5\na/c,d,p@1,bass,SDR,2\n")
    assert read_claims(file, "a/b") == (Claim("d", "p@1", "bass", "SDR", 1.5),)
    file.write_text(f"{header}a/b,d,p@1,bass,SDR,loud\n")
    with pytest.raises(ValueError, match="has no numbers for a/b: restore it"):
        read_claims(file, "a/b")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.05)
