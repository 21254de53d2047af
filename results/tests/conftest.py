"""A repository with score folders and claims, for every test of the aggregator."""

from pathlib import Path

import pytest
from score_folders import PAPERS, ScoreFolders, four_stems


@pytest.fixture
def folders(tmp_path: Path) -> ScoreFolders:
    root = tmp_path / "results" / "scores"
    root.mkdir(parents=True)
    return ScoreFolders(root)


@pytest.fixture
def papers(folders: ScoreFolders) -> Path:
    file = folders.root.parent / "papers.csv"
    file.write_text(PAPERS)
    return file


@pytest.fixture
def repo(folders: ScoreFolders, papers: Path) -> Path:
    """A checkout with one measured run, an oracle, a baseline and a README to splice."""
    folders.write({"a": four_stems(1.0), "b": four_stems(3.0)}, reproduces="ours/large")
    nothing_learnt = {
        "recipe": None,
        "verbatim": None,
        "leaf_sources": None,
        "training": None,
        "weights": None,
    }
    for kind, method, value in (("oracle", "irm2", 9.0), ("baseline", "mixture", -5.0)):
        scores = {"a": four_stems(value), "b": four_stems(value)}
        folders.write(scores, method=method, run=method, kind=kind, **nothing_learnt)
    checkout = folders.root.parent.parent
    (checkout / "packages" / "ours").mkdir(parents=True)
    (checkout / "README.md").write_text(
        "# Title\n\n<!-- results:begin demo_small--bsseval_v4@1 -->\n<!-- results:end -->\nlast\n"
    )
    return checkout
