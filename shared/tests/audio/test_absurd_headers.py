"""Files whose headers claim what cannot be: one sentence with the name, and little memory."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mss_shared import audio
from mss_shared.audio.container_headers import read_header

pytest.importorskip("av")

HUGE = 2**63 - 16
W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + bytes(24)
ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"


def wav(tag: int = 1, channels: int = 2, rate: int = 44_100, frame: int = 4) -> bytes:
    about = struct.pack("<HHIIHH", tag, channels, rate, 4 * rate & 0xFFFFFFFF, frame, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + about + b"data" + struct.pack("<I", 800)
    return b"RIFF" + struct.pack("<I", len(body) + 800) + body + bytes(range(200)) * 4


HEADERS = {
    "tag.wav": wav(tag=0x99),
    "tag2.wav": wav(tag=0x1234),
    "rate.wav": wav(rate=2**31 + 5),
    "most.wav": wav(rate=2**32 - 1).replace(struct.pack("<I", 800), bytes(4)),
    "wide.wav": wav(channels=30_000, frame=60_000),
    "wide0.wav": wav(channels=30_000, frame=60_000).replace(struct.pack("<I", 800), bytes(4)),
    "a.w64": W64 + b"junk" + bytes(12) + struct.pack("<Q", 2**64 - 32) + bytes(99),
    "b.w64": W64 + b"junk" + bytes(12) + struct.pack("<Q", HUGE) + bytes(99),
    "a.caf": b"caff\0\1\0\0" + b"junk" + struct.pack(">q", HUGE) + bytes(99),
    "a.mkv": b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 6 + b"\xfe" + bytes(99),
    "a.wma": ASF + struct.pack("<QI", 2**64 - 1, 9) + bytes(18) + struct.pack("<Q", 2**64 - 9)
    + bytes(99),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_of_absurd_numbers_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HEADERS[name])
    read_header(path)
    with pytest.raises(ValueError) as found:
        audio.read(path)
    assert str(path) in str(found.value) and ": " in str(found.value)
    assert "\n" not in str(found.value)


def test_a_small_flac_that_claims_a_lot_takes_no_memory_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    values = np.random.default_rng(0).integers(-99, 99, (2**20, 2)).astype(np.int16)
    soundfile.write(path, values, 44_100)
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | 0x7
    path.write_bytes(content)
    assert audio.info(path).samples > 2**34
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.flac (ends after \d+ of|can't be decoded).*repl"):
            audio.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
