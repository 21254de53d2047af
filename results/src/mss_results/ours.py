"""Tells the files that a build made from those of others, by how they begin."""

from pathlib import Path

_BEGINNING = 4096  # bytes, more than any mark is away from the start
_TABLES = {
    "leaderboard.csv": "dataset,protocol,method,recipe,verbatim,stem,metric,value,",
    "runs.csv": "dataset,method,run,kind,recipe,verbatim,",
}
_WIDE = "method,recipe,run,kind,reproduces,verbatim,"
_TITLE = "<title>Music source separation: scores and claims</title>"


def is_ours(file: Path) -> bool:
    """Whether a build made a file: names alone do not say it.

    A file that was edited below its beginning, or has the columns of an older version, counts.
    """
    with file.open("rb") as opened:
        text = opened.read(_BEGINNING).decode("utf-8", "replace").replace("\r\n", "\n")
    if file.name in _TABLES:
        return text.startswith(_TABLES[file.name])
    if file.name == "index.html":
        return text.startswith("<!doctype html>") and _TITLE in text
    return _is_of_a_board(file, text)


def _is_of_a_board(file: Path, text: str) -> bool:
    name = file.stem
    title = ", ".join(name.split("--", 1))
    begins = {
        ".csv": _WIDE,
        ".md": f"# {title}\n",
        ".tex": f"% {name}: written by mss-results build",
        ".svg": "<svg ",
        ".js": f'keepFrames("runs/{name}.js"'
        if file.parent.name == "runs"
        else f'keepBoard({{"name":"{name}"',
    }
    begin = begins.get(file.suffix)
    is_titled = file.suffix != ".svg" or f"<title>{title}: " in text
    return begin is not None and text.startswith(begin) and is_titled


def check_replaceable(file: Path) -> None:
    """Refuse to replace what is there and is not ours; nothing is lost with an empty file.

    Raises:
        ValueError: naming the file.
    """
    is_there = file.is_file() and not file.is_symlink() and file.stat().st_size > 0
    if is_there and not is_ours(file):
        raise ValueError(f"{file}: no build made this file: move it, or choose another --out")
