"""What the commands are given: a song of noise, and untrained weights of a recipe's size."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import soundfile
import torch

from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.recipe import find_recipe, load_recipe

RATE = 44_100


def write_song(path: Path, seconds: float) -> None:
    """A 16-bit stereo wav of noise."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), 2))
    soundfile.write(path, noise, RATE, subtype="PCM_16")


def write_weights(package: str, recipe: str, path: Path) -> None:
    """As a training run would leave them, but untrained."""
    paper = import_module(f"{package}.paper").PAPER
    loaded = load_recipe(paper.recipe_type, find_recipe(package, recipe))
    torch.manual_seed(0)
    model = paper.build_model(loaded.recipe)
    header = {"paper": package, "recipe": loaded.text, "recipe_name": loaded.name}
    header |= {"verbatim": json.dumps(loaded.verbatim), "stems": json.dumps(model.stems)}
    header |= {"leaf_sources": json.dumps(loaded.leaf_sources), "training": "null"}
    save_model(path, model, header)


def write_openunmix(folder: Path, stems: tuple[str, ...]) -> None:
    """Untrained weights in the layout that openunmix's own command reads."""
    from open_unmix import OpenUnmix

    folder.mkdir()
    sizes = {"nfft": 4096, "nb_channels": 2, "hidden_size": 512}
    for stem in stems:
        network = OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=512, max_bin=1487)
        torch.save(network.state_dict(), folder / f"{stem}.pth")
        (folder / f"{stem}.json").write_text(json.dumps({"args": sizes}))
    separator = {"sample_rate": RATE, "nfft": 4096, "nhop": 1024, "nb_channels": 2}
    (folder / "separator.json").write_text(json.dumps(separator))


def write_moises_light(path: Path) -> None:
    """The arguments of moises-light's large model, for one stem."""
    from moises_light import configs

    ours_alone = ("architecture", "normalize_input", "dec_heavy_at")
    large = {k: v for k, v in configs["paper_large_v015"].items() if k not in ours_alone}
    path.write_text(json.dumps(large | {"sources": ["vocals"]}))
