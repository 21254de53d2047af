"""What a file in the place of weights is, by its first bytes: weights, or what else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

from mss_shared.json_text import parse_json
from mss_shared.names import shorten

Kind = Literal["safetensors", "pickled"]
HEAD = 4096
LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
AGAIN = "download or copy it again"
OTHERS = (  # first bytes, what has them, what to do
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "pass PyTorch weights"),
    (b"GGUF", "a GGUF file", "pass PyTorch weights"),
    (b"\x93NUMPY", "a NumPy array", "pass PyTorch weights"),
    (b"RIFF", "a sound file", "pass sounds without --checkpoint"),
    (b"fLaC", "a sound file", "pass sounds without --checkpoint"),
    (b"ID3", "a sound file", "pass sounds without --checkpoint"),
    (b"OggS", "a sound file", "pass sounds without --checkpoint"),
)


def find_kind(path: Path) -> Kind:
    """Whether a file is in the safetensors format or pickled by PyTorch, whatever its suffix.

    Raises:
        ValueError: if it is neither, saying in one sentence what it is instead; or if it is cut
            short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise _refusal(path, "it is empty", AGAIN)
    if _begins_safetensors(head, size):
        _check_complete(path, size)
        return "safetensors"
    if head.startswith(ZIP):
        _check_zip(path)
        return "pickled"
    if head[0] == 0x80:  # the first instruction of a pickle
        return "pickled"
    raise _refusal(path, *_describe(head, size))


def _refusal(path: Path, what: str, remedy: str) -> ValueError:
    return ValueError(f"{path} can't be read as plain weights, {what}: {remedy}")


def _begins_safetensors(head: bytes, size: int) -> bool:
    """A length of eight bytes, then an object of JSON."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= LONGEST_HEADER and size > 8


def _check_complete(path: Path, size: int) -> None:
    """Raise ValueError if the bytes that a safetensors header promises are not there."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length)
    promised = 8 + length
    if len(text) == length:
        promised += _data_bytes(text)
    if size < promised:
        raise _refusal(path, f"it is cut short, {size} bytes of at least {promised}", AGAIN)


def _data_bytes(header: bytes) -> int:
    """Where the last tensor ends by a header; 0 if that does not say, which the reader rejects."""
    try:
        entries: Any = parse_json(header, "the header")
        tensors = [entry for key, entry in entries.items() if key != "__metadata__"]
        return min(max(int(entry["data_offsets"][1]) for entry in tensors), 2**63)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError):
        return 0


def _check_zip(path: Path) -> None:
    """Raise ValueError if a zip archive is cut short or not one that PyTorch saved weights in."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception:  # a damaged archive may raise any
        raise _refusal(path, "it is a zip archive that is cut short or damaged", AGAIN) from None
    names = [member.filename.rpartition("/")[2] for member in members]
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or (
        sum(member.file_size for member in members) > path.stat().st_size
    ):
        what = "it is a compressed zip archive, which can stand for any number of bytes"
        raise _refusal(path, what, "save the weights again with torch.save")
    if "constants.pkl" in names:
        what = "it is a TorchScript program"
        raise _refusal(path, what, "save the state_dict() of the model alone")
    if "data.pkl" not in names:
        holds = f"with {shorten(names[0])} in it" if names else "with nothing in it"
        what = f"it is a zip archive {holds}, not one of PyTorch"
        raise _refusal(path, what, "unpack it, and pass the weights in it")


def _describe(head: bytes, size: int) -> tuple[str, str]:
    """What a file is that holds no weights, and what to do."""
    for magic, what, remedy in OTHERS:
        if head.startswith(magic):
            return f"it is {what}", remedy
    if head[257:262] == b"ustar":
        return "it is a tar archive", "unpack it, or save the state dict with a newer PyTorch"
    text = _text(head)
    if text is not None:
        return _describe_text(text, size)
    if not any(head):
        return f"its first {len(head)} bytes are zeros", f"the download did not end, {AGAIN}"
    return f"it begins with the bytes {head[:8].hex(' ')}, as no weights file does", AGAIN


def _text(head: bytes) -> str | None:
    """The text that a file begins with; None if it is binary."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:  # a character may be cut at the end
        text = head.decode(encoding, "strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c.isspace() for c in text) else None


def _describe_text(text: str, size: int) -> tuple[str, str]:
    start = text.lstrip()[:200].lower()
    if start.startswith("version https://git-lfs"):
        return (
            f"it is a Git LFS pointer of {size} bytes",
            "run `git lfs pull` in its repository, or download the file itself",
        )
    if start.startswith(("<!doctype html", "<html", "<head", "<?xml", "<!--")) or "<html" in start:
        return (
            "it is a web page",
            "the address gave a page in place of the file, open it in a browser and download there",
        )
    begin = shorten(" ".join(text.split())[:60])
    return f"it is a text that begins with {begin}", "pass the weights file itself"
