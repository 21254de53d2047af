"""What `pip install` brings: the closure of each distribution and extra of ours, by the metadata.

Ours are read from the pyproject.toml files of the repository, others as they are installed here.
"""

import tomllib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECTS: dict[str, dict[str, Any]] = {
    project["name"]: project
    for path in sorted(ROOT.glob("*/pyproject.toml")) + sorted(ROOT.glob("*/*/pyproject.toml"))
    for project in [tomllib.loads(path.read_text(encoding="utf-8"))["project"]]
}
PAPERS = sorted(
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
    for path in ROOT.glob("packages/*/pyproject.toml")
)
TRAINING = {"lightning", "pytorch-lightning", "torchmetrics", "tensorboard", "grpcio", "protobuf"}
SONGS = {"midirenderer", "pretty-midi", "mido", "espeakng-loader", "pyworld-prebuilt"}
ASKED_FOR = {
    "pooch",
    "huggingface-hub",
    "musdb",
    "museval",
    "log-wmse-audio-quality",
    "norbert",
    "onnx",
}
MODELS = {"torch", "safetensors", "soxr", "av", "jsonargparse", "pyyaml", "einops"}


def requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What a distribution asks for in this environment, with some of its extras."""
    if name in PROJECTS:
        project = PROJECTS[name]
        lines = list(project["dependencies"])
        for extra in extras:
            lines += project["optional-dependencies"][extra]
    else:
        lines = metadata.requires(name) or []
    for line in lines:
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield wanted


def closure(*wanted: str) -> set[str]:
    """Canonical names of all that `pip install WANTED ...` brings."""
    todo = [Requirement(line) for line in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        each = todo.pop()
        key = (str(canonicalize_name(each.name)), frozenset(each.extras))
        if key not in seen:
            seen.add(key)
            todo += requirements(*key)
    return {name for name, _ in seen}


def test_the_closure_follows_extras_and_others_metadata() -> None:
    assert {"mss-shared", "mss-demo-songs", "mss-results", *PAPERS} <= set(PROJECTS)
    assert len(PAPERS) == 5
    assert closure("numpy") == {"numpy"}
    assert {"soundfile", "cffi", "pycparser"} <= closure("soundfile")  # of a dependency's own
    trained = closure("mss-open-unmix[train]")
    assert {"mss-shared", "torch", "lightning", "tensorboard"} <= trained
    assert "norbert" not in trained and "norbert" in closure("mss-open-unmix[norbert]")


@pytest.mark.parametrize(
    ("wanted", "absent"),
    [
        (["mss-shared"], MODELS | TRAINING | SONGS | ASKED_FOR | {"mss-demo-songs"}),
        (["mss-shared", "mss-demo-songs"], MODELS | TRAINING | ASKED_FOR),
        (["mss-shared[download]"], MODELS | TRAINING | SONGS | {"mss-demo-songs"}),
        (["mss-shared[separate]"], TRAINING | SONGS | ASKED_FOR | {"mss-demo-songs"}),
        (["mss-shared[train]"], SONGS | ASKED_FOR | {"mss-demo-songs"}),
        (["mss-demo-songs"], MODELS | TRAINING | ASKED_FOR | {"mss-shared"}),
        (["mss-results"], MODELS | TRAINING | SONGS | ASKED_FOR | {"mss-shared"}),
        *[([name], TRAINING | SONGS | ASKED_FOR | {"mss-demo-songs"}) for name in PAPERS],
        *[([f"{name}[train]"], SONGS | ASKED_FOR | {"mss-demo-songs"}) for name in PAPERS],
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_nobody_installs_what_only_others_need(wanted: Sequence[str], absent: set[str]) -> None:
    assert closure(*wanted) & absent == set()


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        (["mss-shared[separate]"], MODELS - {"einops"}),
        (["mss-shared[train]"], (MODELS - {"einops"}) | {"lightning", "tensorboard"}),
        (["mss-demo-songs"], SONGS),
        *[([name], {"mss-shared", "torch", "safetensors", "soxr", "av"}) for name in PAPERS],
        *[([f"{name}[train]"], {"lightning", "tensorboard"}) for name in PAPERS],
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_each_extra_brings_what_its_verbs_need(wanted: Sequence[str], present: set[str]) -> None:
    assert present - closure(*wanted) == set()


def test_every_package_that_is_pinned_once_is_pinned_alike() -> None:
    """The versions that the demo songs' digests depend on are those of constraints.txt."""
    lines = (ROOT / "shared" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.split("==")[0]): line for line in lines if "==" in line}
    exact = [line for line in PROJECTS["mss-demo-songs"]["dependencies"] if "==" in line]
    assert len(exact) == len(SONGS)
    for line in exact:
        assert pinned[canonicalize_name(line.split("==")[0])] == line
    for name in closure("mss-shared[train]", *PAPERS, "mss-demo-songs") - set(PROJECTS):
        # What GPU builds of torch bring besides is pinned by torch itself.
        if not name.startswith(("nvidia-", "triton", "cuda-", "setuptools")):
            assert name in pinned, name
