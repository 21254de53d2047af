"""``python -m tiny_paper``."""

from mss_shared.cli import run
from mss_shared.paper import Paper
from tiny_paper.recipe import Recipe

PAPER = Paper(
    name="tiny_paper",
    recipe=Recipe,
    model="tiny_paper.model:TinyMask",
    training="tiny_paper.training:Training",
)

if __name__ == "__main__":
    run(PAPER)
