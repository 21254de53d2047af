"""Reads sources.csv: the papers, campaigns and repositories behind the rows, for links and BibTeX.

A row belongs to a source that lists its method, or whose text its claim quotes. arXiv numbers and
GitHub repositories that a claim's source names are found without an entry.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_results.small_file import decode, read_small

COLUMNS = tuple("key methods quoted type authors title venue year doi arxiv url".split())
_ARXIV = re.compile(r"\barXiv:?\s?(\d{2})(\d{2}\.\d{4,5})\b")
_GITHUB = re.compile(r"\bgithub\.com/([\w.-]+/[\w.-]*\w)")


@dataclass(frozen=True)
class Source:
    """A publication, or a page without one if `year` is None.

    `methods` holds "<method>" or "<method>/<recipe>"; `quoted` a text of claims' sources.
    """

    key: str
    methods: tuple[str, ...]
    quoted: str
    type: str
    authors: str
    title: str
    venue: str
    year: int | None
    doi: str
    arxiv: str
    url: str

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Label and address of each place where it can be read."""
        page = "repository" if "github.com/" in self.url else "page"
        known = (
            ("arXiv", self.arxiv and f"https://arxiv.org/abs/{self.arxiv}"),
            ("DOI", self.doi and f"https://doi.org/{self.doi}"),
            (page, self.url),
        )
        return tuple((label, address) for label, address in known if address)

    @property
    def bibtex(self) -> str:
        """An entry with the fields that are known; empty for a page without a publication."""
        if self.year is None:
            return ""
        place = {"article": "journal", "inproceedings": "booktitle"}.get(self.type, "howpublished")
        fields = {
            "author": _tex(self.authors),
            "title": self.title and f"{{{_tex(self.title)}}}",
            place: _tex(self.venue),
            "year": str(self.year),
            "doi": self.doi,
            "eprint": self.arxiv,
            "archivePrefix": self.arxiv and "arXiv",
            "url": self.url,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{self.type or 'misc'}{{{self.key},", *lines, "}"])


def _tex(text: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", text)


def read_sources(file: Path) -> tuple[Source, ...]:
    """Read the known sources; none if there is no such file.

    Raises:
        ValueError: naming the line, if columns, key or year are invalid.
    """
    if not file.is_file():
        return ()
    content = read_small(file)
    try:
        text = decode(content)
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file}: invalid CSV ({error}): save it as UTF-8 CSV") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        found = ",".join(lines[0]) if lines else "none"
        raise ValueError(f"{file}: line 1 has the columns {found}: use {','.join(COLUMNS)}")
    sources = [_source(line, f"{file}: line {place}") for place, line in enumerate(lines[1:], 2)]
    keys = [source.key for source in sources]
    for place, key in enumerate(keys, 2):
        if key in keys[: place - 2]:
            raise ValueError(f"{file}: line {place} has the key {key!r} again: keep one")
    return tuple(sources)


def _source(line: Sequence[str], where: str) -> Source:
    if len(line) != len(COLUMNS):
        raise ValueError(f"{where} has {len(line)} columns: use {len(COLUMNS)}")
    row = dict(zip(COLUMNS, line, strict=True))
    if not re.fullmatch(r"[A-Za-z][\w.-]*", row["key"], re.ASCII):
        raise ValueError(f"{where}, column key is {row['key']!r}: use letters and digits")
    if not re.fullmatch(r"([12]\d{3})?", row["year"], re.ASCII):
        raise ValueError(f"{where}, column year is {row['year']!r}: use four digits, or nothing")
    if not re.fullmatch(r"(https://[^\s{}\"<>]+)?", row["url"]):
        raise ValueError(f"{where}, column url is {row['url']!r}: use an https address, or nothing")
    return Source(
        key=row["key"],
        methods=tuple(name for name in row["methods"].split(";") if name),
        quoted=row["quoted"],
        type=row["type"],
        authors=row["authors"],
        title=row["title"],
        venue=row["venue"],
        year=int(row["year"]) if row["year"] else None,
        doi=row["doi"],
        arxiv=row["arxiv"],
        url=row["url"],
    )


def sources_of(
    sources: Sequence[Source], names: Iterable[str], quotes: Iterable[str]
) -> tuple[Source, ...]:
    """The sources of a row, its publication first.

    Args:
        sources: all that are known.
        names: what the row is called, most specific first: "<method>/<recipe>", "<method>".
        quotes: the sources of its claims, as text.
    """
    named = next((own for name in names if (own := _naming(sources, name))), [])
    quoted = [source for quote in quotes for source in _quoted(sources, quote)]
    found = {source.key: source for source in [*named, *quoted]}
    return tuple(sorted(found.values(), key=lambda source: source.year is None))


def _naming(sources: Sequence[Source], name: str) -> list[Source]:
    return [source for source in sources if name in source.methods]


def _quoted(sources: Sequence[Source], quote: str) -> list[Source]:
    found = [source for source in sources if source.quoted and source.quoted in quote]
    for year, rest in _ARXIV.findall(quote):
        number = year + rest
        known = [source for source in sources if source.arxiv == number]
        found += known or [_preprint(number, 2000 + int(year))]
    for name in _GITHUB.findall(quote):
        if all(name not in source.url for source in found):
            url = f"https://github.com/{name}"
            found.append(Source(url, (), "", "", "", "", "", None, "", "", url))
    return found


def _preprint(number: str, year: int) -> Source:
    """An arXiv number says its year; authors and title are not known here."""
    return Source(f"arXiv{number}", (), "", "misc", "", "", "arXiv", year, "", number, "")
