"""What a record says of its models: all of them, in any order."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe

from mss_shared.evaluation.models_record import (
    describe_models,
    find_claim,
    in_order,
    name_run,
    unite_trainings,
)
from mss_shared.interfaces import Checkpoint


def training(dataset: str, *tracks: str, seed: int = 0) -> dict[str, Any]:
    content = {track: [f"digest of {track}"] for track in tracks}
    return {
        "dataset": dataset,
        "fingerprint": dataset,
        "tracks": list(tracks),
        "validation": [],
        "content": content,
        "validation_content": {},
        "steps": 8,
        "seed": seed,
    }


def checkpoint(
    stem: str, verbatim: bool | None = True, reproduces: str | None = "p/row", **more: Any
) -> Checkpoint:
    """A model of one stem, trained by a recipe named for it on a song named for it."""
    recipe = demo_recipe(model={"stems": (stem,)}).recipe
    recipe = dataclasses.replace(recipe, reproduces=reproduces)
    torch.manual_seed(len(stem))
    values: dict[str, Any] = {
        "model": PAPER.build_model(recipe).eval(),
        "recipe": recipe,
        "recipe_name": f"row_{stem}",
        "verbatim": verbatim,
        "leaf_sources": {"paper": 1, "code": 2, "ours": 3},
        "training": training("songs", f"song of {stem}"),
        "notes": (),
        "origin": {"command": f"fit {stem}", "commit": "0", "versions": {}, "machine": "m"},
    }
    return Checkpoint(**(values | more))


CUT = demo_recipe().recipe.inference


def described(*checkpoints: Checkpoint, **options: Any) -> dict[str, Any]:
    return describe_models(in_order(checkpoints), CUT, options)


def test_a_single_model_is_described_as_it_is() -> None:
    one = checkpoint("vocals")
    found = described(one)
    assert (found["recipe"], found["verbatim"], found["reproduces"]) == (
        "row_vocals",
        True,
        "p/row",
    )
    assert found["leaf_sources"] == one.leaf_sources and found["training"] == one.training
    [model] = found["models"]
    assert model["origin"] == one.origin and model["stems"] == ["vocals"]
    assert name_run([one]) == "row_vocals-seed0"


def test_all_models_of_a_row_are_recorded_in_one_order() -> None:
    three = [
        checkpoint("drums", training=training("others", "x", "song of drums")),
        checkpoint("vocals"),
        checkpoint("bass"),
    ]
    records = [described(*order) for order in permutations(three)]
    assert all(record == records[0] for record in records[1:])
    found = records[0]
    assert [model["stems"] for model in found["models"]] == [["vocals"], ["drums"], ["bass"]]
    assert found["recipe"] == "row_bass+row_drums+row_vocals"
    assert found["leaf_sources"] == {"paper": 3, "code": 6, "ours": 9}
    united = found["training"]
    assert united["tracks"] == ["song of bass", "song of drums", "song of vocals", "x"]
    assert set(united["content"]) == set(united["tracks"]) and united["dataset"] is None
    assert found["reproduces"] == "p/row" and found["verbatim"] is True
    names = {name_run(in_order(order)) for order in permutations(three)}
    assert names == {"row-seed0"}


@pytest.mark.parametrize("other", [False, None])
def test_a_row_is_verbatim_only_if_all_its_models_are(other: bool | None) -> None:
    models = [checkpoint("vocals"), checkpoint("drums", other)]
    for pair in (models, models[::-1]):
        found = described(*pair)
        assert found["verbatim"] is other and found["reproduces"] is None
        name = name_run(in_order(pair))
        assert name.partition("-variant-")[0] == "row_drums+row_vocals-seed0"
        assert ("variant" in name) is (other is False)


def test_models_of_two_rows_reproduce_neither() -> None:
    found = described(checkpoint("vocals"), checkpoint("drums", reproduces="p/other"))
    assert found["reproduces"] is None and found["verbatim"] is True


def test_songs_are_unknown_if_those_of_one_model_are() -> None:
    assert described(checkpoint("vocals"), checkpoint("drums", training=None))["training"] is None
    older = {**training("songs", "x"), "content": None}
    united = unite_trainings([training("songs", "y"), older])
    assert united is not None and united["content"] is None and united["tracks"] == ["x", "y"]


def test_seeds_are_named_if_they_differ() -> None:
    models = [checkpoint("vocals"), checkpoint("drums", training=training("songs", "x", seed=7))]
    assert name_run(models) == "row-seed0+7"
    found = described(*models)["training"]
    assert found["seed"] is None and found["steps"] == 8


def test_flags_and_another_cutting_make_a_variant() -> None:
    one = checkpoint("vocals")
    found = described(one, niter=0)
    assert found["verbatim"] is False and found["reproduces"] is None
    assert found["settings"]["options"] == {"niter": 0}
    other = dataclasses.replace(CUT, overlap=0.75)
    found = describe_models([one], other, {})
    assert found["verbatim"] is False and found["reproduces"] is None
    assert found["settings"]["inference"]["overlap"] == 0.75
    longer = dataclasses.replace(one.recipe, inference=other)
    assert described(one, checkpoint("drums", recipe=longer))["verbatim"] is False


@pytest.mark.parametrize(
    ("verbatim", "trained", "claim"),
    [(True, True, "p/row"), (None, True, None), (False, True, None), (None, False, None)],
)
def test_only_the_shipped_recipe_reproduces_a_row(
    verbatim: bool | None, trained: bool, claim: str | None
) -> None:
    one = checkpoint("vocals", verbatim, training=training("songs", "x") if trained else None)
    assert find_claim(one) == claim


def test_third_party_weights_reproduce_the_row_of_the_shipped_recipe_they_are_read_as() -> None:
    loaded = demo_recipe()
    assert loaded.verbatim is True
    one = checkpoint("vocals", None, training=None, recipe=loaded.recipe, recipe_name="demo")
    assert find_claim(one) == loaded.recipe.reproduces
    recipe = dataclasses.replace(loaded.recipe, reproduces="p/row")
    edited = checkpoint("vocals", None, training=None, recipe=recipe, recipe_name="demo")
    assert find_claim(edited) is None
