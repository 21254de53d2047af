"""A checkpoint that is not what it says it is ends in one sentence before any step."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_songs import RATE, STEMS, demo_recipe

from mss_shared.datasets import Dataset, open_dataset
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit
from mss_shared.training.restoring import check_state

CPU = Machine(device="cpu")
KINDS = [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam, torch.optim.SGD,
         torch.optim.Adamax, torch.optim.RMSprop, torch.optim.Adagrad]  # fmt: skip
LOADED = demo_recipe(training={"epochs": 2})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(
        make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    )


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was ended within its second epoch."""

    def end(training: Training) -> None:
        if training.current_epoch == 1:
            raise KeyboardInterrupt

    out = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(Training, "on_train_epoch_start", end)
        fit(PAPER, LOADED, dataset, out, CPU)
    return out


def test_it_is_gone_on_with_as_it_is(dataset: Dataset, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "out")
    fit(PAPER, LOADED, dataset, tmp_path / "out", CPU, resume=True)
    assert len((tmp_path / "out" / "metrics.csv").read_text().splitlines()) == 1 + 2


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_state_of_every_kind_of_optimizer_is_restored(
    kind: type[torch.optim.Optimizer],
) -> None:
    weights = [torch.ones(2, 3, requires_grad=True)]
    optimizer = kind(weights, lr=1e-3)  # type: ignore[call-arg]
    weights[0].square().sum().backward()
    optimizer.step()
    check_state(optimizer)
    for name, value in optimizer.state[weights[0]].items():
        if isinstance(value, torch.Tensor) and value.shape == (2, 3):
            optimizer.state[weights[0]][name] = torch.zeros(5)
            with pytest.raises(TypeError, match="shape"):
                check_state(optimizer)


FIT_LOOP = ("loops", "fit_loop")
ADAM = ("optimizer_states", 0, "state", 0)
ODD: list[tuple[tuple[Any, ...], Any]] = [
    (("state_dict",), []),
    (("state_dict", "model.encode.bias"), torch.zeros(1).expand(10**12)),
    (("state_dict", "model.encode.bias"), torch.zeros(7)),
    (("state_dict", "model.encode.bias"), torch.ones(4).to_sparse()),
    (("state_dict", "model.encode.bias"), torch.ones(4, device="meta")),
    (("global_step",), "x"),
    (("epoch",), -1),
    (("pytorch-lightning_version",), None),
    (("pytorch-lightning_version",), "x"),
    (("callbacks",), {"Checkpoints": {"metrics": 3}}),
    ((*FIT_LOOP, "epoch_progress", "current", "processed"), 10**400),
    ((*FIT_LOOP, "epoch_loop.batch_progress", "is_last_batch"), "x"),
    ((*FIT_LOOP, "epoch_loop.batch_progress", "total"), None),
    ((*FIT_LOOP, "epoch_progress"), []),
    (("optimizer_states",), []),
    ((*ADAM, "exp_avg"), torch.zeros(2, 3, 5)),
    ((*ADAM, "exp_avg"), None),
    ((*ADAM, "step"), "x"),
    (("optimizer_states", 0, "param_groups", 0, "lr"), "x"),
    (("lr_schedulers", 0, "step"), 5),
    (("lr_schedulers", 0, "best"), []),
]


@pytest.mark.parametrize(("place", "value"), ODD, ids=map(str, range(len(ODD))))
def test_an_odd_value_is_one_sentence(
    dataset: Dataset, run: Path, tmp_path: Path, place: tuple[Any, ...], value: Any
) -> None:
    shutil.copytree(run, tmp_path / "out")
    path = tmp_path / "out" / "last.ckpt"
    content = copy.deepcopy(torch.load(path, weights_only=True))
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    if value is None:
        del holder[place[-1]]
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"last.ckpt is damaged or no checkpoint of a run \(.*\)"):
        fit(PAPER, LOADED, dataset, tmp_path / "out", CPU, resume=True)


@pytest.mark.parametrize("size", [0, 1, 1000, -1])
def test_a_file_that_is_cut_short_is_one_sentence(
    dataset: Dataset, run: Path, tmp_path: Path, size: int
) -> None:
    shutil.copytree(run, tmp_path / "out")
    path = tmp_path / "out" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"last.ckpt is damaged or no checkpoint of a run \(.*\)"):
        fit(PAPER, LOADED, dataset, tmp_path / "out", CPU, resume=True)
