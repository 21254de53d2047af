"""What reaches the terminal: no name can steer it, and none ends a command that has worked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from score_folders import ScoreFolders, four_stems

from mss_results.__main__ import main
from mss_results.output import escaped

RED = "\x1b[31mred\x07\x9b"
SHOWN = r"\x1b[31mred\x07\x9b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcödé 音 – ½\nnext", "Ünïcödé 音 – ½\nnext"),
        (RED, SHOWN),
        ("a\rb\tc\x7f", r"a\x0db\x09c\x7f"),
        ("a\u202eb\u2028c\u2029d\u200be\ufeff", r"a\u202eb\u2028c\u2029d\u200be\ufeff"),
        ("\udcff\U000e0041", r"\udcff\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("verb", ["build", "show", "verify"])
def test_names_in_messages_are_shown_escaped(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert main([verb, "--repo", str(repo), "--scores", str(tmp_path / RED)]) == 2
    said = capsys.readouterr().err
    assert SHOWN in said and RED not in said


def test_names_of_written_files_are_shown_escaped_and_on_one_line(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"{RED}\nwrote nothing"
    assert main(["build", "--repo", str(repo), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert rf"{SHOWN}\nwrote nothing/leaderboard.csv" in said and "\x1b" not in said
    assert "\nwrote nothing" not in said


def test_unfinished_and_empty_folders_are_named_escaped(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "results" / "scores" / "demo_small" / "ours" / RED).mkdir()
    assert main(["show", "--repo", str(repo)]) == 0
    said = capsys.readouterr().err
    assert f"{SHOWN} is passed over" in said and "\x1b" not in said


def test_an_import_names_folders_escaped(
    folders: ScoreFolders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = folders.write({"a": four_stems(1.0)}, metric="SDR ISR SIR SAR")
    source = tmp_path / "in"
    source.mkdir()
    (made / "bsseval_v4").rename(source / "net")
    (source / RED).mkdir()
    words = ["import-museval", str(source), "--dataset", "band", "--protocol", "bsseval_v4@1"]
    assert main([*words, "--scores", str(tmp_path / f"out{RED}")]) == 0
    said = capsys.readouterr()
    assert f"{SHOWN} is passed over" in said.err and f"out{SHOWN}/band/net" in said.out
    assert "\x1b" not in said.err + said.out


def test_a_word_that_is_no_flag_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["show", RED], [RED], ["show", f"--{RED}"]):
        with pytest.raises(SystemExit):
            main(words)
        assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("sign", ["\u202e", "\u2028", "\u2029", "\u200b", "\ufeff"])
@pytest.mark.parametrize("place", [("command",), ("recipe",), ("protocols", "bsseval_v4", "unit")])
def test_a_record_with_hidden_signs_is_refused(
    repo: Path,
    folders: ScoreFolders,
    capsys: pytest.CaptureFixture[str],
    sign: str,
    place: tuple[str, ...],
) -> None:
    folders.edit(repo / "results/scores/demo_small/ours/seed0", *place, value=f"d{sign}B")
    assert main(["show", "--repo", str(repo)]) == 2
    said = capsys.readouterr().err
    assert "without control or format characters" in said and sign not in said


def test_names_that_join_letters_are_names(repo: Path, folders: ScoreFolders) -> None:
    folder = repo / "results/scores/demo_small/ours/seed0"
    folders.edit(folder, "command", value="evaluate \u0645\u06cc\u200c\u062e 👩\u200d🎤")
    assert main(["build", "--repo", str(repo)]) == 0


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "ascii"])
def test_a_path_that_the_terminal_cannot_show_does_not_end_a_command(
    repo: Path, tmp_path: Path, encoding: str
) -> None:
    out = os.fsencode(tmp_path) + b"/\xff\xc3\xa9"
    ended = subprocess.run(
        [sys.executable, "-m", "mss_results", "build", "--repo", str(repo), "--out", out],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert rb"\udcff" in ended.stdout and os.path.exists(out + b"/leaderboard.csv")
    missing = os.fsencode(tmp_path) + b"/\xfe"
    ended = subprocess.run(
        [sys.executable, "-m", "mss_results", "show", "--repo", missing],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2 and rb"\udcfe/results: --repo must name" in ended.stderr
