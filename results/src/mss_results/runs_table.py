"""runs.csv: what made each run, one line per run."""

from collections.abc import Sequence

from mss_results.board import Board, Row
from mss_results.csv_text import csv_text
from mss_results.read import Run
from mss_results.tables import contaminated, whole, yes_no

RUNS_COLUMNS = (
    *("dataset", "method", "run", "kind", "recipe", "verbatim", "reproduces", "seed"),
    *("training_data", "extra_data", "contaminated", "fit_command", "fit_commit"),
    *("command", "commit", "machine", "recipe_digest", "weights_digest", "protocols"),
)


def runs_csv(boards: Sequence[Board]) -> str:
    """All measured runs, sorted by data set, method and run."""
    protocols: dict[str, list[str]] = {}
    rows: dict[str, tuple[Row, Run]] = {}
    for board in boards:
        for row in board.rows:
            for part in row.parts or (row,):
                if part.made_by is not None:
                    rows[part.made_by.id] = part, part.made_by
                    protocols.setdefault(part.made_by.id, []).append(board.protocol)
    lines = [_line(*rows[id], protocols[id]) for id in sorted(rows)]
    return csv_text([RUNS_COLUMNS, *lines])


def _line(row: Row, run: Run, protocols: Sequence[str]) -> list[str]:
    made = run.provenance
    return [
        *(run.dataset, run.method, run.name, run.kind, run.recipe or "", yes_no(run.verbatim)),
        *(run.reproduces or "", whole(made.seed), run.training_data),
        *(row.extra_data, contaminated(row), run.fit_command, run.fit_commit),
        *(made.command or "", made.commit or "", made.machine or ""),
        *(made.recipe_digest or "", made.weights_digest or "", " ".join(protocols)),
    ]
