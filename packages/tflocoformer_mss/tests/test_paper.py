"""Each hook of ``PAPER`` does what the package needs: without it one of these fails."""

from dataclasses import replace
from typing import Any

import pytest

from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.separator import interchangeable
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe


def recipe(name: str, **model: Any) -> Recipe:
    found = load_recipe(Recipe, find_recipe("tflocoformer_mss", name)).recipe
    return replace(found, model=replace(found.model, **model))


@pytest.mark.parametrize(("name", "any_order"), [("whamr_small", True), ("demo", False)])
def test_stems_are_interchangeable_where_the_loss_takes_any_order(
    name: str, any_order: bool
) -> None:
    assert interchangeable(PAPER.build_model(recipe(name))) is any_order


def test_a_prompted_model_gives_the_stems_of_the_command_line() -> None:
    prompted = recipe("tuss_medium", n_layers=1, n_second_layers=1)
    model = PAPER.build_model(prompted)
    joined = PAPER.join_models([model], prompted, {"prompts": ["speech", "drums"]})
    assert joined.stems == ("speech", "drums")


def test_weights_of_the_network_alone_are_read_as_the_separators() -> None:
    model = PAPER.build_model(recipe("demo"))
    found, notes = PAPER.adapt(model.separator.state_dict(), model, "best.pth")
    assert set(found) == set(model.state_dict()) and len(notes) == 1
