"""The songs in an Ogg file: where each begins and ends, and whether its last page is there.

The pages are walked from header to header, so the work is linear in the file's size and reads about
a hundredth of it. Neither libsndfile nor FFmpeg tells the end of one song from the next, or a cut
file from a whole one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_MARK, _HEADER = b"OggS", 27
_BEGINS, _ENDS = 2, 4
_SEARCH = 2**16

# The first packet of each codec.
_CODECS = {b"\x01vorbis": "VORBIS", b"OpusHead": "OPUS", b"\x7fFLAC": "FLAC"}


@dataclass
class Link:
    """One song, or film, of those that follow each other in a file.

    Attributes:
        start: its first byte.
        end: its last byte + 1.
        codecs: of its streams by serial number, '' for what is no sound known here.
        open: the streams whose last page is still to come.
        begun: the byte behind the first page of its last stream.
    """

    start: int
    end: int
    codecs: dict[int, str] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    begun: int = 0

    @property
    def codec(self) -> str:
        """VORBIS, OPUS or FLAC if it is one stream of that; else ''."""
        return next(iter(self.codecs.values())) if len(self.codecs) == 1 else ""


def read_links(path: Path) -> list[Link]:
    """Walk over the pages of a file.

    Raises:
        ValueError: if it ends inside a page, or before the last page of a stream.
    """
    size = path.stat().st_size
    links: list[Link] = []
    with path.open("rb") as file:
        at = _next_page(file, 0)
        while at is not None:
            head, lengths = _page(file, at)
            end = at + _HEADER + len(lengths) + sum(lengths)
            if len(head) < _HEADER or len(lengths) < head[26] or end > size:
                raise ValueError(
                    f"{path} ends inside a page of {end - at} bytes, after {size - at} of them: "
                    f"the file is cut short, replace it"
                )
            _take(links, head, file.read(8), at, end)
            at = _next_page(file, end)
    if not links:
        raise ValueError(f"{path} holds no whole Ogg stream: replace the file")
    for number, link in enumerate(links, 1):
        if link.open:
            raise ValueError(
                f"{path} has no last page in {len(link.open)} of the {len(link.codecs)} streams of "
                f"part {number} of {len(links)}, which ends after {link.end - link.start} bytes: "
                f"the file is cut short, replace it"
            )
    return links


def _page(file: BinaryIO, at: int) -> tuple[bytes, bytes]:
    file.seek(at)
    head = file.read(_HEADER)
    return head, file.read(head[26]) if len(head) == _HEADER else b""


def _take(links: list[Link], head: bytes, begin: bytes, at: int, end: int) -> None:
    flags, serial = head[5], int.from_bytes(head[14:18], "little")
    if flags & _BEGINS:
        # The first pages of all streams of a link come before any other page.
        if not links or links[-1].begun != at:
            links.append(Link(at, end))
        codec = next((name for mark, name in _CODECS.items() if begin.startswith(mark)), "")
        links[-1].codecs[serial] = codec
        links[-1].open.add(serial)
        links[-1].begun = end
    if links:
        links[-1].end = end
        if flags & _ENDS:
            links[-1].open.discard(serial)


def _next_page(file: BinaryIO, at: int) -> int | None:
    """Where the next page begins; None if none does."""
    file.seek(at)
    if file.read(4) == _MARK:
        return at
    file.seek(at)
    kept = b""
    while block := file.read(_SEARCH):
        found = (kept + block).find(_MARK)
        if found >= 0:
            return at - len(kept) + found
        kept, at = block[-3:], at + len(block)
    return None
