"""What a complete run leaves: the weights of its model, and the record of what made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mss_shared import provenance
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe


def write_outcome(
    out: Path,
    paper: AnyPaper,
    loaded: LoadedRecipe[Any],
    model: Any,
    training: dict[str, Any],
    selection: dict[str, Any],
    seconds: float,
    command: str,
) -> None:
    """Write the weights and the record of the run.

    Args:
        out: the run folder.
        paper, loaded, model: what was trained.
        training: the record of its songs and steps.
        selection: of the epochs whose weights the model has.
        seconds: that the run took, all legs of one that was resumed together; the work after a
            leg's last checkpoint, which was lost, is not among them.
        command: what the user typed.
    """
    origin = provenance.describe_origin(command, f"mss-{paper.name.replace('_', '-')}")
    header = {
        "paper": paper.name,
        "recipe": loaded.text,
        "recipe_name": loaded.name,
        "verbatim": json.dumps(loaded.verbatim),
        "leaf_sources": json.dumps(loaded.leaf_sources),
        "stems": json.dumps(model.stems),
        "training": json.dumps(training),
        "origin": json.dumps(origin),
    }
    save_model(out / "model.safetensors", model, header)
    record = {
        "kind": "training",
        "paper": paper.name,
        "recipe": loaded.name,
        "recipe_digest": loaded.digest,
        "verbatim": loaded.verbatim,
        "leaf_sources": loaded.leaf_sources,
        "training": training,
        "selection": selection,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_digest": weights_digest(model.state_dict()),
        "seconds": round(seconds, 1),
    }
    provenance.write_record(out, {**record, **origin})
