"""One reader for every sound file, chosen by what the file holds and not by its name.

libsndfile reads what it reads rightly, PyAV all else. How much a file promises is read from its
own header: one that holds less is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import soundfile

from mss_shared.audio import mp3_header
from mss_shared.audio.channel_layout import arranged_flac, arranged_vorbis
from mss_shared.audio.container_headers import Header, RawSound, open_raw, read_header
from mss_shared.audio.file_part import FilePart
from mss_shared.audio.ogg_pages import Link, read_links
from mss_shared.audio.sndfile_reader import ChainReader, Reader, SequentialFile, SndfileReader

# What libsndfile opens by its name, natively; what it does not read at all, or takes headers of
# further blocks for samples.
_LIBSNDFILE = ("WAV", "W64", "AIFF", "AU", "CAF", "FLAC", "MP3")
_PYAV = ("AVI", "MOV", "MATROSKA", "ASF", "VOC")

# More no codec has: what claims so has a header without a length.
_SAMPLES_PER_BYTE = 2**16

# Whose layout libsndfile does not tell.
_SURROUND_BY_PYAV = ("AIFF", "CAF")


@contextmanager
def open_sound(path: Path) -> Iterator[Reader]:
    """Open a sound file, or the sound of a film.

    Yields:
        what reads any part of it, and its ``info``; surround has its channels in the order FL FR FC
        LFE BL BR of a wav file, with their mask.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no sound file, is cut short, or changes its rate or channels.
        ImportError: if it is of a kind that only PyAV reads, which is not installed.
        OSError: if the disk that holds temporary files refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check its name")
    with ExitStack() as stack:
        yield _open(path, stack)


def _open(path: Path, stack: ExitStack) -> Reader:
    header = read_header(path)
    header.check(path)
    if header.kind == "OGG":
        return _open_ogg(path, stack)
    if header.kind in _PYAV:
        return _decoded(path, stack)
    if header.kind == "MP3" and not mp3_header.is_complete(path, header.start):
        return _decoded(path, stack)
    if header.raw is not None and header.unfinished:
        note = f"its header was never finished: read to its end, {header.present} bytes"
        return _open_raw(path, stack, header, header.raw, (note,))
    try:
        reader = _open_libsndfile(path, header)
    except (soundfile.LibsndfileError, TypeError, OverflowError) as error:
        if header.raw is not None:  # a chunk that libsndfile stumbles over
            return _open_raw(path, stack, header, header.raw, ())
        return _refused_by_libsndfile(path, stack, error)
    stack.callback(reader.close)
    if reader.info.samples > _SAMPLES_PER_BYTE * path.stat().st_size:
        return _uncounted(path, stack)
    if header.kind != "MP3" and reader.info.subtype.startswith("MPEG"):
        return _decoded(path, stack)  # its length in a wav file is an estimate
    if reader.info.channels > 2 and header.kind in _SURROUND_BY_PYAV:
        try:
            return _decoded(path, stack)
        except (ImportError, ValueError):
            return reader
    return reader


def _open_libsndfile(path: Path, header: Header) -> Reader:
    if header.kind in _LIBSNDFILE:
        reader = SndfileReader(path, partial(_open_named, path), mask=header.mask)
    else:  # by its name, libsndfile would take anything for an mp3
        reader = SndfileReader(path, partial(_open_part, path, 0, None))
    channels = reader.info.channels
    if header.kind == "FLAC" and channels > 2:
        reader.set_layout(*arranged_flac(channels))
    return reader


def _open_raw(
    path: Path, stack: ExitStack, header: Header, raw: RawSound, notes: tuple[str, ...]
) -> Reader:
    """Plain samples of a wav file, without its header."""

    def open_file() -> Any:
        return SequentialFile(
            open_raw(path, raw),
            "r",
            raw.sample_rate,
            raw.channels,
            raw.subtype,
            raw.endian,
            format="RAW",
        )

    reader = SndfileReader(path, open_file, mask=header.mask, notes=notes, container="WAV")
    stack.callback(reader.close)
    return reader


def _open_ogg(path: Path, stack: ExitStack) -> Reader:
    """Each song of an Ogg file by itself: neither library tells them apart."""
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
    return _decoded(path, stack, link.start, link.end)


def _open_named(path: Path) -> Any:
    try:
        return SequentialFile(path)
    except UnicodeEncodeError:  # a name that is no text
        return SequentialFile(os.fsencode(path))


def _open_part(path: Path, start: int, end: int | None) -> Any:
    return SequentialFile(FilePart(path, start, end))


def _decoded(path: Path, stack: ExitStack, start: int = 0, end: int | None = None) -> Reader:
    """By PyAV, which is imported only here."""
    from mss_shared.audio.pyav_reader import open_decoded

    return open_decoded(path, stack, start, end)


def _refused_by_libsndfile(path: Path, stack: ExitStack, error: Exception) -> Reader:
    """By PyAV; without it, what libsndfile said of a file that may be no sound at all."""
    try:
        return _decoded(path, stack)
    except ImportError:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise ValueError(
            f"{path} is not a readable sound file ({reason}): use wav, flac, ogg, aiff or mp3, or "
            f'pip install "mss-shared[separate]" for what PyAV reads'
        ) from None


def _uncounted(path: Path, stack: ExitStack) -> Reader:
    """A flac file whose header has no length: its writer could not go back to the beginning."""
    try:
        return _decoded(path, stack)
    except ValueError:
        raise ValueError(
            f"{path} does not say how long it is, and its end is missing: the file is cut short, "
            f"replace it"
        ) from None
