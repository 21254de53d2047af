"""Which SLURM jobs a reproduction has submitted, and which of them have not ended yet."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from mss_shared import atomic
from mss_shared.cli.reproduce_plan import read_object

JOBS = "jobs.json"  # in the folder of the jobs' logs: recipe to the id of its latest job
_PATIENCE = 60.0  # seconds that squeue may take
_ID = re.compile(r"[0-9]+(_[0-9]+)?")


def remember_jobs(folder: Path, jobs: Mapping[str, str]) -> None:
    """Keep the ids of jobs that were submitted; of each recipe, the latest counts."""
    text = json.dumps({**_read(folder), **jobs}, indent=2)
    atomic.write_text(folder / JOBS, f"{text}\n")


def find_queued(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The jobs of these recipes that wait or run, recipe to id.

    Args:
        folder: of the jobs' logs.
        names: of recipes.

    Raises:
        ValueError: if jobs are known and SLURM does not answer.
    """
    known = _read(folder)
    known = {name: known[name] for name in names if name in known}
    if not known:
        return {}
    queued = _list_queued(folder / JOBS, known)
    return {name: job for name, job in known.items() if job in queued}


def has_slurm() -> bool:
    """Whether this machine can ask SLURM for its jobs."""
    return shutil.which("squeue") is not None


def _read(folder: Path) -> dict[str, str]:
    found = read_object(folder / JOBS)
    return {n: job for n, job in found.items() if isinstance(job, str) and _ID.fullmatch(job)}


def _list_queued(file: Path, jobs: Mapping[str, str]) -> set[str]:
    """The ids of all jobs of this user that have not ended, those of arrays one by one."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
        said = " ".join(done.stderr.split()).rstrip(".")
        reason = said or f"exit code {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or "no answer"
    if reason:
        raise ValueError(
            f"squeue can't say whether the jobs {', '.join(jobs.values())} have ended ({reason}): "
            f"run this where it can, or remove {file} once they have"
        )
    return set(done.stdout.split())
