"""Whether a board's ratios of BSSEval's projections can be trusted: ISR, SIR and SAR.

They come from equations that are close to singular where references lack frequencies, as those of
lossy files do above some kHz. Rounding then decides the ratios, and museval's are as wrong as ours
(experiments/2026-12-equal-budget/projections.py). SDR takes no projection.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mss_results.track_file import AVERAGE

if TYPE_CHECKING:
    from mss_results.board import Row

PROJECTED = ("ISR", "SIR", "SAR")


def caution(rows: "Iterable[Row]", metrics: Iterable[str]) -> list[str]:
    """A sentence about those of some metrics that rounding decides, if there are any."""
    found = [metric for metric in metrics if metric in PROJECTED]
    why = contradiction(rows) if found else ""
    if not why:
        return []
    return [
        f"{', '.join(found)}: not to be trusted, and not ranked, as {why}, which no exact "
        f"projection gives. Where references lack frequencies, as those of lossy files do, the "
        f"equations of these ratios are nearly singular, in museval's computation too. SDR needs "
        f"none of them."
    ]


def contradiction(rows: "Iterable[Row]") -> str:
    """What shows that the projections are wrong, or nothing.

    The interference is a part of the whole error, orthogonal to the rest. So a good estimate, as
    that of an oracle is, has no SIR below its SDR.
    """
    for row in rows:
        if row.kind == "oracle" and {(AVERAGE, "SDR"), (AVERAGE, "SIR")} <= {*row.cells}:
            sdr, sir = (row.cells[AVERAGE, metric].value for metric in ("SDR", "SIR"))
            if sir < sdr:
                return f"{row.method} has an SIR of {sir:.2f} dB below its SDR of {sdr:.2f} dB"
    return ""
