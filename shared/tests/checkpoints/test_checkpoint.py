import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_paper.paper import PAPER, TinyPaper
from tiny_songs import demo_recipe

from mss_shared.checkpoints.checkpoint import load_checkpoint, read_weights_file, save_model
from mss_shared.recipe import to_yaml
from mss_shared.separation.separator import StemsTogether

STATE = PAPER.build_model(demo_recipe().recipe).state_dict()


def save_third_party(path: Path, found: Any) -> str:
    torch.save(found, path)
    return str(path)


def save_ours(path: Path, paper: str = "tiny_paper", **changed: Any) -> Any:
    loaded = demo_recipe(**changed)
    model = PAPER.build_model(loaded.recipe)
    header = {
        "paper": paper,
        "recipe": to_yaml(loaded.recipe),
        "recipe_name": "demo",
        "verbatim": "true",
        "leaf_sources": '{"paper": 1}',
        "training": '{"seed": 3}',
    }
    save_model(path, model, header)
    return model


def test_our_file_brings_its_recipe_and_gives_the_same_output(tmp_path: Path) -> None:
    model = save_ours(tmp_path / "model.safetensors").eval()
    mixture = torch.randn(1, 2, 700)
    for source in (tmp_path, tmp_path / "model.safetensors"):
        found = load_checkpoint(PAPER, str(source))
        assert torch.equal(found.model(mixture), model(mixture))
        assert found.recipe == demo_recipe().recipe
        assert (found.verbatim, found.training) == (True, {"seed": 3})
        assert not found.model.training
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("changed", "devices"),
    [
        ({}, ["cpu"]),
        ({"training": {"epochs": 9}}, ["cpu"]),
        ({"model": {"stems": ("vocals",)}}, ["meta", "cpu"]),
    ],
    ids=["shipped", "trained-longer", "other-stems"],
)
def test_only_a_model_that_is_not_shipped_is_built_without_memory_first(
    changed: Any, devices: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_ours(tmp_path / "model.safetensors", **changed)
    built: list[str] = []

    def build_model(recipe: Any) -> Any:
        built.append(torch.get_default_device().type)
        return TinyPaper().build_model(recipe)

    monkeypatch.setattr(PAPER, "build_model", build_model)
    load_checkpoint(PAPER, str(tmp_path))
    assert built == devices


@pytest.mark.parametrize(
    "found",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"state_dict": {f"module.{key}": value for key, value in STATE.items()}},
        {"model": {f"model.{key}": value for key, value in STATE.items()}},
        {"state": {f"module.model.{key}": value for key, value in STATE.items()}},
    ],
    ids=["plain", "wrapped", "parallel", "lightning", "both"],
)
def test_others_files_load_strictly_by_a_named_recipe(found: Any, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(PAPER, save_third_party(tmp_path / "x.ckpt", found), "demo")
    for key, value in checkpoint.model.state_dict().items():
        assert torch.equal(value, STATE[key])
    assert checkpoint.verbatim is None and checkpoint.training is None
    prefixed = any(note.startswith("removed the prefix") for note in checkpoint.notes)
    assert prefixed != (set(found) == set(STATE) or "epoch" in found)


class Harmful:
    """Unpickling this would write a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_file_that_holds_code_is_refused_and_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"state_dict": STATE, "extra": Harmful(str(tmp_path / "harm"))}, path)
    with pytest.raises(ValueError, match="can't be read as plain weights"):
        load_checkpoint(PAPER, str(path), "demo")
    path.write_bytes(pickle.dumps(Harmful(str(tmp_path / "harm")), protocol=2))
    with pytest.raises(ValueError, match="can't be read as plain weights"):
        load_checkpoint(PAPER, str(path), "demo")
    assert not (tmp_path / "harm").exists()


def changed(**entries: Any) -> dict[str, Any]:
    state = {**STATE, **entries}
    return {key: value for key, value in state.items() if value is not None}


@pytest.mark.parametrize(
    "found, message",
    [
        (changed(**{"encode.bias": None}), r"lacks encode.bias \(1 such keys of"),
        (changed(extra=torch.zeros(1)), r"has the unknown key extra \(1 such keys"),
        (changed(**{"encode.bias": torch.zeros(9)}), r"encode.bias of shape \(9,\), the recipe's"),
        ({"state_dict": 3}, "holds no state dict"),
        ([1, 2], "holds no state dict"),
    ],
    ids=["missing", "unknown", "shape", "number", "list"],
)
def test_weights_that_do_not_fit_are_refused(found: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_checkpoint(PAPER, save_third_party(tmp_path / "x.th", found), "demo")


def test_a_foreign_file_has_the_recipe_that_its_shapes_fit_or_needs_one(tmp_path: Path) -> None:
    found = load_checkpoint(PAPER, save_third_party(tmp_path / "x.pt", STATE))
    assert found.recipe_name == "demo" and "read as demo, the only recipe" in found.notes[0]
    other = {**STATE, "more": torch.ones(1)}
    with pytest.raises(ValueError, match="which recipe made it, and its shapes fit none: name it"):
        load_checkpoint(PAPER, save_third_party(tmp_path / "y.pt", other))


def test_another_papers_file_is_refused_by_its_name(tmp_path: Path) -> None:
    save_ours(tmp_path / "model.safetensors", paper="open_unmix")
    with pytest.raises(ValueError, match="holds a open_unmix model"):
        load_checkpoint(PAPER, str(tmp_path))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint .*nope"):
        load_checkpoint(PAPER, str(tmp_path / "nope"))
    for name, message in (
        ("x.bin", "is not a checkpoint"),
        ("x.safetensors", "begins with 'garbage'"),
    ):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(ValueError, match=message):
            load_checkpoint(PAPER, str(tmp_path / name), "demo")


def test_models_of_different_stems_act_as_one() -> None:
    models = [
        PAPER.build_model(demo_recipe(model={"stems": (stem,)}).recipe).eval() for stem in "ab"
    ]
    together = StemsTogether(models).eval()
    mixture = torch.randn(2, 2, 500)
    assert together.stems == ("a", "b")
    expected = torch.cat([model(mixture) for model in models], dim=1)
    assert torch.equal(together(mixture), expected)
    with pytest.raises(ValueError, match="give a, a: give one checkpoint per stem"):
        StemsTogether([models[0], models[0]])
    other = PAPER.build_model(demo_recipe(model={"stems": ("c",), "sample_rate": 9000}).recipe)
    with pytest.raises(ValueError, match="differ in sample rate"):
        StemsTogether([models[0], other])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"\x80\x02" + tail))
@example(b"\x80\x02J1.")  # an integer of four bytes, of which two are there
def test_a_file_of_any_bytes_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "theirs.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"can't be read as plain weights|holds no state dict"):
        read_weights_file(path)


def test_a_stem_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    save_ours(tmp_path / "model.safetensors", model={"stems": ("a", "b", "a")})
    with pytest.raises(ValueError, match=r"gives a stem twice \('a, b, a'\)"):
        load_checkpoint(PAPER, str(tmp_path))
