"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

from mss_shared.cli import run
from mss_shared.paper import Option, Paper
from tflocoformer_mss.recipe import Recipe

PROMPTS = Option("prompts", "stems to ask a prompted model for", several=True)

PAPER = Paper(
    name="tflocoformer_mss",
    recipe=Recipe,
    model="tflocoformer_mss.model:build",
    training="tflocoformer_mss.training:Training",
    join="tflocoformer_mss.checkpoints:join",
    separate_options=(PROMPTS,),
    adapt="tflocoformer_mss.checkpoints:adapt",
    checkpoint_flags=("--checkpoint", "--preset"),
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
