"""The verb ``seams``: chunked separation against that of the whole song, as a table."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mss_shared import console
from mss_shared.checkpoints.assemble import assemble, with_passes
from mss_shared.cli import loading
from mss_shared.paper import AnyPaper
from mss_shared.separation.device import pick_device
from mss_shared.separation.passes import Passes
from mss_shared.separation.seams import Seam, seams


def compare(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Print per song and context the worst and median SNR, that at chunk boundaries, the cost."""
    with console.json_alone(arguments.json) as results:
        flags = loading.options_from_flags(paper.options, arguments)
        checkpoints = loading.checkpoints_from_flags(paper, arguments)
        loaded = assemble(paper, checkpoints, flags)
        model = with_passes(loaded.model, Passes(), pick_device(arguments.device))
        inference = loading.inference_from_flags(loaded.first.recipe.inference, arguments)
        seams_by_song: dict[Path, list[Seam]] = {}
        for path in arguments.inputs:
            with console.progress(path.name) as progress:
                seams_by_song[path] = seams(
                    model,
                    path,
                    inference,
                    arguments.contexts,
                    part_seconds=(arguments.start, arguments.duration),
                    batch=arguments.batch,
                    progress=progress,
                )
        if arguments.json:
            print(json.dumps([_plain(*item) for item in seams_by_song.items()]), file=results)
            return
        console.say(
            f"chunks of {inference.chunk_seconds} s, overlap {inference.overlap}, window "
            f"{inference.window}; SNR of 0.1 s windows against the whole song at once"
        )
        for path, lines in seams_by_song.items():
            _print(path, lines)


def _print(path: Path, lines: Sequence[Seam]) -> None:
    console.say(f"\n{path}")
    console.say(f"{'context':>10}{'worst':>10}{'at':>10}{'median':>10}{'borders':>10}{'work':>8}")
    for line in lines:
        console.say(
            f"{line.context_seconds:8.2f} s{line.worst_db:7.1f} dB{line.at_seconds:8.1f} s"
            f"{line.median_db:7.1f} dB{line.border_db:7.1f} dB{line.cost:7.2f}x"
        )


def _plain(path: Path, lines: Sequence[Seam]) -> dict[str, object]:
    """As JSON, which has no infinity: the SNR of equal windows becomes null."""
    return {
        "song": str(path),
        "contexts": [
            {
                name: None if isinstance(value, float) and math.isinf(value) else value
                for name, value in asdict(line).items()
            }
            for line in lines
        ],
    }
