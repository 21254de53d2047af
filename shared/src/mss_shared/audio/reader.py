"""Choose the reader of a sound file, by its content rather than its name.

libsndfile reads whatever it reads correctly, PyAV the rest. A file with less data than its header
promises is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import soundfile

from mss_shared.audio import mp3_header
from mss_shared.audio.channel_layout import arranged_flac, arranged_vorbis
from mss_shared.audio.container_headers import read_header
from mss_shared.audio.file_part import FilePart, check_file, native_name
from mss_shared.audio.formats import advise
from mss_shared.audio.header import Header, RawSound, open_raw
from mss_shared.audio.ogg_pages import Link, read_links
from mss_shared.audio.sndfile_reader import (
    ChainReader,
    PlainReader,
    Reader,
    SequentialFile,
    SndfileReader,
)

# What libsndfile opens by path; what it can't read, or reads with block headers as samples (VOC).
_LIBSNDFILE = ("WAV", "W64", "AIFF", "AU", "CAF", "FLAC", "MP3")
_AFTER_ID3 = ("FLAC", "MP3")  # of others, libsndfile loses as much at the end as the tag is long
_PYAV = ("AVI", "MOV", "MATROSKA", "ASF", "VOC")

# No codec exceeds this: a file that seems to has no length in its header.
_SAMPLES_PER_BYTE = 2**16

# Formats without video, and the most bytes of pictures and tags in them.
_SOUND_ALONE = (*_LIBSNDFILE, "OGG", "VOC")
_MOST_OTHER_BYTES = 2**30

# Formats whose channel layout libsndfile does not report.
_SURROUND_BY_PYAV = ("AIFF", "CAF")


@contextmanager
def open_sound(path: Path) -> Iterator[Reader]:
    """Open a sound file, or the sound of a video.

    Yields:
        a reader of any excerpt, with the file's ``info``; surround channels are in wav order (FL FR
        FC LFE BL BR), with their channel mask.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a folder, a pipe, empty or no sound file, is cut short, or changes its
            rate or channels.
        ImportError: if it takes PyAV, which is not installed.
        OSError: if a temporary file can't be written.
    """
    path = Path(path)
    check_file(path)
    with ExitStack() as stack:
        yield _open(path, stack)


def _open(path: Path, stack: ExitStack) -> Reader:
    header = read_header(path)
    header.check(path)
    reader = _choose(path, stack, header)
    if header.kind in _SOUND_ALONE:
        _check_bytes(path, reader)
    return reader


def _choose(path: Path, stack: ExitStack, header: Header) -> Reader:
    """The reader of a file with this header."""
    if header.kind == "OGG":
        return _open_ogg(path, stack)
    if header.kind in _PYAV:
        return _open_decoded(path, stack)
    if header.kind == "MP3" and not mp3_header.is_complete(path, header.start):
        return _open_decoded(path, stack)
    if header.raw is not None and header.unfinished:
        return _open_raw(path, stack, header, header.raw)
    try:
        reader = _open_libsndfile(path, header)
    except (soundfile.LibsndfileError, TypeError, OverflowError) as error:
        if header.raw is not None:  # libsndfile fails on one of the other chunks
            return _open_raw(path, stack, header, header.raw)
        return _open_refused(path, stack, error)
    stack.callback(reader.close)
    if header.raw is not None and _misreads(reader, header.raw):
        return _open_raw(path, stack, header, header.raw)
    if reader.info.samples > _SAMPLES_PER_BYTE * path.stat().st_size:
        return _open_without_length(path, stack)
    if header.kind != "MP3" and reader.info.subtype.startswith("MPEG"):
        return _open_decoded(path, stack)  # in wav, libsndfile only estimates its length
    if reader.info.channels > 2 and header.kind in _SURROUND_BY_PYAV:
        try:
            return _open_decoded(path, stack)
        except (ImportError, ValueError):
            return reader
    return reader


def _misreads(reader: Reader, raw: RawSound) -> bool:
    """Whether libsndfile takes floats for integers, or reads on after the sound, as in W64."""
    return reader.info.subtype != raw.subtype or reader.info.samples > raw.samples


def _check_bytes(path: Path, reader: Reader) -> None:
    """Raise ValueError for a file of gigabytes that are no sound: it would be read whole."""
    size = path.stat().st_size
    if size > _MOST_OTHER_BYTES + 8 * reader.info.samples * reader.info.channels:
        raise ValueError(
            f"{path} has {size} bytes and {reader.info.samples} samples: cut off what follows the "
            f"sound, or repair its header"
        )


def _open_libsndfile(path: Path, header: Header) -> Reader:
    open_file = partial(_open_named, path)
    if header.kind not in _LIBSNDFILE:  # given a path, libsndfile would take any .mp3 for an mp3
        open_file = partial(_open_part, path, 0, None)
    elif header.start and header.kind not in _AFTER_ID3:
        open_file = partial(_open_part, path, header.start, None)
    elif header.raw is not None and header.raw.subtype in PlainReader.KINDS:
        raw = header.raw.shifted(header.start)
        return PlainReader(path, open_file, raw=raw, mask=header.mask, notes=header.notes())
    reader = SndfileReader(path, open_file, mask=header.mask, notes=header.notes())
    channels = reader.info.channels
    if header.kind == "FLAC" and channels > 2:
        reader.set_layout(*arranged_flac(path, header.start, channels))
    return reader


def _open_raw(path: Path, stack: ExitStack, header: Header, raw: RawSound) -> Reader:
    """Read the uncompressed samples of a file, bypassing libsndfile's reading of its header."""

    def open_file() -> Any:
        return SequentialFile(
            open_raw(path, header, raw),
            "r",
            raw.sample_rate,
            raw.channels,
            raw.subtype,
            raw.endian,
            format="RAW",
        )

    notes = header.notes()
    reader = SndfileReader(path, open_file, mask=header.mask, notes=notes, container=header.kind)
    stack.callback(reader.close)
    return reader


def _open_ogg(path: Path, stack: ExitStack) -> Reader:
    """Read each link of an Ogg file by itself: neither library separates them."""
    links = read_links(path)
    if len(links) == 1:
        return _open_link(path, stack, links[0], alone=True)
    return ChainReader(
        path, len(links), lambda number, part: _open_link(path, part, links[number], alone=False)
    )


def _open_link(path: Path, stack: ExitStack, link: Link, *, alone: bool) -> Reader:
    if link.codec in ("VORBIS", "OPUS"):
        open_file = partial(_open_named, path)
        if not alone or link.start:
            open_file = partial(_open_part, path, link.start, link.end)
        try:
            reader = SndfileReader(path, open_file)
        except (soundfile.LibsndfileError, TypeError, OverflowError):
            pass
        else:
            stack.callback(reader.close)
            if reader.info.channels > 2:
                reader.set_layout(*arranged_vorbis(reader.info.channels))
            return reader
    return _open_decoded(path, stack, link.start, link.end)


def _open_named(path: Path) -> Any:
    return SequentialFile(native_name(path))


def _open_part(path: Path, start: int, end: int | None) -> Any:
    return SequentialFile(FilePart(path, start, end))


def _open_decoded(path: Path, stack: ExitStack, start: int = 0, end: int | None = None) -> Reader:
    """Read with PyAV, which is imported only here."""
    from mss_shared.audio.pyav_reader import open_decoded

    return open_decoded(path, stack, start, end)


def _open_refused(path: Path, stack: ExitStack, error: Exception) -> Reader:
    """Read with PyAV; without it, report libsndfile's error: the file may not be sound at all."""
    try:
        return _open_decoded(path, stack)
    except ImportError:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise ValueError(
            f"{path} is not a readable sound file ({reason}): {advise(path)}, or "
            f'pip install "mss-shared[separate]" for what PyAV reads'
        ) from None


def _open_without_length(path: Path, stack: ExitStack) -> Reader:
    """Read a flac file without a length in its header, as encoders leave that write to a pipe."""
    try:
        return _open_decoded(path, stack)
    except ValueError:
        raise ValueError(
            f"{path} has no length in its header, and its end is missing: the file is cut short, "
            f"replace it"
        ) from None
