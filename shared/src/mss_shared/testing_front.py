"""What every paper package promises to Python users, as one call for each package's tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mss_shared import audio
from mss_shared.cli import run
from mss_shared.paper import AnyPaper
from mss_shared.testing import make_dataset

NAMES = ("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes")


def check_front(
    paper: AnyPaper,
    folder: Path,
    networks: Sequence[tuple[type[Any], Mapping[str, Any]]],
    card: Path,
) -> None:
    """Assert what a package promises to Python users, on small data generated in ``folder``.

    Its names are there and load no torch; an array is separated as the command separates its file,
    to the bit; a model goes into a folder of the hub's layout and comes back, from a recipe and
    from a constructor; a short fit and its scores are those of the commands; the snippet of the
    model card runs.

    Args:
        paper: the package.
        folder: an empty one.
        networks: classes with ``from_pretrained``, and arguments of a small one.
        card: the package's README.md, whose snippet begins with ``from <package> import load``.
    """
    _check_names(paper)
    check_start(paper.name, paper.command)
    package: Any = import_module(paper.name)
    separator = package.load(None, recipe="demo", device="cpu")
    weights = folder / "weights"
    separator.model.save_pretrained(weights)
    again = type(separator.model).from_pretrained(weights)
    _check_equal(separator.model, again)
    _check_separation(paper, package, weights, folder)
    _check_card(paper, card, weights, folder / "song.wav")
    for kind, arguments in networks:
        torch.manual_seed(0)
        built = kind(**arguments)
        built.save_pretrained(folder / kind.__name__)
        _check_equal(built, kind.from_pretrained(folder / kind.__name__))
    _check_training(paper, package, folder)


def _check_names(paper: AnyPaper) -> None:
    code = (
        f"import sys\nfrom {paper.name} import {', '.join(NAMES)}\n"
        f"assert 'demo' in recipes() and isinstance(checkpoints(), list)\n"
        f"assert 'torch' not in sys.modules\n"
        f"assert load_recipe('demo').diff('demo') == []\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    package = import_module(paper.name)
    assert {*NAMES} <= {*package.__all__}


def check_start(module: str, command: str) -> None:
    """Assert that Ctrl-C at any import of ``python -m <module> --help`` is one line and 130.

    One process is interrupted once at each module that it imports: at all of ours but the entry,
    and at the packages of others, not within them, where some can't be imported a second time.

    Args:
        module: what runs the command.
        command: its name.
    """
    code = (
        f"import runpy, sys\n"
        f"import mss_shared.cli, mss_shared.stopping\n"
        f"met = {{{module!r}, {module + '.__main__'!r}}}\n"
        f"ours = ('mss_shared', {module.partition('.')[0]!r})\n"
        f"class Interrupting:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        top = name.partition('.')[0]\n"
        f"        within = top in sys.stdlib_module_names or (name != top and top not in ours)\n"
        f"        if name not in met and not within:\n"
        f"            met.add(name)\n"
        f"            raise KeyboardInterrupt\n"
        f"sys.meta_path.insert(0, Interrupting())\n"
        f"sys.argv = [{command!r}, '--help']\n"
        f"code = 130\n"
        f"while code == 130:\n"
        f"    try: runpy.run_module({module!r}, run_name='__main__')\n"
        f"    except SystemExit as end: code = end.code\n"
        f"assert not code and len(met) > 10, (code, met)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {*done.stderr.splitlines()} == {f"{command}: interrupted"}
    assert done.stdout.startswith(f"usage: {command} ")


def _check_equal(model: Any, other: Any) -> None:
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours and list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert not other.training


def _check_separation(paper: AnyPaper, package: Any, weights: Path, folder: Path) -> None:
    rng = np.random.default_rng(0)
    song = (0.1 * rng.standard_normal((2, 33_001))).astype(np.float32)
    audio.write(folder / "song.wav", song, 48_000, "FLOAT")
    separator = package.load(weights, device="cpu")
    stems = separator.separate(song, sample_rate=48_000)
    words = ["separate", folder / "song.wav", "--checkpoint", weights, "--device", "cpu"]
    run(paper, [*map(str, words), "--out", str(folder / "command"), "--filename", "{stem}"])
    assert tuple(stems) == separator.stems and stems
    for stem, values in stems.items():
        assert np.array_equal(values, audio.read(folder / "command" / f"{stem}.wav"))
    [done] = separator.separate_files(folder / "song.wav", folder / "files", lossless=True)
    assert done.sum_is_exact and all(path.is_file() for path in done.paths.values())


def _check_card(paper: AnyPaper, card: Path, weights: Path, song: Path) -> None:
    blocks = card.read_text(encoding="utf-8").split("```python\n")[1:]
    codes = [block.partition("```")[0] for block in blocks]
    [code] = [code for code in codes if code.startswith(f"from {paper.name} import load\n")]
    for shown, there in (("runs/mine", weights), ("song.flac", song)):
        assert f'"{shown}"' in code, shown
        code = code.replace(f'"{shown}"', repr(str(there)))
    found: dict[str, Any] = {}
    exec(compile(code, str(card), "exec"), found)
    assert {*found["stems"]} == {*found["separator"].stems}


def _check_training(paper: AnyPaper, package: Any, folder: Path) -> None:
    loaded = package.load_recipe("demo")
    model = paper.build_model(loaded.recipe)
    form = (model.sample_rate, model.channels)
    root = make_dataset(folder / "songs", loaded.recipe.data.stems, form)
    fitted = package.fit("demo", root, folder / "run", device="cpu", dev_mode=True)
    assert fitted.record["command"].startswith(f"{paper.command} fit --recipe demo --data_root")
    scored = package.evaluate(
        fitted.folder, root, scores=folder / "scores", protocol="usdr", device="cpu"
    )
    assert set(scored.scores["usdr@1"]) == {*model.stems}
    assert scored.record["kind"] == "model"
