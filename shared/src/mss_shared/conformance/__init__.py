"""Conformance sheets: what each paper's recipes state, where it comes from, what was verified.

``python -m mss_shared.conformance`` rewrites ``packages/<paper>/CONFORMANCE.md`` from the recipes,
their models, ``packages/<paper>/conformance.yaml`` (published sizes, and which values make the loss
and the STFT) and ``tests/golden/differences.csv``, which ``--measure`` writes from the package's
frozen outputs. A tool of the repository: a package that is installed alone has no sheet.
"""

from __future__ import annotations

from pathlib import Path

from mss_shared.conformance.facts import read_differences, read_sizes
from mss_shared.conformance.sheet import conformance_sheet
from mss_shared.conformance.sizes import count_sizes
from mss_shared.paper import AnyPaper
from mss_shared.recipe import load_recipe, shipped_recipes

LARGEST = 3e-5  # of the peak, with InstanceNorm; the packages' own tests say more


def check_sheet(paper: AnyPaper, package: Path) -> None:
    """Assert that a package's sheet is up to date and its frozen outputs agree with ours.

    The demo's model alone is counted; ``tox -e conformance`` counts all.

    Args:
        paper: its PAPER.
        package: its folder in the repository.
    """
    differences = read_differences(package)
    names = [each.fixture for each in differences]
    files = {path.stem for path in (package / "tests" / "golden").glob("*.safetensors")}
    assert names and set(names) <= files, set(names) - files
    assert max(each.share for each in differences) <= LARGEST
    [demo] = [path for path in shipped_recipes(paper.name) if path.stem == "demo"]
    recipe = load_recipe(paper.recipe_type, demo).recipe
    assert count_sizes(paper, recipe) == read_sizes(package)["demo"]
    written = (package / "CONFORMANCE.md").read_text(encoding="utf-8")
    assert written == conformance_sheet(paper, package), (
        f"CONFORMANCE.md is out of date: run python -m mss_shared.conformance {paper.name}"
    )
