"""Callbacks of the training loop: seeds, the metrics file, checkpoints, early stop, progress."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch.optim.lr_scheduler import ReduceLROnPlateau

from mss_shared import atomic, console

VALIDATION_LOSS = "val/loss"


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
    processes that it has just ended.

    Args:
        handler: what SIGTERM did before the run.
    """

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's handler of SIGTERM, which it restores after the run."""
        if not callable(self.handler) or threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: Any) -> None:
            launcher = trainer.strategy.launcher
            if launcher is not None:  # of the other devices' processes
                launcher.kill(number)
            self.handler(number, frame)

        signal.signal(signal.SIGTERM, stop)


class MetricsFile(Callback):
    """One CSV row per epoch: epoch, step, learning rate, then all logged values, sorted by name.

    There are no times in it, so that the same seed on the same machine writes the same bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the rows of the epochs that a resumed run has finished."""
        if self.path.is_file():
            rows = csv.DictReader(io.StringIO(self.path.read_text(encoding="utf-8")))
            self.rows = [row for row in rows if int(row["epoch"]) < trainer.current_epoch]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append the epoch's row and rewrite the file."""
        if not trainer.is_global_zero:
            return
        row = {"epoch": str(trainer.current_epoch), "step": str(trainer.global_step)}
        row["lr"] = repr(float(trainer.optimizers[0].param_groups[0]["lr"]))
        per_step = ("_step", "_epoch")  # the same values under Lightning's own suffixes
        names = sorted(n for n in trainer.callback_metrics if not n.endswith(per_step))
        row |= {name: repr(float(trainer.callback_metrics[name])) for name in names}
        self.rows.append(row)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic.write_text(self.path, text.getvalue())


class Checkpoints(Callback):
    """Write ``last.ckpt`` after every epoch, and ``best.ckpt`` when the validation loss fell.

    With ``save_top_k`` the weights of the best epochs stay beside them as ``epoch-<n>.ckpt``.

    Lightning steps plateau schedules only after the epoch's last callback, and so after the
    checkpoint is written; a resumed run makes up for the missing step when it starts.
    """

    def __init__(self, folder: Path, keep_best: bool, save_top_k: int = 0) -> None:
        self.folder = folder
        self.keep_best = keep_best
        self.save_top_k = save_top_k
        self.lowest = math.inf
        self.top: dict[int, float] = {}
        self.metrics: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """The loss to beat and the epoch's metrics, for the checkpoint."""
        return {"lowest": self.lowest, "metrics": self.metrics, "top": self.top}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the loss to beat and the last epoch's metrics from a checkpoint."""
        self.lowest = state_dict["lowest"]
        self.metrics = state_dict["metrics"]
        # Converted, as files are untrusted: these numbers name files to delete.
        self.top = {int(epoch): float(loss) for epoch, loss in state_dict["top"].items()}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Step the plateau schedules with the loss of the epoch before the checkpoint."""
        for config in trainer.lr_scheduler_configs if self.metrics else ():
            due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
            if due and isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(self.metrics[str(config.monitor)])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the checkpoints of the epoch."""
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        loss = self.metrics[VALIDATION_LOSS]
        if self.keep_best and loss < self.lowest:
            self.lowest = loss
            self._save(trainer, "best.ckpt")
        self._keep_top(trainer, loss)
        self._save(trainer, "last.ckpt")

    def _keep_top(self, trainer: pl.Trainer, loss: float) -> None:
        """Save the epoch's weights if it is among the best, and delete those that no longer are."""
        epoch = trainer.current_epoch
        ranked = sorted({**self.top, epoch: loss}.items(), key=lambda item: item[1])
        kept = dict(ranked[: self.save_top_k])
        if epoch in kept:
            self._save(trainer, f"epoch-{epoch}.ckpt", weights_only=True)
        for dropped in self.top.keys() - kept.keys():
            if trainer.is_global_zero:
                (self.folder / f"epoch-{dropped}.ckpt").unlink(missing_ok=True)
        self.top = kept

    def _save(self, trainer: pl.Trainer, name: str, weights_only: bool = False) -> None:
        trainer.save_checkpoint(self.folder / name, weights_only)


class EarlyStop(EarlyStopping):
    """Lightning's early stopping, made to survive a resume.

    By default Lightning counts an epoch only after ``Checkpoints`` has saved the count, and a
    resumed run does not know that it had stopped.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(VALIDATION_LOSS, patience=epochs, check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the checkpoint's run had stopped."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


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
