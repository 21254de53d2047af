"""Draw the validation losses of ``curves.csv`` and print the table of the last epochs."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from run import HERE, Curve, read

COLORS = {"authors": "tab:orange", "ours": "tab:blue"}
Curves = dict[tuple[str, int], Curve]


def main() -> None:
    """Write ``curves.png``; a thin line per seed, the mean of a side thick."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--table", type=Path, default=HERE / "curves.csv")
    parser.add_argument("--picture", type=Path, default=HERE / "curves.png")
    arguments = parser.parse_args()
    curves = read(arguments.table)
    draw(curves, arguments.picture)
    print(
        "| loss | side | mean | lowest | highest | seeds |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, pick in (("last epoch", lambda losses: losses[-1]), ("best epoch", min)):
        for side in COLORS:
            found = [pick(losses) for losses in validation(curves, side)]
            mean = sum(found) / len(found)
            ends = f"{min(found):.3f} | {max(found):.3f} | {len(found)}"
            print(f"| {name} | {side} | {mean:.3f} | {ends} |")


def validation(curves: Curves, side: str) -> list[list[float]]:
    """The validation losses of a side, a list per seed."""
    return [[each for _, each in curve] for (name, _), curve in curves.items() if name == side]


def draw(curves: Curves, path: Path) -> None:
    """Both sides in one picture."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for side, color in COLORS.items():
        losses = validation(curves, side)
        epochs = range(1, len(losses[0]) + 1)
        for curve in losses:
            axes.plot(epochs, curve, color=color, linewidth=0.8, alpha=0.6)
        means = [sum(each) / len(each) for each in zip(*losses, strict=True)]
        label = f"{side}, mean of {len(losses)} seeds"
        axes.plot(epochs, means, color=color, linewidth=2.2, label=label)
    axes.set(xlabel="epoch", ylabel="validation loss (mean squared error of magnitudes)")
    axes.set_yscale("log")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_yticks([5, 6, 8, 10, 15, 20], ["5", "6", "8", "10", "15", "20"])
    axes.minorticks_off()
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
