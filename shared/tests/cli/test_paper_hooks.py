"""What a paper may add to the shared command line: flags, verbs, data, preparation, joining."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.model import TinyMask
from tiny_paper.paper import PAPER, TinyPaper
from tiny_paper.recipe import Recipe
from tiny_songs import RATE, STEMS, demo_recipe, noise

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import load_checkpoint, load_checkpoints
from mss_shared.cli import run
from mss_shared.datasets import Dataset
from mss_shared.interfaces import Checkpoint, ExampleSets
from mss_shared.paper import AnyPaper, Option, Paper, Verb, override
from mss_shared.separation.separator import interchangeable
from mss_shared.testing import make_dataset
from mss_shared.training.random_mixes import RandomMixes


class Halved(torch.nn.Module):
    """A model whose estimates are another's, at a level."""

    def __init__(self, model: Any, level: float) -> None:
        super().__init__()
        self.model, self.level = model, level
        self.stems, self.sample_rate, self.channels = model.stems, model.sample_rate, model.channels

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.level * self.model(mixture)
        return result


class Counted(RandomMixes):
    """Training data that is counted as it is built."""

    built = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        Counted.built += 1


seen: list[Any] = []


def act(paper: AnyPaper, flags: Mapping[str, Any]) -> None:
    seen.append((paper.name, dict(flags)))


class OwnPaper(TinyPaper):
    """The tiny paper with every hook."""

    options = (
        Option("level", "of all estimates", type=float),
        Option("loud", "a word", type=bool),
    )
    separate_options = (Option("names", "several words", several=True),)
    verbs = (Verb("act", "do it", (Option("how", "a way", required=True),), act),)
    demo_variants = ({"level": 0.5},)
    checkpoint_flags = ("--checkpoint", "--weights")

    @override
    def join_models(
        self, models: Sequence[TinyMask], recipe: Recipe, flags: Mapping[str, Any]
    ) -> Any:
        seen.append(dict(flags))
        return Halved(models[0], flags.get("level", 1.0)).eval()

    @override
    def choose_examples(
        self, default: ExampleSets, dataset: Dataset, recipe: Recipe, model: TinyMask, seed: int
    ) -> ExampleSets:
        return replace(default, train=Counted(dataset.train, recipe.data, model.stems, seed))

    @override
    def prepare(self, model: TinyMask, dataset: Dataset, recipe: Recipe) -> None:
        seen.append((len(dataset.train), recipe.model.width))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.125)

    @override
    def is_interchangeable(self, recipe: Recipe) -> bool:
        return recipe.model.stems == ("a", "b")

    @override
    def adapt(
        self, state: Mapping[str, torch.Tensor], model: TinyMask, file_name: str
    ) -> tuple[dict[str, torch.Tensor], list[str]]:
        named = {key.removeprefix("old."): value for key, value in state.items()}
        return named, [f"{file_name}: renamed"]

    @override
    def read_pickled(self, path: Path, default: Callable[[Path], Any]) -> Any:
        seen.append(path.name)
        return default(path)

    @override
    def open_folder(self, folder: Path, recipe_name: str | None) -> list[Checkpoint]:
        loaded = demo_recipe()
        model = PAPER.build_model(loaded.recipe).eval()
        one = Checkpoint(model, loaded.recipe, folder.name, None, None, None, ("opened",))
        return [one] * (2 if recipe_name == "two" else 1)


OWN = OwnPaper()


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture(scope="module")
def trained(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    run(PAPER, ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", str(out)])
    return out


def test_flags_of_a_paper_reach_its_joining_and_change_the_stems(
    trained: Path, tmp_path: Path
) -> None:
    audio.write(tmp_path / "song.wav", noise(1), RATE, "FLOAT")
    words = ["separate", str(tmp_path / "song.wav"), "--weights", str(trained), "--out"]
    run(OWN, [*words, str(tmp_path / "plain")])
    run(OWN, [*words, str(tmp_path / "half"), "--level", "0.5", "--loud", "--names", "a", "b"])
    assert seen == [{}, {"level": 0.5, "loud": True, "names": ["a", "b"]}]
    plain, half = (
        audio.read(tmp_path / name / "song" / "vocals.wav") for name in ("plain", "half")
    )
    assert abs(half - 0.5 * plain).max() < 1e-6 and plain.any()


def test_a_flag_makes_an_evaluation_a_variant_of_another_name(
    songs: Path, trained: Path, tmp_path: Path
) -> None:
    words = ["evaluate", "--checkpoint", str(trained), "--data_root", str(songs)]
    run(OWN, [*words, "--scores", str(tmp_path), "--protocol", "usdr", "--level", "0.5"])
    [record] = tmp_path.glob("*/tiny_paper/demo-seed0-level-0.5/run.json")
    assert json.loads(record.read_text())["verbatim"] is False


def test_flags_that_change_the_stems_are_not_for_scores(
    trained: Path, songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--checkpoint", str(trained), "--data_root", str(songs), "--names", "a"]
    with pytest.raises(SystemExit):
        run(OWN, words)
    assert "--names" in capsys.readouterr().err


def test_the_demo_scores_its_variants_as_well(songs: Path, tmp_path: Path) -> None:
    run(OWN, ["demo", "--data_root", str(songs), "--out", str(tmp_path / "demo")])
    found = {path.parent.name for path in tmp_path.glob("demo/scores/*/tiny_paper/*/run.json")}
    assert found == {"demo-seed0", "demo-seed0-level-0.5"}
    assert {"level": 0.5} in seen


def test_a_paper_prepares_its_model_once_and_draws_its_own_examples(
    songs: Path, tmp_path: Path
) -> None:
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", str(tmp_path / "run")]
    before = Counted.built
    run(OWN, [*words, "--recipe.training.lr", "0.0"])
    assert seen == [(2, demo_recipe().recipe.model.width)] and Counted.built == before + 1
    [checkpoint] = load_checkpoints(PAPER, str(tmp_path / "run"))
    assert all(bool((p == 0.125).all()) for p in checkpoint.model.parameters())
    run(OWN, [*words, "--recipe.training.lr", "0.0", "--resume"])
    assert len(seen) == 1


def test_several_recipes_are_trained_in_turn_each_in_its_folder(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = demo_recipe().text
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    recipes = [str(tmp_path / f"{name}.yaml") for name in ("one", "two")]
    words = ["fit", "--data_root", str(songs), "--out", str(tmp_path / "runs"), "--recipe"]
    run(PAPER, [*words, *recipes])
    first, second = (tmp_path / "runs" / n / "metrics.csv" for n in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(SystemExit):
        run(PAPER, [*words, recipes[0], recipes[0]])
    assert "share a name: train each only once" in capsys.readouterr().err


def test_a_verb_of_a_papers_own_gets_its_flags() -> None:
    run(OWN, ["act", "--how", "well"])
    assert seen == [("tiny_paper", {"how": "well"})]


def test_weights_of_other_names_are_adapted_and_it_is_said(tmp_path: Path) -> None:
    state = PAPER.build_model(demo_recipe().recipe).state_dict()
    torch.save({f"old.{key}": value for key, value in state.items()}, tmp_path / "x.pth")
    [found] = load_checkpoints(OWN, str(tmp_path / "x.pth"), "demo")
    assert "x.pth: renamed" in found.notes and seen == ["x.pth"]
    for key, value in found.model.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_folder_without_weights_of_ours_is_the_papers_to_open(tmp_path: Path) -> None:
    [found] = load_checkpoints(OWN, str(tmp_path))
    assert found.notes == ("opened",) and found.recipe_name == tmp_path.name
    assert load_checkpoint(OWN, str(tmp_path)).notes == ("opened",)
    with pytest.raises(ValueError, match="2 weights files, not one: open them with load_c"):
        load_checkpoint(OWN, str(tmp_path), "two")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoints(PAPER, str(tmp_path))


def test_a_model_says_that_its_stems_are_interchangeable() -> None:
    named = demo_recipe().recipe
    unnamed = demo_recipe(model={"stems": ("a", "b")}).recipe
    assert [interchangeable(OWN.build_model(recipe)) for recipe in (named, unnamed)] == [0, 1]
    assert not interchangeable(PAPER.build_model(unnamed))


@pytest.mark.parametrize("name", ["adopt", "alises", "verb", "build_modell"])
def test_a_misspelt_hook_is_an_error_as_the_paper_is_written(name: str) -> None:
    with pytest.raises(TypeError, match=f"Misspelt.{name} is not part of Paper: choose from opt"):
        type("Misspelt", (TinyPaper,), {name: None})
    type("Private", (TinyPaper,), {f"_{name}": None})


@pytest.mark.parametrize("name", ["name", "recipe_type", "make_model", "build_training"])
def test_a_paper_without_what_it_must_have_cannot_be_made(name: str) -> None:
    parts = {part: value for part, value in vars(TinyPaper).items() if part != name}
    lacking = type("Lacking", (Paper,), parts)
    with pytest.raises(TypeError, match=f"abstract (method|class).*{name}"):
        lacking()


def test_a_paper_that_reads_no_configurations_says_so() -> None:
    assert not PAPER.opens_configured
    with pytest.raises(ValueError, match="tiny_paper reads no configuration files: leave out --c"):
        PAPER.open_configured("x.ckpt", Path("x.yaml"))
