"""Which commit made a number."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mss_shared import provenance
from mss_shared.provenance import find_commit


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A committed source tree of a package and the library."""
    for name in ("packages/paper/model.py", "packages/paper/README.md", "shared/src/library.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return tmp_path


def git(tree: Path, *words: str) -> str:
    command = ["git", "-C", str(tree), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    assert find_commit(tree / "shared/src/library.py") == git(tree, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["packages/paper/model.py", "packages/paper/new.yaml"])
def test_changed_code_is_marked(tree: Path, name: str) -> None:
    (tree / name).write_text("second")
    assert (
        find_commit(tree / "shared/src/library.py") == f"{git(tree, 'rev-parse', 'HEAD')}+changes"
    )


@pytest.mark.parametrize("name", ["packages/paper/README.md", "results.csv"])
def test_boards_and_results_that_a_run_makes_do_not_count(tree: Path, name: str) -> None:
    (tree / name).write_text("second")
    assert find_commit(tree / "shared/src/library.py") == git(tree, "rev-parse", "HEAD")


def test_an_installed_file_has_none(tree: Path) -> None:
    (tree / "shared/src/unknown.py").write_text("")
    assert find_commit(tree / "shared/src/unknown.py") is None


def test_a_record_says_what_was_done_and_what_made_it(tmp_path: Path) -> None:
    origin = provenance.describe_origin("tiny fit", "museval")
    provenance.write_record(tmp_path, {"kind": "training", **origin})
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [*record] == ["schema", "kind", "commit", "versions", "command", "machine", "threads"]
    assert record["threads"] == torch.get_num_threads()
    assert (record["schema"], record["kind"], record["command"]) == (1, "training", "tiny fit")
    assert {"python", "torch", "mss-shared"} <= set(record["versions"])


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("p fit --recipe demo", "p fit --recipe demo"),
        ("p fit --data_root {home}/data/my songs", "p fit --data_root ~/data/my songs"),
        ("p fit --out={home}/runs", "p fit --out=~/runs"),
        ("p fit --data_root aligned:{home}/set", "p fit --data_root aligned:~/set"),
        ("p separate file://{home}/a.wav", "p separate file://~/a.wav"),
        ("p fit --data_root {here}/music", "p fit --data_root music"),
        ("p fit --data_root {here}/../music/", "p fit --data_root ../music"),
        ("p fit --data_root {home}", "p fit --data_root ~"),
        ("p fit --data_root {home}beside", "p fit --data_root ../homebeside"),
        ("p get https://host/{home}", "p get https://host/{home}"),
        ("p fit --recipe.data.stems [a,b]", "p fit --recipe.data.stems [a,b]"),
    ],
)
def test_no_absolute_path_is_recorded(
    typed: str, recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    words = [word.format(home=home, here=here) for word in re.split(r" (?!songs)", typed)]
    found = provenance.describe_origin(shlex.join(words))["command"]
    expected = [word.format(home=home) for word in re.split(r" (?!songs)", recorded)]
    assert shlex.split(found) == expected


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)))
def test_any_command_is_recorded_word_by_word(words: list[str]) -> None:
    found = shlex.split(provenance.without_absolute_paths(shlex.join(words)))
    assert len(found) == len(words)
    assert not any(word.startswith("/") and not word.startswith("//") for word in found)
