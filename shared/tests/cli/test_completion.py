"""The script of the completion, in a bash: what it offers behind some words."""

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mss_shared.cli import completion, mss_data, mss_eval
from mss_shared.datasets import plugins

bash = shutil.which("bash")
pytestmark = pytest.mark.skipif(bash is None, reason="no bash")

Offer = Callable[..., list[str]]


@pytest.fixture(scope="module")
def offer(tmp_path_factory: pytest.TempPathFactory) -> Offer:
    """What is offered for the last of some words, as readline splits them."""
    pytest.importorskip("tiny_paper")
    commands = {
        "tiny-paper": "tiny_paper.__main__:main",
        "mss-data": "mss_shared.cli.mss_data:main",
        "mss-eval": "mss_shared.cli.mss_eval:main",
    }
    path = tmp_path_factory.mktemp("completion") / "script.sh"
    path.write_text(completion.script(commands), encoding="utf-8")

    def offered(*words: str) -> list[str]:
        program = textwrap.dedent("""\
            set -u
            source "$1"; shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _mss_complete
            printf '%s\\n' "${COMPREPLY[@]:-}"
        """)
        assert bash is not None
        done = subprocess.run(
            [bash, "--norc", "--noprofile", "-c", program, "bash", path, *words],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("tiny-paper", "ev"), ["evaluate"]),
        (("/some/where/tiny-paper", "ev"), ["evaluate"]),
        (("tiny-paper", "fit", "--rec"), ["--recipe", "--recipe."]),
        (("tiny-paper", "fit", "--recipe.training.ep"), ["--recipe.training.epochs"]),
        (("tiny-paper", "fit", "--device", "c"), ["cpu", "cuda"]),
        (("tiny-paper", "fit", "--device", "=", "c"), ["cpu", "cuda"]),
        (("tiny-paper", "fit", "--device", "="), ["auto", "cpu", "cuda", "mps"]),
        (("tiny-paper", "fit", "--device", "cpu", "c"), []),  # files
        (("tiny-paper", "fit", "--recipe", "d"), ["demo"]),
        (("tiny-paper", "fit", "--recipe", "other.yaml", "d"), ["demo"]),  # one of several
        (("tiny-paper", "recipe", "sh"), ["show"]),
        (("tiny-paper", "a song.wav", "--losl"), []),
        (("tiny-paper", "a song.wav", "--lossl"), ["--lossless"]),
        (("tiny-paper", "a song.wav", "--format", "m"), ["mp3", "mp4"]),
        (("tiny-paper", "a so"), []),  # files
        (("mss-data", "ch"), ["check"]),
        (("mss-data", "check", "--st"), ["--stems"]),
        (("mss-eval", "songs", "stems", "--protocol", "usdr", "log"), ["log_wmse"]),
        (("mss-eval", "songs", "stems", "--ove"), ["--overwrite"]),
    ],
)
def test_it_offers(offer: Offer, words: tuple[str, ...], wanted: list[str]) -> None:
    assert offer(*words) == wanted


def test_the_script_of_what_is_installed_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"mss-eval": "mss_shared.cli.mss_eval:main"}
    monkeypatch.setattr(completion, "installed_commands", lambda: found)
    monkeypatch.setattr(sys, "argv", ["completion"])
    completion.main()
    said = capsys.readouterr().out
    assert said.endswith("complete -o default -F _mss_complete mss-eval\n")
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^python -m mss_shared\.cli\.completion > \S+$", page, re.MULTILINE)


def test_a_verb_whose_package_is_not_installed_is_completed_without_its_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda **_: ())
    text = completion.script({"mss-data": "mss_shared.cli.mss_data:main"})
    assert "'mss-data  ') echo 'check info demo' ;;" in text
    assert "'mss-data demo '-) echo '-h --help' ;;" in text and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "words", "sentence"),
    [
        (mss_eval.main, "mss-eval a b --out c --protocl usdr", "--protocl, did you mean --protoc"),
        (mss_data.main, "mss-data check a --stem x", "mss-data check: error: unrecognized argu"),
        (mss_data.main, "mss-data check a --stem x", "--stem, did you mean --stems?"),
    ],
)
def test_an_unknown_flag_of_the_other_commands_names_the_nearest(
    main: Callable[[], None],
    words: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", words.split())
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and sentence in said and len(said.splitlines()) == 1
