"""Machine options that the old command line had, through the shared ``fit``."""

import sys
from pathlib import Path

import pytest
import torch

from lasaft.paper import PAPER
from mss_shared.cli import run
from mss_shared.testing import make_dataset
from mss_shared.training.trainer import accumulation

STEMS = ("vocals", "drums", "bass", "other")
SMALL = [
    *("--recipe.model.internal_channels", "2", "--recipe.model.n_internal_layers", "1"),
    *("--recipe.model.n_blocks", "3", "--recipe.model.num_tdfs", "2"),
    *("--recipe.training.batch", "2", "--recipe.training.lr", "1.0e-3"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, seconds=1.0)


def fit(root: Path, out: Path, *words: str) -> list[str]:
    given = ["--data_root", str(root), "--out", str(out), "--device", "cpu", *SMALL, *words]
    run(PAPER, ["fit", "--recipe", "demo", *given])
    return (out / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]


def test_dev_mode_is_one_batch_of_each(root: Path, tmp_path: Path) -> None:
    [row] = fit(root, tmp_path / "run", "--dev_mode", "--deterministic")
    assert row.startswith("0,1,")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_the_best_epochs_are_kept_and_no_others(root: Path, tmp_path: Path) -> None:
    words = ["--recipe.data.examples_per_epoch", "2", "--recipe.training.epochs", "4"]
    rows = fit(root, tmp_path / "run", "--save_top_k", "2", *words)
    losses = {float(row.split(",")[-1]): number for number, row in enumerate(rows)}
    assert len(losses) == 4
    best = {f"epoch-{losses[loss]}.ckpt" for loss in sorted(losses)[:2]}
    assert {path.name for path in (tmp_path / "run").glob("epoch-*.ckpt")} == best
    for name in best:
        kept = torch.load(tmp_path / "run" / name, weights_only=True)
        assert "state_dict" in kept and "optimizer_states" in kept  # a run may go on from it


def test_a_missing_wandb_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SystemExit) as end:
        fit(root, tmp_path / "run", "--logger", "wandb")
    assert end.value.code == 2
    assert "wandb is not installed: pip install wandb" in capsys.readouterr().err


def test_several_devices_share_the_statistics_of_batch_norm() -> None:
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    assert accumulation(16, None, 4, model, synchronised=True) == 1
    with pytest.raises(ValueError, match="8 examples at a time would change .* use no --micro"):
        accumulation(16, 2, 4, model, synchronised=True)
    with pytest.raises(ValueError, match="4 examples at a time .* one device and no --micro_batch"):
        accumulation(16, None, 4, model, synchronised=False)
