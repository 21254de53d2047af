"""Writing a new package from the templates, complete or not at all."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from mss_shared import atomic
from mss_shared.leases import acquire, make_lease
from mss_shared.new_paper.paper_name import check_paper_name, class_name, title
from mss_shared.new_paper.registry import FILES, listed_papers, register
from mss_shared.stopping import uninterrupted

LOCK = ".new_paper.lock"  # in the repository, while the lists of papers are written
_TRIES = 20  # as long as a try sees other processes at work: less than two minutes in all
_NEEDED = ("torch", "safetensors", "yaml", "jsonargparse")


def begin_package(repo: Path, name: str) -> Path:
    """Write ``packages/NAME`` with its frozen outputs and sheet, and register it.

    Args:
        repo: the repository's folder.
        name: of the package.

    Returns:
        The package's folder.

    Raises:
        FileNotFoundError: if ``repo`` is not the repository.
        ModuleNotFoundError: if the network of the templates can't be run here.
        ValueError: if the name can't be had.
        OSError: if the files can't be written, or another process keeps the lists of papers locked;
            there is no half-written package then.
    """
    absent = [file for file in (*FILES, "packages") if not (repo / file).exists()]
    if absent:
        raise FileNotFoundError(
            f"no {absent[0]} in {repo.resolve()}: --repo must name the repository's folder"
        )
    check_paper_name(repo, name)
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(
                f"{module} is not installed: pip install -c shared/constraints.txt "
                f"-e './shared[train]'"
            )
    with atomic.passing_folder(repo) as stage:
        draft = stage / "packages" / name
        write_templates(draft, name)
        _freeze(stage, name)
        with uninterrupted(), _alone(repo):
            return _publish(repo, name, draft)


def _publish(repo: Path, name: str, draft: Path) -> Path:
    """Move a package to its place and list it: other papers may have come since the first check."""
    check_paper_name(repo, name)
    last = listed_papers(repo)[-1]
    texts = {
        repo / file: register((repo / file).read_text(encoding="utf-8"), name, last)
        for file in FILES
    }
    package = repo / "packages" / name
    os.rename(draft, package)
    try:
        atomic.write_all({path: _writer(text) for path, text in texts.items()})
    except BaseException:
        os.rename(package, draft)
        raise
    return package


def _writer(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


@contextmanager
def _alone(repo: Path) -> Iterator[None]:
    """Hold the lock of the lists of papers in the block; to be called in ``uninterrupted``.

    Raises:
        OSError: if other processes keep it, or it can't be written.
    """
    lease = make_lease(repo / LOCK)
    tries = 1
    while (holder := acquire(lease, patient=True)) and tries < _TRIES:
        tries += 1
    if holder:
        raise OSError(f"{holder.process} changes the lists of papers ({holder.lock}): try again")
    try:
        yield
    finally:
        lease.release()


def write_templates(folder: Path, name: str) -> None:
    """Fill the templates in.

    Args:
        folder: becomes the package's.
        name: of the package.

    Raises:
        OSError: if they can't be written.
    """
    for parts, text in templates(name):
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def templates(name: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path, in parts below the package's folder, and the text of every file."""
    words = {
        "name": name,
        "command": name.replace("_", "-"),
        "class_name": class_name(name),
        "title": title(name),
    }
    for parts, text in _walk(files("mss_shared.new_paper") / "templates", ()):
        renamed = tuple(name if part == "package" else part for part in parts)
        yield renamed, _sort_imports(Template(text).substitute(words), name)


def _walk(folder: Traversable, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, (*parts, item.name))
        elif item.name.endswith(".txt"):
            yield (*parts, item.name.removesuffix(".txt")), item.read_text(encoding="utf-8")


def _sort_imports(text: str, name: str) -> str:
    """Order imports of the package and of the library, which depends on the package's name."""
    line = rf"[ ]*from (?:{name}|mss_shared)[. ].*\n"
    return re.sub(rf"(?:{line})+", lambda run: "".join(sorted(run[0].splitlines(True))), text)


def _freeze(stage: Path, name: str) -> None:
    """Freeze outputs and operations of the network, measure again, write the conformance sheet."""
    package = stage.resolve() / "packages" / name
    path = os.pathsep.join(filter(None, (str(package / "src"), os.environ.get("PYTHONPATH"))))
    sheet = ["-m", "mss_shared.conformance", "--measure", "--operations", "--repo", str(stage)]
    for words in [str(package / "tests" / "freeze.py")], [*sheet, name]:
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise OSError(f"the network of the templates does not run: {last}")
