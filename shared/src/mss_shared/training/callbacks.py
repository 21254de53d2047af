"""Callbacks of the training loop: seeds, the metrics file, checkpoints, early stop, progress."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch.optim.lr_scheduler import ReduceLROnPlateau

from mss_shared import atomic, console
from mss_shared.recipe_sections import LoopConfig
from mss_shared.small_files import read_small_text
from mss_shared.training.criteria import MONITOR, Criterion, has_validated

BEFORE = -1  # stands for the epoch of a validation before the first step


class SeedEpoch(Callback):
    """Seed every generator from (seed, epoch), so that a resumed run draws the same examples."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed torch, NumPy and Python, on every device."""
        seed = (self.seed * 1_000_003 + trainer.current_epoch) * 4_096 + trainer.global_rank
        pl.seed_everything(seed % 2**32, verbose=False)


class Stoppable(Callback):
    """Lets a signal end the run at once, in the middle of a step.

    Lightning waits for the end of the step, exits with code 0, and on several devices may wait for
    processes that it has just ended. A signal is lost if it comes while Python deletes an object,
    as torch's data loader after an epoch: it acts again before the next step.

    Args:
        handler: what SIGTERM did before the run.
    """

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.came: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's handler of SIGTERM, which it restores after the run."""
        if not callable(self.handler) or threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: Any) -> None:
            _let_workers_end()
            self.came = number
            launcher = trainer.strategy.launcher
            if launcher is not None:  # of the other devices' processes
                launcher.kill(number)
            self.handler(number, frame)

        signal.signal(signal.SIGTERM, stop)
        hang_up = getattr(signal, "SIGHUP", None)
        if hang_up is not None and callable(before := signal.getsignal(hang_up)):

            def hang(number: int, frame: Any) -> None:
                _let_workers_end()
                before(number, frame)

            signal.signal(hang_up, hang)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the run if a signal did not."""
        if self.came is not None:
            self.handler(self.came, None)


def _let_workers_end() -> None:
    """A signal may reach the whole process group: torch raises no error for workers it ended too.

    Most of them end with 0, but not those that are just being started.
    """
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: None)


class MetricsFile(Callback):
    """One CSV row per epoch: epoch, step, learning rate, then all logged values, sorted by name.

    Epochs without a validation have none of its values; one before the first step is epoch -1.
    There are no times in it, so that the same seed on the same machine writes the same bytes.

    Args:
        path: of the file.
        earlier: that of a run from which this one goes on.
    """

    def __init__(self, path: Path, earlier: Path | None = None) -> None:
        self.path = path
        self.earlier = earlier
        self.rows: list[dict[str, str]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the rows of the epochs that a resumed run, or the one before it, has finished."""
        path = self.path if self.path.is_file() else self.earlier
        if path is not None:
            rows = read_rows(path)
            self.rows = [row for row in rows if int(row["epoch"]) < trainer.current_epoch]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row of a validation before the first step."""
        if trainer.sanity_checking and trainer.is_global_zero:
            self._append(trainer, BEFORE)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append the epoch's row and rewrite the file."""
        if trainer.is_global_zero:
            self._append(trainer, trainer.current_epoch)

    def _append(self, trainer: pl.Trainer, epoch: int) -> None:
        row = {"epoch": str(epoch), "step": str(trainer.global_step)}
        row["lr"] = repr(float(trainer.optimizers[0].param_groups[0]["lr"]))
        per_step = ("_step", "_epoch")  # the same values under Lightning's own suffixes
        metrics = dict(trainer.callback_metrics)
        if epoch != BEFORE and not has_validated(trainer):  # Lightning keeps the last ones
            metrics = {name: metrics[name] for name in metrics if not name.startswith("val/")}
        names = sorted(n for n in metrics if not n.endswith(per_step))
        row |= {name: repr(float(metrics[name])) for name in names}
        self.rows.append(row)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic.write_text(self.path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a metrics file; none if there is no such file.

    Raises:
        ValueError: if it is damaged.
    """
    if not path.is_file():
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(read_small_text(path))))
        if any(row["epoch"] != str(int(row["epoch"])) or None in row for row in rows):
            raise ValueError
    except (ValueError, KeyError, TypeError, csv.Error):
        raise ValueError(f"{path} is damaged: restore it, or move it away") from None
    return rows


def say_missing(folder: Path, epochs: int) -> None:
    """Say which of the epochs that a run has finished its metrics file lacks."""
    path = folder / "metrics.csv"
    found = {row["epoch"] for row in read_rows(path)}
    missing = [str(epoch) for epoch in range(epochs) if str(epoch) not in found]
    if missing:
        said = ", ".join(missing[:5]) + (" and others" if len(missing) > 5 else "")
        console.say(f"{path} lacks epoch {said}, which last.ckpt has finished: restore the file")


class Checkpoints(Callback):
    """Write ``last.ckpt`` after every epoch, and ``best.ckpt`` when an epoch is the best so far.

    The ``top`` best epochs stay beside them as ``epoch-<n>.ckpt``.

    Lightning steps plateau schedules only after the epoch's last callback, and so after the
    checkpoint is written; a resumed run makes up for the missing step when it starts.

    Args:
        folder: of the run.
        criterion: by which epochs are compared.
        keep_best: whether to write ``best.ckpt``.
        top: how many epochs stay.
    """

    def __init__(self, folder: Path, criterion: Criterion, keep_best: bool, top: int = 0) -> None:
        self.folder = folder
        self.criterion = criterion
        self.keep_best = keep_best
        self.size = top
        self.lowest = math.inf
        self.best_epoch: int | None = None
        self.top: dict[int, float] = {}
        self.metrics: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """The cost to beat and the epoch's metrics, for the checkpoint."""
        return {
            "by": self.criterion.name,
            "lowest": self.lowest,
            "best_epoch": self.best_epoch,
            "metrics": self.metrics,
            "top": self.top,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the cost to beat and the last epoch's metrics from a checkpoint."""
        # Converted, as files are untrusted: some of these numbers name files to delete.
        self.metrics = {str(name): float(value) for name, value in state_dict["metrics"].items()}
        if state_dict.get("by", self.criterion.name) != self.criterion.name:
            return  # of a run that this one continues in another way
        self.lowest = float(state_dict["lowest"])
        best = state_dict.get("best_epoch")  # runs that were begun earlier lack it
        self.best_epoch = None if best is None else int(best)
        self.top = {int(epoch): float(cost) for epoch, cost in state_dict["top"].items()}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Step the plateau schedules with the metrics of the epoch before the checkpoint."""
        for config in trainer.lr_scheduler_configs if self.metrics else ():
            due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
            value = self.metrics.get(str(config.monitor))  # one that is new in this run has none
            if due and value is not None and isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(value)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The schedules have made their step by now: a checkpoint within the epoch has it."""
        self.metrics = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the checkpoints of the epoch."""
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if has_validated(trainer):
            self._compare(trainer.current_epoch, self.criterion.cost(self.metrics))
            if trainer.current_epoch in self.top:
                self._save(trainer, epoch_file(trainer.current_epoch))
            if self.keep_best and trainer.current_epoch == self.best_epoch:
                self._save(trainer, "best.ckpt")
        self._save(trainer, "last.ckpt")
        if trainer.is_global_zero:  # only now: the checkpoint before this one named these files
            for path in self.folder.glob("epoch-*.ckpt"):
                number = path.stem.removeprefix("epoch-")
                if number.isdecimal() and int(number) not in self.top:
                    path.unlink()

    def choose(self, loop: LoopConfig, last: int) -> tuple[list[str], dict[str, Any]]:
        """The files whose weights become the model, the best first, and what the record says.

        Args:
            loop: the recipe's settings.
            last: the last epoch.
        """
        if loop.keep == "last":
            return ["last.ckpt"], {"keep": loop.keep, "epochs": [last]}
        epochs = [*self.top][: loop.average_best]
        if loop.average_best > 1:
            return [epoch_file(epoch) for epoch in epochs], {"keep": loop.keep, "epochs": epochs}
        # Runs that were begun earlier do not know which epoch it is.
        best = [] if self.best_epoch is None else [self.best_epoch]
        return ["best.ckpt"], {"keep": loop.keep, "epochs": best}

    def _compare(self, epoch: int, cost: float) -> None:
        """Note whether an epoch is the best, or one of the best."""
        if cost < self.lowest:
            self.lowest, self.best_epoch = cost, epoch
        ranked = sorted({**self.top, epoch: cost}.items(), key=lambda item: item[1])
        self.top = dict(ranked[: self.size])

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name)


def epoch_file(epoch: int) -> str:
    """The name of the checkpoint of one epoch."""
    return f"epoch-{epoch}.ckpt"


class EarlyStop(EarlyStopping):
    """Lightning's early stopping, made to survive a resume.

    By default Lightning counts a validation only after ``Checkpoints`` has saved the count, and a
    resumed run does not know that it had stopped.

    Args:
        criterion: what must become better.
        validations: stop after this many without.
    """

    def __init__(self, criterion: Criterion, validations: int) -> None:
        super().__init__(
            criterion.name,
            patience=validations,
            mode=criterion.mode,
            check_on_train_epoch_end=False,
        )

    @classmethod
    def of(cls, loop: LoopConfig) -> EarlyStop:
        """As a recipe says, which has a patience."""
        assert loop.early_stop_epochs is not None
        return cls(MONITOR[loop.monitor], loop.early_stop_epochs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counts; the patience is the recipe's."""
        counts = {name: int(state_dict[name]) for name in ("wait_count", "stopped_epoch")}
        best = torch.as_tensor(float(state_dict["best_score"]))
        super().load_state_dict({"best_score": best, **counts, "patience": self.patience})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the checkpoint's run had stopped."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Stopwatch(Callback):
    """The seconds of a run: from here to its end, and those before the checkpoint it resumes from.

    What a process did after its last checkpoint, and was lost with it, does not count. A run that
    goes on from another one has its own seconds alone.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.earlier = 0.0

    @property
    def seconds(self) -> float:
        """Up to now."""
        return self.earlier + time.monotonic() - self.began

    def state_dict(self) -> dict[str, Any]:
        """The seconds, for the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Those of the checkpoint; one from before they were kept has none."""
        self.earlier = float(state_dict["seconds"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget them if they are those of another run."""
        if Path(str(trainer.ckpt_path)).parent != self.folder:
            self.earlier = 0.0


class Plateau(Callback):
    """Lets the plateau schedules of a paper look at a criterion, once per validation.

    Any gain of more than the schedule's threshold counts: relative to the lowest loss, or in dB.
    """

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the state of a checkpoint is loaded."""
        for config in trainer.lr_scheduler_configs:
            if not isinstance(config.scheduler, ReduceLROnPlateau):
                continue
            config.monitor = self.criterion.name
            config.frequency = trainer.check_val_every_n_epoch or 1
            if self.criterion.mode == "max":
                state = config.scheduler.state_dict()
                state |= {"mode": "max", "threshold_mode": "abs", "best": -math.inf}
                config.scheduler.load_state_dict(state)


class Progress(Callback):
    """Steps, time left and the last loss: a bar, or occasional lines if not on a terminal."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the display on the first process."""
        self.total = trainer.estimated_stepping_batches
        self.display = console.progress("training")
        self.report = self.display.__enter__() if trainer.is_global_zero else None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Show the step and its loss."""
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
        if self.report is not None:
            self.report(f"loss {loss:.4f}", trainer.global_step, int(self.total))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the display."""
        if self.report is not None:
            self.display.__exit__(None, None, None)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the display, so that the error is readable."""
        if getattr(self, "report", None) is not None:
            self.display.__exit__(None, None, None)
