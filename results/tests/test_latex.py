import re
import shutil
import string
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_folders import PAPERS, four_stems

from mss_results.board import build_boards
from mss_results.claims import read_claims
from mss_results.latex import ONE_COLUMN, TWO_COLUMNS, Table, breakable, escape, latex, tabular
from mss_results.read import read_runs
from mss_results.text_width import footnote_width, superscript_width

COMMITTED = Path(__file__).parent.parent
COLUMNS = ("vocals", "drums", "bass", "other", "average")


def boards_of(repo):
    results = repo / "results"
    runs, claims = read_runs([results / "scores"]), read_claims(results / "papers.csv")
    return {board.name: board for board in build_boards(runs, claims)}


@cache
def committed():
    boards = build_boards(read_runs([COMMITTED / "scores"]), read_claims(COMMITTED / "papers.csv"))
    assert len(boards) >= 19
    return {board.name: board for board in boards}


TABULAR = re.compile(r"\\begin{tabular}{@{}(.*?)@{}}\n(.*?)\\end", re.DOTALL)


def width_of(align, body):
    """Points of a tabular, by the widths of its characters; p columns state theirs."""
    rows = [line[2:-3].split(" & ") for line in body.splitlines() if line.endswith(r"\\")]
    kinds = re.findall(r"[lr]|p{\d+pt}", align)
    assert {len(row) for row in rows} == {len(kinds)}
    total = 6.0 * (len(kinds) - 1)
    for kind, column in zip(kinds, zip(*rows, strict=True), strict=True):
        total += float(kind[2:-3]) if kind[0] == "p" else max(map(cell_width, column))
    return total


def cell_width(cell):
    mark = re.search(r"\\textsuperscript{(\w*)}", cell)
    text = re.sub(r"\\textsuperscript{\w*}", "", cell)
    bold = r"\textbf" in text
    text = re.sub(r"\\textbf{(.*?)}", r"\1", text)
    text = text.replace(r"\textasciitilde{}", "~").replace("\\", "")
    return footnote_width(text, bold=bold) + superscript_width(mark[1] if mark else "")


def test_a_board_is_a_booktabs_table_with_bounds_below_a_rule(repo):
    lines = latex(boards_of(repo)["demo_small--bsseval_v4@1"]).splitlines()
    begin = lines.index(r"\begin{tabular}{@{}lrrrrr@{}}")
    assert lines[begin + 1 : begin + 9] == [
        r"\toprule",
        r"{}method & vocals & drums & bass & other & avg. \\",
        r"\midrule",
        r"{}ours & 2.00 & 3.00 & 4.00 & 5.00 & 3.50 \\",
        r"\midrule",
        r"{}irm2 & 9.00 & 10.00 & 11.00 & 12.00 & 10.50 \\",
        r"{}mixture & -5.00 & -4.00 & -3.00 & -2.00 & -3.50 \\",
        r"\bottomrule",
    ]
    assert r"median over frames" in lines[begin + 10]


def test_each_metric_has_a_table_and_a_row_without_a_value_has_no_line(repo, folders):
    folders.write({"a": four_stems(1.0)}, run="wide", verbatim=False, metric="SDR SIR")
    text = latex(boards_of(repo)["demo_small--bsseval_v4@1"])
    bodies = [body for _, body in TABULAR.findall(text)]
    assert len(bodies) == 3  # SDR, and both metrics of the variant
    assert [body.count("ours") for body in bodies] == [1, 1, 1]


def test_the_marks_of_a_row_are_explained_below(repo, papers):
    extra = PAPERS.replace("ours/small,musdb18hq,bsseval_v4@1,no", ",musdb18hq,bsseval_v4@1,yes")
    papers.write_text(extra)
    text = latex(boards_of(repo)["musdb18hq--bsseval_v4@1"])
    assert r"{}Other Net\textsuperscript{c} &" in text
    assert r"\textsuperscript{ce} &" in text
    assert "c: claimed by the source, not measured here. e: trained on extra data." in text


def test_every_committed_table_fits_the_column_of_an_article():
    for board in committed().values():
        tables = TABULAR.findall(latex(board))
        assert tables
        for align, body in tables:
            assert width_of(align, body) <= ONE_COLUMN, board.name


names = st.text(string.ascii_letters + string.digits + " -_()+@./,", min_size=1, max_size=90)


@given(st.lists(names.filter(str.strip), min_size=3, max_size=3), st.booleans())
def test_a_table_of_any_names_fits_a_column_of_two(chosen, bold):
    board = committed()["musdb18--sisec18@1"]
    rows = [replace(row, method=each) for row, each in zip(board.rows, chosen, strict=False)]
    table = Table(board, "SDR", rows, COLUMNS, bold, False, TWO_COLUMNS)
    ((align, body),) = TABULAR.findall("\n".join(tabular(table)))
    assert width_of(align, body) <= TWO_COLUMNS


def test_too_many_columns_are_refused():
    board = committed()["musdb18--sisec18@1"]
    table = Table(board, "SDR", board.rows, board.stems, True, True, 150.0)
    with pytest.raises(ValueError, match="6 columns leave 0 points for the names in a table of 15"):
        tabular(table)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("50 % of R&D_x #1", r"50 \% of R\&D\_x \#1"),
        ("a\\b {c} $d$", r"a\textbackslash{}b \{c\} \$d\$"),
        (
            "~x^2 <y>\n|",
            r"\textasciitilde{}x\textasciicircum{}2 \textless{}y\textgreater{} "
            r"\textbar{}",
        ),
    ],
)
def test_text_from_outside_is_printed_as_it_stands(text, printed):
    assert escape(text) == printed


@given(st.text(max_size=60))
def test_a_broken_text_is_the_same_text(text):
    text = text.replace("\0", "").replace("\1", "")
    pieces = re.split(r"\\allowbreak{}|\\penalty5000{}", breakable(text, 4))
    assert "".join(pieces) == escape(text)


def test_a_long_word_can_be_broken_after_every_fourth_letter():
    pieces = re.split(r"\\allowbreak{}|\\penalty5000{}| ", breakable("x" * 40 + " a-b/c", 4))
    assert pieces == ["xxxx"] * 10 + ["a-", "b/", "c"]
    assert breakable("x" * 24, 24) == "x" * 24


def test_sources_and_notes_are_comments(folders, papers):
    papers.write_text(PAPERS.replace("A paper, table 1", "A paper\n\\input{x}"))
    text = latex(boards_of(folders.root.parent.parent)["musdb18hq--bsseval_v4@1"])
    assert "% 2. A paper \\input{x}\n" in text
    assert "% Other Net: read twice\n" in text


def test_the_widths_are_those_of_knuths_fonts():
    # cmr8 has digits of 4.25 points and a "w" of 6.14; "accompaniment" was measured with TeX.
    assert footnote_width("0123456789") == pytest.approx(42.5, abs=0.1)
    assert footnote_width("wwww") == pytest.approx(24.56, abs=0.1)
    assert footnote_width("0", bold=True) > footnote_width("0")


def overfull(tmp_path, texts, options=""):
    """What pdflatex says is too wide, in a document with these texts."""
    head = f"\\documentclass[{options}]{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n"
    (tmp_path / "tables.tex").write_text(head + "\n\n".join(texts) + "\\end{document}\n")
    run = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, check=False)
    printed = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, printed[-2000:]
    return re.findall(r"Overfull \\hbox.*", printed)


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")


@needs_latex
def test_the_tables_compile_and_none_is_too_wide(repo, tmp_path):
    texts = [latex(board) for board in (*boards_of(repo).values(), *committed().values())]
    assert overfull(tmp_path, texts) == []


@needs_latex
def test_a_table_for_an_article_fits_one_of_two_columns(tmp_path):
    texts = []
    for board in committed().values():
        table = Table(board, board.metrics[0], board.rows, COLUMNS, True, False, TWO_COLUMNS)
        texts.append("\n".join(tabular(table)))
    rows = [replace(row, method="WWWW" * 20) for row in board.rows[:2]]
    texts.append("\n".join(tabular(replace(table, rows=rows))))
    assert overfull(tmp_path, texts, "twocolumn") == []
