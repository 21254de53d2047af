"""The headers of formats that are a sequence of named chunks: wav, W64, AIFF, CAF; and of AU.

The size of the samples is compared with what is there in both directions: less is a cut file, more
is a header that was never finished, or sound that a reader would leave out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mss_shared.audio.header import Header, RawSound, raw_sound

# Programs that write to a pipe don't know the length, and put roughly 2 GiB or 4 GiB.
UNKNOWN = 0x7FFF0000
_UNKNOWN_LONG = 2**62
_WRAP = 2**32  # sizes are counted modulo this in 32 bits
_MOST_WRAPS = 16  # 64 GiB, two days of stereo in 24 bits at 48 kHz
_MOST_CHUNKS = 10_000
_WORTH_NOTING = 4096  # bytes after the sound; less is padding or a tag
_NEVER_FINISHED, _TOO_LONG = "its header was never finished", "its header can't hold its length"
_SOUND = (b"data", b"fmt ", b"RIFF", b"RF64", b"FORM", b"SSND", b"caff")
_AFTER_ODD = (b"data", b"fmt ", b"fact", b"LIST", b"PEAK", b"bext", b"cue ", b"smpl", b"id3 ")

# Format tag and bits per sample, and libsndfile's name for such samples in a raw file.
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}
_AU = {2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE"}
_SIGNED = {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
_FLOATS = {32: "FLOAT", 64: "DOUBLE"}


@dataclass(frozen=True)
class _Layout:
    """How a format's chunks begin and where the next one is.

    Attributes:
        form: of name and length, for ``struct``.
        multiple: chunks are padded to multiples of this.
        includes_header: whether the length counts name and length themselves.
    """

    form: str
    multiple: int = 1
    includes_header: bool = False

    def following(self, start: int, length: int) -> int:
        """The offset after a chunk's content and padding."""
        return start + length + -length % self.multiple


_AIFF = _Layout(">4sI", 2)
_CAF = _Layout(">4sq")
_W64 = _Layout("<16sQ", 8, includes_header=True)


def _chunks(
    file: BinaryIO, layout: _Layout, offset: int, size: int
) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of the content of each chunk; the file is at the content.

    Raises:
        struct.error: where the file ends.
    """
    header = struct.calcsize(layout.form)
    for _ in range(_MOST_CHUNKS):
        if offset > size:
            raise struct.error
        file.seek(offset)
        name, length = struct.unpack(layout.form, file.read(header))
        start = offset + header
        length -= header if layout.includes_header else 0
        yield name, start, length
        offset = layout.following(start, max(0, length))
        if length % 2 and layout.multiple == 2:  # some programs don't pad
            file.seek(offset - 1)
            offset -= file.read(4) in _AFTER_ODD


def _is_chunks(file: BinaryIO, layout: _Layout, offset: int, size: int) -> bool:
    """Whether the rest of the file is complete chunks, none of which holds sound."""
    end = offset
    try:
        for name, start, length in _chunks(file, layout, offset, size):
            end = layout.following(start, length)
            if name[:4] in _SOUND or length < 0 or not name[:4].decode("latin-1").isprintable():
                return False
            if end >= size:
                break
    except struct.error:
        return False
    return end in (size, size + 1)


def _sound_header(
    kind: str,
    promised: int | None,
    span: tuple[int, int],
    *,
    mask: int = 0,
    raw: RawSound | None = None,
    unfinished: str = "",
    left: int = 0,
) -> Header:
    start, size = span
    if unfinished:
        promised = None
    return Header(kind, promised, size - start, "of sound its header", mask, raw, unfinished, left)


def read_wav(file: BinaryIO, head: bytes, size: int) -> Header:
    """RIFF, RIFX, RF64 or BW64."""
    order = ">" if head[:4] == b"RIFX" else "<"
    layout = _Layout(order + "4sI", 2)
    found = _find_data(file, layout, size)
    if found is None:
        return Header("WAV")
    format_chunk, long_length, start, length = found
    promised = length
    if length == 0xFFFFFFFF and long_length is not None:
        promised = long_length
    unfinished = _unfinished(file, layout, start, size, not promised)
    if unfinished:
        promised = size - start
    elif long_length is None and (wrapped := _wrapped(file, layout, start + promised, size)):
        unfinished = _TOO_LONG
        promised += wrapped
    known = promised < UNKNOWN or (promised == long_length and promised < _UNKNOWN_LONG)
    end = min(size, start + promised) if known or unfinished else size
    raw, mask = _wav_samples(format_chunk, order, start, end)
    return _sound_header(
        "WAV",
        promised if known else None,
        (start, size),
        mask=mask,
        raw=raw,
        unfinished=unfinished,
        left=_left(file, layout, layout.following(start, end - start), size),
    )


def _find_data(
    file: BinaryIO, layout: _Layout, size: int
) -> tuple[bytes, int | None, int, int] | None:
    """The format chunk, the long length if there is one, and offset and length of the samples."""
    format_chunk, long_length = b"", None
    for name, start, length in _chunks(file, layout, 12, size):
        if name == b"ds64":
            _, long_length = struct.unpack("<QQ", file.read(16))
        elif name == b"fmt ":
            format_chunk = file.read(min(length, 40))
        elif name == b"data" and (length or file.read(4) != name):  # an empty one may come first
            return format_chunk, long_length, start, length
    return None


def _wrapped(file: BinaryIO, layout: _Layout, end: int, size: int) -> int:
    """What counting modulo 4 GiB has taken from a length, after which the sound ends at ``end``.

    0 unless the sound then ends with the file but for other chunks: anything may follow a song.
    """
    times = max(0, size - end) // _WRAP
    if not 0 < times <= _MOST_WRAPS or _left(file, layout, end + times * _WRAP, size):
        return 0
    return times * _WRAP


def _left(file: BinaryIO, layout: _Layout, end: int, size: int) -> int:
    """How many bytes after the sound are not chunks of something else."""
    if size - end < _WORTH_NOTING or _is_chunks(file, layout, end, size):
        return 0
    return size - end


def _wav_samples(
    format_chunk: bytes, order: str, start: int, end: int
) -> tuple[RawSound | None, int]:
    """The samples, None unless uncompressed, and the channel mask."""
    if len(format_chunk) < 16:
        return None, 0
    tag, channels, rate, _, frame_bytes, bits = struct.unpack(order + "HHIIHH", format_chunk[:16])
    mask = 0
    if tag == _EXTENSIBLE and len(format_chunk) >= 26:
        mask, tag = struct.unpack(order + "IH", format_chunk[20:26])
    subtype = _SUBTYPES.get((tag, bits)) if frame_bytes * 8 == bits * channels else None
    endian = "BIG" if order == ">" else "LITTLE"
    return raw_sound((start, end), rate, channels, subtype, endian), mask


def read_w64(file: BinaryIO, size: int) -> Header:
    """Sony Wave64."""
    format_chunk = b""
    for name, start, length in _chunks(file, _W64, 40, size):
        if name[:4] == b"fmt ":
            format_chunk = file.read(40)
        if name[:4] == b"data":
            unfinished = _unfinished(file, _W64, start, size, length <= 0)
            known = 0 <= length < _UNKNOWN_LONG and not unfinished
            end = min(size, start + length) if known else size
            raw, mask = _wav_samples(format_chunk, "<", start, end)
            promised = length if known else None
            return _sound_header(
                "W64", promised, (start, size), mask=mask, raw=raw, unfinished=unfinished
            )
    return Header("W64")


def _unfinished(file: BinaryIO, layout: _Layout, start: int, size: int, is_zero: bool) -> str:
    """What is wrong with a length of zero, if something other than chunks follows."""
    if is_zero and size > start and not _is_chunks(file, layout, start, size):
        return _NEVER_FINISHED
    return ""


def read_aiff(file: BinaryIO, size: int) -> Header:
    """AIFF and AIFF-C."""
    common = b""
    for name, start, length in _chunks(file, _AIFF, 12, size):
        if name == b"COMM":
            common = file.read(min(length, 22))
        if name == b"SSND":
            [skipped] = struct.unpack(">I", file.read(4))
            first = start + 8 + skipped
            unfinished = _unfinished(file, _AIFF, first, size, length <= 8)
            known = 0 < length < UNKNOWN and not unfinished
            promised = length if known else None
            raw = _aiff_samples(common, first, min(size, start + length) if known else size)
            return _sound_header("AIFF", promised, (start, size), raw=raw, unfinished=unfinished)
    return Header("AIFF")


def _aiff_samples(common: bytes, start: int, end: int) -> RawSound | None:
    if len(common) < 18:
        return None
    channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", common[:18])
    kind = common[18:22] or b"NONE"
    if exponent > 16383 + 31:  # no sample rate
        return None
    rate = mantissa >> (16383 + 63 - exponent)  # an 80-bit float
    if kind in (b"NONE", b"twos", b"sowt", b"in24", b"in32"):
        subtype = _SIGNED.get(bits)
    else:
        subtype = _FLOATS.get(bits) if kind.lower() in (b"fl32", b"fl64") else None
    endian = "LITTLE" if kind == b"sowt" else "BIG"
    return raw_sound((start, end), rate, channels, subtype, endian)


def read_caf(file: BinaryIO, size: int) -> Header:
    """Apple's Core Audio Format."""
    description = b""
    for name, start, length in _chunks(file, _CAF, 8, size):
        if name == b"desc":
            description = file.read(32)
        if name == b"data":
            first = start + 4  # after the count of edits
            unfinished = _unfinished(file, _CAF, first, size, 0 <= length <= 4)
            known = length >= 0 and not unfinished
            end = min(size, start + length) if known else size
            left = _left(file, _CAF, end, size)
            promised = length if known else None
            raw = _caf_samples(description, first, end)
            return _sound_header(
                "CAF", promised, (start, size), raw=raw, unfinished=unfinished, left=left
            )
    return Header("CAF")


def _caf_samples(description: bytes, start: int, end: int) -> RawSound | None:
    if len(description) < 32:
        return None
    rate, kind, flags, packet, _, channels, bits = struct.unpack(">d4sIIIII", description)
    if kind != b"lpcm" or packet * 8 != bits * channels or not 0 < rate < 2**31:
        return None
    subtype = (_FLOATS if flags & 1 else _SIGNED).get(bits)
    return raw_sound((start, end), int(rate), channels, subtype, "LITTLE" if flags & 2 else "BIG")


def read_au(file: BinaryIO, head: bytes, size: int) -> Header:
    """Sun's AU, and its mirror image from DEC machines."""
    order = ">" if head[:4] == b".snd" else "<"
    file.seek(4)
    start, length, encoding, rate, channels = struct.unpack(order + "IIIII", file.read(20))
    unfinished = _NEVER_FINISHED if not length and size > start else ""
    known = length < UNKNOWN and not unfinished
    end = min(size, start + length) if known else size
    endian = "BIG" if order == ">" else "LITTLE"
    return _sound_header(
        "AU",
        length if known else None,
        (start, size),
        raw=raw_sound((start, end), rate, channels, _AU.get(encoding), endian),
        unfinished=unfinished,
        left=size - end if size - end >= _WORTH_NOTING else 0,
    )
