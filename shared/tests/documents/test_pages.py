"""The site has a page for every command with every flag, and for every public module."""

import argparse
import importlib
import re
import tomllib
from pathlib import Path

import pytest

for needed in ("bs_roformer", "mss_results", "mss_demo_songs"):
    pytest.importorskip(needed, reason="a package of the repository")

from command_pages import command_page, find_commands, find_parser, find_verbs  # noqa: E402
from module_pages import find_modules, module_page  # noqa: E402

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "shared" / "docs"
PAPERS = sorted(path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml"))
COMMANDS = find_commands(ROOT)
MODULES = find_modules(ROOT)


def test_every_paper_and_every_distribution_with_a_command_has_a_page() -> None:
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("*/*/pyproject.toml")]
    names = {name for text in texts for name in tomllib.loads(text)["project"].get("scripts", ())}
    assert len(PAPERS) >= 5 and len(names) >= len(PAPERS)
    assert names | {"mss-data", "mss-eval", "mss-results"} == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_page_has_every_verb_and_flag(command: str) -> None:
    page = command_page(command, COMMANDS[command])
    parser = find_parser(command, COMMANDS[command])
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == list(find_verbs(parser))
    shown = {*re.findall(r"(--?[\w-]+)", "".join(re.findall(r"^`(.*)`$", page, re.MULTILINE)))}
    parsers = [find_parser(command, COMMANDS[command], [verb]) for verb in headings]
    flags = {
        flag
        for verb, made in zip(headings, parsers, strict=True)
        for action in find_verbs(made)[verb]._actions
        if action.help != argparse.SUPPRESS
        for flag in action.option_strings
    }
    flags |= {*([] if headings else parser._option_string_actions)}
    assert len(flags) > 5 and flags - {"-h", "--help"} <= shown


def test_the_flags_of_a_plugin_are_on_the_page() -> None:
    assert "`--no_vocals`" in command_page("mss-data", COMMANDS["mss-data"])


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_page_has_its_public_names(module: str) -> None:
    page = module_page(module, MODULES)
    names = importlib.import_module(module).__all__
    assert len(names) > 0
    for name in names:
        assert re.search(rf"^\.\. [\w:]+:: {module}\.{name}(\(|$)", page, re.MULTILINE), name


def test_the_packages_and_the_rooms_with_public_names_are_among_the_modules() -> None:
    sources = [*ROOT.glob("*/src"), *ROOT.glob("*/*/src")]
    tops = {path.parent.name for source in sources for path in source.glob("*/__init__.py")}
    assert {*PAPERS, "mss_shared", "mss_results", "mss_demo_songs"} == tops
    assert tops <= {*MODULES} and "mss_shared.metrics.sdr" in MODULES
    assert not any(part.startswith("_") for name in MODULES for part in name.split("."))


def test_every_page_of_the_folder_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert len(pages) >= 6 and pages <= {*index.split()}
