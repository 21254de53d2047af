"""``separate`` of a package, with a clock: FILE BEGAN PACKAGE and the words of the command line."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mss_shared.cli import run


def main() -> None:
    file, began, package, *words = sys.argv[1:]
    paper = import_module(f"{package}.paper").PAPER

    from clock import Clock

    from mss_shared.cli import separate

    clock, assemble = Clock(Path(file), float(began)), separate.assemble

    def watched(*arguments: Any) -> Any:
        loaded = assemble(*arguments)
        clock.watch(loaded.model)
        return loaded

    separate.assemble = watched
    sys.argv = [paper.command, *words]
    run(paper)


if __name__ == "__main__":
    main()
