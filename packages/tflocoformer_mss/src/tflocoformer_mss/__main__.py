"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

from mss_shared.cli import run
from mss_shared.paper import Paper
from tflocoformer_mss.recipe import Recipe

PAPER = Paper(
    name="tflocoformer_mss",
    recipe=Recipe,
    model="tflocoformer_mss.model:build",
    training="tflocoformer_mss.training:Training",
    checkpoint_flags=("--checkpoint", "--preset"),
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
