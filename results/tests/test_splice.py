from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.board import build_boards
from mss_results.claims import Claim
from mss_results.splice import splice

CLAIM = Claim("Net", "", "musdb18hq", "usdr@1", "no", "vocals", "uSDR", 7.0, None, "A paper", "")
BOARDS = {board.name: board for board in build_boards([], [CLAIM])}
BEGIN = "<!-- results:begin musdb18hq--usdr@1 -->"
END = "<!-- results:end -->"
FILE = Path("README.md")


def test_a_board_replaces_what_stood_between_the_markers():
    text = splice(f"before\n{BEGIN}\nold 5.00\n{END}\nafter\n", FILE, BOARDS)
    assert text.startswith(f"before\n{BEGIN}\n\n")
    assert text.endswith(f"\n\n{END}\nafter\n")
    assert "| Net |" in text and "old 5.00" not in text


def test_splicing_twice_changes_nothing_more():
    once = splice(f"{BEGIN}\n{END}\ntext\n{BEGIN}\n{END}", FILE, BOARDS)
    assert once.count("| Net |") == 2
    assert splice(once, FILE, BOARDS) == once


def test_a_method_is_passed_on():
    text = splice(f"{BEGIN[:-4]} method=Other Net -->\n{END}\n".replace("  ", " "), FILE, BOARDS)
    assert "Other Net: not run." in text and "| Net |" not in text


def test_a_metric_is_passed_on():
    names = ("SDR", "SIR")
    claims = [Claim("Net", "", "d", "p@1", "no", "vocals", n, 7.0, None, "A", "") for n in names]
    boards = {board.name: board for board in build_boards([], claims)}
    both = splice(f"<!-- results:begin d--p@1 -->\n{END}\n", FILE, boards)
    one = splice(f"<!-- results:begin d--p@1 metric=SIR method=Net -->\n{END}\n", FILE, boards)
    assert "SDR in dB" in both and "SIR in dB" in both
    assert "SDR in dB" not in one and "SIR in dB" in one and "| Net |" in one


def test_line_ends_of_the_file_are_kept():
    text = splice(f"a\r\n{BEGIN}\r\n{END}\r\n", FILE, BOARDS)
    assert text.count("\n") == text.count("\r\n") > 5


@given(st.text().filter(lambda text: "<!-- results:" not in text))
def test_text_without_markers_stays_as_it_is(text):
    assert splice(text, FILE, BOARDS) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a\n{BEGIN}\n", "README.md: line 2 begins a board that never ends"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", "line 2 begins a board inside that of line 1"),
        (f"a\n{END}\n", "line 2 ends a board that never began"),
        ("<!-- results:begin -->\n", "line 1 is '<!-- results:begin -->': write"),
        ("<!-- results:start x -->\n", "line 1 is '<!-- results:start x -->': write"),
        (f"{BEGIN[:-4]} metric=SIR -->\n{END}\n", "line 1 asks for the metric 'SIR': .* uSDR"),
        (f"<!-- results:begin x--y -->\n{END}\n", "board 'x--y': there are musdb18hq--usdr@1"),
    ],
)
def test_a_faulty_marker_is_named_with_its_line(text, message):
    with pytest.raises(ValueError, match=message):
        splice(text, FILE, BOARDS)
