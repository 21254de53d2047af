"""Checkpoints of runs that still go on: read at once, and recorded as what they are."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, demo_recipe

from mss_shared.checkpoints import load_checkpoint
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.datasets import open_dataset
from mss_shared.evaluation.models_record import find_claim, name_run
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four epochs of two steps, with its weights after each."""
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    out = tmp_path_factory.mktemp("runs") / "run"
    fit(PAPER, demo_recipe(), open_dataset(root), out, Machine("cpu"), seed=5)
    return out


def test_the_last_checkpoint_of_a_run_is_its_model(run: Path) -> None:
    found, whole = load_checkpoint(PAPER, str(run / "last.ckpt")), load_checkpoint(PAPER, str(run))
    digests = [weights_digest(each.model.state_dict()) for each in (found, whole)]
    assert digests[0] == digests[1] and found.recipe == whole.recipe
    assert found.recipe_name == "demo" and found.training is not None
    assert (found.training["steps"], found.training["seed"]) == (8, 5)


def test_it_stands_for_no_row_and_has_a_name_of_its_own(run: Path) -> None:
    found = load_checkpoint(PAPER, str(run / "last.ckpt"))
    assert found.verbatim is False and find_claim(found) is None
    assert found.training is not None and found.training["tracks"] is None
    assert name_run([found]).startswith("demo-seed5-variant-")


def test_one_that_is_replaced_while_it_is_read_is_the_earlier_or_the_later(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("recipe.yaml", "recipe.digest", "last.ckpt"):
        shutil.copy(run / name, tmp_path / name)
    earlier = torch.load(run / "last.ckpt", weights_only=True)
    later = {
        **earlier,
        "global_step": 10,
        "state_dict": {k: v + 1 for k, v in earlier["state_dict"].items()},
    }

    def replaced(self: Any, path: Path, default: Callable[[Path], Any]) -> Any:
        content = default(path)
        torch.save(later, tmp_path / "part")
        os.replace(tmp_path / "part", path)
        return content

    monkeypatch.setattr(type(PAPER), "read_pickled", replaced)
    first = load_checkpoint(PAPER, str(tmp_path / "last.ckpt"))
    second = load_checkpoint(PAPER, str(tmp_path / "last.ckpt"))
    for found, content in ((first, earlier), (second, later)):
        assert found.training is not None
        assert found.training["steps"] == content["global_step"]
        state = {k.removeprefix("model."): v for k, v in content["state_dict"].items()}
        assert weights_digest(found.model.state_dict()) == weights_digest(state)


def test_a_recipe_that_no_longer_reads_is_one_sentence(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "last.ckpt", tmp_path / "best.ckpt")
    (tmp_path / "recipe.yaml").write_text("data: [")
    with pytest.raises(ValueError, match=r"recipe\.yaml") as error:
        load_checkpoint(PAPER, str(tmp_path / "best.ckpt"))
    assert "\n" not in str(error.value).strip()
