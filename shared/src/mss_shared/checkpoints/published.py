"""Published checkpoints by name: a package's checkpoints.yaml, the download, the digest.

umxhq:                       # the name a user types; one entry per file
  - url: https://...
    bytes: 35637796          # null if it is not known
    sha256: b62c91ce...      # in full, or the leading digits that are known, or null
    licence: MIT
    recipe: umxhq_vocals     # null if no recipe of the package fits
    title: ...               # optional: what the weights are
    config_url: https://...  # optional: the configuration published with them
    file: umxhq.pth          # optional: its name in the cache, where several URLs end alike
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from io import FileIO
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from mss_shared import console
from mss_shared.atomic import write_text
from mss_shared.checkpoints.file_kinds import find_kind
from mss_shared.names import check_file_name
from mss_shared.separation.batch.inputs import expanded
from mss_shared.yaml_text import parse_yaml, read_text

_MEGABYTE = 10**6
_VERSION = re.compile(  # a strong entity tag, or a date
    r'"[\x21\x23-\x7e]*"|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT', re.ASCII
)
MOST_BYTES = 10 * 10**9  # of a file whose size is not known; those that are have up to 1.4 GB


@dataclass(frozen=True)
class Published:
    """One file of a published checkpoint.

    Attributes:
        url: where it is.
        bytes: its size, or None.
        sha256: its digest or the leading digits of it; None to check only the size.
        licence: of the weights.
        recipe: the recipe of its model, or None.
        title: what the weights are.
        config_url: where the configuration published with them is.
        file: its name in the cache; None for the last part of the URL.
    """

    url: str
    bytes: int | None
    sha256: str | None
    licence: str
    recipe: str | None
    title: str = ""
    config_url: str | None = None
    file: str | None = None

    @property
    def file_name(self) -> str:
        """The file's name in the cache."""
        return self.file or self.published_name

    @property
    def published_name(self) -> str:
        """The last part of the URL."""
        return self.url.split("?")[0].rsplit("/", 1)[-1]

    @property
    def is_checkable(self) -> bool:
        """Whether a size or a digest is known, by which a download can be checked."""
        return self.bytes is not None or self.sha256 is not None

    @property
    def size(self) -> str:
        """The size for people to read."""
        return "size unknown" if self.bytes is None else f"{self.bytes / 1e6:.1f} MB"


def read_published(package: str) -> dict[str, tuple[Published, ...]]:
    """The names of a package's checkpoints.yaml and their files; empty if it has none.

    Raises:
        ValueError: if an entry lacks a field or has an unknown one.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    home = Path(spec.origin).parent
    for path in (home / "checkpoints.yaml", home.parents[1] / "checkpoints.yaml"):
        if path.is_file():
            names = parse_yaml(read_text(path), str(path))
            return {name: tuple(_entry(e, path, name) for e in names[name]) for name in names}
    return {}


def find_published(package: str, name: str) -> tuple[Published, ...]:
    """The files of a published name, or of a recipe's name; empty if there are none."""
    published = read_published(package)
    every = (entry for entries in published.values() for entry in entries)
    return published.get(name) or tuple(entry for entry in every if entry.recipe == name)


def _entry(values: dict[str, Any], path: Path, name: str) -> Published:
    every = [field.name for field in fields(Published)]
    wanted = every[:-3]  # the last three have defaults
    if not set(wanted) <= set(values) <= set(every):
        raise ValueError(
            f"{path}: an entry of {name} has {', '.join(values)}: give {', '.join(wanted)}"
        )
    entry = Published(**values)
    for file_name in (entry.file_name, entry.published_name):
        check_file_name(file_name, f"{path}: the file name of {name}")
    return entry


def fetch(entry: Published, *, agreed: bool = False) -> Path:
    """The file in the user's cache, downloaded if it is missing; its digest is always checked.

    An interrupted download resumes on the next call, if a digest or what the server says of the
    file's version can tell that it is the same file. Of several processes that fetch the same file,
    one downloads it and the others wait.

    Args:
        entry: the file.
        agreed: download it even if neither its size nor its digest is known; without it, the user
            is asked.

    Raises:
        FileNotFoundError: if it can't be downloaded, saying where to put it by hand.
        PermissionError: if nothing is known to check it by, and nobody agrees to that.
        ValueError: if the digest or size is wrong.
    """
    path = cache_path(entry)
    if path.is_file():
        check(path, entry)
        return path
    if not (entry.is_checkable or agreed):
        _ask(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parents[1] / "locks" / path.name
    lock.parent.mkdir(exist_ok=True)
    with _alone(FileLock(lock), entry):
        if path.is_file():  # another process has downloaded and checked it meanwhile
            return path
        part = path.with_name(f".part-{path.name}")
        _complete(entry, part)
        _version_path(part).unlink(missing_ok=True)
        part.replace(path)
    return path


@contextmanager
def _alone(lock: FileLock, entry: Published) -> Iterator[None]:
    """Hold the lock in the block; say so if another process has it, as that may take long."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.say(f"another process downloads {entry.file_name} ({entry.size}): waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _ask(entry: Published) -> None:
    """Raise PermissionError unless a person agrees to a download that nothing can check."""
    unchecked = f"neither size nor digest of {entry.url} is known, to check the download by"
    answer = console.ask(f"{unchecked}: download it all the same?")
    if not answer:
        reason = "there is no terminal to ask on" if answer is None else "it was not agreed to"
        raise PermissionError(
            f"{unchecked}, and {reason}: get it with checkpoints fetch NAME --yes, or put it at "
            f"{cache_path(entry)} yourself"
        )


def _complete(entry: Published, part: Path) -> None:
    """Download the rest of a partial file, and check the whole."""
    version = _read_version(entry, part)
    if not (version or entry.sha256):
        _discard(part)  # nothing would tell whether the rest is of the same file
    done = part.stat().st_size if part.is_file() else 0
    console.say(
        f"downloading {entry.url} ({entry.size}, licence {entry.licence})"
        + (f", resuming after {done / 1e6:.1f} MB" if done else "")
    )
    if entry.bytes is None or done < entry.bytes:
        _download(entry, part, done, version)
    try:
        check(part, entry, f"{entry.url}, which was downloaded,", "it was removed, try again")
        if entry.sha256 is None:
            find_kind(part)
    except ValueError as error:
        _discard(part)  # resuming would not fix it
        raise ValueError(str(error).replace(str(part), entry.url)) from None


def _version_path(part: Path) -> Path:
    """Where the address and version of a partial file are noted, each on a line."""
    return part.with_name(f"{part.name}.version")


def _read_version(entry: Published, part: Path) -> str:
    """The version of a partial file, as its server named it; empty if it is not known."""
    try:
        lines = _version_path(part).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    is_known = len(lines) == 2 and lines[0] == entry.url and _VERSION.fullmatch(lines[1])
    return lines[1] if is_known else ""


def _note_version(entry: Published, part: Path, version: str) -> None:
    """Note the version of the file that is about to be written."""
    if version:
        write_text(_version_path(part), f"{entry.url}\n{version}\n")
    else:
        _version_path(part).unlink(missing_ok=True)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_path(part).unlink(missing_ok=True)


def cache_path(entry: Published) -> Path:
    """Where a published file is cached."""
    return expanded(platformdirs.user_cache_path("mss")) / "checkpoints" / entry.file_name


def matches(path: Path, entry: Published) -> bool:
    """Whether a file has the published digest, or the size if no digest is known."""
    if entry.sha256 is None:
        return path.stat().st_size == entry.bytes
    return _digest(path).startswith(entry.sha256)


def check(path: Path, entry: Published, what: str = "", remedy: str = "") -> None:
    """Raise ValueError unless the file has the published digest, or the size if there is none.

    Args:
        path: the file.
        entry: what is published of it.
        what: names the file in the error; by default its path.
        remedy: what to do, in the error; by default to delete it.
    """
    if not entry.is_checkable:
        console.say(f"neither size nor digest of {entry.file_name} is published: not checked")
    elif not matches(path, entry):
        raise ValueError(
            f"{what or path} has {path.stat().st_size} bytes with SHA-256 {_digest(path)[:16]}, "
            f"{entry.url} should have {entry.size} with {(entry.sha256 or 'any')[:16]}: "
            f"{remedy or 'delete it and download it again'}"
        )
    elif entry.sha256 is None:
        console.say(f"no digest of {entry.file_name} is published: only its size was checked")


class _OtherBytes(ValueError):
    """A server sends other bytes than it should: what there is of the file may be another one's."""


class _Capped(FileIO):
    """A file that takes no byte after its ``most``-th, and tells its length after each block."""

    def __init__(self, path: Path, mode: str, most: int, tell: Callable[[int], None]) -> None:
        super().__init__(path, mode)
        self.most = most
        self.report = tell

    def write(self, data: Any) -> int:
        """Write all of a block, or nothing of one that is too much."""
        if self.tell() + len(data) > self.most:
            raise _OtherBytes(f"the server sends more than the {self.most} bytes that are expected")
        written = super().write(data)
        self.report(self.tell())
        return written


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named_version(headers: Mapping[str, str]) -> str:
    """What tells the version of a file from any other in an answer's headers; empty if nothing."""
    named = (headers.get(name, "").strip() for name in ("ETag", "Last-Modified"))
    return next(filter(_VERSION.fullmatch, named), "")


def _check_rest(headers: Mapping[str, str], done: int, version: str) -> None:
    """Raise _OtherBytes unless an answer is the rest of the file, of the version that was begun."""
    sent = headers.get("Content-Range", "no range")
    if not re.match(rf"\s*bytes\s+0*{done}-", sent, re.ASCII | re.IGNORECASE):
        raise _OtherBytes(f"the server sends {sent[:40]} in the place of what follows byte {done}")
    found = _named_version(headers)
    if version and found not in ("", version):
        raise _OtherBytes(f"the server sends version {found} in the place of {version}")


def _download(entry: Published, part: Path, done: int, version: str) -> None:
    """Append to ``part`` the bytes of the file after the first ``done``.

    Args:
        entry: the file.
        part: what there is of it.
        done: its size.
        version: of the file that it is of; empty if that is not known.

    Raises:
        FileNotFoundError: if the rest can't be downloaded, or is another file's.
    """
    by_hand = f"download it by hand to {cache_path(entry)}"
    try:
        from pooch import HTTPDownloader
    except ImportError:
        raise FileNotFoundError(
            f"{entry.url} ({entry.size}) is not cached and pooch, which downloads it, is not "
            f'installed: pip install "mss-shared[download]", or {by_hand}'
        ) from None
    complete = False
    total = entry.bytes or 0

    def begin(response: Any, *_: Any, **__: Any) -> None:
        """Start over if the server sends the whole file; note if it has nothing more (416).

        A rest (206) has to be that of the file that was begun.
        """
        nonlocal complete, total
        complete = response.status_code == 416
        if response.status_code == 200:
            file.seek(0)
            file.truncate()
            _note_version(entry, part, _named_version(response.headers))
        elif response.status_code == 206:
            _check_rest(response.headers, done, version)
        length = response.headers.get("Content-Length", "")
        if not total and length.isdecimal():
            total = file.tell() + int(length)

    shown = 0

    def tell(length: int) -> None:
        nonlocal shown
        if length // _MEGABYTE > shown and total:
            shown = length // _MEGABYTE
            progress(entry.file_name, shown, max(shown, total // _MEGABYTE))

    headers = {"Accept-Encoding": "identity"}  # of other encodings, the versions are others
    if done:
        headers["Range"] = f"bytes={done}-"
        if version:
            headers["If-Range"] = version
    try:
        with (
            console.progress("downloading MB") as progress,
            _Capped(part, "r+" if done else "w", entry.bytes or MOST_BYTES, tell) as file,
        ):
            file.seek(done)
            download = HTTPDownloader(progressbar=False, headers=headers, hooks={"response": begin})
            download(entry.url, file, None)
    except Exception as error:  # pooch passes on whatever its transport raises
        if complete:
            return
        if isinstance(error, _OtherBytes):
            _discard(part)  # resuming would not fix it
        reason = " ".join(str(error).split())[:120]
        raise FileNotFoundError(
            f"{entry.url} ({entry.size}) can't be downloaded ({type(error).__name__}: {reason}): "
            f"check the network, or {by_hand}"
        ) from None
