"""What the header of a sound file states, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mss_shared.audio.file_part import FilePart

_MOST_HZ, _MOST_CHANNELS = 2**31 - 1, 1024  # libsndfile's limits
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32}


@dataclass(frozen=True)
class RawSound:
    """The byte range and format of uncompressed samples, relative to the start of the header."""

    start: int
    end: int
    sample_rate: int
    channels: int
    subtype: str
    endian: str

    @property
    def samples(self) -> int:
        """How many samples per channel the bytes hold."""
        return (self.end - self.start) // (_BITS.get(self.subtype, 64) // 8 * self.channels)

    def shifted(self, offset: int) -> RawSound:
        """The same, relative to ``offset`` bytes before the start of the header."""
        return replace(self, start=self.start + offset, end=self.end + offset)


@dataclass(frozen=True)
class Header:
    """What a container's header states.

    Attributes:
        kind: WAV, W64, AIFF, AU, CAF, FLAC, OGG, MP3, AVI, MOV, MATROSKA, ASF, VOC; '' for others.
        promised: size in bytes, of the sound or of the file; None if the header has none.
        present: how many of those bytes the file has.
        what: which size this is, for error messages.
        mask: the channel mask; 0 if unknown.
        raw: where the samples are, if uncompressed and found by the header.
        unfinished: what is wrong with the length in the header, if that can't be the sound's.
        left: how many bytes follow the sound that belong to nothing else.
        start: offset of the first byte after ID3 tags.
    """

    kind: str = ""
    promised: int | None = None
    present: int = 0
    what: str = "its header"
    mask: int = 0
    raw: RawSound | None = None
    unfinished: str = ""
    left: int = 0
    start: int = 0

    def check(self, path: Path) -> None:
        """Raise ValueError if the file has fewer bytes than its header promises."""
        if self.promised is not None and self.present < self.promised:
            raise ValueError(
                f"{path} holds {max(0, self.present)} of the {self.promised} bytes {self.what} "
                f"promises: the file is cut short, replace it"
            )

    def notes(self) -> tuple[str, ...]:
        """What the user should know about the length, a sentence each."""
        if self.unfinished:
            return (f"{self.unfinished}: read to its end, {self.present} bytes",)
        if self.left:
            return (
                f"{self.left} bytes after the end that its header gives were not read: if they are "
                f"sound, repair the header",
            )
        return ()


def raw_sound(
    span: tuple[int, int], rate: int, channels: int, subtype: str | None, endian: str
) -> RawSound | None:
    """Uncompressed samples in whole frames; None for what libsndfile can't hold."""
    if subtype is None or not 0 < channels <= _MOST_CHANNELS or not 0 < rate <= _MOST_HZ:
        return None
    start, end = span
    end -= max(0, end - start) % (_BITS.get(subtype, 64) // 8 * channels)
    return RawSound(start, end, rate, channels, subtype, endian)


def open_raw(path: Path, header: Header, raw: RawSound) -> FilePart:
    """Open the samples of a file as a headerless file."""
    return FilePart(path, header.start + raw.start, header.start + raw.end)
