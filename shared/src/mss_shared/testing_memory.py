"""How much memory a call takes, for tests of what is in memory at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch.profiler import ProfilerActivity, profile


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes of tensors that a call has allocated on the CPU and not yet freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        call()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        run.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    memory = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    assert memory, "the profiler saw no memory"
    held = most = 0
    for event in memory:
        held += event["args"]["Bytes"]
        most = max(most, held)
    return most
