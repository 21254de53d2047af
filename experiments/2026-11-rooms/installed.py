"""Install what a user would into fresh environments, and count packages and megabytes.

python installed.py        one environment at a time, removed when it has been measured
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETS = {
    "`mss-shared`: data sets, metrics, `mss-eval`, `mss-data`": ["./shared"],
    "the same and the demo songs": ["./shared", "./shared/demo_songs"],
    "`mss-shared[separate]`": ["./shared[separate]"],
    "`mss-shared[train]`": ["./shared[train]"],
    "`mss-open-unmix`: separates and scores": ["./shared", "./packages/open_unmix"],
    "`mss-open-unmix[train]` and the demo songs": [
        "./shared[train]",
        "./shared/demo_songs",
        "./packages/open_unmix[train]",
    ],
}


def measure(wanted: list[str]) -> tuple[int, float]:
    """Packages, without pip and setuptools, and megabytes of files, without compiled bytecode."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        words = ["install", "-q", "-c", "shared/constraints.txt", *wanted]
        subprocess.run([*pip, *words], check=True, cwd=ROOT)
        listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True)
        packages = {line.partition("==")[0] for line in listed.stdout.splitlines()}
        files = (Path(folder) / "lib").rglob("*")
        size = sum(
            path.stat().st_size
            for path in files
            if path.is_file() and not {"__pycache__", "pip", "setuptools"} & set(path.parts)
        )
        return len(packages - {"pip", "setuptools"}), size / 1e6


def main() -> None:
    print("| installed | packages | MB |\n|---|---|---|")
    for name, wanted in SETS.items():
        packages, megabytes = measure(wanted)
        print(f"| {name} | {packages} | {megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
