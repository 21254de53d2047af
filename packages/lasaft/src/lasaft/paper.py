"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lasaft.recipe import Recipe
from mss_shared.paper import Option, Paper, override

if TYPE_CHECKING:
    from torch import Tensor

    from lasaft.model import Separator
    from lasaft.training import Training
    from mss_shared.datasets import Dataset
    from mss_shared.interfaces import ExampleSets


class LaSAFTPaper(Paper[Recipe, "Separator"]):
    """LaSAFT: conditioned examples, windows that overlap, the authors' Lightning files."""

    name = "lasaft"
    recipe_type = Recipe
    options = (Option("window_overlap", "share of the windows that overlap, 0 to 0.5", type=float),)

    @override
    def make_model(self, recipe: Recipe) -> Separator:
        """The network of ``recipe.model`` and its windows."""
        from lasaft.variants import build

        return build(**asdict(recipe.model))

    @override
    def build_training(self, model: Separator, recipe: Recipe) -> Training:
        """The losses, optimizer and schedule."""
        from lasaft.training import Training

        return Training(model, recipe.training)

    @override
    def choose_examples(
        self, default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Separator, seed: int
    ) -> ExampleSets:
        """One stem of a mix in training, windows with zeros around them in validation."""
        from lasaft.data import conditioned_examples

        return conditioned_examples(default, dataset, recipe, model, seed)

    @override
    def join_models(
        self, models: Sequence[Separator], recipe: Recipe, flags: Mapping[str, Any]
    ) -> Any:
        """The models side by side, with the overlap of the command line."""
        from lasaft.join import join

        return join(models, recipe, flags)

    @override
    def adapt(
        self, state: Mapping[str, Tensor], model: Separator, file_name: str
    ) -> tuple[dict[str, Tensor], list[str]]:
        """The authors' weights under the model's keys."""
        from lasaft.weights import adapt

        return adapt(state, model, file_name)

    @override
    def read_pickled(self, path: Path, default: Callable[[Path], Any]) -> Any:
        """The contents of a Lightning checkpoint of any age."""
        from lasaft.lightning_file import read_any_age

        return read_any_age(path, default)


PAPER = LaSAFTPaper()
