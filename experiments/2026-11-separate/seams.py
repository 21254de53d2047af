"""Worst-window ratio of chunked against whole separation, by the context of the chunks.

python seams.py SONG --models moises_light-demo bs_roformer-demo open_unmix-demo
"""

import argparse
from dataclasses import replace
from pathlib import Path

from models import load

from mss_shared.separation.seams import seams


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("song", type=Path)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--contexts", nargs="+", type=float, default=[0.0, 0.25, 0.5, 1.0, 1.5])
    parser.add_argument("--overlaps", nargs="+", type=float, help="instead of the recipe's")
    parser.add_argument("--windows", nargs="+", help="instead of the recipe's")
    parser.add_argument("--chunk_seconds", type=float, help="instead of the recipe's")
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--duration", type=float, default=30.0)
    words = parser.parse_args()
    columns = "model", "chunk s", "overlap", "window", "context s", "worst dB", "at s"
    columns += "median dB", "at seams dB", "cost"
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name in words.models:
        model, inference = load(name)
        if words.chunk_seconds:
            inference = replace(inference, chunk_seconds=words.chunk_seconds)
        for overlap in words.overlaps or [inference.overlap]:
            for window in words.windows or [inference.window]:
                config = replace(inference, overlap=overlap, window=window)
                part = (words.start, words.duration)
                for found in seams(model, words.song, config, words.contexts, part_seconds=part):
                    print(
                        f"| {name} | {config.chunk_seconds:g} | {overlap:g} | {window} | "
                        f"{found.context_seconds:g} | {found.worst_db:.1f} | "
                        f"{found.at_seconds:.1f} | {found.median_db:.1f} | "
                        f"{found.border_db:.1f} | {found.cost:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
