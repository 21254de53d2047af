"""A folder ready for a model hub: weights, config.json, and a README with the model's scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mss_shared.atomic import making_folder, write_text
from mss_shared.checkpoints.checkpoint import load_checkpoint, save_model
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.checkpoints.published import find_published
from mss_shared.hub.measured import Measured, find_scores
from mss_shared.hub.pretrained import describe
from mss_shared.hub.remote import CONFIG, WEIGHTS
from mss_shared.interfaces import Checkpoint
from mss_shared.names import check_name, is_name, one_line, shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import recipe_digest

UNKNOWN = "unknown"  # the hub's word for a licence that nobody has stated


def write_card(
    paper: AnyPaper,
    source: str,
    out: Path,
    *,
    scores: Sequence[Path] = (),
    licence: str | None = None,
    title: str | None = None,
) -> list[Measured]:
    """Write weights, config.json and README.md into a new folder.

    The header of the weights keeps what is known of the training, except for the command and the
    machine, which may name people and paths.

    Args:
        paper: the package.
        source: a run folder, a weights file or a published name, of a single model.
        out: the folder; must not exist.
        scores: roots of score folders, in which those of these weights are found.
        licence: of the weights, as the hub spells it; by default that of a published checkpoint.
        title: the model's name on the hub; by default the paper's and the recipe's.

    Returns:
        The scores that were found.

    Raises:
        FileNotFoundError, ValueError: if the weights can't be read, or ``out`` exists.
        OSError: if it can't be written.
    """
    if out.exists():
        raise ValueError(f"{out} already exists: choose another folder with --out, or remove it")
    published = () if Path(source).expanduser().exists() else find_published(paper.name, source)
    licence = licence or (published[0].licence if published else UNKNOWN)
    checkpoint = load_checkpoint(paper, source)
    title = check_name(title or f"{paper.command}-{checkpoint.recipe_name}", "the title")
    found = find_scores(scores, paper.name, weights_digest(checkpoint.model.state_dict()))
    config, header = describe(paper, checkpoint.model, checkpoint.recipe_name)
    header |= {
        "verbatim": json.dumps(checkpoint.verbatim),
        "leaf_sources": json.dumps(checkpoint.leaf_sources),
        "training": json.dumps(checkpoint.training),
        "origin": json.dumps(_impersonal(checkpoint.origin)),
    }
    front = yaml.safe_dump(
        _metadata(paper, title, licence, found), sort_keys=False, allow_unicode=True
    )
    with making_folder(out) as folder:
        save_model(folder / WEIGHTS, checkpoint.model, header)
        write_text(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        text = _text(paper, checkpoint, title, licence, found)
        write_text(folder / "README.md", f"---\n{front}---\n\n{text}")
    return found


def _impersonal(origin: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if origin is None else {**origin, "command": None, "machine": None}


def _metadata(
    paper: AnyPaper, title: str, licence: str, found: Sequence[Measured]
) -> dict[str, Any]:
    """The YAML at the top of a README, by which a hub shows a model and its scores."""
    results = [
        {
            "task": {"type": "audio-to-audio", "name": "music source separation"},
            "dataset": {"type": each.dataset, "name": each.dataset, "split": each.split},
            "metrics": [
                {
                    "type": metric.lower(),
                    "name": f"{metric} of {stem}, {each.protocol}",
                    "value": round(value, 3),
                    "args": {"protocol": each.protocol, "stem": stem, "tracks": each.tracks},
                }
                for stem, values in each.values.items()
                for metric, value in values.items()
            ],
        }
        for each in found
    ]
    index = {"model-index": [{"name": title, "results": results}]} if results else {}
    return {
        "license": licence,
        "library_name": "mss-shared",
        "pipeline_tag": "audio-to-audio",
        "tags": ["music-source-separation", paper.name],
        **index,
    }


def _text(
    paper: AnyPaper,
    checkpoint: Checkpoint,
    title: str,
    licence: str,
    found: Sequence[Measured],
) -> str:
    kind = type(checkpoint.model).__name__
    stated = "not stated" if licence == UNKNOWN else one_line(licence)
    return f"""# {title}

{kind} of the package `{paper.name}`, recipe `{checkpoint.recipe_name}` \
({_verbatim(checkpoint.verbatim)}; SHA-256 of its values {recipe_digest(checkpoint.recipe)}).
Stems: {", ".join(checkpoint.model.stems)}; {checkpoint.model.sample_rate} Hz.

```python
from {paper.name} import load

separator = load("FOLDER")  # this folder, once downloaded
stems = separator.separate("song.flac")  # stem -> (channel, sample)
```

SHA-256 of the weights: {weights_digest(checkpoint.model.state_dict())}

## Scores

{_tables(found)}
## Training

{_training(checkpoint.training)}
## Licence

Of the weights: {stated}.
"""


def _verbatim(verbatim: bool | None) -> str:
    return {True: "verbatim", False: "with changed values", None: "not known to be verbatim"}[
        verbatim
    ]


def _tables(found: Sequence[Measured]) -> str:
    """A table per data set and protocol, in Markdown."""
    if not found:
        return "No score folder with these weights was found.\n"
    blocks = []
    for each in found:
        metrics = [*dict.fromkeys(name for values in each.values.values() for name in values)]
        lines = [f"| stem | {' | '.join(metrics)} |", f"| --- |{' --- |' * len(metrics)}"]
        lines += [
            f"| {_cell(stem)} | {' | '.join(_decimals(values.get(name)) for name in metrics)} |"
            for stem, values in each.values.items()
        ]
        title = f"{each.dataset}, {each.tracks} tracks, protocol {each.protocol} ({each.rules}):"
        blocks.append("\n".join([title, "", *lines, ""]))
    return "\n".join(blocks)


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _training(training: Mapping[str, Any] | None) -> str:
    """What the model has heard, as far as it is known."""
    if training is None:
        return "It is not known which tracks the model was trained on.\n"
    known = [f"Data set: {_cell(training.get('dataset') or 'unknown')}."]
    known += [f"Seed {training['seed']}, {training.get('steps', 'unknown')} steps."]
    for name, title in (("tracks", "Training tracks"), ("validation", "Validation tracks")):
        tracks = training.get(name)
        if tracks is None:
            known.append(f"{title}: unknown.")
            continue
        known += ["", f"{title} ({len(tracks)}):", "", *(f"- {_cell(track)}" for track in tracks)]
    return "\n".join(known) + "\n"


def _cell(text: str) -> str:
    """A name from a file as plain text within Markdown: no markup, one line."""
    if is_name(text):
        return text
    shown = one_line(text) if text.isprintable() else shorten(text)
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>()#+-.!|~&" else mark for mark in shown)
