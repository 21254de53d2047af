"""Find the links of a chained Ogg file, and check that each has its last page.

The scan goes from page header to page header, which reads about a hundredth of the file. It is
needed because neither libsndfile nor FFmpeg reports where links meet, or that a file is truncated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_MARK, _HEADER = b"OggS", 27
_BEGINS, _ENDS = 2, 4
_SEARCH = 2**16
_MOST_BETWEEN = 2**24  # bytes between pages, such as tags

# How the first packet of each codec begins.
_CODECS = {b"\x01vorbis": "VORBIS", b"OpusHead": "OPUS", b"\x7fFLAC": "FLAC"}


@dataclass
class Link:
    """One link of a chained file: streams that play together, mostly a single song.

    Attributes:
        start: offset of its first byte.
        end: offset after its last byte.
        codecs: by the serial number of each stream; '' if unknown or not sound.
        open: serial numbers of streams whose last page was not seen yet.
        begun: offset after the first page of its latest stream.
    """

    start: int
    end: int
    codecs: dict[int, str] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    begun: int = 0

    @property
    def codec(self) -> str:
        """VORBIS, OPUS or FLAC if that is its only stream; else ''."""
        return next(iter(self.codecs.values())) if len(self.codecs) == 1 else ""


def read_links(path: Path) -> list[Link]:
    """Scan the pages of a file.

    Raises:
        ValueError: if it has no page, ends inside one, lacks the last page of a stream, or has much
            else between them.
    """
    size = path.stat().st_size
    links: list[Link] = []
    with path.open("rb") as file:
        offset = _next_page(file, 0)
        while offset is not None:
            head, lengths = _page(file, offset)
            end = offset + _HEADER + len(lengths) + sum(lengths)
            if len(head) < _HEADER or len(lengths) < head[26] or end > size:
                raise ValueError(
                    f"{path} ends inside a page of {end - offset} bytes, after {size - offset} of "
                    f"them: the file is cut short, replace it"
                )
            _add_page(links, head, file.read(8), offset, end)
            offset = _next_page(file, end)
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


def _page(file: BinaryIO, offset: int) -> tuple[bytes, bytes]:
    file.seek(offset)
    head = file.read(_HEADER)
    return head, file.read(head[26]) if len(head) == _HEADER else b""


def _add_page(links: list[Link], head: bytes, content: bytes, offset: int, end: int) -> None:
    flags, serial = head[5], int.from_bytes(head[14:18], "little")
    if flags & _BEGINS:
        # In each link, the first pages of all streams precede any other page.
        if not links or links[-1].begun != offset:
            links.append(Link(offset, end))
        codec = next((name for mark, name in _CODECS.items() if content.startswith(mark)), "")
        links[-1].codecs[serial] = codec
        links[-1].open.add(serial)
        links[-1].begun = end
    if links:
        links[-1].end = end
        if flags & _ENDS:
            links[-1].open.discard(serial)


def _next_page(file: BinaryIO, offset: int) -> int | None:
    """The offset of the next page; None if there is none."""
    end = offset + _MOST_BETWEEN
    file.seek(offset)
    if file.read(4) == _MARK:
        return offset
    file.seek(offset)
    kept = b""
    while block := file.read(_SEARCH):
        index = (kept + block).find(_MARK)
        if index >= 0:
            return offset - len(kept) + index
        kept, offset = block[-3:], offset + len(block)
        if offset >= end:
            raise ValueError(
                f"{file.name} has {_MOST_BETWEEN} bytes before byte {offset} that are no Ogg page: "
                f"it is damaged or no sound, replace it"
            )
    return None
