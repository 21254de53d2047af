"""The demo songs as ``--data_root demo`` and ``mss-data demo``: a plugin of mss-shared.

pyproject.toml registers ``demo`` in the entry point group ``mss_shared.datasets``. mss-shared
documents the interface of plugins; nothing of it is imported here.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mss_demo_songs.build import Progress, demo_root
from mss_demo_songs.settings import SIZES


class DemoSongs:
    """The generated songs, in three sizes or, through the flags, in any other."""

    def __call__(self, variant: str, progress: Progress | None = None) -> Path:
        """The folder of one of the SIZES, built first if needed; small without a variant.

        Raises:
            ValueError: if there is no such size.
            ModuleNotFoundError, OSError, RuntimeError: as ``demo_root``.
        """
        size = variant or "small"
        if size not in SIZES:
            raise ValueError(f"there is no demo set {size!r}: choose demo:{', demo:'.join(SIZES)}")
        return demo_root(SIZES[size], progress=progress)

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags of ``mss-data demo``."""
        parser.add_argument("--size", choices=tuple(SIZES), default="small")
        parser.add_argument("--train", type=int, help="training songs instead of the size's")
        parser.add_argument("--test", type=int, help="test songs instead of the size's")
        parser.add_argument("--seconds", type=float, help="length of each song")
        parser.add_argument("--seed", type=int, help="another set of songs")
        parser.add_argument("--no_vocals", action="store_true", help="without the singing voice")
        parser.add_argument(
            "--cache", type=Path, help="folder to build in instead of the user's cache"
        )
        parser.add_argument("--jobs", type=int, help="processes; all cores if not given")

    def build(self, arguments: argparse.Namespace, progress: Progress | None = None) -> Path:
        """The folder of the set that the flags describe, built first if needed.

        Raises:
            ValueError: if a value is out of range.
            ModuleNotFoundError, OSError, RuntimeError: as ``demo_root``.
        """
        settings = SIZES[arguments.size]
        for field in ("train", "test", "seconds", "seed"):
            if getattr(arguments, field) is not None:
                settings = replace(settings, **{field: getattr(arguments, field)})
        settings = replace(settings, vocals=not arguments.no_vocals)
        return demo_root(settings, cache=arguments.cache, jobs=arguments.jobs, progress=progress)


demo = DemoSongs()
