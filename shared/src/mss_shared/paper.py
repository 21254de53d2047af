"""What a paper package hands to the shared command line. Imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Paper:
    """A package's parts; model and training by name, so that ``--help`` loads no torch.

    Attributes:
        name: the import name, and the method's name on the leaderboard.
        recipe: the Recipe dataclass.
        model: ``module:callable`` that takes the fields of ``recipe.model`` as keywords.
        training: ``module:class`` of the LightningModule, called with (model, recipe.training).
    """

    name: str
    recipe: type[Any]
    model: str
    training: str

    @property
    def command(self) -> str:
        """The console script's name."""
        return self.name.replace("_", "-")

    def build_model(self, recipe: Any) -> Any:
        """A freshly initialised model; ValueError if the recipe's numbers do not fit together."""
        return _find(self.model)(**dataclasses.asdict(recipe.model))

    def build_training(self, model: Any, recipe: Any) -> Any:
        """The LightningModule around a model."""
        return _find(self.training)(model, recipe.training)


def _find(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
