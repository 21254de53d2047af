"""Read leaderboard.csv back, typed: for scripts and notebooks that ask their own questions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints, overload

from mss_results.csv_text import read_columns
from mss_results.tables import LEADERBOARD_COLUMNS

_HERE = Path(__file__).parents[2] / "leaderboard.csv"  # in a checkout of the repository
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class LeaderboardRow:
    """One cell of one board; None where the file has nothing.

    Attributes:
        dataset, protocol: of the board.
        method, recipe: of the row; `verbatim`, whether its values are the shipped recipe's.
        stem, metric, value: of the cell.
        ci_low, ci_high: 95 % interval.
        rank_low, rank_high: best and worst rank.
        seeds, seed_min, seed_max: how many runs, and their lowest and highest value.
        tracks: how many were scored.
        extra_data: whether data beyond the benchmark was trained on, in words.
        contaminated: whether test tracks were trained on.
        parameters, gmac_per_second, real_time_factor, peak_memory_mb: of the model.
        kind: measured, claimed, oracle, baseline.
        second_hand_leaves, ours_leaves: how many values of the recipe no paper or code states.
        source: the run's folder, or the page.
    """

    dataset: str
    protocol: str
    method: str
    recipe: str
    verbatim: bool | None
    stem: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    rank_low: int | None
    rank_high: int | None
    seeds: int | None
    seed_min: float | None
    seed_max: float | None
    tracks: int | None
    extra_data: str
    contaminated: bool | None
    parameters: int | None
    gmac_per_second: float | None
    real_time_factor: float | None
    peak_memory_mb: float | None
    kind: str
    second_hand_leaves: int | None
    ours_leaves: int | None
    source: str


class Leaderboard(Sequence[LeaderboardRow]):
    """The rows of a leaderboard, in the order of the file."""

    def __init__(self, rows: Sequence[LeaderboardRow]) -> None:
        """A leaderboard of these rows."""
        self._rows = tuple(rows)

    def __repr__(self) -> str:
        """How much there is of what."""
        boards = sorted({f"{row.dataset}, {row.protocol}" for row in self})
        named = boards[0] if len(boards) == 1 else f"{len(boards)} boards"
        methods = len({row.method for row in self})
        return f"<Leaderboard of {named}: cells {len(self)}, methods {methods}>"

    def __len__(self) -> int:
        """How many cells there are."""
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> LeaderboardRow: ...

    @overload
    def __getitem__(self, index: slice) -> "Leaderboard": ...

    def __getitem__(self, index: int | slice) -> "LeaderboardRow | Leaderboard":
        """A row, or the leaderboard of some."""
        return Leaderboard(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __iter__(self) -> Iterator[LeaderboardRow]:
        """The rows in order."""
        return iter(self._rows)

    def where(self, **values: Any) -> "Leaderboard":
        """The rows that have these values: ``where(metric="SDR", stem="vocals")``.

        Raises:
            ValueError: for an unknown column.
        """
        for name in values:
            if name not in LEADERBOARD_COLUMNS:
                raise ValueError(
                    f"there is no column {name!r}: choose from {', '.join(LEADERBOARD_COLUMNS)}"
                )
        return Leaderboard(
            [row for row in self if all(getattr(row, n) == v for n, v in values.items())]
        )

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row per cell.

        Raises:
            ModuleNotFoundError: without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise ModuleNotFoundError(
                "a frame needs pandas, which is not installed: pip install pandas, or read the rows"
            ) from None
        return pandas.DataFrame([asdict(row) for row in self], columns=[*LEADERBOARD_COLUMNS])


def read_leaderboard(path: str | Path | None = None) -> Leaderboard:
    """Read a leaderboard.

    Args:
        path: of a leaderboard.csv that ``mss-results build`` wrote; by default the repository's,
            if the package is installed from a checkout.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has other columns, or a value that is not of its column's type.
    """
    file = _HERE if path is None else Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no leaderboard {file}: pass the path of a leaderboard.csv, which "
            f"mss-results build writes"
        )
    hints = get_type_hints(LeaderboardRow)
    lines = read_columns(file, LEADERBOARD_COLUMNS)
    return Leaderboard([_row(line, hints, f"{file}: line {number}") for number, line in lines])


def _row(line: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> LeaderboardRow:
    values: dict[str, Any] = {}
    for name in LEADERBOARD_COLUMNS:
        text = line[name]
        try:
            values[name] = _value(text, hints[name])
        except (ValueError, KeyError):
            raise ValueError(
                f"{where}, column {name} reads {str(text)[:60]!r}: build it again with mss-results "
                f"build"
            ) from None
    return LeaderboardRow(**values)


def _value(text: str, hint: Any) -> str | int | float | bool | None:
    """The value of a cell; nothing is None, but for texts."""
    if hint is str:
        return text
    if not text:
        return None
    for kind in (int, float):
        if hint == kind | None:
            return kind(text)
    return _TRUTH[text]
