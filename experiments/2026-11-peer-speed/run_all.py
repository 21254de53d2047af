"""All five comparisons of speed and memory, one after another, each table in a file of its own.

python run_all.py                         about 37 minutes on two idle cores
python run_all.py --smoke --out /tmp/x    small sizes, to see that everything runs
python run_all.py --only lasaft_bench     one of them again
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SMALL = {
    "open_unmix_bench": ["--seconds", "4", "--rounds", "1"],
    "bs_roformer_bench": ["--seconds", "1", "--rounds", "1", "--depth", "1"],
    "tflocoformer_bench": ["--seconds", "0.5", "--rounds", "1", "--layers", "1"],
    "moises_light_bench": ["--names", "paper_small", "--seconds", "1", "--rounds", "1"],
    "lasaft_bench": ["--channels", "4", "--song", "12", "--rounds", "1"],
}


def run(name: str, words: list[str], out: Path) -> None:
    """Print what the script prints, and keep it in ``out`` once the script has succeeded."""
    began, lines = time.monotonic(), []
    command = [sys.executable, "-u", str(HERE / f"{name}.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if child.returncode:
        sys.exit(f"{name}.py ended with exit code {child.returncode}: its table is as it was")
    minutes = (time.monotonic() - began) / 60
    (out / f"{name.removesuffix('_bench')}.md").write_text("".join(lines))
    print(f"\n{name}: {minutes:.1f} minutes\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", nargs="+", choices=SMALL, default=list(SMALL))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--out", type=Path, default=HERE / "tables")
    given = parser.parse_args()
    if given.smoke and given.out == HERE / "tables":
        parser.error("--smoke would overwrite the tables: give another --out")
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        small = SMALL[name] if given.smoke else []
        run(name, [*small, "--threads", str(given.threads)], given.out)


if __name__ == "__main__":
    main()
