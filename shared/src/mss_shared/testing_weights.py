"""What all packages promise of weights files: wrapped ones load, hostile ones run nothing."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from mss_shared.checkpoints.fitting import adapt_weights
from mss_shared.checkpoints.strict_loading import fill
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.paper import AnyPaper

FIRST = ("module", "model", "net", "network", "generator", "_orig_mod", "pl_module")
INNER = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
LOSSES = (
    "criterion.weight",
    "loss.mel.fb",
    "loss_fn.window",
    "multi_resolution_stft.a",
    "losses.w",
)
AVERAGES = ("ema", "ema_model", "model_ema", "averaged_model", "swa_model")
SECTIONS = ("state_dict", "model", "model_state_dict", "state", "net", "generator")
AVERAGED = ("ema", "ema_state_dict", "state_dict_ema", "model_ema", "params_ema")

State = dict[str, Tensor]


def check_wrapped_weights(paper: AnyPaper, recipe: Any, folder: Path, cases: int = 8) -> None:
    """Weights saved as other people's programs do load bit for bit, by any order of wrappers.

    Args:
        paper: the package.
        recipe: of a small model.
        folder: for the files.
        cases: how many files are drawn; the same every time.
    """
    model, other = paper.build_model(recipe), paper.build_model(recipe)
    state = {name: _changed(tensor, 1) for name, tensor in model.state_dict().items()}
    for seed in range(cases):
        draw = random.Random(seed)
        path = save_wrapped(state, draw, folder / f"weights-{seed}")
        weights = read_weights_file(path, paper.read_pickled)
        found, notes = adapt_weights(paper, path, weights, model)
        loaded = fill(other, found, path).state_dict()
        assert [*loaded] == [*state], (seed, notes)
        wrong = [name for name in state if not torch.equal(loaded[name], state[name])]
        assert not wrong, f"file {seed}: {wrong[:3]} after {notes}"
        assert all(note.isprintable() for note in notes), (seed, notes)
        path.unlink()


def save_wrapped(state: State, draw: random.Random, stem: Path) -> Path:
    """Save weights with drawn wrappers, prefixes, losses, averages, sections and formats."""
    raw = {name: _changed(tensor, 2) for name, tensor in state.items()}
    prefixes = draw.choices(FIRST, k=draw.randrange(4))
    average = draw.choice(("none", "none", "names", "section", "counted"))
    content: dict[str, Any]
    if average == "names":
        prefix = draw.choice(AVERAGES)
        content = {**_prefix(raw, prefixes), **_prefix(state, [prefix])}
    elif average == "counted":
        content = {"n_averaged": torch.tensor(5), **_prefix(state, ["module", *prefixes])}
    else:
        content = _prefix(_wrap_inside(state, draw), prefixes)
    for name in draw.sample(LOSSES, draw.randrange(3)):
        content[".".join([*prefixes[: draw.randrange(len(prefixes) + 1)], name])] = torch.ones(3)
    if average == "section":
        raw = _prefix(_wrap_inside(raw, draw), draw.choices(FIRST, k=2))
        content = {draw.choice(AVERAGED): content, draw.choice(("state_dict", "net")): raw}
    elif draw.random() < 0.2:
        path = stem.with_suffix(draw.choice((".safetensors", ".ckpt")))
        safetensors.torch.save_file(content, path)
        return path
    return _save_pickled(content, draw, stem)


def _save_pickled(content: dict[str, Any], draw: random.Random, stem: Path) -> Path:
    for section in draw.sample(SECTIONS, draw.randrange(3)):
        content = {section: content}
    if draw.random() < 0.5:
        moments = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
        best = {"sdr": np.float64(7.5), "rates": np.arange(3), "dtype": np.dtype("f4")}
        content |= {"epoch": 3, "optimizer": moments, "hyper_parameters": best}
    path = stem.with_suffix(draw.choice((".ckpt", ".CKPT", ".pth", ".Pt", ".th", ".safetensors")))
    with path.open("wb") as file:
        torch.save(content, file, _use_new_zipfile_serialization=draw.random() < 0.7)
    return path


def _prefix(state: State, parts: list[str]) -> State:
    return {".".join([*parts, name]): tensor for name, tensor in state.items()}


def _wrap_inside(state: State, draw: random.Random) -> State:
    """Put a wrapper's part behind some modules' names, as wrapping these modules does."""
    for part in draw.sample(INNER, draw.randrange(3)):
        owners = draw.choice([name for name in state if "." in name]).split(".")[:-1]
        owner = ".".join(owners[: draw.randrange(len(owners)) + 1]) + "."
        state = {
            name.replace(owner, f"{owner}{part}.") if name.startswith(owner) else name: tensor
            for name, tensor in state.items()
        }
    return state


def _changed(tensor: Tensor, by: int) -> Tensor:
    return ~tensor if tensor.dtype == torch.bool else (tensor + by).contiguous()


def check_nothing_runs(read: Callable[[Path], Any], folder: Path) -> None:
    """No hostile file that ``read`` opens touches a file; refusals are one printable sentence."""
    touched = folder / "touched"
    count = 0
    for name, content in hostile_files(touched):
        path = folder / f"hostile-{name}.ckpt"
        path.write_bytes(content)
        count += 1
        try:
            read(path)
        except ValueError as error:
            assert str(error).isprintable() and str(path) in str(error), f"{name}: {error!r}"
        assert not touched.exists(), f"{name} ran code"
        path.unlink()
    assert count > 300


class Trap:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        """The call."""
        return self.call


def traps(touched: Path) -> dict[str, Any]:
    """Objects by name; unpickling any of them with ``pickle`` makes ``touched``."""
    text = repr(str(touched))
    inner = Trap(os.mkdir, str(touched))
    held = np.array([inner], dtype=object)
    rebuild, objects = np.zeros(1).__reduce__()[0], np.dtype("O")
    filled = (1, (1,), objects, False, [inner])
    return {
        "system": Trap(os.system, f"touch {touched}"),
        "mkdir": inner,
        "eval": Trap(builtins.eval, f"open({text}, 'w').close()"),
        "exec": Trap(builtins.exec, f"open({text}, 'w').close()"),
        "path": Trap(Path.touch, touched),
        "loads": Trap(pickle.loads, pickle.dumps(inner)),
        "array of objects": held,
        "array state": Trap(rebuild, np.ndarray, (0,), b"b", state=filled),
        "storage": Trap(torch.storage._load_from_bytes, _saved(inner)),
    }


def suspects(touched: Path) -> dict[str, Any]:
    """Calls of numpy's functions with objects and pickles inside, which not every numpy runs."""
    inner = Trap(os.mkdir, str(touched))
    scalar, objects = np.float64(1).__reduce__()[0], np.dtype("O")
    fields = (4, "<", None, ("a",), {"a": (objects, 0)}, 8, 1, 0, {"b": inner})
    return {
        "scalar of objects": Trap(scalar, objects, pickle.dumps(inner, 2)),
        "scalar of fields": Trap(scalar, np.dtype([("a", "O")]), pickle.dumps((inner,), 2)),
        "dtype state": Trap(np.dtype, "V8", state=fields),
    }


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def hostile_files(touched: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of files, each of which creates ``touched`` if its pickle is run."""
    for name, trap in (traps(touched) | suspects(touched)).items():
        places = {
            "bare": trap,
            "section": {"state_dict": trap},
            "weight": {"state_dict": {"a": torch.ones(2), "b": trap}},
            "beside": {"state_dict": {"a": torch.ones(2)}, "more": [1, (trap,)]},
        }
        for place, content in places.items():
            for protocol in (0, 2, 4, 5):
                yield f"{name} {place} raw {protocol}", pickle.dumps(content, protocol)
            for protocol in (2, 4):
                for zipped in (True, False):
                    file = io.BytesIO()
                    torch.save(
                        content,
                        file,
                        pickle_protocol=protocol,
                        _use_new_zipfile_serialization=zipped,
                    )
                    yield f"{name} {place} {protocol} {zipped}", file.getvalue()
