"""``bs-roformer`` and ``python -m bs_roformer``."""

from bs_roformer.recipe import Recipe
from mss_shared.cli import run
from mss_shared.paper import Paper

PAPER = Paper(
    name="bs_roformer",
    recipe=Recipe,
    model="bs_roformer.model:build",
    training="bs_roformer.training:Training",
    examples="bs_roformer.data:Examples",
    adapt="bs_roformer.weights:adapt",
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
