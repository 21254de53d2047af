import json
from pathlib import Path
from typing import Any

import pytest
from tiny_paper.paper import PAPER
from tiny_songs import write_set

from mss_shared.cli import run
from mss_shared.cli.plan import Plan
from mss_shared.leaf_sources import leaf_comments
from mss_shared.recipe import find_recipe

PLAN = ["fit", "--plan", "--recipe", "demo"]


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """What a plan says, by its first word."""
    run(PAPER, [*PLAN, *words])
    printed = capsys.readouterr().out.splitlines()
    return dict(line.strip().split(maxsplit=1) for line in printed[1:])


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        run(PAPER, words)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_plan_counts_operations_steps_and_hours(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = lines(capsys, "--step_seconds", "900")
    # Two convolutions: 4 features of 2 channels with 5 taps, then 4 outputs of them; 8000 samples.
    assert found["operations"].startswith(f"{(4 * 2 * 5 + 4 * 4 * 5) * 8000 / 1e9:.1f} GMAC")
    assert found["parameters"].startswith("0.00 M")
    assert found["batch"] == "4 x 0.25 s, 4 at a time"
    assert found["steps"] == "8, 4 epochs"
    assert found["heard"].startswith("32 examples, 0.0 times")
    assert found["time"] == "2.0 hours at 900 s a step"
    assert not list(tmp_path.iterdir())


def test_a_small_step_is_measured_and_overrides_count(capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys, "--recipe.training.epochs", "400000", "--micro_batch", "2")
    assert found["steps"] == "800,000, 400000 epochs"
    assert found["time"].endswith("a step, measured here")
    assert found["batch"] == "4 x 0.25 s, 2 at a time"


def test_songs_of_no_folder_have_the_sums_that_a_recipe_makes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--recipe.data.stems", "[vocals = bass + other, drums]", "--step_seconds", "900"]
    assert lines(capsys, *words)["steps"] == "8, 4 epochs"


def test_a_run_of_weeks_and_a_step_of_many_gigabytes_are_pointed_out() -> None:
    values: dict[str, Any] = dict.fromkeys(Plan.__dataclass_fields__, 1)
    plan = Plan(**{**values, "steps": 1_000_000, "step_seconds": 2.0, "bytes": 200e9})
    assert plan.hours == pytest.approx(555.6, abs=0.1)
    days, memory = plan.warnings
    assert days.startswith("23 days on 1 device: more --devices")
    assert memory == "200 GB per device, and big GPUs have 80: --checkpoint_activations"
    unknown = Plan(**{**values, "step_seconds": None, "exaflop": 3.6, "devices": 2})
    assert unknown.hours == pytest.approx(5.0)  # 3.6e18 / 2e14 / 3600


@pytest.mark.parametrize(
    "words, message",
    [
        (["--step_seconds", "0"], "out of range"),
        (["--step_seconds", "nan"], "out of range"),
        (["--micro_batch", "3"], "can't be made of"),
        (["--recipe.training.batch", "0"], "give at least 1"),
        (["--recipe.data.chunk_seconds", "0"], "at least one sample"),
        (["--data_root", "nowhere"], "nowhere"),
        (["--recipe.model.width", "0"], "can't be built, as encode.weight would have no numbers"),
        (["--recipe.model.width", "-1"], "can't be built (Trying to create tensor with negative"),
        (["--recipe.model.width", "1000000000"], "model has a size of 1000000000: give a smaller"),
        (["--recipe.model.kernel", "1000001", "--recipe.model.width", "900000"], "GB are free"),
        (["--recipe.inference.overlap", "1.0"], "inference: overlap is 1.0: give at least 0"),
        (["--recipe.evaluation.protocols", "[sdr]"], "there is no protocol 'sdr': choose from"),
    ],
)
def test_values_that_no_run_could_have_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in failure(capsys, *PLAN, *words)


def test_a_folder_without_training_tracks_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    songs = write_set(tmp_path / "songs", {"test/a": 1})
    assert "has no train tracks: the data set" in failure(capsys, *PLAN, "--data_root", str(songs))


def test_fit_without_songs_and_without_a_plan_says_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "give --data_root, or use --plan" in failure(capsys, "fit", "--recipe", "demo")


# ---- recipe show and recipe diff


def test_every_value_stands_under_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    run(PAPER, ["recipe", "show", "demo"])
    header, *rows = capsys.readouterr().out.splitlines()
    text = find_recipe("tiny_paper", "demo").read_text(encoding="utf-8")
    assert len(rows) == len(leaf_comments(text)) > 30
    [rate] = [row for row in rows if row.startswith("training.lr ")]
    assert rate[header.index("paper") :].startswith("0.005")
    [odds] = [row for row in rows if row.startswith("data.random_mix_prob")]
    assert odds.endswith("stands for a sourced value")
    [kernel] = [row for row in rows if row.startswith("model.kernel")]
    assert kernel[header.index("ours") :].startswith("5")


def test_two_recipes_are_compared_by_value(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(PAPER, ["recipe", "diff", "demo", "demo"])
    assert capsys.readouterr().out == "demo and demo have the same values\n"
    text = find_recipe("tiny_paper", "demo").read_text(encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("kernel: 5  # ours", "kernel: 7  # paper: table 1"))
    run(PAPER, ["recipe", "diff", "demo", str(other), "--json"])
    assert json.loads(capsys.readouterr().out) == [
        {"value": "model.kernel", "first": "5 (ours)", "second": "7 (paper)"}
    ]


@pytest.mark.parametrize("words", [["show"], ["diff", "demo"], ["show", "demo", "demo"], ["list"]])
def test_another_command_is_refused_with_those_there_are(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "use recipe show NAME or recipe diff A B" in failure(capsys, "recipe", *words)


def test_a_recipe_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no recipe 'nix'" in failure(capsys, "recipe", "show", "nix")
