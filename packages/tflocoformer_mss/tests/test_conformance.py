"""CONFORMANCE.md is what ``python -m mss_shared.conformance tflocoformer_mss`` writes."""

from pathlib import Path

from mss_shared.conformance import check_sheet
from mss_shared.conformance.operations import check_operations
from tflocoformer_mss.paper import PAPER


def test_the_sheet_is_that_of_the_recipes_and_the_frozen_outputs() -> None:
    check_sheet(PAPER, Path(__file__).parents[1])


def test_the_demo_models_do_as_much_as_when_it_was_counted() -> None:
    check_operations(PAPER, Path(__file__).parents[1])
