"""Put plans.csv and measured.csv between the markers of this README and of the model cards.

<!-- plan:begin NAME --> and <!-- plan:end -->, where NAME is a package, `all` or `measured`.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARKED = re.compile(r"(<!-- plan:begin (\w+) -->\n).*?(<!-- plan:end -->)", re.DOTALL)
HEADER = (
    "recipe", "parameters", "batch", "GB", "GB, recomputed", "steps", "passes", "EFLOP", "days",
)  # fmt: skip


def main() -> None:
    plans, measured = read("plans.csv"), read("measured.csv")
    for file in [HERE / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]:
        text = file.read_text(encoding="utf-8")
        new = MARKED.sub(lambda match: fill(match, plans, measured), text)
        if new != text:
            file.write_text(new, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")


def read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def fill(match: re.Match[str], plans: list[dict[str, str]], measured: list[dict[str, str]]) -> str:
    """The table that a pair of markers asks for."""
    begin, name, end = match.groups()
    if name == "measured":
        rows = [line(row) for row in measured]
        text = table(("package", "step", "measured GB", "computed GB", "ratio"), rows)
    elif name == "all":
        rows = [[row["paper"], *cells(row), row["warnings"]] for row in plans]
        text = table(("package", *HEADER, "warning"), rows)
    else:
        text = table(HEADER, [cells(row) for row in plans if row["paper"] == name])
    return f"{begin}\n{text}\n{end}"


def line(row: dict[str, str]) -> list[str]:
    """A real step beside its computation."""
    step = f"{row['examples']} examples of `{row['recipe']}`"
    step += f", {row['change'].removeprefix('--recipe.')}" if row["change"] else ""
    step += ", recomputed" if row["recomputed"] == "1" else ""
    real, computed = int(row["measured"]) / 1e9, int(row["computed"]) / 1e9
    return [row["paper"], step, f"{real:.2f}", f"{computed:.2f}", f"{computed / real:.2f}"]


def cells(row: dict[str, str]) -> list[str]:
    """A plan as cells."""
    recomputed = "always" if row["recomputed_gb"] == row["gb"] else row["recomputed_gb"]
    return [
        short(row["recipes"].split()),
        f"{int(row['parameters']) / 1e6:.1f} M",
        f"{row['batch']} x {row['seconds']} s",
        row["gb"],
        recomputed,
        f"{int(row['steps']):,}{' at most' if row['early'] == '1' else ''}",
        row["passes"],
        row["exaflop"],
        row["days"],
    ]


def short(names: list[str]) -> str:
    """Recipe names, those that end in a stem together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        match = re.fullmatch(r"(.+_)(vocals|drums|bass|other|speech|noise)", name)
        groups.setdefault(match.group(1) if match else name, []).append(
            match.group(2) if match else ""
        )
    return ", ".join(
        f"`{head}{ends[0] if len(ends) == 1 else '{' + ','.join(ends) + '}'}`"
        for head, ends in groups.items()
    )


def table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
