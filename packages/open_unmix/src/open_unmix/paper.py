"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mss_shared.paper import AnyPaper, Option, Paper, Verb, override
from open_unmix.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from mss_shared.datasets import Dataset
    from mss_shared.interfaces import Checkpoint, ExampleSets
    from open_unmix.separator import Separator
    from open_unmix.training import Training

FILTER = (
    Option("targets", "stems to estimate; default: all of the checkpoints'", several=True),
    Option("niter", "iterations of the Wiener filter", type=int),
    Option("softmask", "start the Wiener filter from ratio masks", type=bool),
    Option("alpha", "exponent of the ratio masks, with --softmask", type=float),
    Option("wiener_win_len", "window of the filter in frames; 0 for the whole song", type=int),
    Option("eps", "epsilon of the filter", choices=("torch", "norbert")),
    Option("wiener", "implementation of the filter", choices=("torch", "norbert")),
    Option("pipeline", "version of the authors' code to follow", choices=("1.0.0", "1.3.0")),
)
OUTPUT = (Option("residual", "add a stem with what is left of the mixture", type=bool),)


def _export(paper: AnyPaper, flags: Mapping[str, Any]) -> None:
    from open_unmix.export import export

    export(paper, flags)


EXPORT = Verb(
    "export",
    "export networks for other programs",
    (
        Option("checkpoint", "as for separate", several=True, required=True),
        Option("out", "folder to write to", required=True),
        Option("format", "umx (default), the authors' layout, or onnx", choices=("umx", "onnx")),
        Option("overwrite", "replace files that are there", type=bool),
    ),
    _export,
)


class OpenUnmixPaper(Paper[Recipe, "Separator"]):
    """Open-Unmix: statistics before training, a filter over all targets, the authors' folders."""

    name = "open_unmix"
    recipe_type = Recipe
    options = FILTER
    separate_options = OUTPUT
    demo_variants = ({"niter": 0},)
    default_checkpoint = "umxhq"
    checkpoint_flags = ("--checkpoint", "--model")
    verbs = (EXPORT,)

    @override
    def make_model(self, recipe: Recipe) -> Separator:
        """A network per target and the filter."""
        from open_unmix.build import build_separator

        return build_separator(**asdict(recipe.model))

    @override
    def build_training(self, model: Separator, recipe: Recipe) -> Training:
        """Mean squared error and Adam."""
        from open_unmix.training import Training

        return Training(model, recipe.training)

    @override
    def choose_examples(
        self, default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Separator, seed: int
    ) -> ExampleSets:
        """Whole songs in validation."""
        from open_unmix.examples import song_examples

        return song_examples(default, dataset, model)

    @override
    def prepare(self, model: Separator, dataset: Dataset, recipe: Recipe) -> None:
        """Give the networks mean and scale of the training mixtures."""
        from open_unmix.statistics import set_statistics

        set_statistics(model, dataset, recipe)

    @override
    def join_models(
        self, models: Sequence[Separator], recipe: Recipe, flags: Mapping[str, Any]
    ) -> Any:
        """All models' networks under one filter."""
        from open_unmix.build import join

        return join(models, recipe, flags)

    @override
    def adapt(
        self, state: Mapping[str, Tensor], model: Separator, file_name: str
    ) -> tuple[dict[str, Tensor], list[str]]:
        """The authors' weights of one network under the separator's keys."""
        from open_unmix.weights import adapt

        return adapt(state, model, file_name)

    @override
    def open_folder(self, folder: Path, recipe_name: str | None) -> list[Checkpoint]:
        """The networks of a folder in the authors' layout."""
        from open_unmix.weights import open_folder

        return open_folder(folder, recipe_name)


PAPER = OpenUnmixPaper()
