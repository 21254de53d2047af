"""Going on from a checkpoint, which may be damaged or not what it says it is.

torch's reader executes nothing in the file, but Lightning, the optimizers and the schedules take
what they find there for theirs. So the values are compared with those of a run that begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from mss_shared.training.run_folder import damaged, is_number, read_checkpoint


class CheckedRestore(Callback):
    """Compares a checkpoint's state with the trainer's own, before and after it is restored."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Counters, options of optimizers and schedules: of the trainer's kinds.

        Raises:
            ValueError: if one is not.
        """
        if trainer.ckpt_path is None:
            return
        path = Path(str(trainer.ckpt_path))
        content = read_checkpoint(path)
        optimizers = [each.state_dict()["param_groups"] for each in trainer.optimizers]
        schedules = [each.scheduler.state_dict() for each in trainer.lr_scheduler_configs]
        try:
            _check_kind(content["loops"]["fit_loop"], trainer.fit_loop.state_dict(), "fit_loop")
            for number, own in enumerate(optimizers):
                _check_kind(content["optimizer_states"][number]["param_groups"], own, "options")
            for number, state in enumerate(schedules):
                _check_kind(content["lr_schedulers"][number], state, "schedule")
        except (LookupError, TypeError) as error:
            raise damaged(path, error) from None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The optimizers' state of each weight: what their step needs, in the weight's shape.

        Raises:
            ValueError: if it is not.
        """
        if trainer.ckpt_path is None:
            return
        try:
            for optimizer in trainer.optimizers:
                check_state(optimizer)
        except (LookupError, TypeError) as error:
            raise damaged(Path(str(trainer.ckpt_path)), error) from None


@contextmanager
def restoring(path: Path | None) -> Iterator[None]:
    """Name a checkpoint as damaged if Lightning can't restore it, whatever that raises."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if path is None or not _is_of_restoring(error):
            raise
        raise damaged(path, error) from error


def _is_of_restoring(error: Exception) -> bool:
    """Whether Lightning raised it while it restored a checkpoint."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(
        frame.f_globals.get("__name__", "").endswith("checkpoint_connector")
        and "restore" in frame.f_code.co_name
        for frame in frames
    )


def _check_kind(found: Any, own: Any, where: str) -> None:
    """Raise TypeError or KeyError unless a value is of the same kind as ours, in depth."""
    if isinstance(own, Mapping):
        if not isinstance(found, Mapping):
            raise TypeError(f"{where} is no dictionary")
        for name, value in own.items():
            _check_kind(found[name], value, f"{where}.{name}")
        if where == "schedule" and not set(found) <= set(own):  # they would become its attributes
            raise TypeError(f"{where} has other names than ours")
    elif isinstance(own, list | tuple):
        if not isinstance(found, list | tuple):
            raise TypeError(f"{where} is no list")
        for one, other in zip(found, own, strict=False):
            _check_kind(one, other, where)
    elif own is None:
        if isinstance(found, Mapping | list | tuple | str):
            raise TypeError(f"{where} is neither null nor a number")
    elif isinstance(own, bool | str):
        if type(found) is not type(own):
            raise TypeError(f"{where} is not of type {type(own).__name__}")
    elif isinstance(own, int | float):
        if not is_number(found):
            raise TypeError(f"{where} is no number")


def check_state(optimizer: Optimizer) -> None:
    """Raise TypeError or KeyError unless each weight's state is what a step of its kind leaves."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    states = [optimizer.state[weight] for weight in weights if optimizer.state.get(weight)]
    if not states:
        return
    wanted = _names_after_a_step(optimizer)
    for weight in weights:
        state = optimizer.state.get(weight)
        if not state:  # one that has had no gradient
            continue
        if not wanted <= state.keys():
            raise KeyError(*sorted(wanted - state.keys())[:1])
        _check_tensors(weight, state.values())


def _check_tensors(weight: Tensor, values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Tensor):
            if value.numel() != 1 and value.shape != weight.shape:
                raise TypeError(f"a state of shape {[*value.shape]} of weights {[*weight.shape]}")
        elif value is not None and not is_number(value):
            raise TypeError("a state that is no number")


def _names_after_a_step(optimizer: Optimizer) -> set[str]:
    """Which state an optimizer of this kind keeps of a weight: that of one number."""
    [number] = weights = [torch.zeros((), requires_grad=True)]
    trial = type(optimizer)(weights)
    # Not all options are arguments: AdamW marks its groups as having decoupled weight decay.
    trial.param_groups[0] |= {**optimizer.param_groups[0], "params": weights}
    number.grad = torch.zeros(())
    trial.step()
    return {*trial.state[number]}
