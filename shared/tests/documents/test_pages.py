"""The site has a page for every command with every flag, and for every public module."""

import argparse
import importlib
import re
import tomllib
from pathlib import Path

import pytest

for needed in ("bs_roformer", "mss_results", "mss_demo_songs"):
    pytest.importorskip(needed, reason="a package of the repository")

from command_pages import command_page, find_commands  # noqa: E402
from docstring_entries import one_name_each  # noqa: E402
from module_pages import find_modules, module_page  # noqa: E402

from mss_shared.cli.commands import find_parser, find_verbs  # noqa: E402

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "shared" / "docs"
PAPERS = sorted(path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml"))
COMMANDS = find_commands(ROOT)
MODULES = find_modules(ROOT)


def test_every_command_that_is_installed_has_a_page() -> None:
    projects = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    texts = [path.read_text(encoding="utf-8") for path in projects]
    names = [name for text in texts for name in tomllib.loads(text)["project"].get("scripts", ())]
    assert len(names) >= len(PAPERS) + 3 and len(PAPERS) >= 5
    assert sorted(names) == sorted(COMMANDS)


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return {flag for action in shown for flag in action.option_strings} - {"-h", "--help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_page_has_every_verb_with_its_flags(command: str) -> None:
    entry = COMMANDS[command]
    top, *sections = re.split(r"^## ", command_page(command, entry), flags=re.MULTILINE)
    verbs = find_verbs(find_parser(command, entry))
    assert [section.partition("\n")[0] for section in sections] == list(verbs)
    wanted = {verb: find_verbs(find_parser(command, entry, [verb]))[verb] for verb in verbs}
    parsers = list(wanted.values()) or [find_parser(command, entry)]
    for section, parser in zip(sections or [top], parsers, strict=True):
        terms = " ".join(re.findall(r"^`(.*)`$", section, re.MULTILINE))
        assert flags_of(parser) <= {*re.findall(r"(?<!\S)--?\w[\w-]*", terms)}
        assert parser.format_usage().split()[2] in section


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_fits_two_screens_and_shows_examples(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parser = find_parser(command, COMMANDS[command])
    own = {"export"}  # verbs of one paper
    verbs = {
        f"{command} {verb}": find_verbs(find_parser(command, COMMANDS[command], [verb]))[verb]
        for verb in find_verbs(parser)
        if verb not in own
    }
    assert verbs or command == "mss-eval"
    for prog, each in {command: parser, **verbs}.items():
        text = each.format_help()
        assert len(text.splitlines()) <= 100, prog
        assert f"examples:\n\n  {prog}" in text, prog


def test_the_flags_of_a_plugin_are_on_the_page() -> None:
    assert "`--no_vocals`" in command_page("mss-data", COMMANDS["mss-data"])


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_page_has_its_public_names(module: str) -> None:
    page = module_page(module, MODULES)
    names = importlib.import_module(module).__all__
    assert len(names) > 0 and f"automodule:: {module}\n" in page
    for name in names:
        assert re.search(rf"^\.\. [\w:]+:: {name}(\(|$)", page, re.MULTILINE), name


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


def test_an_entry_of_two_names_is_an_entry_of_each() -> None:
    lines = """Title, one: text.

    Args:
        first, second: of both
            and more.
        third: alone.

    Returns:
        (a, b): stays
    """.splitlines()
    split = one_name_each(lines)
    assert split == [
        *lines[:3],
        *("        first: of both", "            and more."),
        *("        second: of both", "            and more."),
        *lines[5:],
    ]
