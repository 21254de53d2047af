"""Every command of ``shared/docs/add_a_paper.md`` runs, in order, in a copy of the repository."""

import csv
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import pytest

from mss_shared.new_paper.registry import FILES, listed_papers, missing_lines

ROOT = Path(__file__).parents[3]
PAGE = "shared/docs/add_a_paper.md"
LEFT_OUT = re.compile(r"\.safetensors$|^results/(scores|site|tables)/|^experiments/.*/")
NAME = "toy_unet"


def blocks() -> list[list[str]]:
    """The lines of the page's blocks of commands, without pip's, which need a network."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    found = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [block.splitlines() for block in found]
    return [[line for line in block if not line.startswith("pip install ")] for block in lines]


def copy_repository(folder: Path) -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: the tracked files can't be listed")
    for line in listed.stdout.splitlines():
        if not LEFT_OUT.search(line) and (ROOT / line).is_file():
            (folder / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / line, folder / line)
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / "README.md").touch()


def run(command: str, folder: Path) -> str:
    """Run a line of a shell with the copy's packages in front of those installed."""
    sources = [*folder.glob("*/src"), *folder.glob("*/*/src")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, sources)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_of_the_page_make_a_paper_that_passes_and_is_ranked(tmp_path: Path) -> None:
    copy_repository(tmp_path)
    run("git init -q . && git add .", tmp_path)
    begin, install, checks, path, frozen = blocks()
    assert begin == [f"python -m mss_shared.new_paper {NAME}"]
    assert (len(install), len(checks), len(path), len(frozen)) == (1, 5, 3, 1)
    for command in begin + install:
        run(command, tmp_path)
    with ThreadPoolExecutor(2) as pool:  # the checks change nothing: two at a time
        assert len(list(pool.map(run, checks, repeat(tmp_path)))) == 5
    for command in path + frozen:
        run(command, tmp_path)
    for other in listed_papers(ROOT):
        assert missing_lines(tmp_path, NAME, other) == []
    for file in FILES:  # nothing but its own words was added
        text = (tmp_path / file).read_text(encoding="utf-8").replace(f", {NAME}}}", "}")
        kept = "".join(line for line in text.splitlines(True) if NAME not in line)
        assert kept == (ROOT / file).read_text(encoding="utf-8"), file
    with (tmp_path / "boards/leaderboard.csv").open(encoding="utf-8", newline="") as file:
        ranked = [row["method"] for row in csv.DictReader(file) if row["dataset"] == "demo_tiny"]
    assert {NAME, "mixture", "irm"} <= {*ranked}
    changed = run("git diff --name-only && git ls-files -o --exclude-standard", tmp_path)
    assert {*changed.splitlines()} == {*FILES}
