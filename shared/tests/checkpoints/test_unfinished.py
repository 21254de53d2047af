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


def test_sizes_of_another_model_are_refused_before_they_take_memory(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(run / "last.ckpt", tmp_path / "last.ckpt")
    text = (run / "recipe.yaml").read_text()
    devices = []
    built = PAPER.build_model

    def build(recipe: Any) -> Any:
        devices.append(torch.get_default_device().type)
        return built(recipe)

    monkeypatch.setattr(type(PAPER), "build_model", lambda _self, recipe: build(recipe))
    for sizes in ({"width": 10**6, "kernel": 1001}, {"width": 2 * 10**8}):
        lines = [
            f"  {key}: {sizes[key]}" if (key := line.split(":")[0].strip()) in sizes else line
            for line in text.splitlines()
        ]
        assert lines != text.splitlines()
        (tmp_path / "recipe.yaml").write_text("\n".join(lines))
        with pytest.raises(ValueError, match=r"last\.ckpt"):
            load_checkpoint(PAPER, str(tmp_path / "last.ckpt"))
    assert set(devices) <= {"meta"}


@pytest.mark.parametrize("steps", ["8", [1], -1, 2**70, torch.tensor(4), True, 1.0], ids=repr)
def test_a_number_of_steps_that_is_none_is_refused(run: Path, tmp_path: Path, steps: Any) -> None:
    shutil.copy(run / "recipe.yaml", tmp_path / "recipe.yaml")
    content = torch.load(run / "last.ckpt", weights_only=True)
    torch.save({**content, "global_step": steps}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged: its global_step is"):
        load_checkpoint(PAPER, str(tmp_path / "last.ckpt"))


def test_its_record_says_of_all_that_a_board_reads_that_it_is_unknown(run: Path) -> None:
    training = load_checkpoint(PAPER, str(run / "last.ckpt")).training
    whole = load_checkpoint(PAPER, str(run)).training
    assert training is not None and whole is not None
    assert [training[name] for name in ("dataset", "fingerprint", "tracks", "extra_data")] == (
        4 * [None]
    )
    assert {"dataset", "fingerprint", "tracks", "seed", "steps"} <= whole.keys() & training.keys()
