"""What `mss-results show` prints or draws: boards, rows against one row, a column's picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from mss_results.board import Board
from mss_results.columns import Key
from mss_results.diagram import diagram
from mss_results.markdown import terminal


@dataclass(frozen=True)
class Choice:
    """What was asked for; None is everything, and for the stem the main column."""

    dataset: str | None
    protocol: str | None
    metric: str | None
    stem: str | None
    against: str | None

    def keys(self, board: Board) -> list[Key]:
        """The (stem, metric) columns of a board in which rows are compared."""
        metrics = [self.metric] if self.metric else board.metrics
        return [(self.stem, metric) if self.stem else board.lead(metric) for metric in metrics]

    def rows(self, board: Board) -> set[str]:
        """The ids of the rows that are compared in these columns."""
        pools = [pool for key in self.keys(board) for pool in board.columns.get(key, ())]
        return {id for pool in pools for id in pool.rows}

    def fits(self, board: Board) -> bool:
        return (
            self.dataset in (None, board.dataset)
            and self.protocol in (None, board.protocol)
            and self.metric in (None, *board.metrics)
            and self.stem in (None, *board.stems)
        )


def show(boards: Sequence[Board], choice: Choice) -> str:
    """The chosen boards as text.

    Raises:
        ValueError: if no board has what was asked for.
    """
    chosen = _choose(boards, choice)
    texts = [terminal(board, choice.keys(board), choice.against) for board in chosen]
    return "\n\n".join(texts)


def draw(boards: Sequence[Board], choice: Choice) -> str:
    """SVG text of the chosen column of the chosen board.

    Raises:
        ValueError: if none or several boards have what was asked for, or there is nothing to draw.
    """
    chosen = _choose(boards, choice)
    if len(chosen) > 1:
        raise ValueError(
            f"--diagram draws one board, there are {', '.join(board.name for board in chosen)}: "
            f"use --dataset and --protocol"
        )
    return diagram(chosen[0], choice.keys(chosen[0])[0])


def _choose(boards: Sequence[Board], choice: Choice) -> list[Board]:
    found = [board for board in boards if choice.fits(board)]
    if not found:
        asked = {
            "dataset": choice.dataset,
            "protocol": choice.protocol,
            "metric": choice.metric,
            "stem": choice.stem,
        }
        flags = " ".join(f"--{name} {value}" for name, value in asked.items() if value)
        names = ", ".join(board.name for board in boards) or "none"
        raise ValueError(f"no board for {flags or 'any data set'}: there are {names}")
    if choice.against is None:
        return found
    with_row = [board for board in found if choice.against in choice.rows(board)]
    if not with_row:
        ids = sorted({id for board in found for id in choice.rows(board)})
        raise ValueError(
            f"--against {choice.against} is compared with no row: use one of "
            f"{', '.join(ids) or 'none, since no two rows share data and tracks'}"
        )
    return with_row
