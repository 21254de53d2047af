"""No flag of any command takes an empty word: as a path it would be the current folder."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tiny_paper.paper import PAPER

from mss_shared.cli import mss_data, mss_eval, run
from mss_shared.cli.main import command_parser
from mss_shared.cli.separate_flags import OPTIONAL
from mss_shared.conformance import __main__ as conformance
from mss_shared.new_paper import __main__ as new_paper


def flags() -> list[tuple[str, str]]:
    """Every verb of a paper and its flags that take a value."""
    parser = command_parser(PAPER)
    return [
        (name, action.option_strings[-1])
        for name, verb in parser.verbs.items()
        for action in verb._actions
        if action.option_strings and action.nargs != 0 and not is_help(action)
    ]


def is_help(action: argparse.Action) -> bool:
    return "--help" in action.option_strings


def refused(
    act: Callable[[Sequence[str]], None],
    words: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> str:
    with pytest.raises(SystemExit) as ended:
        act(words)
    assert ended.value.code == 2 and not list(folder.iterdir())
    return capsys.readouterr().err


def test_an_empty_value_of_any_flag_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = flags()
    assert len(found) > 80 and ("fit", "--out") in found
    for verb, flag in found:
        for words in ([verb, flag, ""], [verb, f"{flag}="]):
            said = refused(lambda words: run(PAPER, words), words, tmp_path, capsys)
            what = "an argument" if flag in OPTIONAL and "" in words else f"the value of {flag}"
            assert f"error: {what} is empty: give one, or leave it out" in said


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("paper", ["separate", ""], "an argument is empty"),
        ("paper", [""], "an argument is empty"),
        ("paper", ["separate", "a.wav", "--out", "a\0b"], "value of --out has a NUL character"),
        ("paper", ["separate", "a.wav", "--aggregate", ""], "value of --aggregate is empty"),
        ("eval", ["songs", "stems", "--out", ""], "the value of --out is empty"),
        ("eval", ["songs", ""], "an argument is empty"),
        ("data", ["check", ""], "an argument is empty"),
        ("new_paper", ["toy", "--repo", ""], "the value of --repo is empty"),
        ("conformance", ["--repo", ""], "the value of --repo is empty"),
    ],
)
def test_empty_words_and_nul_characters_are_refused_by_every_command(
    command: str,
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    acts: dict[str, Callable[[Sequence[str]], None]] = {
        "paper": lambda words: run(PAPER, words),
        "eval": mss_eval.main,
        "data": mss_data.main,
        "new_paper": new_paper.main,
        "conformance": conformance.main,
    }
    assert said in refused(acts[command], words, tmp_path, capsys)


def test_no_command_parses_its_words_otherwise() -> None:
    source = Path(mss_data.__file__).parents[1]
    others = [
        path
        for path in source.rglob("*.py")
        if "ArgumentParser(" in path.read_text() and path.name != "parser.py"
    ]
    assert len(list(source.rglob("*.py"))) > 100 and others == []
