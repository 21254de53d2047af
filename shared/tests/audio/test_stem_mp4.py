"""The box of stem files, put into files laid out in every way that may come."""

import json
import struct
from pathlib import Path

import pytest

from mss_shared.audio.stem_mp4 import add_stem_box

NAMES = ("vocals", "drums", "bass", "other")


def box(kind: bytes, content: bytes, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


HEAD = box(b"ftyp", b"isom")
TRAKS = box(b"mvhd", b"") + 5 * box(b"trak", b"moov udta")
TOOL = box(b"meta", b"tool")


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("before", [None, b"", TOOL])
def test_the_box_is_the_last_of_udta_and_nothing_else_moves(
    tmp_path: Path, wide: bool, before: bytes | None
) -> None:
    path = tmp_path / "song.mp4"
    start = HEAD + box(b"mdat", b"moov" * 5, wide)
    path.write_bytes(
        start + box(b"moov", TRAKS if before is None else TRAKS + box(b"udta", before))
    )
    add_stem_box(path, NAMES)
    found = path.read_bytes()
    content = found[found.index(b"stem") + 4 :]
    assert [stem["name"] for stem in json.loads(content)["stems"]] == [*NAMES]
    udta = box(b"udta", (before or b"") + box(b"stem", content))
    assert found == start + box(b"moov", TRAKS + udta)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (box(b"moov", TRAKS) + box(b"mdat", b""), "does not end with its moov box"),
        (box(b"mdat", b""), "does not end with its moov box"),
        (struct.pack(">I4s", 0, b"mdat") + box(b"moov", TRAKS), "does not end with its moov"),
        (box(b"moov", box(b"udta", TOOL) + TRAKS), "does not end with its udta box"),
    ],
)
def test_files_laid_out_otherwise_are_left_alone(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "song.mp4"
    path.write_bytes(HEAD + content)
    with pytest.raises(ValueError, match=said):
        add_stem_box(path, NAMES)
    assert path.read_bytes() == HEAD + content


def test_a_stem_file_has_four_stems(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    path.write_bytes(HEAD + box(b"moov", TRAKS))
    with pytest.raises(ValueError, match="3 stems: a stem file has 4"):
        add_stem_box(path, NAMES[:3])
