"""Settings from a file build a model only if it is that of the file's weights."""

import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.checkpoints.strict_loading import LARGEST_SIZE, build_filled
from mss_shared.checkpoints.third_party import read_weights_file


@dataclass(frozen=True)
class Settings:
    width: Any = 4
    layers: Any = 2


def build(settings: Settings) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(settings.width, settings.width) for _ in range(settings.layers))
    )


STATE = build(Settings()).state_dict()


def test_the_weights_are_loaded_into_a_model_in_evaluation_mode() -> None:
    model = build_filled(lambda: build(Settings()), Settings(), STATE, Path("x"))
    assert not model.training
    assert all(torch.equal(value, STATE[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(width=5), "x has 0.weight of shape"),
        (Settings(width=1_000_000), "x has 0.weight of shape"),
        (Settings(layers=3), "x lacks 2.weight"),
        (Settings(layers=1_000_000), "more than 1040 modules and tensors"),
        (Settings(width=LARGEST_SIZE + 1), "a size of 1048577"),
        (Settings(layers=2**40), "a size of 1099511627776"),
        (Settings(width=(4, [-(2**40)])), "a size of -1099511627776"),
        (Settings(width=-1), "build no model"),
        (Settings(width="4"), "build no model"),
    ],
)
def test_settings_of_another_model_are_refused_before_they_take_memory(
    settings: Settings, message: str
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            build_filled(lambda: build(settings), settings, STATE, Path("x"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    assert str(caught.value).isprintable()


def test_a_model_that_computes_with_values_is_built_without_a_trial() -> None:
    def masked(settings: Settings) -> nn.Module:
        assert torch.eye(3)[torch.eye(3) > 0].sum() == 3
        return build(settings)

    model = build_filled(lambda: masked(Settings()), Settings(), STATE, Path("x"))
    assert all(torch.equal(value, STATE[key]) for key, value in model.state_dict().items())
    for settings, message in ((Settings(layers=3), "x lacks"), (Settings(width="4"), "no model")):
        with pytest.raises(ValueError, match=message):
            build_filled(lambda settings=settings: masked(settings), settings, STATE, Path("x"))


def test_what_a_model_says_of_its_settings_names_the_file() -> None:
    def odd() -> nn.Module:
        raise ValueError("width 5 is odd: choose an even one")

    said = r"^the model settings of a/x\.pth: width 5 is odd: choose an even one$"
    with pytest.raises(ValueError, match=said):
        build_filled(odd, Settings(), STATE, Path("a/x.pth"))


def test_every_hook_is_gone_after_a_refusal() -> None:
    with pytest.raises(ValueError, match="more than 1040 modules and tensors"):
        build_filled(lambda: build(Settings(layers=9_000)), Settings(), STATE, Path("x"))
    assert len(build(Settings(layers=500))) == 500


def compressed(path: Path) -> None:
    stored = path.with_suffix(".stored")
    torch.save(STATE, stored)
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def overlapping(path: Path) -> None:
    """Entries that share the bytes of one."""
    torch.save(STATE, path)
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.infolist()[1]
        for number in range(3_000):
            twin = zipfile.ZipInfo(f"archive/data/{number + 100}")
            twin.header_offset, twin.file_size = first.header_offset, 1_000
            twin.compress_size, twin.CRC = twin.file_size, first.CRC
            archive.filelist.append(twin)
        archive.mode, archive._didModify = "a", True  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: torch.save({"a": torch.zeros(1).expand(2**40)}, path), "a repeats"),
        (
            lambda path: torch.save({"a": torch.zeros(1, dtype=torch.half).expand(9, 9)}, path),
            "a repeats fewer numbers",
        ),
        (
            lambda path: torch.save(
                dict.fromkeys(map(str, range(400)), torch.zeros(100_000)), path
            ),
            "stand for 160000000",
        ),
        (compressed, "compressed"),
        (overlapping, "compressed"),
    ],
)
def test_a_file_that_stands_for_far_more_than_its_bytes_is_refused(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.pt"
    write(path)
    with pytest.raises(ValueError, match=message):
        read_weights_file(path)


def test_tied_weights_are_read(tmp_path: Path) -> None:
    table = torch.rand(600, 600)
    torch.save({"a": table, "b": table, "c": table.T}, tmp_path / "a.pt")
    assert set(read_weights_file(tmp_path / "a.pt").state) == {"a", "b", "c"}


def test_the_same_weights_and_header_give_the_same_bytes(tmp_path: Path) -> None:
    header = {f"{key}é": str(key) for key in "zyxwvutsrqponm"}
    contents = set()
    model = build(Settings())
    for _ in range(3):
        save_model(tmp_path / "m.safetensors", model, header)
        contents.add((tmp_path / "m.safetensors").read_bytes())
    assert len(contents) == 1
    read = read_weights_file(tmp_path / "m.safetensors")
    assert read.header == {"format": "pt", **header}
    assert all(torch.equal(value, read.state[key]) for key, value in model.state_dict().items())
