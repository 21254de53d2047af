"""The verb ``doctor``: what is installed, what a model could run on, and what is missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from mss_shared import console
from mss_shared.checkpoints.published import cache_path, read_published
from mss_shared.cores import cpu_count
from mss_shared.datasets import plugins
from mss_shared.paper import AnyPaper

_SHOWN = ("torch", "numpy", "lightning", "soundfile", "av")
_PROGRAMS = ("ffmpeg", "ffprobe", "nvidia-smi")
_OURS = "mss-"
# What a distribution or an extra of the library is for.
_FOR = {
    "mss-shared[train]": "fit",
    "mss-shared[slurm]": "reproduce --slurm",
    "mss-shared[download]": "published weights by name",
    "mss-shared[hub]": "weights on a model hub, card --push",
    "mss-shared[data]": "--data_root musdb18_7s",
    "mss-shared[eval]": "--bsseval museval",
    "mss-shared[logwmse]": "--protocol log_wmse",
    "mss-demo-songs": "demo, and --data_root demo",
    "mss-results": "boards",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_TIMEOUT = 5.0  # seconds until a host counts as out of reach


def show(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Print versions, devices, extras with the commands that add them, and where weights are."""
    found = examine(paper, online=not arguments.offline)
    if arguments.json:
        console.say(json.dumps(found, indent=1))
    else:
        console.say("\n".join(_lines(found)))


def examine(paper: AnyPaper, *, online: bool) -> dict[str, Any]:
    """What ``show`` prints, as plain values.

    Args:
        paper: the package.
        online: whether to ask the hosts of published weights for an answer.
    """
    distributions = _distributions(paper.command)
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            name: version
            for name in (*distributions, *_SHOWN)
            if (version := _version(name)) is not None
        },
        "devices": _devices(),
        "extras": _once([row for name in distributions for row in _extras(name)]),
        "programs": {name: shutil.which(name) for name in _PROGRAMS},
        "weights": _weights(paper, online),
    }


def _distributions(command: str) -> tuple[str, ...]:
    """The distribution that has the paper's command, then those that serve every paper."""
    scripts = metadata.entry_points(group="console_scripts", name=command)
    own = {script.dist.name for script in scripts if script.dist is not None}
    return (*sorted(own), "mss-shared", *plugins.FOLDERS)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _extras(distribution: str) -> list[dict[str, Any]]:
    """Each extra of a distribution, the packages it lacks, and the command that adds them."""
    if _version(distribution) is None:
        command = f"pip install {plugins.FOLDERS.get(distribution, distribution)}"
        row = {"name": distribution, "for": _FOR.get(distribution), "command": command}
        return [row | {"missing": [distribution]}]
    names = metadata.metadata(distribution).get_all("Provides-Extra") or []
    return [
        {
            "name": f"{distribution}[{extra}]",
            "for": _FOR.get(f"{distribution}[{extra}]"),
            "missing": missing,
            "command": f'pip install "{distribution}[{extra}]"' if missing else None,
        }
        for extra in names
        for missing in [sorted(set(_missing(distribution, extra, frozenset())))]
    ]


def _once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without a paper's extras that lack what an extra of the library of the same name lacks."""
    known = {(row["name"].partition("[")[2], *row["missing"]): row for row in rows}
    return [row for row in rows if known[row["name"].partition("[")[2], *row["missing"]] is row]


def _missing(distribution: str, extra: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
    """What an extra needs that is not installed, through the extras of our own distributions."""
    if (distribution, extra) in above:
        return
    for line in metadata.requires(distribution) or []:
        wanted = _EXTRA.search(line)
        if wanted is None or wanted.group(1) != extra:
            continue
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, inner = match.group(1), match.group(2) or ""
        if _version(name) is None:
            yield name
        elif name.startswith(_OURS):
            for part in filter(None, (word.strip() for word in inner.split(","))):
                yield from _missing(name, part, above | {(distribution, extra)})


def _devices() -> list[dict[str, Any]]:
    """Each device that torch can use, with the bytes of memory that are free on it."""
    import torch

    from mss_shared.training.free_memory import free_bytes

    found = [
        {"name": "cpu", "what": f"{cpu_count()} cores", "threads": torch.get_num_threads()}
        | {"free_bytes": free_bytes("cpu")}
    ]
    for index in range(torch.cuda.device_count()):
        free, _ = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append({"name": f"cuda:{index}", "what": name, "free_bytes": free})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "what": "Apple GPU", "free_bytes": free_bytes("mps")})
    return found


def _weights(paper: AnyPaper, online: bool) -> dict[str, Any]:
    """How many published files are here, whether more can be fetched, and from which hosts."""
    entries = [entry for files in read_published(paper.name).values() for entry in files]
    folders = sorted({str(cache_path(entry).parent) for entry in entries})
    hosts = sorted({urllib.parse.urlsplit(entry.url).netloc for entry in entries})
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = dict(zip(hosts, pool.map(_answers, hosts), strict=True)) if online else {}
    return {
        "published": len(entries),
        "here": sum(cache_path(entry).is_file() for entry in entries),
        "cache": folders[0] if folders else None,
        "writable": all(_is_writable(Path(folder)) for folder in folders),
        "fetcher": _version("pooch") is not None,
        "hosts": answers,
    }


def _is_writable(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, takes files."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _answers(host: str) -> bool:
    """Whether a host answers at all, be it with an error of its own."""
    request = urllib.request.Request(f"https://{host}/", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except (OSError, ValueError):
        return False
    return True


def _lines(found: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    yield f"versions: Python {found['python']} ({found['system']}), {versions}"
    for device in found["devices"]:
        free = device["free_bytes"]
        memory = "free memory unknown" if free is None else f"{free / 1e9:.1f} GB free"
        yield f"device {device['name']}: {device['what']}, {memory}"
    if found["programs"]["nvidia-smi"] and not any("cuda" in d["name"] for d in found["devices"]):
        torch = found["versions"].get("torch", "none")
        yield (
            f"an NVIDIA driver is here, which this torch ({torch}) can't use: install a build of "
            f"torch for CUDA, by pytorch.org"
        )
    complete = [row["name"] for row in found["extras"] if not row["missing"]]
    yield f"extras installed: {', '.join(complete) or 'none'}"
    lacking = [row for row in found["extras"] if row["missing"]]
    for row in lacking:
        reason = f", for {row['for']}" if row["for"] else ""
        yield f"not installed: {row['name']}{reason}: {row['command']}"
    if lacking:
        yield "(in a clone of the repository; -c shared/constraints.txt pins the versions)"
    absent = [name for name in ("ffmpeg", "ffprobe") if found["programs"][name] is None]
    if absent:
        yield f"not on the path: {_listed(absent)} (museval and musdb need them; nothing else does)"
    yield from _weight_lines(found["weights"])


def _weight_lines(weights: dict[str, Any]) -> Iterator[str]:
    if not weights["published"]:
        yield "weights: none are published for this paper; demo, or fit, makes some"
        return
    here, published, cache = weights["here"], weights["published"], weights["cache"]
    yield f"weights: {here} of {published} published files in {cache}"
    if not weights["fetcher"]:
        yield "weights can't be fetched without pooch: pip install 'mss-shared[download]'"
    if not weights["writable"]:
        yield f"weights can't be fetched: {cache} can't be written"
    reached = _listed(host for host, answers in weights["hosts"].items() if answers)
    lost = _listed(host for host, answers in weights["hosts"].items() if not answers)
    if reached:
        yield f"weights can be fetched from {reached}"
    if lost:
        yield f"no answer from {lost}: is there a network?"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
