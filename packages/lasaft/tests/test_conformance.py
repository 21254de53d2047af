"""CONFORMANCE.md is what ``python -m mss_shared.conformance lasaft`` writes."""

from pathlib import Path

from lasaft.paper import PAPER
from mss_shared.conformance import check_sheet


def test_the_sheet_is_that_of_the_recipes_and_the_frozen_outputs() -> None:
    check_sheet(PAPER, Path(__file__).parents[1])
