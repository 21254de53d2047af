"""Reads the arrays of a cache entry: an uncompressed .npz, of which nothing is believed."""

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mss_results.small_file import read_small

# The end of a ZIP file of one disk without a comment: members here and in all, the directory's
# bytes and place. One of 64 bits has another record before it, which would be believed instead.
_END = struct.Struct("<4s4xHHII2x")
_END_MARK, _LONG_MARK, _LONG_BYTES = b"PK\x05\x06", b"PK\x06\x07", 20
_DIRECTORY_BYTES = 4096
# The header that NumPy writes for an array of one dimension.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<>][fiU]\d{1,5})', 'fortran_order': False, "
    rb"'shape': \((\d{1,9}),\), \} *\n",
    re.DOTALL,
)


def read_arrays(file: Path, kinds: Mapping[str, type[np.generic]]) -> dict[str, np.ndarray]:
    """The arrays of one dimension in an entry, in memory of a few times the file's size.

    Args:
        file: as `np.savez` writes it, of at most 64 MB.
        kinds: name -> kind of number, or `np.str_`; there are no other arrays.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is no plain file, too long, or holds anything else.
    """
    content = read_small(file)
    _check_directory(content, len(kinds))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: _array(archive, name, len(content), kinds[name]) for name in kinds}
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, struct.error) as error:
        raise ValueError(f"{file}: no entry of the cache: {error}") from None


def _check_directory(content: bytes, members: int) -> None:
    """Raise ValueError for a directory that would take long to read."""
    before, end = content[: -_END.size], content[-_END.size :]
    if len(end) < _END.size or before[-_LONG_BYTES:].startswith(_LONG_MARK):
        raise ValueError("the entry has no plain end")
    mark, here, total, length, _ = _END.unpack(end)
    if (mark, here, total) != (_END_MARK, members, members) or length > _DIRECTORY_BYTES:
        raise ValueError("the entry has no directory of its arrays")


def _array(
    archive: zipfile.ZipFile, name: str, most_bytes: int, kind: type[np.generic]
) -> np.ndarray:
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most_bytes:
        raise ValueError(f"{name} is compressed, or longer than the entry")
    content = archive.read(member)
    header = _HEADER.match(content)
    if header is None or int.from_bytes(header[1], "little") != header.end() - 10:
        raise ValueError(f"{name} is no array of one dimension")
    dtype = np.dtype(header[2].decode("ascii"))
    if dtype.type is not kind or dtype.itemsize == 0:
        raise ValueError(f"{name} is of {dtype}")
    values = np.frombuffer(content[header.end() :], dtype)
    if len(values) != int(header[3]):
        raise ValueError(f"{name} does not have as many values as it says")
    return values
