"""An unknown flag of ``mss-results`` is told with the nearest one of its verb."""

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
