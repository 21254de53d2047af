"""Placeholder while the generator is written."""
from __future__ import annotations
from collections.abc import Callable
from pathlib import Path
from typing import Any
from mss_shared.datasets.demo.settings import DemoSettings

def demo_root(settings: DemoSettings, *, cache: Path | None = None, jobs: int | None = None,
              progress: Callable[[str, int, int], None] | None = None) -> Path:
    raise NotImplementedError
def read_manifest(root: Path) -> dict[str, Any]:
    raise NotImplementedError
