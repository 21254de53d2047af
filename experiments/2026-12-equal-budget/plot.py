"""The learning curves: mean over seeds as a line, their range as a band."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "curves"  # the same file for the same numbers


def draw(
    lines: Sequence[Mapping[str, str]], names: Mapping[tuple[str, str], str], path: Path
) -> None:
    """Draw validation uSDR in dB over minutes of training.

    Args:
        lines: of curves.csv, of one data set.
        names: shown for a package and recipe, in the order of the legend.
        path: of the SVG file.
    """
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for number, (key, name) in enumerate(names.items()):
        points: dict[float, list[float]] = defaultdict(list)
        for line in lines:
            if (line["package"], line["recipe"]) == key:
                points[float(line["minutes"])].append(float(line["sdr"]))
        minutes = sorted(points)
        if minutes:
            means = [sum(points[place]) / len(points[place]) for place in minutes]
            color = f"C{number}"  # of a method, the same in all plots
            axes.plot(minutes, means, label=name, marker=".", color=color)
            low, high = ([edge(points[place]) for place in minutes] for edge in (min, max))
            axes.fill_between(minutes, low, high, alpha=0.2, color=color, linewidth=0)
    axes.set_xlabel("minutes of training on two CPU cores")
    axes.set_ylabel("uSDR of the validation songs in dB")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
