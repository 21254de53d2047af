"""Compute all outputs in memory, then write them together."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mss_results.board import Board, build_boards
from mss_results.cache import Cache
from mss_results.claims import read_claims
from mss_results.diagram import diagram
from mss_results.latex import latex
from mss_results.markdown import page
from mss_results.ours import check_replaceable, is_ours
from mss_results.partial import made_folders, make_folder, named_finally, partial_of, sweep
from mss_results.read import read_runs
from mss_results.runs_table import runs_csv
from mss_results.site import SitePaths, site
from mss_results.small_file import MOST_BYTES, decode, read_small
from mss_results.sources import read_sources
from mss_results.splice import splice
from mss_results.tables import leaderboard_csv, wide_csv

_FOLDERS = ("tables", "site/boards", "site/runs")
_SUFFIXES = (".csv", ".md", ".tex", ".svg", ".js")


@dataclass(frozen=True)
class Paths:
    """Paths of inputs, cache and outputs."""

    scores: tuple[Path, ...]
    papers: Path | None
    out: Path
    readmes: tuple[Path, ...]
    cache: Path | None = None
    audio: Path | None = None

    @property
    def leaderboard(self) -> Path:
        return self.out / "leaderboard.csv"

    @property
    def frames(self) -> Path:
        """The page's scripts of frames: a copy of the score files that is not committed."""
        return self.out / "site" / "runs"


def read_boards(paths: Paths) -> tuple[Board, ...]:
    """Read all inputs into boards; errors as in read_runs, read_claims and build_boards."""
    runs = read_runs(paths.scores, Cache(paths.cache))
    claims = read_claims(paths.papers) if paths.papers else ()
    return build_boards(runs, claims)


def plan(paths: Paths) -> dict[Path, bytes]:
    """The content of every output file: leaderboard, tables, page, and READMEs with boards.

    Raises:
        FileNotFoundError, ValueError: as the readers and splice do.
    """
    boards = read_boards(paths)
    texts = {
        paths.leaderboard: leaderboard_csv(boards),
        paths.out / "runs.csv": runs_csv(boards),
    }
    for board in boards:
        texts[paths.out / "tables" / f"{board.name}.csv"] = wide_csv(board)
        texts[paths.out / "tables" / f"{board.name}.md"] = page(board)
        texts[paths.out / "tables" / f"{board.name}.tex"] = latex(board)
        texts |= _picture(board, paths.out / "tables" / f"{board.name}.svg")
    known = read_sources(paths.papers.with_name("sources.csv")) if paths.papers else ()
    texts |= site(boards, SitePaths(paths.out / "site", paths.audio, known))
    by_name = {board.name: board for board in boards}
    for readme in paths.readmes:
        texts[readme] = splice(_read(readme), readme, by_name)
    return {file: text.encode("utf-8") for file, text in texts.items()}


def _picture(board: Board, file: Path) -> dict[Path, str]:
    """The main column of a board's first metric as a picture, if rows of it are compared."""
    key = board.lead(board.metrics[0])
    return {file: diagram(board, key)} if board.columns.get(key) else {}


def stale(paths: Paths, contents: Mapping[Path, bytes]) -> list[Path]:
    """Files in the generated folders that a build has made and the inputs no longer produce.

    Files of others may lie there, too: ours have names of boards, and begin as a build writes them.
    """
    folders = [paths.out / name for name in _FOLDERS]
    present = [file for each in folders if each.is_dir() for file in sorted(each.glob("*--*"))]
    others = [file for file in present if file.suffix in _SUFFIXES and file not in contents]
    plain = [file for file in others if file.is_file() and not file.is_symlink()]
    return [file for file in plain if is_ours(file)]


def write(paths: Paths, contents: Mapping[Path, bytes]) -> list[Path]:
    """Write files that differ, remove stale ones, and return both; on error, change nothing.

    Raises:
        OSError: naming the file that can't be written.
        ValueError: if a link or a file of others is in the way.
    """
    for folder in (paths.out / name for name in ("site", *_FOLDERS)):
        if folder.is_symlink():
            raise ValueError(f"{folder}: a link, which may lead elsewhere: remove it")
    changed = [file for file, content in contents.items() if _bytes(file) != content]
    for file in changed:
        if file not in paths.readmes:  # those are others', with a part of ours
            check_replaceable(file)
    replace_files({file: contents[file] for file in changed})
    removed = stale(paths, contents)
    for file in removed:
        file.unlink()
    return changed + removed


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write all files under other names, then rename them; on error, change nothing.

    Raises:
        OSError: naming the file that can't be written.
        ValueError: if one is a link or no plain file.
    """
    partial: dict[Path, Path] = {}
    with made_folders() as made:
        try:
            for target in contents:
                if target.is_symlink() or (target.exists() and not target.is_file()):
                    raise ValueError(f"{target}: a link or no plain file: remove it")
                make_folder(target.parent, made)
                sweep(target)
                partial[target] = partial_of(target)
                with named_finally(partial[target], target):
                    partial[target].write_bytes(contents[target])
                    if target.exists():
                        shutil.copymode(target, partial[target])
            for target, temporary in partial.items():
                with named_finally(temporary, target):
                    os.replace(temporary, target)
        finally:
            for temporary in partial.values():
                temporary.unlink(missing_ok=True)


def _read(readme: Path) -> str:
    if not readme.is_file():
        raise FileNotFoundError(f"no file {readme}: --splice must name existing README files")
    content = read_small(readme)
    try:
        return decode(content)
    except ValueError as error:
        raise ValueError(f"{readme}: {error}: save it as UTF-8") from None


def _bytes(file: Path) -> bytes | None:
    """The content of a file to compare with; None if it is another one at first sight."""
    is_short = file.is_file() and file.stat().st_size <= MOST_BYTES
    return file.read_bytes() if is_short else None
