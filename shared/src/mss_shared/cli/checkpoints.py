"""The verbs around weights: ``checkpoints`` lists and fetches, ``import-weights`` converts."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mss_shared import console
from mss_shared.checkpoints.checkpoint import (
    find_published_recipe,
    from_recipe,
    save_model,
)
from mss_shared.checkpoints.fitting import only_fitting_recipe
from mss_shared.checkpoints.published import (
    Published,
    cache_path,
    fetch,
    find_published,
    read_published,
)
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.interfaces import Checkpoint
from mss_shared.names import is_name, real_path, shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import to_yaml


def checkpoints(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """List the published weights of a package, or download some."""
    known = read_published(paper.name)
    action, *names = arguments.words or ["list"]
    if action not in ("list", "fetch"):
        action, names = "list", arguments.words
    chosen = {name: _entries(paper, name) for name in names or known}
    if action == "fetch":
        if not names:
            raise ValueError(f"fetch has no name: choose from {', '.join(known) or 'none'}")
        for entries in chosen.values():
            for entry in entries:
                console.say(str(fetch(entry, agreed=arguments.yes)))
    elif arguments.json:
        described = [_describe(name, e) for name, entries in chosen.items() for e in entries]
        console.say(json.dumps(described, indent=1))
    else:
        _print(chosen)


def import_weights(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Convert third-party weights to a ``.safetensors`` file with its recipe in the header."""
    path: Path = arguments.file.expanduser()
    weights = read_weights_file(path, paper.read_pickled)
    if "recipe" in weights.header:
        named = [weights.header.get(key) for key in ("paper", "recipe_name")]
        recipe = " ".join(str(name) if is_name(name) else shorten(name) for name in named)
        raise ValueError(f"{path} already contains its recipe, {recipe}: separate with it as it is")
    out = arguments.out or path.with_suffix(".safetensors")
    if out.suffix != ".safetensors" or real_path(out) == real_path(path):
        raise ValueError(
            f"weights can't be written to {out}: choose another .safetensors with --out"
        )
    if out.exists():
        raise ValueError(f"{out} already exists: choose another file with --out, or remove it")
    config = getattr(arguments, "config_path", None)
    if config is not None:
        checkpoint = paper.open_configured(str(path), config)
    else:
        name = arguments.recipe or find_published_recipe(paper, path)
        if name is None:
            name, note = only_fitting_recipe(paper, path, weights)
            console.say(note)
        checkpoint = from_recipe(paper, path, weights, name)
    for note in (*checkpoint.notes, *key_map(weights.state, checkpoint.model.state_dict())):
        console.say(note)
    save_model(out, checkpoint.model, _header(paper, path, checkpoint))
    console.say(f"loaded strictly and written to {out}")


def key_map(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    """How keys were renamed, a line per change of prefix."""
    rules: Counter[tuple[str, str]] = Counter()
    used = set()
    added = []
    for name in ours:
        source = name if name in theirs else _source(name, theirs)
        if source is None:
            added.append(name)
            continue
        used.add(source)
        end = _common_end(source, name)
        rules[source[: len(source) - len(end)], name[: len(name) - len(end)]] += 1
    lines = [f"{old}* -> {new}* ({count} tensors)" for (old, new), count in rules.items()]
    lines += [f"left out: {', '.join(left)}" for left in [sorted(set(theirs) - used)] if left]
    lines += [f"constants that the file lacks: {', '.join(added)}" for _ in added[:1]]
    return lines


def _entries(paper: AnyPaper, name: str) -> tuple[Published, ...]:
    entries = find_published(paper.name, name)
    if not entries:
        names = ", ".join(read_published(paper.name)) or "none"
        raise ValueError(f"{paper.name} has no published weights {name!r}: choose from {names}")
    return entries


def _describe(name: str, entry: Published) -> dict[str, Any]:
    return {
        "name": name,
        "title": entry.title or entry.file_name,
        "recipe": entry.recipe,
        "licence": entry.licence,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "url": entry.url,
        "config_url": entry.config_url,
        "path": str(cache_path(entry)),
        "cached": cache_path(entry).is_file(),
    }


def _print(chosen: Mapping[str, Iterable[Published]]) -> None:
    if not chosen:
        console.say("this package has no published weights")
    for name, entries in chosen.items():
        console.say(name)
        for entry in entries:
            digest = f"SHA-256 {entry.sha256[:16]}" if entry.sha256 else "no digest known"
            digest = digest if entry.is_checkable else "nothing known to check it by"
            here = "cached" if cache_path(entry).is_file() else "not cached"
            console.say(f"  {entry.title or entry.file_name}: {entry.size}, {here}")
            console.say(f"    licence: {entry.licence}; {digest}; recipe: {entry.recipe or 'none'}")
            console.say(f"    {entry.url}")
            if entry.config_url:
                console.say(f"    YAML for --config_path: {entry.config_url}")


def _header(paper: AnyPaper, path: Path, checkpoint: Checkpoint) -> dict[str, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "paper": paper.name,
        "recipe": to_yaml(checkpoint.recipe),
        "recipe_name": checkpoint.recipe_name,
        "verbatim": json.dumps(checkpoint.verbatim),
        "leaf_sources": json.dumps(checkpoint.leaf_sources),
        "training": json.dumps(checkpoint.training),
        "origin": json.dumps(checkpoint.origin),
        "imported_from": path.name,
        "imported_sha256": digest,
    }


def _source(name: str, theirs: Mapping[str, Tensor]) -> str | None:
    """The shortest of their keys that ends in ours, or else the longest that ours ends in."""
    longer = [key for key in theirs if key.endswith(f".{name}")]
    shorter = [key for key in theirs if name.endswith(f".{key}")]
    return min(longer, key=len, default=None) or max(shorter, key=len, default=None)


def _common_end(one: str, other: str) -> str:
    """The longest common end of two keys, in whole parts between dots."""
    parts = []
    for left, right in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if left != right:
            break
        parts.append(left)
    return ".".join(reversed(parts))
