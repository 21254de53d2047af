import re
import shutil
import subprocess

import pytest
from score_folders import PAPERS, four_stems

from mss_results.board import build_boards
from mss_results.claims import read_claims
from mss_results.latex import escape, latex
from mss_results.read import read_runs


def boards_of(repo):
    results = repo / "results"
    runs, claims = read_runs([results / "scores"]), read_claims(results / "papers.csv")
    return {board.name: board for board in build_boards(runs, claims)}


def test_a_board_is_a_booktabs_table_with_marks_below_a_rule(repo):
    lines = latex(boards_of(repo)["demo_small--bsseval_v4@1"]).splitlines()
    begin = lines.index(r"\begin{tabular}{lllllrrrrrrrrr}")
    assert lines[begin + 1 : begin + 4] == [
        r"\toprule",
        r"{}method & recipe & kind & run & extra data & vocals & drums & bass & other & average & "
        r"seeds & tracks & parameters & ours \\",
        r"\midrule",
    ]
    assert lines[begin + 4].startswith("{}ours & demo & measured & seed0 & no & 2.00 & 3.00 &")
    assert lines[begin + 5] == r"\midrule"
    assert lines[begin + 6].startswith("{}irm2 &")
    assert lines[begin + 8 : begin + 10] == [r"\bottomrule", r"\end{tabular}"]
    assert "Protocol bsseval\\_v4@1: median over frames" in lines[begin + 10]


def test_every_line_has_as_many_cells_as_the_table_has_columns(repo, folders):
    folders.write({"a": four_stems(1.0)}, run="wide", verbatim=False, metric="SDR SIR")
    boards = boards_of(repo)
    tables = [
        table
        for board in boards.values()
        for table in re.findall(r"\\begin{tabular}{(\w+)}\n(.*?)\\end", latex(board), re.DOTALL)
    ]
    assert len(tables) == 5
    for align, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 1 and {line.count(" & ") for line in rows} == {len(align) - 1}


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


def test_sources_and_notes_are_comments(folders, papers):
    papers.write_text(PAPERS.replace("A paper, table 1", "A paper\n\\input{x}"))
    text = latex(boards_of(folders.root.parent.parent)["musdb18hq--bsseval_v4@1"])
    assert "% 2. A paper \\input{x}\n" in text
    assert "% Other Net: read twice\n" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_tables_compile(repo, tmp_path):
    tables = "\n".join(latex(board) for board in boards_of(repo).values())
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "tables.tex").write_text(document + tables + "\\end{document}\n")
    run = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    assert subprocess.run(run, cwd=tmp_path, capture_output=True, check=False).returncode == 0
