"""sources.csv: what is known about the papers and pages behind the rows."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.sources import COLUMNS, Source, read_sources, sources_of

LINE = {
    "key": "doe2021",
    "methods": "net;net/large",
    "quoted": "A paper",
    "type": "article",
    "authors": "Jane Doe",
    "title": "50 % more",
    "venue": "A Journal",
    "year": "2021",
    "doi": "10.1/2",
    "arxiv": "2101.00001",
    "url": "https://github.com/doe/net",
}


def write(file, *lines, header=COLUMNS):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    file.write_text(text.getvalue())
    return file


def one(tmp_path, **changes):
    (source,) = read_sources(write(tmp_path / "sources.csv", (LINE | changes).values()))
    return source


def test_a_source_has_links_and_an_entry(tmp_path):
    source = one(tmp_path)
    assert source.links == (
        ("arXiv", "https://arxiv.org/abs/2101.00001"),
        ("DOI", "https://doi.org/10.1/2"),
        ("repository", "https://github.com/doe/net"),
    )
    assert source.bibtex == (
        "@article{doe2021,\n  author = {Jane Doe},\n  title = {{50 \\% more}},\n"
        "  journal = {A Journal},\n  year = {2021},\n  doi = {10.1/2},\n"
        "  eprint = {2101.00001},\n  archivePrefix = {arXiv},\n"
        "  url = {https://github.com/doe/net},\n}"
    )


def test_a_page_without_a_year_is_no_publication(tmp_path):
    source = one(tmp_path, year="", doi="", arxiv="", url="https://example.org/")
    assert source.bibtex == "" and source.links == (("page", "https://example.org/"),)


def test_without_a_file_no_source_is_known(tmp_path):
    assert read_sources(tmp_path / "sources.csv") == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "a b"}, "line 2, column key is 'a b'"),
        ({"key": ""}, "line 2, column key is ''"),
        ({"year": "21"}, "line 2, column year is '21': use four digits"),
        ({"url": "javascript:alert(1)"}, "line 2, column url is 'javascript"),
        ({"url": "http://a.b"}, "line 2, column url"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        one(tmp_path, **changes)


def test_wrong_columns_and_repeated_keys_are_named(tmp_path):
    file = tmp_path / "sources.csv"
    with pytest.raises(ValueError, match="line 1 has the columns key: use key,methods,quoted"):
        read_sources(write(file, header=["key"]))
    with pytest.raises(ValueError, match="line 1 has the columns none"):
        file.write_text("")
        read_sources(file)
    with pytest.raises(ValueError, match="line 3 has the key 'doe2021' again"):
        read_sources(write(file, LINE.values(), LINE.values()))
    with pytest.raises(ValueError, match="line 2 has 2 columns: use 11"):
        read_sources(write(file, ["a", "b"]))


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused_in_a_sentence(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "sources.csv"
    file.write_bytes(content)
    try:
        read_sources(file)
    except ValueError as error:
        assert str(file) in str(error)


def source(key, year=2021, **more):
    fields = dict.fromkeys(("quoted", "type", "authors", "title", "venue", "doi", "arxiv", "url"))
    empty = {name: "" for name in fields}
    return Source(**(empty | {"key": key, "methods": (), "year": year} | more))


def test_the_most_specific_name_counts_and_the_publication_comes_first():
    known = [
        source("page", year=None, quoted="their README"),
        source("net", methods=("net",)),
        source("large", methods=("net/large", "net/huge")),
    ]
    found = sources_of(known, ["net/large", "net"], ["read in their README, table 1"])
    assert [each.key for each in found] == ["large", "page"]
    assert [each.key for each in sources_of(known, ["net/small", "net"], [])] == ["net"]
    assert sources_of(known, ["other"], ["elsewhere"]) == ()
    pages = [source("page", year=None, methods=("net",)), source("paper", quoted="A paper")]
    assert [each.key for each in sources_of(pages, ["net"], ["A paper"])] == ["paper", "page"]


def test_a_claim_that_names_an_arxiv_number_needs_no_line():
    (found,) = sources_of([], [], ["a copy of a page, citing arXiv 1911.13254 (table 2)"])
    assert (found.year, found.links) == (2019, (("arXiv", "https://arxiv.org/abs/1911.13254"),))
    assert found.bibtex.startswith("@misc{arXiv1911.13254,")
    known = source("known", arxiv="1911.13254")
    assert sources_of([known], [], ["arXiv 1911.13254"]) == (known,)


def test_a_claim_that_names_a_repository_links_it():
    (found,) = sources_of([], [], ["RESULTS of github.com/merl/tf-loco.former 1.1.0"])
    assert found.links == (("repository", "https://github.com/merl/tf-loco.former"),)
    assert found.bibtex == ""
