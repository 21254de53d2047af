"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

import sys

from mss_shared.cli import run
from mss_shared.paper import Alias, Option, Paper, Verb
from tflocoformer_mss.commands import translate
from tflocoformer_mss.recipe import Recipe

PROMPTS = Option("prompts", "stems to ask a prompted model for", several=True)
CONFIG = Option("config", "--recipe, which must be the checkpoint's if it has one")
TRAIN = Verb(
    "train",
    "fit by a recipe, with the music fork's flags",
    (
        Option("recipe", "name of a shipped recipe, or a YAML file"),
        Option("config", "the same; configs/NAME.yaml is the recipe NAME"),
        Option("data_root", "demo, or a folder with train/ and test/", required=True),
        Option("output_dir", "run folder; runs/<recipe> if not given"),
        Option("batch_size", "examples per step instead of the recipe's", type=int),
        Option("num_epochs", "epochs instead of the recipe's", type=int),
        Option("micro_batch", "examples per device and pass", type=int),
        Option("gpu", "0: one GPU, the first", type=int),
        Option("device", "where to compute", choices=("auto", "cpu", "cuda", "mps")),
        Option("resume", "go on with the run in the folder", type=bool),
    ),
    "tflocoformer_mss.commands:train",
)

# The flags of the music fork's separate.py, then of the authors'.
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
