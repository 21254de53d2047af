"""What `pip install` brings, by the metadata: all that a distribution or extra of ours needs."""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / ".ci"))
from closure import PROJECTS, closure  # noqa: E402
from licences import installs, licence  # noqa: E402
from sizes import rows  # noqa: E402

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


def test_the_closure_follows_extras_and_others_metadata() -> None:
    assert {"mss-shared", "mss-demo-songs", "mss-results", *PAPERS} <= set(PROJECTS)
    assert len(PAPERS) >= 5
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


def test_what_our_extras_name_is_pinned() -> None:
    """Also of extras that the tests do without."""
    pinned = versions("constraints.txt")
    for project in PROJECTS.values():
        extras = project.get("optional-dependencies", {}).values()
        for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
            name = canonicalize_name(Requirement(line).name)
            assert name in pinned or name in PROJECTS, line


def versions(name: str) -> dict[str, str]:
    """Canonical name -> version of a file of exact versions."""
    lines = (ROOT / "shared" / name).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pins}


def test_every_lower_bound_is_one_that_is_tried() -> None:
    """`tox -e oldest` installs exactly these, except for torch, of which the file says why."""
    oldest = versions("oldest.txt")
    for project in PROJECTS.values():
        extras = project.get("optional-dependencies", {}).values()
        for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
            wanted = Requirement(line)
            name = canonicalize_name(wanted.name)
            bounds = [each.version for each in wanted.specifier if each.operator == ">="]
            if bounds and name != "torch":
                assert Version(oldest[name]) == Version(bounds[0]), line


def test_builds_are_pinned_as_everything_else() -> None:
    pinned = versions("constraints.txt")
    for path in (*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")):
        [wanted] = tomllib.loads(path.read_text(encoding="utf-8"))["build-system"]["requires"]
        assert wanted == f"hatchling=={pinned['hatchling']}", path


def test_every_install_has_licences() -> None:
    assert {"mss-shared", "mss-shared[train]", "mss-open-unmix[norbert]"} <= set(installs())
    assert {licence("numpy"), licence("torch")} != {"not stated"}


def test_every_install_has_a_size_and_no_package_two() -> None:
    found = {install: (packages, megabytes) for install, packages, megabytes, _ in rows()}
    assert next(iter(found)) == "mss-shared" and found["mss-shared"][1] > 50
    assert found["mss-shared[separate]"][1] > found["mss-shared[train]"][1] > 20  # torch is in one
    everything = closure(*(f"{name}[train]" for name in PAPERS), "mss-demo-songs", "mss-results")
    brought = {"mss-shared", "mss-shared[separate]", "mss-shared[train]", "mss-demo-songs", *PAPERS}
    counted = sum(packages for install, (packages, _) in found.items() if install in brought)
    assert counted == len(everything - set(PROJECTS))
