"""``moises-light`` and ``python -m moises_light``."""

from moises_light.recipe import Recipe
from mss_shared.cli import run
from mss_shared.paper import Paper

PAPER = Paper(
    name="moises_light",
    recipe=Recipe,
    model="moises_light.model:MoisesLight",
    training="moises_light.training:Training",
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
