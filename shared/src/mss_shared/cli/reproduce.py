"""The verb ``reproduce``: train all recipes of a claimed row, score them, compare."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from mss_shared import atomic, console
from mss_shared.cli import evaluate
from mss_shared.cli.budget import Budget
from mss_shared.cli.fit_flags import add_fit_flags
from mss_shared.cli.flags import add_evaluate_flags
from mss_shared.cli.parser import Parser
from mss_shared.cli.plan import Plan, describe, duration, make_plan
from mss_shared.cli.reproduce_fits import Command, check_slurm, fit_words, run_fits, submit_fits
from mss_shared.cli.reproduce_jobs import find_queued, has_slurm, remember_jobs
from mss_shared.cli.reproduce_plan import (
    Fit,
    find_row,
    group_fits,
    keep_choice,
    plan_fits,
    read_object,
    remember_steps,
    short_run,
)
from mss_shared.cli.scoring import PUBLISHED, open_data
from mss_shared.cli.train import check_installed
from mss_shared.datasets import Dataset
from mss_shared.evaluation.claims import compare, read_claims
from mss_shared.paper import AnyPaper
from mss_shared.separation.device import pick_device

# Of a budget in time: what is left is for the scores.
_FIT_SHARE = 0.6


def reproduce(paper: AnyPaper, arguments: argparse.Namespace, command: str) -> None:
    """Train the recipes of a row that are not done yet, score them together, and compare."""
    row, recipes = find_row(paper, arguments.row)
    out = arguments.out or Path("runs") / "reproduce" / row.rpartition("/")[2]
    if arguments.plan:
        _print_plan(paper, arguments, row, recipes, out)
        return
    if arguments.data_root is None:
        raise ValueError(
            "reproduce needs songs: give --data_root, or use --plan to see what the runs would cost"
        )
    check_installed(arguments.data_root)
    pick_device(arguments.device)
    if arguments.slurm is not None:
        check_slurm()
    dataset = open_data(arguments.data_root)
    file = keep_choice(out, row, dataset, arguments.budget and str(arguments.budget))
    overrides = _overrides(paper, arguments, recipes, out, file)
    fits = plan_fits(paper, recipes, out, overrides)
    todo = [fit for fit in fits if not fit.is_done(dataset)]
    runs = console.count(len(fits), "run")
    console.say(f"{row}: {len(fits) - len(todo)} of {runs} done, in {out}")
    commands = [_command(paper, arguments, fit, overrides) for fit in todo]
    if todo and arguments.slurm is not None:
        _submit(commands, out / "slurm", _settings(arguments.slurm))
        return
    if has_slurm():
        _refuse_queued(commands, out / "slurm")
    failed = run_fits(commands, arguments.devices) if commands else {}
    if failed:
        said = ", ".join(f"{name} with exit code {code}" for name, code in failed.items())
        raise ValueError(
            f"{len(failed)} of {runs} failed ({said}): see what they said above or in "
            f"{out}/*.log, and run this command again; the others are kept"
        )
    for group in group_fits(fits):
        _score(paper, arguments, row, group, dataset, command)


def _submit(commands: Sequence[Command], folder: Path, settings: dict[str, str]) -> None:
    """Submit the fits whose jobs have ended, or that have none."""
    queued = find_queued(folder, [command.name for command in commands])
    for name, job in queued.items():
        console.say(f"{name} is job {job}, which has not ended: it is not submitted again")
    rest = [command for command in commands if command.name not in queued]
    if rest:
        jobs = submit_fits(rest, folder, settings)
        names = [command.name for command in rest]
        remember_jobs(folder, dict(zip(names, jobs, strict=True)))
        console.say(f"submitted {', '.join(jobs)}")
    console.say("run this command again once they have ended")


def _refuse_queued(commands: Sequence[Command], folder: Path) -> None:
    """Raise ValueError if one of these fits is a job of SLURM that has not ended."""
    for name, job in find_queued(folder, [command.name for command in commands]).items():
        raise ValueError(
            f"{name} is job {job}, which has not ended: wait for it, or scancel it to train here"
        )


def _overrides(
    paper: AnyPaper, arguments: argparse.Namespace, recipes: Sequence[Path], out: Path, file: Path
) -> tuple[str, ...]:
    """The changes of every recipe that a budget asks for; the first time, they are measured."""
    budget: Budget | None = arguments.budget
    if budget is None:
        return ()
    steps = budget.steps or read_object(file).get("steps")
    if not isinstance(steps, int):
        assert budget.seconds is not None
        steps = _affordable(paper, arguments, recipes, out, budget.seconds)
        remember_steps(file, steps)
    each, of = console.count(steps, "step"), console.count(len(recipes), "recipe")
    console.say(f"budget: {each} of one example for each of {of}")
    return short_run(steps)


def _affordable(
    paper: AnyPaper,
    arguments: argparse.Namespace,
    recipes: Sequence[Path],
    out: Path,
    seconds: float,
) -> int:
    """How many steps each recipe may have, by one run of a single step of the first."""
    overrides = short_run(1)
    with atomic.passing_folder(out) as probe:
        [fit] = plan_fits(paper, recipes[:1], probe, overrides)
        began = time.monotonic()
        if run_fits([_command(paper, arguments, fit, overrides)], None):
            raise ValueError(f"a run of one step of {fit.name} failed: see what it said above")
        took = time.monotonic() - began
        share = (_FIT_SHARE * seconds - took) / len(recipes)
        steps = max(1, int(share / took))
        console.say(f"a run of one step of {fit.name} takes {took:.0f} s with all it needs")
        if share < took:
            console.say(
                f"{seconds:.0f} s are not enough for one step of each recipe: it takes longer"
            )
        if steps == 1:
            fit.folder.rename(out / fit.name)
    return steps


def _command(
    paper: AnyPaper, arguments: argparse.Namespace, fit: Fit, overrides: Sequence[str]
) -> Command:
    more = ["--device", arguments.device, *overrides]
    if overrides and fit.steps == 1:
        more.append("--dev_mode")  # one validation batch is enough, too
    for flag in ("workers", "micro_batch"):
        if getattr(arguments, flag) is not None:
            more += [f"--{flag}", str(getattr(arguments, flag))]
    if arguments.checkpoint_activations:
        more.append("--checkpoint_activations")
    root = arguments.data_root or "ROOT"  # a plan needs none
    words = fit_words(paper.name, fit.name, root, fit.folder, more)
    return Command(fit.name, words, fit.folder.with_suffix(".log"))


def _settings(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, sign, _ in pairs:
        if not sign:
            raise ValueError(f"--slurm {name} has no value: write {name}=...")
    return {name: value for name, _, value in pairs}


def _score(
    paper: AnyPaper,
    arguments: argparse.Namespace,
    row: str,
    fits: Sequence[Fit],
    dataset: Dataset,
    command: str,
) -> None:
    """Score runs as one model, which also builds the boards, and print what is claimed beside."""
    words = ["--checkpoint", *(str(fit.folder) for fit in fits)]
    words += ["--data_root", arguments.data_root, "--device", arguments.device]
    words += ["--jobs", str(arguments.jobs)]
    if arguments.scores is not None:
        words += ["--scores", str(arguments.scores)]
    remainder = evaluate.find_remainder(paper, fits[0].loaded.recipe)
    if remainder is not None:
        words += ["--remainder", remainder]
    parser = Parser()
    add_evaluate_flags(parser, paper)
    typed = shlex.join([paper.command, "evaluate", *words])
    summary = evaluate.evaluate(paper, parser.parse_args(words), typed).summary
    console.say(f"\n{row}: {', '.join(fit.name for fit in fits)}")
    claims = read_claims(PUBLISHED.parent / "papers.csv", row)
    for line in compare(claims, summary, dataset.name):
        console.say(line)
    if not claims:
        console.say("claims are in results/papers.csv: run this in a checkout of the repository")


def _print_plan(
    paper: AnyPaper, arguments: argparse.Namespace, row: str, recipes: Sequence[Path], out: Path
) -> None:
    budget: Budget | None = arguments.budget
    overrides = short_run(budget.steps) if budget is not None and budget.steps else ()
    fits = plan_fits(paper, recipes, out, overrides)
    console.say(f"{row}: {console.count(len(fits), 'recipe')}")
    width = max(len(fit.name) for fit in fits)
    console.say(f"{'recipe':{width}}  {'batch':>5} {'steps':>9} {'examples':>10}  stems")
    for fit in fits:
        batch = fit.loaded.recipe.training.batch
        stems = ", ".join(fit.stems)
        console.say(f"{fit.name:{width}}  {batch:5} {fit.steps:9} {fit.steps * batch:10}  {stems}")
    hours = 0.0
    for fit in fits:
        words = _command(paper, arguments, fit, overrides).words[4:]
        console.say(f"\n{shlex.join([paper.command, 'fit', *words])}")
        plan = _plan(paper, fit)
        hours += plan.hours
        console.say(describe(plan))
    pace = "at the pace that these plans assume"
    console.say(f"\nall recipes, one after another on one device: {duration(hours)} {pace}")
    console.say("what is heard is counted for songs as many and as long as those of MUSDB18")
    together = "as one model" if len(group_fits(fits)) == 1 else "one by one"
    console.say(f"then they are scored {together}, and compared with results/papers.csv")


def _plan(paper: AnyPaper, fit: Fit) -> Plan:
    """What training a recipe costs on one device, for songs like those of MUSDB18."""
    parser = Parser()
    add_fit_flags(parser)
    words = ["--recipe", fit.name, "--devices", "1", "--plan"]
    return make_plan(paper, fit.loaded, parser.parse_args(words))
