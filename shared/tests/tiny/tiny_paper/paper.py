"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mss_shared.paper import Paper, override
from tiny_paper.recipe import Recipe

if TYPE_CHECKING:
    from tiny_paper.model import TinyMask
    from tiny_paper.training import Training


class TinyPaper(Paper[Recipe, "TinyMask"]):
    """What a paper must have, and no more."""

    name = "tiny_paper"
    recipe_type = Recipe

    @override
    def make_model(self, recipe: Recipe) -> TinyMask:
        """The convolutions of ``recipe.model``."""
        from tiny_paper.model import TinyMask

        return TinyMask(**asdict(recipe.model))

    @override
    def build_training(self, model: TinyMask, recipe: Recipe) -> Training:
        """Mean squared error and Adam."""
        from tiny_paper.training import Training

        return Training(model, recipe.training)


PAPER = TinyPaper()
