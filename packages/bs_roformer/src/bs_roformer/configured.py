"""Third-party weights with the YAML file published beside them, as a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bs_roformer.community import CommunityConfig, read_community_yaml
from bs_roformer.cpu_speed import speed_up
from bs_roformer.model import Roformer
from bs_roformer.recipe import Recipe
from bs_roformer.weights import load_network, read_weights
from mss_shared.checkpoints import fetch, find_published
from mss_shared.interfaces import Checkpoint
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.recipe_sections import InferenceConfig

# Recipes for what such files leave out, and for training, which is over.
BASE_RECIPES = {"bs": "community_4stem", "mel": "kim_mel_vocals"}


def open_configured(source: str, config_path: Path) -> Checkpoint:
    """Build the network of a community YAML with its weights; for ``--config_path``.

    Args:
        source: a weights file, or a name of checkpoints.yaml.
        config_path: the YAML file.

    Raises:
        FileNotFoundError: if one of the files is not there.
        ValueError: if one can't be read, or they contradict each other.
    """
    path = Path(source).expanduser()
    entries = () if path.exists() else find_published("bs_roformer", source)
    weights = entries[0].published_name if entries else path.name
    config = read_community_yaml(config_path, weights)
    path = fetch(entries[0]) if entries else path
    recognised = read_weights(path)
    model = load_network(recognised, config.kind, config.arguments, path)
    speed_up(model)
    notes = (f"{path} with {config_path}", *recognised.notes, *config.notes)
    recipe = _recipe(config, model)
    return Checkpoint(model, recipe, config_path.stem, None, None, None, notes)


def _recipe(config: CommunityConfig, model: Roformer) -> Recipe:
    """A recipe with the file's model and chunks, and data and training of a similar recipe."""
    base = load_recipe(Recipe, find_recipe("bs_roformer", BASE_RECIPES[config.kind])).recipe
    inference = InferenceConfig(
        chunk_seconds=config.chunk_samples / model.config.sample_rate,
        overlap=1.0 - 1.0 / config.num_overlap,
        context_seconds=0.0,
        window="fade",
        edges="reflect",
    )
    return replace(base, reproduces=None, model=model.config, inference=inference)
