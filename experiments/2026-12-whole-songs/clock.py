"""Where a command's seconds go: until its model is loaded, in the model, in the rest."""

import atexit
import json
import time
from pathlib import Path

from torch import nn


class Clock:
    """Writes, when the program ends, what it knows to a file.

    Args:
        file: to be written.
        began: when the command was given, as ``time.time`` has it.
    """

    def __init__(self, file: Path, began: float) -> None:
        self.began = began
        self.entered = 0.0
        self.record = {"start": 0.0, "network": 0.0}
        atexit.register(self._write, file)

    def watch(self, model: nn.Module) -> None:
        """The model is loaded: count the seconds of its calls."""
        self.record["start"] = time.time() - self.began
        model.register_forward_pre_hook(self._enter)
        model.register_forward_hook(self._leave)

    def _enter(self, *_: object) -> None:
        self.entered = time.perf_counter()

    def _leave(self, *_: object) -> None:
        self.record["network"] += time.perf_counter() - self.entered

    def _write(self, file: Path) -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        [peak] = [line for line in lines if line.startswith("VmHWM")]
        file.write_text(json.dumps(self.record | {"peak": int(peak.split()[1]) * 1024}))
