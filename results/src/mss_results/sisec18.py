"""The 31 systems of the Signal Separation Evaluation Campaign 2018 on MUSDB18's test songs."""

from dataclasses import dataclass

DATASET = "musdb18"
# Columns of a table of all systems before those of tracks.csv.
COLUMNS = ("method", "kind")

_ORACLE = ("IBM1", "IBM2", "IRM1", "IRM2", "MWF")
_BASELINE = ("MIX",)  # the mixture as every stem
_BLIND = ("2DFT", "HPLP", "HPSS", "MELO", "REP1", "REP2", "RPCA")
_EXTRA_DATA = ("STL1", "TAK2", "TAK3", "TAU1", "UHL3")
_MUSDB18_ONLY = (
    *("HEL1", "JY1", "JY2", "JY3", "MDL1", "MDLT", "RGT1", "RGT2", "STL2"),
    *("TAK1", "UHL1", "UHL2", "WK"),
)
# Without an accompaniment, so that all four stems were scored together.
_FOUR_STEMS = ("HEL1", "RGT1", "RGT2", "STL2")


@dataclass(frozen=True)
class System:
    """What the score files of a system do not say; kind: as in run.json."""

    kind: str
    extra_data: bool
    protocol: str


def _kind(method: str) -> str:
    if method in _ORACLE:
        return "oracle"
    if method in _BASELINE:
        return "baseline"
    return "blind" if method in _BLIND else "model"


SYSTEMS = {
    method: System(
        _kind(method),
        method in _EXTRA_DATA,
        "bsseval_v4@1" if method in _FOUR_STEMS else "sisec18@1",
    )
    for method in sorted((*_ORACLE, *_BASELINE, *_BLIND, *_EXTRA_DATA, *_MUSDB18_ONLY))
}


def find_system(method: str) -> System:
    """The system of that name; a ValueError lists all names."""
    if method not in SYSTEMS:
        raise ValueError(
            f"{method!r} is none of the {len(SYSTEMS)} systems of SiSEC 2018: --sisec18 imports "
            f"{', '.join(SYSTEMS)}"
        )
    return SYSTEMS[method]
