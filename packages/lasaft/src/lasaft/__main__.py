"""``lasaft`` and ``python -m lasaft``."""

from lasaft.recipe import Recipe
from mss_shared.cli import run
from mss_shared.paper import Option, Paper

PAPER = Paper(
    name="lasaft",
    recipe=Recipe,
    model="lasaft.variants:build",
    training="lasaft.training:Training",
    examples="lasaft.data:ConditionedExamples",
    join="lasaft.join:join",
    options=(Option("window_overlap", "share of the windows that overlap, 0 to 0.5", type=float),),
    adapt="lasaft.weights:adapt",
    read="lasaft.lightning_file:read_state",
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
