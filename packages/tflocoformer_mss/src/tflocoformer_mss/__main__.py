"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

import sys

from mss_shared.cli import run
from mss_shared.paper import Alias, Option, Paper, Verb
from tflocoformer_mss.commands import translate
from tflocoformer_mss.recipe import Recipe

PROMPTS = Option("prompts", "stems that a prompted model should separate", several=True)
CONFIG = Option("config", "same as --recipe; must match the recipe of the checkpoint if it has one")
TRAIN = Verb(
    "train",
    "same as fit, with the flags of the music fork",
    (
        Option("recipe", "name of a shipped recipe, or a YAML file"),
        Option("config", "same as --recipe; configs/NAME.yaml means the recipe NAME"),
        Option("data_root", "demo, or a folder with train/ and test/", required=True),
        Option("output_dir", "run folder; default: runs/<recipe>"),
        Option("batch_size", "examples per step; overrides the recipe", type=int),
        Option("num_epochs", "number of epochs; overrides the recipe", type=int),
        Option("micro_batch", "examples per device and pass", type=int),
        Option("gpu", "0 for the first GPU", type=int),
        Option("device", "where to compute", choices=("auto", "cpu", "cuda", "mps")),
        Option("resume", "continue the run in the folder", type=bool),
    ),
    "tflocoformer_mss.commands:train",
)

# Flags of the music fork's separation script, then those of the authors' script.
ALIASES = (
    Alias("--input", ("{}",)),
    Alias("--output_dir", ("--out", "{}")),
    Alias("--config", ("--recipe", "{}", "--config={}")),
    Alias("--audio_path", ("{}",)),
    Alias("--audio_output_dir", ("--out", "{}")),
    Alias("--model_path", ("--checkpoint", "{}")),
)

PAPER = Paper(
    name="tflocoformer_mss",
    recipe=Recipe,
    model="tflocoformer_mss.model:build",
    training="tflocoformer_mss.training:Training",
    join="tflocoformer_mss.checkpoints:join",
    separate_options=(PROMPTS, CONFIG),
    adapt="tflocoformer_mss.checkpoints:adapt",
    interchangeable=lambda recipe: bool(recipe.training.permute),
    filename="{song}_{stem}",
    checkpoint_flags=("--checkpoint", "--preset"),
    aliases=ALIASES,
    verbs=(TRAIN,),
)


def main() -> None:
    """Run the command line."""
    run(PAPER, translate(PAPER.name, sys.argv[1:]))


if __name__ == "__main__":
    main()
