"""Published checkpoints by name: a package's checkpoints.yaml, the download, the digest.

umxhq:                       # what a user types; one entry per file
  - url: https://...
    bytes: 35637796          # null if it is not known
    sha256: b62c91ce...      # in full, or the leading digits that are known, or null
    licence: MIT
    recipe: umxhq_vocals     # null if no recipe of the package fits
    title: ...               # optional: what the weights are
    config_url: https://...  # optional: a configuration beside them
    file: umxhq.pth          # optional: its name here, where several addresses end alike
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs
import yaml
from filelock import FileLock

from mss_shared import console
from mss_shared.names import check_file_name


@dataclass(frozen=True)
class Published:
    """One file of a published checkpoint.

    Attributes:
        url: where it is.
        bytes: its size, or None.
        sha256: its digest, as many leading digits as are known, or None; then the size is checked.
        licence: of the weights.
        recipe: the recipe whose model it fills, or None.
        title: what the weights are.
        config_url: where the configuration is that came with them.
        file: what it is called in the cache; the last part of the address if not given.
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
        """What it is called in the cache."""
        return self.file or self.published_name

    @property
    def published_name(self) -> str:
        """The last part of the address."""
        return self.url.split("?")[0].rsplit("/", 1)[-1]

    @property
    def size(self) -> str:
        """For people."""
        return "size unknown" if self.bytes is None else f"{self.bytes / 1e6:.1f} MB"


def read_published(package: str) -> dict[str, tuple[Published, ...]]:
    """Name -> files of a package's checkpoints.yaml; empty if it has none.

    Raises:
        ValueError: if an entry lacks a field or has another.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    home = Path(spec.origin).parent
    for path in (home / "checkpoints.yaml", home.parents[1] / "checkpoints.yaml"):
        if path.is_file():
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            return {name: tuple(_entry(e, path, name) for e in found[name]) for name in found}
    return {}


def find_published(package: str, name: str) -> tuple[Published, ...]:
    """The files that a name stands for, or the one of a recipe's name; none if there are none."""
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


def fetch(entry: Published) -> Path:
    """The file in the user's cache, downloaded if it is not there; its digest is always checked.

    A download that breaks off goes on where it stopped when it is asked for again. Of several
    processes that ask for a file one downloads it and the others wait.

    Raises:
        FileNotFoundError: if it can't be downloaded, saying where to put it by hand.
        ValueError: if a file has another digest.
    """
    path = cached(entry)
    if path.is_file():
        check(path, entry)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parents[1] / "locks" / path.name
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        if path.is_file():  # another process had it downloaded meanwhile, and checked
            return path
        part = path.with_name(f".part-{path.name}")
        _complete(entry, part)
        part.replace(path)
    return path


def _complete(entry: Published, part: Path) -> None:
    """Download what is missing of a part, and check the whole."""
    here = part.stat().st_size if part.is_file() else 0
    console.say(
        f"downloading {entry.url} ({entry.size}, licence {entry.licence})"
        + (f", going on after {here / 1e6:.1f} MB" if here else "")
    )
    if entry.bytes is None or here < entry.bytes:
        _download(entry, part, here)
    try:
        check(part, entry)
    except ValueError:
        part.unlink()  # going on from it would not mend it
        raise


def cached(entry: Published) -> Path:
    """Where a published file is kept."""
    return platformdirs.user_cache_path("mss") / "checkpoints" / entry.file_name


def matches(path: Path, entry: Published) -> bool:
    """Whether a file has the published digest, as far as it is known, or else the size."""
    if entry.sha256 is None:
        return path.stat().st_size == entry.bytes
    return _digest(path).startswith(entry.sha256)


def check(path: Path, entry: Published) -> None:
    """Raise ValueError unless the file has the published digest, or the size if there is none."""
    if entry.sha256 is None and entry.bytes is None:
        console.say(f"neither size nor digest of {entry.file_name} are published: not checked")
    elif not matches(path, entry):
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes with SHA-256 {_digest(path)[:16]}, "
            f"{entry.url} should have {entry.size} with {(entry.sha256 or 'any')[:16]}: delete "
            f"it and download it again"
        )
    elif entry.sha256 is None:
        console.say(f"no digest of {entry.file_name} is published: only its size was checked")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(entry: Published, part: Path, here: int) -> None:
    """Append to ``part`` what lies after its first ``here`` bytes."""
    by_hand = f"download it by hand to {cached(entry)}"
    try:
        from pooch import HTTPDownloader
    except ImportError:
        raise FileNotFoundError(
            f"{entry.url} ({entry.size}) is not here and pooch, which downloads, is not "
            f'installed: pip install "mss-shared[download]", or {by_hand}'
        ) from None
    complete = False

    def begin(response: Any, *_: Any, **__: Any) -> None:
        """A server that can't go on sends the whole; one that has no more says 416."""
        nonlocal complete
        complete = response.status_code == 416
        if response.status_code == 200:
            file.seek(0)
            file.truncate()

    headers = {"Range": f"bytes={here}-", "Accept-Encoding": "identity"} if here else {}
    try:
        with part.open("r+b" if here else "wb") as file:
            file.seek(here)
            download = HTTPDownloader(progressbar=False, headers=headers, hooks={"response": begin})
            download(entry.url, file, None)
    except Exception as error:  # pooch passes on whatever its transport raises
        if complete:
            return
        reason = " ".join(str(error).split())[:120]
        raise FileNotFoundError(
            f"{entry.url} ({entry.size}) can't be downloaded ({type(error).__name__}: {reason}): "
            f"check the network, or {by_hand}"
        ) from None
