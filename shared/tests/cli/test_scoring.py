"""What ``demo``, ``evaluate`` and ``mss-eval`` print: a mean only over the four stems."""

import pytest

from mss_shared.cli.scoring import print_tables

FOUR = ("vocals", "drums", "bass", "other")


def printed(capsys: pytest.CaptureFixture[str], *stems: str) -> list[list[str]]:
    scores = {stem: {"SDR": float(value)} for value, stem in enumerate(stems, start=1)}
    print_tables({"one": {"p@1": scores}, "two": {"p@1": scores}})
    return [line.split() for line in capsys.readouterr().out.splitlines()[2:]]


def test_the_mean_of_four_stems_ends_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    header, one, two = printed(capsys, *FOUR)
    assert header == [*FOUR, "mean"]
    assert one == ["one", "1.00", "2.00", "3.00", "4.00", "2.50"]
    assert two[1:] == one[1:]


@pytest.mark.parametrize("stems", [(*FOUR, "accompaniment"), FOUR[:3], ("speaker1", "speaker2")])
def test_other_targets_have_no_mean(
    capsys: pytest.CaptureFixture[str], stems: tuple[str, ...]
) -> None:
    header, one, _ = printed(capsys, *stems)
    assert header == [*stems] and len(one) == 1 + len(stems)
