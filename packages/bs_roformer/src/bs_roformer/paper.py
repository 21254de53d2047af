"""What the shared library needs to know of this package. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bs_roformer.recipe import Recipe
from mss_shared.paper import Alias, Paper, override

if TYPE_CHECKING:
    from torch import Tensor

    from bs_roformer.model import Roformer
    from bs_roformer.training import Training
    from mss_shared.datasets import Dataset
    from mss_shared.interfaces import Checkpoint, ExampleSets

# The flags of the fork with a lossless mode and of the training framework it comes from.
ALIASES = (
    Alias("--input_folder", ("{}",)),
    Alias("--output_folder", ("--out", "{}")),
    Alias("--store_dir", ("--out", "{}")),
    Alias("--start_check_point", ("--checkpoint", "{}")),
    Alias("--model_type", (), choices=("bs_roformer", "mel_band_roformer")),
    Alias("--use_tta", ("--tta",)),
    Alias("--extract_instrumental", ("--aggregate", "instrumental=mixture-vocals")),
    Alias("--flac_file", ("--format", "flac")),
    Alias("--pcm_type", ("--subtype", "{}"), choices=("PCM_16", "PCM_24", "FLOAT")),
    Alias("--force_cpu", ("--device", "cpu")),
    Alias("--device_ids", ("--device", "cuda:{}")),
    Alias("--disable-lossless", ()),
    Alias("--disable_detailed_pbar", ()),
)


class BSRoformerPaper(Paper[Recipe, "Roformer"]):
    """BS-RoFormer and Mel-Band RoFormer, and the community's weights and flags."""

    name = "bs_roformer"
    recipe_type = Recipe
    default_checkpoint = "zfturbo_4stem"
    aliases = ALIASES

    @override
    def make_model(self, recipe: Recipe) -> Roformer:
        """The network of ``recipe.model``, by its kind, with the faster classes for a CPU."""
        from bs_roformer.cpu_speed import speed_up
        from bs_roformer.model import build

        model = build(**asdict(recipe.model))
        speed_up(model)
        return model

    @override
    def build_training(self, model: Roformer, recipe: Recipe) -> Training:
        """The model's own loss and AdamW."""
        from bs_roformer.training import Training

        return Training(model, recipe.training)

    @override
    def choose_examples(
        self, default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Roformer, seed: int
    ) -> ExampleSets:
        """Mixes from a pool and with effects, where the recipe says so."""
        from bs_roformer.data import mixed_examples

        return mixed_examples(default, dataset, recipe, model, seed)

    @override
    def adapt(
        self, state: Mapping[str, Tensor], model: Roformer, file_name: str
    ) -> tuple[dict[str, Tensor], list[str]]:
        """The community's weights under the model's keys."""
        from bs_roformer.weights import adapt

        return adapt(dict(state), model, file_name)

    @override
    def open_configured(self, source: str, config_path: Path) -> Checkpoint:
        """The community's weights with their YAML."""
        from bs_roformer.configured import open_configured

        return open_configured(source, config_path)


PAPER = BSRoformerPaper()
