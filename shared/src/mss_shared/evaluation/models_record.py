"""The part of a run's record that describes its models: all of them, not only the first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mss_shared.checkpoints.digest import weights_digest
from mss_shared.datasets.tracks import STEMS
from mss_shared.interfaces import Checkpoint
from mss_shared.recipe import is_verbatim, recipe_digest
from mss_shared.recipe_sections import InferenceConfig


def in_order(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Checkpoints in an order of their own, so that a joined model does not depend on the user's.

    By the first stem of each, as in tables, then by recipe and weights.
    """

    def key(checkpoint: Checkpoint) -> tuple[int, str, str]:
        first = checkpoint.model.stems[0]
        place = STEMS.index(first) if first in STEMS else len(STEMS)
        return place, checkpoint.recipe_name, weights_digest(checkpoint.model.state_dict())

    return sorted(checkpoints, key=key)


def describe_models(
    checkpoints: Sequence[Checkpoint],
    inference: InferenceConfig,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The METHOD_FIELDS that checkpoints and settings determine.

    A row of several models is verbatim if all of them are, reproduces a claimed row if all of them
    belong to it, and was trained on the tracks of all. ``models`` keeps each as it is.

    Args:
        checkpoints: one or more, in the order in which they were joined.
        inference: how songs are cut; values that are not the recipe's make a variant.
        options: values of the paper's own flags; any of them makes a variant.
    """
    models = [_describe(checkpoint) for checkpoint in checkpoints]
    changed = bool(options) or any(c.recipe.inference != inference for c in checkpoints)
    verbatim = False if changed else _all_true([model["verbatim"] for model in models])
    claims = {model["reproduces"] for model in models}
    return {
        "recipe": join_names([model["recipe"] for model in models]),
        "recipe_digest": _join_digests([model["recipe_digest"] for model in models]),
        "verbatim": verbatim,
        "leaf_sources": _add_counts([model["leaf_sources"] for model in models]),
        "reproduces": claims.pop() if len(claims) == 1 and not changed else None,
        "training": unite_trainings([model["training"] for model in models]),
        "models": models,
        "settings": {"inference": asdict(inference), "options": dict(options)},
    }


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """One model's recipe, training, weights, and what made it."""
    return {
        "stems": list(checkpoint.model.stems),
        "recipe": checkpoint.recipe_name,
        "recipe_digest": recipe_digest(checkpoint.recipe),
        "verbatim": checkpoint.verbatim,
        "leaf_sources": checkpoint.leaf_sources,
        "reproduces": find_claim(checkpoint),
        "training": checkpoint.training,
        "weights_digest": weights_digest(checkpoint.model.state_dict()),
        "origin": checkpoint.origin,
    }


def find_claim(checkpoint: Checkpoint) -> str | None:
    """The claimed row that a checkpoint reproduces; None if its recipe is not the shipped one.

    Third-party weights count if they are read as the shipped recipe.
    """
    faithful = checkpoint.verbatim
    if faithful is None and checkpoint.training is None:
        faithful = is_verbatim(checkpoint.recipe, checkpoint.recipe_name)
    claim: str | None = checkpoint.recipe.reproduces
    return claim if faithful else None


def name_run(checkpoints: Sequence[Checkpoint]) -> str:
    """The name of a run: the recipe or the claimed row that several reproduce, and the seeds.

    Weights that are not verbatim have a part of their recipes' digest in it.
    """
    claims = {find_claim(checkpoint) for checkpoint in checkpoints}
    claim = claims.pop() if len(claims) == 1 else None
    name = join_names([checkpoint.recipe_name for checkpoint in checkpoints])
    if claim is not None and len(checkpoints) > 1:
        name = claim.rpartition("/")[2]
    seeds = [c.training["seed"] if c.training else "unknown" for c in checkpoints]
    named = f"{name}-seed{join_names([str(seed) for seed in seeds])}"
    if all(checkpoint.verbatim is not False for checkpoint in checkpoints):
        return named
    digest = _join_digests([recipe_digest(checkpoint.recipe) for checkpoint in checkpoints])
    return f"{named}-variant-{digest[:8]}"


def join_names(names: Sequence[str]) -> str:
    """Distinct names in alphabetical order, with ``+`` in between."""
    return "+".join(sorted(set(names)))


def unite_trainings(trainings: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """One record of several trainings: all their tracks; other values only where they agree.

    None if one of them is unknown: then it is not known what the models have heard.
    """
    known = [training for training in trainings if training is not None]
    if len(known) < len(trainings):
        return None
    if len(known) == 1:
        return dict(known[0])
    return {
        **{name: _shared(known, name) for name in ("dataset", "fingerprint")},
        **{name: _union(known, name) for name in ("tracks", "validation")},
        **{name: _merge(known, name) for name in ("content", "validation_content")},
        **{name: _shared(known, name) for name in ("steps", "seed")},
    }


def _shared(trainings: Sequence[Mapping[str, Any]], name: str) -> Any:
    values = [training.get(name) for training in trainings]
    return values[0] if all(value == values[0] for value in values) else None


def _union(trainings: Sequence[Mapping[str, Any]], name: str) -> list[str] | None:
    lists = [training.get(name) for training in trainings]
    if None in lists:
        return None
    return sorted({track for names in lists for track in names or ()})


def _merge(trainings: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[str]] | None:
    contents = [training.get(name) for training in trainings]
    if None in contents:
        return None
    merged: dict[str, set[str]] = {}
    for content in contents:
        for track, digests in (content or {}).items():
            merged.setdefault(track, set()).update(digests)
    return {track: sorted(digests) for track, digests in sorted(merged.items())}


def _all_true(values: Sequence[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _join_digests(digests: Sequence[str]) -> str:
    """The digest of a single recipe; of several, that of their sorted digests."""
    distinct = sorted(set(digests))
    if len(distinct) == 1:
        return distinct[0]
    return hashlib.sha256("\n".join(distinct).encode()).hexdigest()


def _add_counts(counts: Sequence[Mapping[str, int] | None]) -> dict[str, int] | None:
    """Counts of all recipes together; None if those of one are unknown."""
    if None in counts:
        return None
    known = [count for count in counts if count is not None]
    return {
        name: sum(c.get(name, 0) for c in known) for name in sorted({n for c in known for n in c})
    }
