"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mss_shared.paper import Alias, Option, Paper, override
from tflocoformer_mss.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from mss_shared.datasets import Dataset
    from mss_shared.interfaces import ExampleSets
    from tflocoformer_mss.model import WaveformModel
    from tflocoformer_mss.training import Training

PROMPTS = Option("prompts", "stems that a prompted model should separate", several=True)


# Flags of the music fork's separation script, then those of the authors' script.
ALIASES = (
    Alias("--input", ("{}",)),
    Alias("--output_dir", ("--out", "{}")),
    Alias("--config", ("--recipe", "{}")),
    Alias("--audio_path", ("{}",)),
    Alias("--audio_output_dir", ("--out", "{}")),
    Alias("--model_path", ("--checkpoint", "{}")),
)


class TFLocoformerPaper(Paper[Recipe, "WaveformModel"]):
    """TF-Locoformer and its relatives: prompts, and the flags of the music fork."""

    name = "tflocoformer_mss"
    recipe_type = Recipe
    separate_options = (PROMPTS,)
    filename = "{song}_{stem}"
    checkpoint_flags = ("--checkpoint", "--preset")
    aliases = ALIASES

    @override
    def make_model(self, recipe: Recipe) -> WaveformModel:
        """The separator of ``recipe.model`` and its transform."""
        from tflocoformer_mss.model import build

        return build(**asdict(recipe.model))

    @override
    def build_training(self, model: WaveformModel, recipe: Recipe) -> Training:
        """The weighted losses and AdamW."""
        from tflocoformer_mss.training import Training

        return Training(model, recipe.training)

    @override
    def choose_examples(
        self,
        default: ExampleSets,
        dataset: Dataset,
        recipe: Recipe,
        model: WaveformModel,
        seed: int,
    ) -> ExampleSets:
        """Mixes with gains in decibels, where the recipe has them."""
        from tflocoformer_mss.data import mixed_examples

        return mixed_examples(default, dataset, recipe, model, seed)

    @override
    def is_interchangeable(self, recipe: Recipe) -> bool:
        """Whether the loss takes any order of stems."""
        return recipe.training.permute

    @override
    def join_models(
        self, models: Sequence[WaveformModel], recipe: Recipe, flags: Mapping[str, Any]
    ) -> Any:
        """The models side by side; a single prompted one is asked for stems."""
        from tflocoformer_mss.weights import join

        return join(models, recipe, flags)

    @override
    def adapt(
        self, state: Mapping[str, Tensor], model: WaveformModel, file_name: str
    ) -> tuple[dict[str, Tensor], list[str]]:
        """The authors' weights under the model's keys."""
        from tflocoformer_mss.weights import adapt

        return adapt(state, model, file_name)


PAPER = TFLocoformerPaper()
