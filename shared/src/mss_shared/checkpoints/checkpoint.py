"""Checkpoints: our ``.safetensors`` with the recipe in its header, and third-party files."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch

from mss_shared.atomic import replacing
from mss_shared.checkpoints.fitting import adapt_weights, only_fitting_recipe
from mss_shared.checkpoints.published import (
    Published,
    fetch,
    find_published,
    matches,
    read_published,
)
from mss_shared.checkpoints.strict_loading import build_filled, fill
from mss_shared.checkpoints.third_party import (
    PICKLED,
    WeightsFile,
    read_weights_file,
)
from mss_shared.checkpoints.training_record import describes_training
from mss_shared.checkpoints.unfinished import from_run, is_of_run
from mss_shared.interfaces import Checkpoint
from mss_shared.json_text import parse_json
from mss_shared.names import check_file_name, is_name, name_like, shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import (
    LoadedRecipe,
    find_recipe,
    is_verbatim,
    load_recipe,
    read_shipped,
    recipe_from_text,
)


def save_model(path: Path, model: Any, header: Mapping[str, str]) -> None:
    """Write weights and header atomically."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as part:
        # Not by save_file, whose error is not an OSError when the disk is full.
        part.write_bytes(_in_order(safetensors.torch.save(state, {"format": "pt", **header})))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header in one order: the library's differs from run to run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    tensors = sorted(header.items(), key=lambda item: (item[1]["data_offsets"], item[0]))
    ordered = {"__metadata__": metadata, **dict(tensors)}
    text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_checkpoint(paper: AnyPaper, source: str, recipe_name: str | None = None) -> Checkpoint:
    """Load the weights of one model, strictly.

    Args:
        paper: the package of the model.
        source: as in ``load_checkpoints``, if it names a single file.
        recipe_name: as in ``load_checkpoints``.

    Raises:
        FileNotFoundError: if there is no such file, or it can't be downloaded.
        ValueError: if it can't be read, lacks a recipe, its keys are not the model's, or
            ``source`` names several files.
    """
    files = len(_find_entries(paper, source, recipe_name))
    checkpoints = load_checkpoints(paper, source, recipe_name) if files < 2 else []
    if len(checkpoints) != 1:
        raise ValueError(
            f"{source} names {files or len(checkpoints)} weights files, not one: open them with "
            f"load_checkpoints"
        )
    return checkpoints[0]


def load_checkpoints(
    paper: AnyPaper, source: str, recipe_name: str | None = None
) -> list[Checkpoint]:
    """Load all the weights that one value of ``--checkpoint`` names, strictly.

    Args:
        paper: the package of the models.
        source: a run folder, a ``.safetensors`` of ours, a ``.ckpt`` in a run folder (the run may
            still go on), or a third-party ``.pth``, ``.pt``, ``.ckpt`` or ``.th`` file, which is
            unpickled without executing code; a name, or a recipe's name, from the package's
            checkpoints.yaml; or a folder that the paper's ``open_folder`` accepts.
        recipe_name: the recipe of files that do not contain theirs, by default the only one that
            their shapes fit; for those that do, one that differs in how songs are separated and
            scored alone.

    Raises:
        FileNotFoundError: if there is no such file, or it can't be downloaded.
        ValueError: if one can't be read, lacks a recipe, or its keys are not the model's.
    """
    entries = _find_entries(paper, source, recipe_name)
    if entries:
        return [_load_file(paper, fetch(e), recipe_name or e.recipe) for e in entries]
    path = Path(source).expanduser()
    if path.is_dir() and not (path / "model.safetensors").is_file():
        checkpoints = paper.open_folder(path, recipe_name)
        if checkpoints is not None:
            return checkpoints
    return [_load_file(paper, path, recipe_name)]


def _load_file(paper: AnyPaper, path: Path, recipe_name: str | None) -> Checkpoint:
    """Load the weights of a file or run folder."""
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        names = [*read_published(paper.name)]
        near = difflib.get_close_matches(str(path), names, 1)
        meant = f"did you mean {near[0]}, or " if near else ""
        raise FileNotFoundError(
            f"there is no checkpoint {path}: {meant}give a run folder, a .safetensors file, or a "
            f"published {'/'.join(PICKLED)} file"
            + (f", or one of {', '.join(names)}" * bool(names))
        )
    contents: list[Any] = []

    def read(file: Path, default: Callable[[Path], Any]) -> Any:
        contents.append(paper.read_pickled(file, default))
        return contents[0]

    weights = read_weights_file(path, read)
    if "recipe" in weights.header:
        return _from_header(paper, path, weights, recipe_name)
    if recipe_name is None and contents and is_of_run(path):
        return from_run(
            paper, path, contents[0], lambda model: adapt_weights(paper, path, weights, model)[0]
        )
    recipe_name = recipe_name or find_published_recipe(paper, path)
    if recipe_name is not None:
        return from_recipe(paper, path, weights, recipe_name)
    recipe_name, note = only_fitting_recipe(paper, path, weights)
    found = from_recipe(paper, path, weights, recipe_name)
    return dataclasses.replace(found, notes=(note, *found.notes))


def _find_entries(paper: AnyPaper, source: str, recipe_name: str | None) -> tuple[Published, ...]:
    """The published files that ``source`` names; none if it is a path.

    Raises:
        ValueError: before a download, if one needs a recipe or a configuration and there is none.
    """
    if Path(source).expanduser().exists():
        return ()
    entries = find_published(paper.name, source)
    for entry in entries if recipe_name is None else ():
        _check_recipe(paper, source, entry)
    return entries


def _check_recipe(paper: AnyPaper, name: str, entry: Published) -> None:
    """Raise ValueError, before a download, if an entry belongs to no recipe of the package."""
    if entry.recipe is not None:
        return
    if not paper.opens_configured:
        raise ValueError(f"{name} does not say which recipe made it: name it with --recipe")
    origin = f", from {entry.config_url}" if entry.config_url else ""
    raise ValueError(
        f"{name} was made by no recipe of this package: pass the YAML published with it as "
        f"--config_path{origin}"
    )


def find_published_recipe(paper: AnyPaper, path: Path) -> str | None:
    """The recipe of a file that has the name and digest of published weights; None for others."""
    for entries in read_published(paper.name).values():
        for entry in entries:
            names = (entry.file_name, entry.published_name)
            if path.name in names and matches(path, entry):
                return entry.recipe
    return None


def _from_header(
    paper: AnyPaper, path: Path, weights: WeightsFile, recipe_name: str | None
) -> Checkpoint:
    header = read_header(paper.name, path, weights)
    recipe = recipe_from_text(paper.recipe_type, header.recipe, header.recipe_name)
    name, verbatim = header.recipe_name, _is_verbatim(header, recipe)
    if recipe_name is not None and name != recipe_name:
        loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, recipe_name))
        _check_model(path, recipe, name, loaded)
        if verbatim:
            verbatim = loaded.verbatim if _trains_alike(recipe, loaded.recipe) else False
        recipe, name = loaded.recipe, loaded.name
    shipped = read_shipped(paper.recipe_type, name)
    # A shipped model needs no trial on the meta device, which imports torch's compiler: seconds.
    if shipped is not None and shipped[0].model == recipe.model:
        model = fill(paper.build_model(recipe), weights.state, path)
    else:
        build = partial(paper.build_model, recipe)
        model = build_filled(build, recipe.model, weights.state, path)
    return Checkpoint(
        model=model,
        recipe=recipe,
        recipe_name=name,
        verbatim=verbatim,
        leaf_sources=header.leaf_sources,
        training=header.training,
        notes=(f"{path}: recipe {name}, {len(weights.state)} tensors",),
        origin=header.origin,
    )


def _check_model(path: Path, recipe: Any, name: str, loaded: LoadedRecipe[Any]) -> None:
    """Raise ValueError if the recipe that the user names is of another model than the file's."""
    for field in dataclasses.fields(recipe.model):
        ours, theirs = (getattr(each.model, field.name) for each in (loaded.recipe, recipe))
        if ours != theirs:
            raise ValueError(
                f"the recipe {loaded.name} has {field.name}={ours!r}, {path} was trained by {name} "
                f"with {theirs!r}: leave out --recipe"
            )


def _trains_alike(recipe: Any, other: Any) -> bool:
    return all(getattr(recipe, name) == getattr(other, name) for name in ("data", "training"))


def _is_verbatim(header: Header, recipe: Any) -> bool | None:
    """What the header says; for one of an older version, only if the shipped recipe agrees.

    Once, any recipe without an override counted as verbatim, also an edited one.
    """
    if header.verbatim and header.origin is None:
        return is_verbatim(recipe, header.recipe_name) or None
    return header.verbatim


@dataclass(frozen=True)
class Header:
    """The metadata beside the weights in a file of ours; untrusted, as files come from anywhere.

    Attributes:
        recipe: the YAML text.
        recipe_name, verbatim, leaf_sources, training, origin: as in ``Checkpoint``.
    """

    recipe: str
    recipe_name: str
    verbatim: bool | None
    leaf_sources: dict[str, int] | None
    training: dict[str, Any] | None
    origin: dict[str, Any] | None


def read_header(paper: str, path: Path, weights: WeightsFile) -> Header:
    """The header of a weights file of the package ``paper``.

    Raises:
        ValueError: if it is of another package, or a field is missing or invalid.
    """
    header = weights.header
    maker = header.get("paper")
    if maker != paper:
        other = maker if is_name(maker) else shorten(maker)
        raise ValueError(f"{path} holds a {other} model: separate it with that package's command")
    recipe, name = (_field(header, key, path) for key in ("recipe", "recipe_name"))
    verbatim, sources, training = (
        _json_field(header, key, path) for key in ("verbatim", "leaf_sources", "training")
    )
    if verbatim is not None and not isinstance(verbatim, bool):
        raise _invalid_field(path, "verbatim", verbatim, "true, false or null")
    if sources is not None and not (
        isinstance(sources, dict) and all(type(count) is int for count in sources.values())
    ):
        raise _invalid_field(path, "leaf_sources", sources, "counts by name, or null")
    if training is not None and not describes_training(training):
        raise _invalid_field(
            path, "training", training, "an object with an integer seed, names of tracks, or null"
        )
    origin = _json_field(header, "origin", path) if "origin" in header else None
    if origin is not None and not _describes_origin(origin):
        raise _invalid_field(
            path, "origin", origin, "an object with command, commit, machine and versions, or null"
        )
    if not is_name(name):
        # Once, a recipe's file could have any name.
        name = name_like(check_file_name(name, f"the recipe_name of {path}"), "recipe")
    return Header(recipe, name, verbatim, sources, training, origin)


def _describes_origin(origin: Any) -> bool:
    """Whether the fields of ``provenance.describe_origin`` have its types."""
    if not isinstance(origin, dict) or not isinstance(origin.get("versions"), dict):
        return False
    texts = [origin.get(name) for name in ("command", "commit", "machine")]
    threads, versions = origin.get("threads"), origin["versions"].values()
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(isinstance(version, str) for version in versions)
        and (threads is None or type(threads) is int)
    )


def _field(header: Mapping[str, str], key: str, path: Path) -> str:
    if key not in header:
        raise ValueError(f"the header of {path} lacks {key}: save the weights again")
    return header[key]


def _json_field(header: Mapping[str, str], key: str, path: Path) -> Any:
    text = _field(header, key, path)
    try:
        return parse_json(text, key)
    except ValueError:
        raise _invalid_field(path, key, text, "JSON") from None


def _invalid_field(path: Path, key: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"the field {key} of {path} is {shorten(value)}: it must be {wanted}")


def from_recipe(paper: AnyPaper, path: Path, weights: WeightsFile, name: str) -> Checkpoint:
    """Load third-party weights into the model of a recipe.

    Raises:
        ValueError: if there is no such recipe or its model does not fit.
    """
    loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, name))
    model = paper.build_model(loaded.recipe)
    state, notes = adapt_weights(paper, path, weights, model)
    notes.insert(0, f"{path}: {len(state)} tensors, read as recipe {loaded.name}")
    return Checkpoint(
        fill(model, state, path), loaded.recipe, loaded.name, None, None, None, tuple(notes)
    )
