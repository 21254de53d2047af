"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from moises_light.recipe import Recipe
from mss_shared.paper import Paper, override

if TYPE_CHECKING:
    from moises_light.model import MoisesLight
    from moises_light.training import Training


class MoisesLightPaper(Paper[Recipe, "MoisesLight"]):
    """Moises-Light: the network and its training, no hooks besides."""

    name = "moises_light"
    recipe_type = Recipe

    @override
    def make_model(self, recipe: Recipe) -> MoisesLight:
        """The network of ``recipe.model``."""
        from moises_light.model import MoisesLight

        return MoisesLight(**asdict(recipe.model))

    @override
    def build_training(self, model: MoisesLight, recipe: Recipe) -> Training:
        """The losses and AdamW."""
        from moises_light.training import Training

        return Training(model, recipe.training)


PAPER = MoisesLightPaper()
