"""Tables and records that Windows has saved in UTF-16 are refused by that name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mss_results.claims import read_claims
from mss_results.fields import parse_object
from mss_results.leaderboard import read_leaderboard
from mss_results.sources import read_sources
from mss_results.track_table import read_lines


@pytest.mark.parametrize(
    "read",
    [
        read_claims,
        read_sources,
        read_leaderboard,
        lambda file: parse_object(file.read_bytes(), file),
        lambda file: list(read_lines(file.read_bytes(), file, ["SDR"])),
    ],
    ids=["claims", "sources", "leaderboard", "record", "tracks"],
)
def test_utf_16_is_said(tmp_path: Path, read: Callable[[Path], object]) -> None:
    file = tmp_path / "table.csv"
    file.write_text("track,target\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"table\.csv.*in UTF-16, not in UTF-8") as raised:
        read(file)
    assert str(raised.value).count("table.csv") == 1
