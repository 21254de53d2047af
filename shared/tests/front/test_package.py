"""Loading, training, scoring and recipes from Python: what the commands do, recorded as such."""

import json
import shlex
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, noise

from mss_shared.cli import run
from mss_shared.front import Front
from mss_shared.testing import make_dataset

FRONT = Front(PAPER)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("songs")
    return make_dataset(root, ("vocals", "drums"), (RATE, 2), seconds=1.5)


def test_random_weights_are_there_only_when_asked_for() -> None:
    torch.manual_seed(1)
    one = FRONT.load(None, recipe="demo", device="cpu")
    torch.manual_seed(2)
    other = FRONT.load(None, recipe="demo", device="cpu")
    assert one.notes == ("random weights of recipe demo: it has learned nothing",)
    sound = noise(0, samples=900)
    assert (one.separate(sound)["drums"] == other.separate(sound)["drums"]).all()
    with pytest.raises(ValueError, match="weights=None is a model with random weights: name its"):
        FRONT.load(None)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint demo: give a run folder"):
        FRONT.load("demo")
    with pytest.raises(ValueError, match="weights is empty"):
        FRONT.load([])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"devise": "cpu"}, "separate has no option 'devise': did you mean device?"),
        ({"zzz": 1}, "separate has no option 'zzz': choose from .*chunk_seconds"),
        ({"device": "gpu"}, "argument device: invalid choice: 'gpu'"),
        ({"shifts": 0}, "argument shifts: 0 is out of range: give at least 1"),
        ({"ensemble": "best"}, "argument ensemble: invalid choice: 'best'"),
    ],
)
def test_unknown_options_are_refused_with_the_nearest(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        FRONT.load(None, recipe="demo", **options)


def test_a_run_and_its_scores_are_those_of_the_commands(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = FRONT.load_recipe("demo", training={"epochs": 1})
    fitted = FRONT.fit(recipe, songs, "run", device="cpu", workers=0)
    assert repr(recipe) == "<recipe tiny_paper/demo training.epochs=1>"
    assert repr(fitted) == "<run run: tiny_paper/demo>"
    assert fitted.folder == Path("run") and (fitted.folder / "model.safetensors").is_file()
    typed = shlex.split(fitted.record["command"])
    assert typed[:2] == ["tiny-paper", "fit"] and "--recipe.training.epochs=1" in typed
    assert fitted.record["verbatim"] is False
    typed[typed.index("--out") + 1 :][:1] = []
    again = shlex.split(fitted.record["command"].replace("--out run", "--out again"))
    run(PAPER, again[1:])
    weights = [Path(name, "metrics.csv").read_bytes() for name in ("run", "again")]
    assert weights[0] == weights[1]
    scored = FRONT.evaluate(fitted.folder, songs, scores="scores", device="cpu")
    assert scored.folder.parent == Path("scores", songs.name, "tiny_paper")
    assert [*scored.scores] == ["bsseval_v4.vocals+drums@1", "usdr@1", "si_sdr@1"]
    medians = scored.medians()
    assert repr(scored) == f"<scores {scored.folder}: {', '.join(scored.scores)}>"
    assert medians == {
        stem: values["SDR"] for stem, values in scored.scores["bsseval_v4.vocals+drums@1"].items()
    }
    with pytest.raises(ValueError, match="0 of the protocols .* take medians of uSDR: read scores"):
        scored.medians("uSDR")
    assert scored.record["run"] == scored.folder.name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training": {"epocs": 1}}, r"there is no recipe.training.epocs, 'epocs' is unknown"),
        ({"training": 3}, "training is 3: pass the values to change by name"),
        ({"training": {"epochs": "many"}}, "recipe demo: .*epochs"),
        ({"micro_bach": 1}, "fit has no option 'micro_bach': did you mean micro_batch?"),
        ({"lr": 1e-3}, r'fit has no option .lr.: did you mean training=\{"lr": ...\}\?'),
        ({"epochs": 3}, r'fit has no option .epochs.: did you mean training=\{"epochs": ...\}\?'),
        ({"batch_size": 4}, r'has no option .batch_size.: did you mean training=\{"batch": ...\}'),
        ({"trainin": {"lr": 1}}, "fit has no option 'trainin': did you mean training?"),
        ({"plan": True}, "fit has no option 'plan' in Python: use the command line"),
    ],
)
def test_a_wrong_change_is_refused_before_training(
    songs: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        FRONT.fit("demo", songs, tmp_path / "run", device="cpu", **changes)
    assert not (tmp_path / "run").exists()


def test_what_is_no_recipe_of_the_paper_is_refused(songs: Path, tmp_path: Path) -> None:
    other = replace(FRONT.load_recipe("demo"), paper=copy(PAPER))
    with pytest.raises(TypeError, match="NamedRecipe of tiny_paper: pass what load_recipe of tiny"):
        FRONT.fit(other, songs, tmp_path / "run")
    with pytest.raises(TypeError, match="recipe is a Recipe: pass what load_recipe of"):
        FRONT.fit(other.recipe, songs, tmp_path / "run")  # type: ignore[arg-type]


def test_values_of_any_kind_reach_the_recipe() -> None:
    changes = {"lr": 1e-5, "ema_decay": None, "keep": "best", "val_sdr_seconds": 0.0}
    loaded = FRONT.load_recipe("demo", training=changes, data={"gain_range": (0.25, 1)})
    assert {name: getattr(loaded.recipe.training, name) for name in changes} == changes
    assert loaded.recipe.data.gain_range == (0.25, 1.0) and loaded.verbatim is False
    with pytest.raises(ValueError, match="a recipe has no section 'trainin'"):
        FRONT.load_recipe("demo", trainin={})


def test_recipes_differ_as_the_command_says(capsys: Any) -> None:
    assert FRONT.recipes() == ["demo", "row_drums", "row_vocals"]
    assert FRONT.checkpoints() == []
    found = FRONT.load_recipe("demo").diff("row_drums")
    run(PAPER, ["recipe", "diff", "demo", "row_drums", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert found and [(each.name, each.first, each.second) for each in found] == [
        (row["value"], row["first"], row["second"]) for row in rows
    ]
    changed = FRONT.load_recipe("demo", training={"lr": 1e-4})
    assert [each.name for each in FRONT.load_recipe("demo").diff(changed)] == ["training.lr"]
    with pytest.raises(ValueError, match="there is no recipe 'nonesuch' in tiny_paper: choose"):
        FRONT.load_recipe("nonesuch")
