"""The repository keeps its own rules: layout, names, every package registered everywhere."""

import configparser
import csv
import re
import subprocess
import tomllib
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

from mss_shared.datasets.tracks import STEMS
from mss_shared.evaluation.protocols import find_protocol
from mss_shared.new_paper.registry import listed_papers, missing_lines, places

ROOT = Path(__file__).parents[2]
TOP = {
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff"),
    *("packages", "shared", "experiments", "results"),
}
PAPERS = sorted(path.name for path in (ROOT / "packages").iterdir() if (path / "src").is_dir())
COMMAND = re.compile(r"^(?:pip install tox && )?tox -e (\S+)", re.MULTILINE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", *patterns], capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the tracked files can't be listed")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def ini(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / name)
    return parser


def test_the_top_level_holds_the_prescribed_entries_alone() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in found if not name.startswith(".")} == TOP | {"tox.ini"}


@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_is_registered_wherever_papers_are_listed(paper: str) -> None:
    others = [other for other in PAPERS if other != paper]
    assert others
    for other in others:
        assert missing_lines(ROOT, paper, other) == []
    assert sorted(listed_papers(ROOT)) == PAPERS
    assert len(places((ROOT / "tox.ini").read_text(encoding="utf-8"), paper)) == 4
    assert len(places((ROOT / ".importlinter").read_text(encoding="utf-8"), paper)) == 4
    claimed = {row["recipe"].split("/")[0] for row in claims()}
    assert paper in claimed or not any(reproduced(path) for path in recipes(paper))
    assert places((ROOT / "README.md").read_text(encoding="utf-8"), paper)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_model_card_says_where_the_data_are_and_which_python(paper: str) -> None:
    card = (ROOT / "packages" / paper / "README.md").read_text(encoding="utf-8")
    section = card.partition("\n## Data\n")[2].partition("\n## ")[0]
    for words in (
        "10.5281/zenodo.3338373",
        "22.7 GB",
        "/train/<artist",
        "musdbconvert",
        ".stem.mp4",
    ):
        assert words in section, words
    assert "Python 3.11 or newer is needed" in card and "CONFORMANCE.md" in card


def test_a_papers_environment_has_what_its_flags_name() -> None:
    """museval for --bsseval museval, PyAV for .stem.mp4 files, musdb for its previews."""
    [papers] = [name for name in ini("tox.ini").sections() if name.startswith("testenv:{")]
    needs = ini("tox.ini")[papers]["deps"]
    [shared] = re.findall(r"-e \./shared\[(.*)\]", needs)
    assert {"train", "data", "eval", "download"} <= {*shared.split(",")}


def test_tox_passes_every_variable_that_the_code_reads() -> None:
    passed = ini("tox.ini")["testenv"]["pass_env"].split()
    read = r"""(?:environ(?:\.get\(|\[)|getenv\()["']([A-Z0-9_]+)"""
    names = {
        name
        for folder in ("shared", "packages", "results")
        for path in (ROOT / folder).rglob("src/**/*.py")
        for name in re.findall(read, path.read_text(encoding="utf-8"))
    }
    assert "MUSDB18_7S_ROOT" in names
    names -= {"PYTHONPATH"}  # an environment of tox has its own packages alone
    assert not [name for name in names if not any(fnmatchcase(name, each) for each in passed)]


def test_what_the_readmes_commands_create_is_ignored_by_git() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/runs/", "/stems/", "/scores/", "/experiments/runs/"} <= {*ignored}


def test_the_set_up_for_contributors_installs_what_the_checks_import() -> None:
    """``lint-imports`` ends at the first package of ours that is not installed."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^pip install .*", page, re.MULTILINE)
    assert "-r .ci/papers.txt" in line and "-c shared/constraints.txt" in line
    folders = [ROOT / word.partition("[")[0] for word in re.findall(r"-e '?(\./[^\s']+)", line)]
    installed = {path.name for folder in folders for path in (folder / "src").iterdir()}
    wanted = ini(".importlinter")["importlinter"]["root_packages"].split()
    assert {*wanted} <= installed | {*listed_papers(ROOT)}
    constraints = (ROOT / "shared" / "constraints.txt").read_text(encoding="utf-8").split()
    pinned = {re.sub("[-_.]+", "-", pin.partition("==")[0]).lower() for pin in constraints}
    tools = {*re.findall(r"(?<= )[a-zA-Z][\w-]+(?= )", line.partition("constraints.txt")[2])}
    assert {"pytest", "ruff", "mypy", "import-linter", "pre-commit", "hypothesis"} <= tools
    assert {tool.lower() for tool in tools} <= pinned


def test_no_page_installs_by_name_what_no_index_has() -> None:
    """An extra of what is installed can be added by name; a package of ours has to be here."""
    pages = [*tracked("*.md"), *tracked("*/new_paper/templates/*.txt")]
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = re.search(r"pip install (?:-\S+ )*[\"']?mss-[\w$-]+(?![\w$-]*\[)", text)
        assert not found, f"{page.relative_to(ROOT)}: {found and found[0]}"


def test_the_front_page_is_read_in_a_few_minutes() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    papers = [line for line in lines if line.startswith("| [`")]
    assert len(papers) == len(PAPERS) and 50 < len(lines) - len(papers) < 115


def test_the_citation_has_the_version_of_the_packages() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "title", "message", "authors", "license"} <= citation.keys()
    projects = [ROOT / "shared", ROOT / "results", *(ROOT / "packages" / each for each in PAPERS)]
    versions = {
        tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "version"
        ]
        for project in projects
    }
    assert versions == {citation["version"]}


def test_the_hooks_before_a_commit_are_pinned_as_the_checks_are() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    pins = {
        pin
        for repo in hooks["repos"]
        for hook in repo["hooks"]
        for pin in hook["additional_dependencies"]
    }
    constraints = (ROOT / "shared" / "constraints.txt").read_text(encoding="utf-8").split()
    assert pins <= {*constraints}


def test_there_is_a_paper() -> None:
    assert PAPERS


def recipes(paper: str) -> list[Path]:
    return sorted((ROOT / "packages" / paper / "recipes").glob("*.yaml"))


def reproduced(recipe: Path) -> str | None:
    return yaml.safe_load(recipe.read_text(encoding="utf-8"))["reproduces"]


def claims() -> list[dict[str, str]]:
    with (ROOT / "results" / "papers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("paper", PAPERS)
def test_every_claim_of_a_recipe_can_be_met_by_evaluating_it(paper: str) -> None:
    """Data set, protocol id and metric of a claim are what ``evaluate`` writes for the recipe."""
    found = recipes(paper)
    assert found
    written: dict[str, set[tuple[str, str]]] = {}
    for path in found:
        if row := reproduced(path):
            evaluation = yaml.safe_load(path.read_text(encoding="utf-8"))["evaluation"]
            for name in evaluation["protocols"]:
                protocol = find_protocol(name).on(STEMS)
                pairs = {(protocol.id, metric) for metric in protocol.metrics}
                written.setdefault(row, set()).update(pairs)
    claimed = {row["recipe"] for row in claims() if row["recipe"].startswith(f"{paper}/")}
    assert claimed == set(written)
    for row in claims():
        if row["recipe"] in claimed:
            assert row["dataset"] in ("musdb18", "musdb18hq"), row
            assert (row["protocol"], row["metric"]) in written[row["recipe"]], row


@pytest.mark.parametrize(("page", "least"), [("README.md", 5), ("CONTRIBUTING.md", 4)])
def test_pages_name_only_environments_that_exist(page: str, least: int) -> None:
    lines = COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))
    named = [name for line in lines for name in line.split(",")]
    assert len(named) >= least
    known = {name.removeprefix("testenv:") for name in ini("tox.ini").sections()}
    assert {*named} <= known | {*PAPERS} | {f"test-{paper}" for paper in PAPERS}


def test_modules_stay_short_and_say_what_they_know() -> None:
    modules = tracked("*.py")
    assert len(modules) > 50
    for path in modules:
        limit = 600 if path.name == "model.py" else 400
        if "tests" not in path.parts:
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines"
        assert path.stem not in ("utils", "misc", "common", "helpers"), path


def test_a_papers_share_of_frozen_vectors_stays_below_eight_megabytes() -> None:
    for paper in PAPERS:
        files = tracked(f"packages/{paper}/tests/golden", f"packages/{paper}/tests/vectors")
        assert files
        assert sum(path.stat().st_size for path in files) < 8e6


def test_no_property_test_measures_time() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    for path in tracked("*/tests/*.py"):
        assert not re.search(r"\bdeadline\s*=\s*[^=]", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("paper", PAPERS)
def test_papers_import_rooms_by_their_public_names(paper: str) -> None:
    sources = tracked(f"packages/{paper}/src/*.py")
    assert sources
    deep = re.compile(r"^\s*(?:from|import) mss_shared\.\w+\.\w+.*", re.MULTILINE)
    for path in sources:
        assert not deep.findall(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


@pytest.mark.parametrize(
    "room", ["", "audio", "checkpoints", "datasets", "metrics", "separation", "training"]
)
def test_a_rooms_public_names_are_there(room: str) -> None:
    module = import_module(f"mss_shared.{room}".rstrip("."))
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nonesuch"):
        module.nonesuch  # noqa: B018
    assert {*module.__all__} <= {*dir(module)}  # what Tab offers in a Python shell
