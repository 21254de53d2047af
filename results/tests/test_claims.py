from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_folders import PAPERS

from mss_results.claims import read_claims

COMMITTED = Path(__file__).parent.parent / "papers.csv"


def test_claims_are_read_with_value_source_and_note(papers):
    claims = read_claims(papers)
    assert len(claims) == 3
    (other,) = [claim for claim in claims if claim.method == "Other Net"]
    assert (other.value_db, other.parameters, other.recipe) == (6.0, 1_500_000, "")
    assert (other.source, other.note) == ("A paper, table 1", "read twice")


def test_the_order_of_lines_does_not_matter(papers):
    claims = read_claims(papers)
    header, *lines = PAPERS.splitlines(keepends=True)
    papers.write_text(header + "".join(reversed(lines)))
    assert read_claims(papers) == claims


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"papers\.csv: --papers must name"):
        read_claims(tmp_path / "papers.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"A paper, table 1"', "", "line 2, column source is empty: a claim needs its source"),
        ('"A paper, table 1"', '" "', "line 2, column source is empty"),
        ("6.00", "6,00", r"line 2 has 12 columns: use 11"),
        ("6.00", "six", "line 2, column value_db is 'six': it must be a number of dB"),
        ("6.00", "nan", "line 2, column value_db is 'nan'"),
        ("6.00", "inf", "line 2, column value_db is 'inf'"),
        ("vocals", "voice", "line 2, column stem is 'voice': it must be one of vocals, drums"),
        ("1500000", "1.5M", "line 2, column parameters is '1.5M'"),
        ("no,vocals", "maybe,vocals", "line 2, column extra_data is 'maybe': it must be one of no"),
        ("Net,,musdb18hq", "Net,,../up", r"line 2, column dataset is '\.\./up': use letters"),
        ("v4@1,no,vocals", "v4--1,no,vocals", "line 2, column protocol is 'bsseval_v4--1'"),
        ("Other Net", "", "line 2, column method is empty"),
        ("note\n", "remark\n", "line 1 has the columns method,.*,remark: use method,.*,note"),
        ("ours,ours/small", "ours,ours/large", "line 4 claims 'ours' average SDR again .line 3."),
        ("ours,ours/small", "mine,ours/large", "'ours/large' stands for 'ours' .* and 'mine'"),
        ('"A paper', '"A "paper', "line 2 is invalid CSV"),
    ],
)
def test_a_malformed_claim_is_named_with_line_and_column(papers, old, new, message):
    assert PAPERS.count(old) >= 1
    papers.write_text(PAPERS.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_claims(papers)


def test_stems_of_one_row_agree_on_parameters(papers):
    line = "Other Net,,musdb18hq,bsseval_v4@1,no,drums,SDR,6.00,2,A paper,\n"
    papers.write_text(PAPERS + line)
    with pytest.raises(ValueError, match="parameters is 2, other stems of 'Other Net' say 1500000"):
        read_claims(papers)


def test_a_table_in_another_encoding_is_refused(papers):
    papers.write_bytes(PAPERS.replace("Other", "\xd6ther").encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8 at byte 86"):
        read_claims(papers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.integers(0, len(PAPERS)))
def test_any_bytes_in_the_table_are_read_or_refused_with_the_file_named(papers, bytes_, place):
    content = PAPERS.encode()
    papers.write_bytes(content[:place] + bytes_ + content[place:])
    try:
        read_claims(papers)
    except ValueError as error:
        assert "papers.csv: " in str(error)


def test_the_committed_claims_are_complete_and_all_have_a_source():
    claims = read_claims(COMMITTED)
    assert len(claims) >= 430
    assert all(claim.source.strip() for claim in claims)
    assert {"moises_light/paper_large", "moises_light/paper_small"} <= {
        claim.recipe for claim in claims
    }


def test_the_committed_claims_hold_known_values_of_sisec_2018():
    claims = read_claims(COMMITTED)
    # The values that Papers with Code listed for both systems, to two decimals. TAK2 has an
    # accompaniment, so that its vocals were scored against that alone; STL2 has none.
    for method, protocol, known in (
        ("TAK2", "sisec18@1", (7.16, 6.81, 5.40, 4.80)),
        ("STL2", "bsseval_v4@1", (3.25, 4.22, 3.21, 2.25)),
    ):
        row = ("musdb18", protocol, method)
        values = {each.stem: each.value_db for each in claims if each.row[:3] == row}
        stems = ("vocals", "drums", "bass", "other")
        assert tuple(round(values[stem], 2) for stem in stems) == known


def test_no_undefined_sdr_is_filed_under_a_defined_protocol():
    defined = {"bsseval_v4@1", "sisec18@1", "usdr@1"}
    protocols = {claim.protocol for claim in read_claims(COMMITTED)}
    assert defined < protocols
    assert all(protocol.endswith("_as_listed") for protocol in protocols - defined)
