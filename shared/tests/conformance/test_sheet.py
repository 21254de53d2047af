"""The sheet of a package made here: its rows are known by hand."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER

from mss_shared.conformance.__main__ import main, write_sheets
from mss_shared.conformance.facts import measure, read_differences, replay_step, write_sizes
from mss_shared.conformance.families import Sheet, Stated, differing, families, read_values
from mss_shared.conformance.sheet import _names, conformance_sheet, table
from mss_shared.conformance.sizes import count_all, count_sizes
from mss_shared.evaluation.cost import count_gmac
from mss_shared.recipe import load_recipe, shipped_recipes

FACTS = """title: Tiny
stft: [model.width]
loss: [squared error]
optimizer: [training.lr]
published:
  - {recipes: ["de*"], parameters: 1.0e+3, source: nowhere}
"""
REPLAY = '''import torch


def replays():
    """Two outputs, one of which is a hundredth apart."""
    yield "one", "theirs", torch.ones(3), torch.ones(3)
    yield "two", "theirs", torch.tensor([0.99, 0.5]), torch.tensor([1.0, 0.5])
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "packages" / "tiny_paper"
    (folder / "tests" / "golden").mkdir(parents=True)
    (folder / "conformance.yaml").write_text(FACTS)
    (folder / "tests" / "replay.py").write_text(REPLAY)
    return folder


def test_the_sheet_has_sizes_sources_values_and_the_largest_difference(package: Path) -> None:
    measure(package)
    write_sizes(package, count_all(PAPER))
    text = conformance_sheet(PAPER, package)
    [path] = [path for path in shipped_recipes("tiny_paper") if path.stem == "demo"]
    recipe = read_values(path)
    parameters = sum(p.numel() for p in PAPER.build_model(load()).parameters())
    assert f"| `demo` | {parameters:,} | 0.001 M | {parameters / 10 - 100:+.1f} % |" in text
    assert "| theirs | 2 | 1.0e-02 | `two` |" in text
    assert "squared error" in text
    rows = re.findall(r"^\| `(\S+)` \| .* \| (?:paper|code|second-hand|ours) \|", text, re.M)
    assert {*rows} == {*recipe.values}


def test_a_training_step_is_compared_by_its_loss_and_gradients_without_those_of_rounding() -> None:
    model = torch.nn.Linear(1, 1)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.zeros_(model.bias)
    loss = model(torch.full((1, 1), 3.0)).sum()  # 3; its gradients are 3 and 1
    ours, frozen = replay_step(model, loss, 4.0, {"weight": 6.0, "bias": 1e-9})
    assert (ours.tolist(), frozen.tolist()) == ([0.75, 0.5], [1.0, 1.0])


def test_the_sheet_says_what_is_compared_of_training_steps(package: Path) -> None:
    write_sizes(package, count_all(PAPER))
    measure(package)
    assert "Of training steps" not in conformance_sheet(PAPER, package)
    replay = REPLAY.replace('"two", "theirs"', '"two", "theirs, training step"')
    (package / "tests" / "replay.py").write_text(replay)
    measure(package)
    text = conformance_sheet(PAPER, package)
    assert "| theirs, training step | 1 | 1.0e-02 | `two` |" in text
    assert "Of training steps: the loss and the norms of gradients" in text


def load() -> Any:
    [path] = [path for path in shipped_recipes("tiny_paper") if path.stem == "demo"]
    return load_recipe(PAPER.recipe_type, path).recipe


def test_shapes_alone_count_what_a_run_counts() -> None:
    counted = count_sizes(PAPER, load())
    assert counted[1] == count_gmac(PAPER.build_model(load()).eval()) > 0.0


def test_a_model_that_looks_at_values_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count_sizes(PAPER, load())
    from tiny_paper.model import TinyMask

    plain = TinyMask.forward

    def looks(self: TinyMask, mixture: torch.Tensor) -> torch.Tensor:
        assert float(mixture.sum()) == 0.0
        return plain(self, mixture)

    monkeypatch.setattr(TinyMask, "forward", looks)
    assert count_sizes(PAPER, load()) == counted


def test_the_command_writes_the_sheet_and_refuses_other_names(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = package.parents[1]
    main(["--repo", str(repo), "--measure"])
    assert (package / "CONFORMANCE.md").read_text().startswith("# Conformance: Tiny\n")
    assert [each.share for each in read_differences(package)] == [0.0, 0.01]
    with pytest.raises(SystemExit):
        main(["other", "--repo", str(repo)])
    assert "choose from tiny_paper" in capsys.readouterr().err
    for names in (["tiny_paper"], []):
        with pytest.raises(FileNotFoundError, match="folder by --repo"):
            write_sheets(repo / "packages", names, False)


def stated(**values: Any) -> dict[str, Stated]:
    return {name: Stated(value, "ours", "") for name, value in values.items()}


def test_recipes_that_differ_in_few_values_are_a_family() -> None:
    one = Sheet("one", stated(reproduces="a", **{f"v{i}": i for i in range(20)}))
    near = Sheet("near", stated(reproduces="b", **{f"v{i}": max(i, 10) for i in range(20)}))
    far = Sheet("far", stated(reproduces=None, **{f"v{i}": max(i, 11) for i in range(20)}))
    more = Sheet("more", one.values | stated(more=1))
    assert differing(one, near) == [f"v{i}" for i in range(10)]
    assert differing(one, more) == ["more"]
    found = families([one, near, far, more])
    assert [[sheet.name for sheet in family] for family in found] == [
        ["one", "near", "more"],
        ["far"],
    ]


def test_a_comment_is_a_source_and_a_note(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(
        "a: 1  # paper, sec. 4: eq. 2\nb:\n  c: [1, 2]  # code\n  d: null  # ours: why: so\n"
    )
    assert read_values(path).values == {
        "a": Stated(1, "paper", "sec. 4, eq. 2"),
        "b.c": Stated([1, 2], "code", ""),
        "b.d": Stated(None, "ours", "why: so"),
    }


def test_names_that_differ_in_their_last_word_are_put_together() -> None:
    names = ["a_x", "a_y", "a", "a_z", "b_x", "b_y"]
    assert _names(names) == "`a_{x,y,z}`, `a`, `b_x`, `b_y`"


def test_a_table_leaves_out_empty_columns_and_escapes_bars() -> None:
    rows = [("a|b", "", "1"), ("c", "", "")]
    assert table(("x", "y", "z"), rows) == "| x | z |\n| --- | --- |\n| a\\|b | 1 |\n| c |  |\n"
