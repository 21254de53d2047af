"""Names, templates and lists of the papers; what the new package does is in test_add_a_paper."""

import errno
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.leases import make_lease
from mss_shared.new_paper import package
from mss_shared.new_paper.__main__ import main
from mss_shared.new_paper.package import begin_package, templates, write_templates
from mss_shared.new_paper.paper_name import LONGEST, check_paper_name, class_name
from mss_shared.new_paper.registry import FILES, listed_papers, missing_lines, places, register

ROOT = Path(__file__).parents[3]
FIRST, *_, LAST = listed_papers(ROOT)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Toy", "the name is 'Toy': use at most 26 lower-case letters"),
        ("", "the name is ''"),
        ("2net", "the name is '2net'"),
        ("toy-unet", "the name is 'toy-unet'"),
        ("toy__unet", "the name is 'toy__unet'"),
        ("_toy", "the name is '_toy'"),
        ("toy_", "the name is 'toy_'"),
        ("toy\n", r"the name is 'toy\\n'"),
        ("../toy", "the name is '../toy'"),
        ("a/b", "the name is 'a/b'"),
        ("ünet", "the name is 'ünet'"),
        ("u" * (LONGEST + 1), "the name is 'u"),
        ("lambda", "the name lambda belongs to Python: choose another"),
        ("match", "the name match belongs to Python"),
        ("wave", "the name wave belongs to Python"),
        ("mss_toy", "the name mss_toy belongs to the library"),
        ("tests", "the name tests belongs to the library"),
        ("contracts", "the name contracts is an environment of tox"),
        ("py311", "the name py311 is an environment of tox"),
        (LAST, f"the name {LAST} is an environment of tox"),
        ("irm", "the name irm has scores in"),
        ("torch", "the name torch is that of an installed package"),
    ],
)
def test_a_name_that_a_package_can_not_have_is_refused(name: str, message: str) -> None:
    before = sorted((ROOT / "packages").iterdir())
    with pytest.raises(ValueError, match=message):
        begin_package(ROOT, name)
    assert sorted((ROOT / "packages").iterdir()) == before


@given(st.text(max_size=LONGEST + 5) | st.from_regex(r"[a-z0-9_]{1,30}", fullmatch=True))
def test_any_name_is_refused_in_one_sentence_or_makes_identifiers(name: str) -> None:
    try:
        check_paper_name(ROOT, name)
    except ValueError as error:
        assert str(error).isprintable() and ": " in str(error)
        return
    assert name.isidentifier() and name.isascii() and name == name.lower()
    assert class_name(name).isidentifier()
    assert Path(name).parts == (name,)


def test_elsewhere_than_in_the_repository_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["toy_unet", "--repo", str(tmp_path)])
    assert end.value.code == 2 and not list(tmp_path.iterdir())
    assert "no tox.ini in" in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository without packages whose files list ours."""
    for file in FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    (tmp_path / "packages").mkdir()
    return tmp_path


def test_a_network_that_does_not_run_leaves_the_repository_as_it_was(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(repository.rglob("*"))
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(OSError, match="the network of the templates does not run: no message"):
        begin_package(repository, "toy_unet")
    assert sorted(repository.rglob("*")) == before
    assert all((repository / file).read_bytes() == (ROOT / file).read_bytes() for file in FILES)


def is_registered(repo: Path, name: str) -> bool:
    return (repo / "packages" / name).is_dir() and not missing_lines(repo, name, FIRST)


def while_freezing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once in the place of the first freezing, and nothing in that of others."""
    waiting = [act]

    def freeze(stage: Path, name: str) -> None:
        if waiting:
            waiting.pop()()

    monkeypatch.setattr(package, "_freeze", freeze)


def hidden(repo: Path) -> list[str]:
    left = {path.name for path in repo.iterdir() if path.name.startswith(".")}
    return sorted(left - {file.split("/")[0] for file in FILES})


def test_of_two_at_once_each_is_registered(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_freezing(monkeypatch, lambda: begin_package(repository, "toy_one"))
    begin_package(repository, "toy_two")
    assert is_registered(repository, "toy_one") and is_registered(repository, "toy_two")
    assert not hidden(repository)


def test_of_two_at_once_with_one_name_the_second_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_freezing(monkeypatch, lambda: begin_package(repository, "toy_one"))
    with pytest.raises(ValueError, match="the name toy_one is .*: choose another"):
        begin_package(repository, "toy_one")
    assert is_registered(repository, "toy_one") and not hidden(repository)


def test_the_lists_are_read_when_no_other_process_changes_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_freeze", lambda stage, name: None)
    with ThreadPoolExecutor(1) as pool:
        with make_lease(repository / package.LOCK):
            other = pool.submit(begin_package, repository, "toy_two")
            time.sleep(1)
            assert not other.done() and not (repository / "packages" / "toy_two").exists()
            for file in FILES:
                text = (repository / file).read_text(encoding="utf-8")
                (repository / file).write_text(register(text, "toy_one", LAST), encoding="utf-8")
        other.result()
    assert missing_lines(repository, "toy_one", FIRST) == []
    assert is_registered(repository, "toy_two") and not hidden(repository)


def test_lists_that_another_process_keeps_locked_end_in_a_sentence(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_freeze", lambda stage, name: None)
    monkeypatch.setattr("mss_shared.leases.LEASE_SECONDS", 0.4)
    monkeypatch.setattr("mss_shared.leases.BEAT_SECONDS", 0.1)
    with make_lease(repository / package.LOCK):
        with pytest.raises(OSError, match="process .* changes the lists of papers.*: try again"):
            begin_package(repository, "toy_unet")
    assert not [*(repository / "packages").iterdir()] and not hidden(repository)


def test_on_a_full_disk_neither_package_nor_line_appears(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.is_file() and path.read_bytes() for path in repository.rglob("*")}
    real = Path.write_text

    def write(self: Path, text: str, **options: Any) -> int:
        if self.suffix == ".md" and self.parent == repository:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, text, **options)

    monkeypatch.setattr(package, "_freeze", lambda stage, name: None)
    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(OSError, match=r"No space left on device: '.*/README.md'"):
        begin_package(repository, "toy_unet")
    after = {path: path.is_file() and path.read_bytes() for path in repository.rglob("*")}
    assert after == before


@pytest.mark.skipif(sys.platform == "win32", reason="there all processes count as alive")
@pytest.mark.parametrize("step", ["package._freeze", "atomic.replace_all"])
def test_what_a_killed_run_left_is_removed_by_the_next(
    step: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = f"""
import os, sys
from pathlib import Path
from mss_shared import atomic
from mss_shared.new_paper import package
package._freeze = lambda *words: None
{step} = lambda *words: os.kill(os.getpid(), 9)
package.begin_package(Path(sys.argv[1]), "toy_one")
"""
    assert subprocess.run([sys.executable, "-c", kill, str(repository)]).returncode == -9
    assert hidden(repository)
    monkeypatch.setattr(package, "_freeze", lambda stage, name: None)
    begin_package(repository, "toy_two")
    assert is_registered(repository, "toy_two") and not hidden(repository)


@pytest.mark.parametrize("name", ["u", "aa_1", "toy_unet", "zz_top", "a_" + "long" * 6])
def test_the_templates_are_formatted_whatever_the_name(name: str, tmp_path: Path) -> None:
    write_templates(tmp_path / "packages" / name, name)
    (tmp_path / ".ruff.toml").write_bytes((ROOT / ".ruff.toml").read_bytes())
    (tmp_path / "shared").symlink_to(ROOT / "shared")  # whose modules sort as ours do
    for words in ["format", "--check"], ["check", "--no-cache"]:
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "packages"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    written = [path for path in tmp_path.glob("packages/**/*") if path.is_file()]
    assert len(written) == 27
    assert not any("$" in path.read_text(encoding="utf-8") for path in written)


# What a package has of the template word for word; the other files are its own.
ALIKE = {
    "moises_light": ("__main__.py", "front.py", "pretrained.py"),
    "bs_roformer": ("__main__.py", "front.py", "pretrained.py"),
    "lasaft": ("__main__.py", "front.py"),
}


@pytest.mark.parametrize("paper", ALIKE)
def test_what_all_packages_have_is_in_the_templates_word_for_word(paper: str) -> None:
    folder = ROOT / "packages" / paper
    found = {"/".join(parts): text for parts, text in templates(paper)}
    names = [f"src/{paper}/{name}" for name in ALIKE[paper]]
    for name in (*names, "tests/conftest.py", "tests/outside.py", "tests/test_conformance.py"):
        if (name, paper) != ("tests/conftest.py", "lasaft"):
            assert found[name] == (folder / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("file", FILES)
def test_a_paper_is_listed_behind_another_once(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    listed = register(text, "toy_unet", LAST)
    assert places(text, LAST)
    assert places(listed, "toy_unet").keys() == places(text, LAST).keys()
    assert places(listed, LAST).keys() == places(text, LAST).keys()
    assert register(listed, "toy_unet", LAST) == listed


def test_every_line_that_a_paper_lacks_is_named(tmp_path: Path) -> None:
    for file in FILES:
        text = (ROOT / file).read_text(encoding="utf-8")
        (tmp_path / file).parent.mkdir(exist_ok=True)
        gone = text.replace(f", {LAST}}}", "}")
        gone = "".join(
            line for line in gone.splitlines(True) if not re.search(rf"\b{LAST}\b", line)
        )
        (tmp_path / file).write_text(gone, encoding="utf-8")
    found = missing_lines(tmp_path, LAST, FIRST)
    assert len(found) == 10
    assert f".ci/papers.txt, top: -e ./packages/{LAST}" in found
    assert f".importlinter, [importlinter:contract:independence]: {LAST}" in found
    assert f"tox.ini, [testenv:test-{{...}}]: [testenv:test-{{..., {LAST}}}]" in found
