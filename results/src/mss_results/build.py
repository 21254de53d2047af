"""All outputs, computed in memory first, then written at once."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mss_results.board import Board, build_boards
from mss_results.cache import Cache
from mss_results.claims import read_claims
from mss_results.latex import latex
from mss_results.markdown import page
from mss_results.read import read_runs
from mss_results.site import Site, site
from mss_results.splice import splice
from mss_results.tables import leaderboard_csv, wide_csv


@dataclass(frozen=True)
class Places:
    """Where inputs are read, what was read before is kept, and outputs belong."""

    scores: tuple[Path, ...]
    papers: Path
    out: Path
    readmes: tuple[Path, ...]
    cache: Path | None = None
    audio: Path | None = None

    @property
    def leaderboard(self) -> Path:
        return self.out / "leaderboard.csv"


def read_boards(places: Places) -> tuple[Board, ...]:
    """Read all inputs into boards; errors as in read_runs, read_claims and build_boards."""
    runs = read_runs(places.scores, Cache(places.cache))
    return build_boards(runs, read_claims(places.papers))


def plan(places: Places) -> dict[Path, bytes]:
    """The content of every output file: leaderboard, tables, page, READMEs with their boards.

    Raises:
        FileNotFoundError, ValueError: as the readers and splice do.
    """
    boards = read_boards(places)
    texts = {places.leaderboard: leaderboard_csv(boards)}
    for board in boards:
        texts[places.out / "tables" / f"{board.name}.csv"] = wide_csv(board)
        texts[places.out / "tables" / f"{board.name}.md"] = page(board)
        texts[places.out / "tables" / f"{board.name}.tex"] = latex(board)
    texts |= site(boards, Site(places.out / "site", places.audio))
    by_name = {board.name: board for board in boards}
    for readme in places.readmes:
        texts[readme] = splice(_read(readme), readme, by_name)
    return {file: text.encode("utf-8") for file, text in texts.items()}


def stale(places: Places, contents: Mapping[Path, bytes]) -> list[Path]:
    """Files among the generated ones that the inputs no longer give."""
    folders = [places.out / name for name in ("tables", "site", "site/runs")]
    present = [file for each in folders if each.is_dir() for file in sorted(each.iterdir())]
    return [file for file in present if file.is_file() and file not in contents]


def write(places: Places, contents: Mapping[Path, bytes]) -> list[Path]:
    """Write what differs and remove what is stale; return both. All or, on error, nothing."""
    changed = [file for file, content in contents.items() if _bytes(file) != content]
    partial: dict[Path, Path] = {}
    try:
        for file in changed:
            target = file.resolve()  # a linked README stays a link
            target.parent.mkdir(parents=True, exist_ok=True)
            partial[target] = target.with_name(f".{target.name}.{os.getpid()}.partial")
            partial[target].write_bytes(contents[file])
            if target.exists():
                shutil.copymode(target, partial[target])
        for target, beside in partial.items():
            os.replace(beside, target)
    finally:
        for beside in partial.values():
            beside.unlink(missing_ok=True)
    gone = stale(places, contents)
    for file in gone:
        file.unlink()
    return changed + gone


def _read(readme: Path) -> str:
    if not readme.is_file():
        raise FileNotFoundError(f"no file {readme}: --splice must name existing README files")
    try:
        return readme.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{readme}: not UTF-8 at byte {error.start}: save it as UTF-8") from None


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
