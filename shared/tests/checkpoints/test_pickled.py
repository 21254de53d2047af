import argparse
import os
import pickle
import random
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe

from mss_shared.checkpoints.pickled import STAND_INS, Array, Dtype, NotPlain, read_pickled_file
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.cli import run
from mss_shared.testing_weights import (
    Trap,
    check_nothing_runs,
    check_wrapped_weights,
    hostile_files,
    save_wrapped,
    traps,
)

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
NUMBERS: list[Any] = [
    np.float64(1.5),
    np.float32(-0.0),
    np.float16(3),
    np.int64(-(2**62)),
    np.uint8(255),
    np.bool_(True),
    np.complex128(1 - 2j),
    np.str_("höher"),
    np.str_(""),
    np.bytes_(b"ab"),
    np.float64(7).astype(">f8"),
]
ARRAYS: list[Any] = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i2"),
    np.zeros((0, 3), np.float32),
    np.array([True, False]),
    np.array(3.0),
    np.array(["a", "bc"]),
]


def save(content: Any, path: Path, *, zipped: bool = True, numpy_1: bool = False) -> Path:
    """Save as torch does, under numpy 1 with the names that its modules had then."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if numpy_1:
        found = path.read_bytes()
        assert b"numpy._core" in found or b"numpy\n" in found
        path.write_bytes(found.replace(b"numpy._core.", b"numpy.core."))
    return path


@pytest.mark.parametrize("numpy_1", [False, True])
def test_numpy_numbers_and_arrays_keep_their_values(numpy_1: bool, tmp_path: Path) -> None:
    content = {"state_dict": WEIGHTS, "numbers": NUMBERS, "arrays": ARRAYS}
    path = save(content, tmp_path / "x.ckpt", zipped=not numpy_1, numpy_1=numpy_1)
    with pytest.raises(pickle.UnpicklingError, match="numpy"):
        torch.load(path, weights_only=True)
    found = read_pickled_file(path)
    for number, read in zip(NUMBERS, found["numbers"], strict=True):
        assert read == number and read.dtype == number.dtype
        assert read.tobytes() == number.tobytes()
    for array, read in zip(ARRAYS, found["arrays"], strict=True):
        assert isinstance(read, Array) and read.values is not None
        assert read.values.dtype == array.dtype
        assert np.array_equal(read.values, array) and read.values.shape == array.shape
    weights = read_weights_file(path)
    assert all(torch.equal(weights.state[name], WEIGHTS[name]) for name in WEIGHTS)


def test_dtypes_and_types_of_numpy_are_read(tmp_path: Path) -> None:
    kinds = [np.dtype("f4"), np.float32, np.int64, np.bool_, np.dtypes.Float64DType]
    found = read_pickled_file(save({"kinds": kinds}, tmp_path / "x.pth"))["kinds"]
    assert found[0].resolve() == np.dtype("f4")
    assert found[1:] == [Dtype] * 4


def test_weights_as_numpy_arrays_become_tensors(tmp_path: Path) -> None:
    arrays = {name: tensor.numpy() for name, tensor in WEIGHTS.items()}
    swapped = {name: array.astype(">f4") for name, array in arrays.items()}
    for content in (arrays, {"state_dict": swapped}):
        state = read_weights_file(save(content, tmp_path / "x.pt")).state
        assert all(torch.equal(state[name], WEIGHTS[name]) for name in WEIGHTS)
        assert all(tensor.dtype == torch.float32 for tensor in state.values())


def fake_class(module: str, name: str) -> Any:
    """An object of a class in a module that is not installed."""
    made = types.ModuleType(module)
    kind = type(name, (), {"__module__": module})
    setattr(made, name, kind)
    sys.modules[module] = made
    return kind()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (Path("best.ckpt"), r"pathlib(\._local)?\.\w+Path"),
        (("omegaconf.dictconfig", "DictConfig"), r"omegaconf\.dictconfig\.DictConfig"),
        (torch.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear"),
        (Trap(os.getcwd), r"(posix|nt)\.getcwd"),
        (np.array([{}], dtype=object), r"numpy data of dtype 'O8'"),
        (np.zeros(1, [("a", "f4")]), r"numpy data of dtype 'V'"),
        (np.datetime64("2026-01-01"), r"numpy data of dtype 'M8'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_classes_are_refused_by_name(
    content: Any, name: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        if isinstance(content, tuple):
            for module in ("omegaconf", content[0]):
                context.setitem(sys.modules, module, types.ModuleType(module))
            content = fake_class(*content)
        held = {"state_dict": WEIGHTS, "hyper_parameters": {"args": content}}
        path = save(held, tmp_path / "x.ckpt", zipped=zipped)
    sentence = rf"x\.ckpt can't be read as plain weights, it holds {name}, which .* not read: save "
    with pytest.raises(NotPlain, match=sentence) as caught:
        read_weights_file(path)
    assert str(caught.value).isprintable() and "torch.load" not in str(caught.value)


def test_a_name_with_terminal_escapes_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    header = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    path.write_bytes(header + b"\x80\x02cevil\x1b[31m\nRed\x07\n.")
    with pytest.raises(NotPlain, match=r"it holds 'evil\\x1b\[31m\.Red\\x07', which") as caught:
        read_weights_file(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [*traps(Path("x"))])
def test_the_traps_work(name: str, tmp_path: Path) -> None:
    pickled = pickle.dumps(traps(tmp_path / "touched")[name])
    assert not (tmp_path / "touched").exists()
    try:
        pickle.loads(pickled)
    except (TypeError, ValueError, pickle.UnpicklingError):
        pass
    assert (tmp_path / "touched").exists()


def test_hostile_files_run_nothing(tmp_path: Path) -> None:
    check_nothing_runs(read_weights_file, tmp_path)
    check_nothing_runs(read_pickled_file, tmp_path)


def test_weights_in_many_wrappings_load(tmp_path: Path) -> None:
    check_wrapped_weights(PAPER, demo_recipe().recipe, tmp_path, cases=400)


NAMES = [name for _, name in STAND_INS]
CALLED = ("os.mkdir", "builtins.eval", "builtins.getattr", "pickle.loads", "torch.load")
REBUILDS = ("_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")


def harmful(path: Path) -> list[bytes]:
    """Expressions without a pickle's first and last instruction, each of which makes a file."""
    made = (Trap(os.mkdir, str(path)), Trap(eval, f"open({str(path)!r}, 'w').close()"))
    return [pickle.dumps(trap, 2)[2:-1] for trap in made]


def test_what_is_drawn_is_harmful(tmp_path: Path) -> None:
    hit, harmed = tmp_path / "hit", 0
    for number, harm in enumerate(harmful(hit)):
        pickle.loads(b"\x80\x02}(K\x01" + harm + b"u.")
        assert hit.exists()
        hit.rename(tmp_path / str(number))
    for seed in range(100):
        drawn = drawn_pickle(random.Random(seed), hit)
        harmed += any(harm in drawn for harm in harmful(hit))
    assert harmed > 25


def drawn_pickle(draw: random.Random, path: Path, depth: int = 0) -> bytes:
    """An expression of random calls, states and containers over harmful and harmless names."""
    kind = draw.choice(("harm", "call", "call", "new", "build", "dict", "tuple", "plain"))
    if kind == "harm":
        return draw.choice(harmful(path))
    inner = partial(drawn_pickle, draw, path, depth + 1)
    many = b"(" + b"".join(inner() for _ in range(draw.randrange(4))) + b"t" if depth < 4 else b")"
    if depth == 4 or kind == "plain":
        code = pickle.dumps(Trap(os.mkdir, str(path)), 2)
        texts = (str(path), f"open({str(path)!r}, 'w')", "V8", "O", "f8", "<", "b")
        written = [pickle.dumps(text, 2)[2:-1] for text in (*texts, 1, None, code)]
        return b"cnumpy\ndtype\n" if draw.random() < 0.2 else draw.choice(written)
    torch_names = ("torch._tensor._rebuild_from_type_v2", *(f"torch._utils.{r}" for r in REBUILDS))
    name = draw.choice(NAMES if draw.random() < 0.6 else (*CALLED, *torch_names))
    named = "c{}\n{}\n".format(*name.rpartition(".")[::2]).encode()
    found = {"call": named + many + b"R", "new": named + many + b"\x81", "tuple": many}
    built = named + many + b"R" + many + b"b"
    return {**found, "build": built, "dict": b"}" + inner() + inner() + b"s"}[kind]


@pytest.mark.parametrize("seed", range(4))
def test_drawn_pickles_run_nothing(seed: int, tmp_path: Path) -> None:
    draw, path = random.Random(seed), tmp_path / "x.pth"
    header = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    refused = 0
    for _ in range(500):
        end = b"\x80\x02]q\x00."  # no storages
        path.write_bytes(header + b"\x80\x02" + drawn_pickle(draw, tmp_path / "hit") + b"." + end)
        try:
            read_pickled_file(path)
        except ValueError as error:
            refused += 1
            assert str(error).isprintable()
        assert not (tmp_path / "hit").exists()
    assert 200 < refused < 500  # some are read to the end


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), damaged=st.integers(0, 400), cut=st.booleans())
@example(seed=0, damaged=0, cut=True)
def test_damaged_files_are_read_or_refused_in_one_sentence(
    seed: int, damaged: int, cut: bool, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    path = save_wrapped(WEIGHTS, draw, tmp_path / "x")
    content = bytearray(path.read_bytes())
    for _ in range(damaged):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content[: draw.randrange(len(content))] if cut else content)
    try:
        read_weights_file(path)
    except ValueError as error:
        assert str(error).isprintable() and ": " in str(error)
    path.unlink()


def test_refusals_end_a_command_with_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    named = dict(hostile_files(tmp_path / "touched"))
    some = ["system weight 2 True", "scalar of objects beside 2 False", "eval bare raw 0"]
    for name, content in {**{name: named[name] for name in some}, "page": b"<html>"}.items():
        path = tmp_path / "x.ckpt"
        path.write_bytes(content)
        words = f"import-weights {path} --recipe demo --out {tmp_path / 'out.safetensors'}"
        with pytest.raises(SystemExit) as caught:
            run(PAPER, words.split())
        said = capfd.readouterr().err.strip()
        assert caught.value.code == 2, name
        assert said.isprintable() and "can't be read as plain weights" in said
        assert [found.name for found in tmp_path.iterdir()] == ["x.ckpt"]
