"""An unknown flag of ``mss-results`` is told with the nearest one of its verb; none is empty."""

from pathlib import Path

import pytest

from mss_results.__main__ import main


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "--metrc", "SDR"], "show: error: unrecognized argument: --metrc, did you mean"),
        (["build", "--scoers=x"], "unrecognized argument: --scoers=x, did you mean --scores?"),
        (["show", "SDR"], "unrecognized argument: SDR\n"),
    ],
)
def test_an_unknown_flag_names_the_nearest(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["build", "--out", ""], "error: the value of --out is empty: give one, or leave it out"),
        (["build", "--scores="], "the value of --scores is empty"),
        (["build", "--repo", "a\0b"], "the value of --repo has a NUL character"),
        (["import-museval", ""], "an argument is empty"),
    ],
)
def test_an_empty_word_is_one_sentence(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
