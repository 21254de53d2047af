"""Recipes: from YAML to typed dataclasses and back, and the sources of their values.

No dataclass of a recipe has a default: a value stands in the recipe or nowhere.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.util
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from mss_shared.leaf_sources import count_sources
from mss_shared.names import check_name, one_line
from mss_shared.recipe_sections import list_numbers
from mss_shared.yaml_text import parse_yaml, read_text

__all__ = ["LoadedRecipe", "find_recipe", "load_recipe", "shipped_recipes", "to_yaml"]

# The values of these keys in recipes inside older weights, which lack them.
_INFERENCE_BEFORE = {"context_seconds": 0.0, "window": "triangle", "edges": "none"}


RecipeType = TypeVar("RecipeType")


@dataclass(frozen=True)
class LoadedRecipe(Generic[RecipeType]):
    """A recipe and where it comes from.

    Attributes:
        recipe: the typed values.
        name: the file's name without suffix.
        text: the YAML: the file as it is, or all values if the command line changed one.
        verbatim: whether all values are those of the shipped recipe of that name; without one,
            None, or False if the command line changed a value.
        leaf_sources: how many values come from each of ``LEAF_SOURCES``.
    """

    recipe: RecipeType
    name: str
    text: str
    verbatim: bool | None
    leaf_sources: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the values, independent of comments and the order of keys."""
        return recipe_digest(self.recipe)


def recipe_digest(recipe: Any) -> str:
    """SHA-256 of a recipe's values in the order of its fields.

    Keys that were added later count only if their value is another than older recipes stand for.
    """
    return hashlib.sha256(_text_for_digest(recipe).encode()).hexdigest()


def earlier_digest(recipe: Any) -> str:
    """The digest that the same values had when probabilities were called odds."""
    earlier = _text_for_digest(recipe).replace("_prob:", "_odds:")
    return hashlib.sha256(earlier.encode()).hexdigest()


def _text_for_digest(recipe: Any) -> str:
    values = _plain(dataclasses.asdict(recipe))
    for name, value in getattr(recipe, "added", {}).items():
        section, _, key = name.rpartition(".")
        holder = values[section] if section else values
        if holder[key] == _plain(value):
            del holder[key]
    return _dump(values)


def to_yaml(recipe: Any) -> str:
    """All values as YAML, in the order of the fields."""
    return _dump(_plain(dataclasses.asdict(recipe)))


def _dump(values: Any) -> str:
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def load_recipe(
    recipe_type: type[RecipeType],
    path: Path,
    overrides: Sequence[str] = (),
    *,
    run_of: str | None = None,
) -> LoadedRecipe[RecipeType]:
    """Read a recipe.

    Args:
        recipe_type: the paper's Recipe dataclass.
        path: the YAML file.
        overrides: command-line words such as ``--recipe.training.lr 1.0e-3``.
        run_of: the name of the recipe, for the copy in a run folder; values that it lacks, as it
            is older than their keys, are those that it stands for.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for invalid YAML, an unknown or missing key, a value of the wrong type, or an
            override of a whole section.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe file {path}: check --recipe")
    name = check_name(run_of or path.stem, f"the name of {path} without suffix")
    text = read_text(path)
    values = parse_yaml(text, str(path))
    if run_of is not None:
        values = _complete(recipe_type, values)
    _check_keys(recipe_type, values, path)
    for word in overrides:
        _check_override(recipe_type, word)
    original = _instantiate(recipe_type, values, name, ())
    recipe = _instantiate(recipe_type, values, name, overrides) if overrides else original
    shipped = read_shipped(recipe_type, name)
    base, comments = (original, text) if shipped is None else shipped
    verbatim = recipe == base
    return LoadedRecipe(
        recipe,
        name,
        text if recipe == original else to_yaml(recipe),
        None if shipped is None and verbatim else verbatim,
        # A copy's comments prove nothing: the shipped recipe's count.
        count_sources(comments, changed_leaves(recipe, base)),
    )


def is_verbatim(recipe: Any, name: str) -> bool | None:
    """Whether a recipe has the values of the shipped recipe of that name; None without one."""
    shipped = read_shipped(type(recipe), name)
    return None if shipped is None else bool(recipe == shipped[0])


def read_shipped(recipe_type: type[RecipeType], name: str) -> tuple[RecipeType, str] | None:
    """The shipped recipe of a name and its text; None if there is none."""
    package = recipe_type.__module__.partition(".")[0]
    try:
        paths = shipped_recipes(package)
    except ValueError:  # the type belongs to a script, not to a package
        return None
    for shipped in paths:
        if shipped.stem == name:
            text = read_text(shipped)
            return _instantiate(recipe_type, parse_yaml(text, str(shipped)), name, ()), text
    return None


def changed_leaves(recipe: Any, other: Any, prefix: str = "") -> list[str]:
    """Dotted names of the values that differ between two recipes of one type."""
    changed: list[str] = []
    for field in dataclasses.fields(recipe):
        ours, theirs = getattr(recipe, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(ours) and type(ours) is type(theirs):
            changed += changed_leaves(ours, theirs, f"{prefix}{field.name}.")
        elif ours != theirs:
            changed.append(prefix + field.name)
    return changed


def recipe_from_text(recipe_type: type[RecipeType], text: str, name: str) -> RecipeType:
    """A recipe from YAML text in the header of a weights file, however old.

    Raises:
        ValueError: as ``load_recipe``, or if the name is invalid.
    """
    path = Path(f"{check_name(name, 'the name of a recipe')}.yaml")  # only for messages
    values = _complete(recipe_type, parse_yaml(text, str(path)))
    _check_keys(recipe_type, values, path)
    return _instantiate(recipe_type, values, name, ())


def _complete(recipe_type: Any, values: Any) -> Any:
    """The values of a recipe of any age, under the keys of today."""
    values = _rename_keys(values)
    if isinstance(values, dict) and isinstance(values.get("inference"), dict):
        values["inference"] = _INFERENCE_BEFORE | values["inference"]
    for name, value in getattr(recipe_type, "added", {}).items():
        section, _, key = name.rpartition(".")
        holder = values.get(section) if section and isinstance(values, dict) else values
        if isinstance(holder, dict):
            holder.setdefault(key, _plain(value))
    return values


def describe_changes(text: str, recipe: Any) -> str:
    """How a recipe as YAML text differs from another of its type, for people.

    Raises:
        ValueError: if the text is not a recipe of that type.
    """
    earlier = recipe_from_text(type(recipe), text, "recipe")
    return ", ".join(
        f"{name} {attrgetter(name)(earlier)}, not {attrgetter(name)(recipe)}"
        for name in changed_leaves(earlier, recipe)
    )


def _rename_keys(values: Any) -> Any:
    """Give old keys their present names: probabilities were once called ``*_odds``."""
    if not isinstance(values, dict):
        return values
    return {_new_name(key): _rename_keys(value) for key, value in values.items()}


def _new_name(key: Any) -> Any:
    return re.sub(r"_odds$", "_prob", key) if isinstance(key, str) else key


def find_recipe(package: str, name: str) -> Path:
    """The file that ``--recipe`` names: a path, or a recipe that ships with the package.

    Raises:
        ValueError: if the package has no such recipe, listing those it has.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name).expanduser()
    shipped = {path.stem: path for path in shipped_recipes(package)}
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, 3)
        meant = f"did you mean {' or '.join(near)}" if near else f"choose from {', '.join(shipped)}"
        raise ValueError(
            f"there is no recipe {name!r} in {package}: {meant}, or give the path of a .yaml file"
        )
    return shipped[name]


def shipped_recipes(package: str) -> list[Path]:
    """The recipe files of a paper package, in the wheel or in its source folder."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"the package {package} is not installed: pip install it first")
    home = Path(spec.origin).parent
    for folder in (home / "recipes", home.parents[1] / "recipes"):
        if folder.is_dir():
            return sorted(folder.glob("*.yaml"))
    return []


def _check_override(recipe_type: Any, word: str) -> None:
    """Raise ValueError unless it overrides a single value: a whole section would hide changes."""
    name = word.removeprefix("--recipe.").partition("=")[0]
    section: Any = recipe_type
    for part in name.split("."):
        if not dataclasses.is_dataclass(section):
            return  # inside a value that is itself a mapping
        names = [field.name for field in dataclasses.fields(section)]
        if part not in names:
            advice = f"choose from {', '.join(names)}"
            if _new_name(part) in names:
                advice = f"it is now called {_new_name(part)}"
            raise ValueError(f"there is no --recipe.{name}, {part!r} is unknown: {advice}")
        section = _section(get_type_hints(section)[part])
    if dataclasses.is_dataclass(section):
        names = [field.name for field in dataclasses.fields(section)]
        raise ValueError(
            f"--recipe.{name} is a section, not a value: choose one of --recipe.{name}."
            f"{{{','.join(names)}}}"
        )


def values_named(recipe_type: Any, name: str, *, nearly: bool = False) -> list[str]:
    """The values of a recipe with this last part of their names, as ``training.lr`` for ``lr``.

    With ``nearly``, those with the nearest last part.
    """
    hints = [(key, _section(hint)) for key, hint in get_type_hints(recipe_type).items()]
    sections = {key: section for key, section in hints if dataclasses.is_dataclass(section)}
    names = {
        key: [field.name for field in dataclasses.fields(each)] for key, each in sections.items()
    }
    if nearly:
        known = [each for section in names.values() for each in section]
        begun = [each for each in known if name.startswith(each) or each.startswith(name)]
        [name, *_] = begun or difflib.get_close_matches(name, known, 1) or [name]
    return [f"{key}.{_new_name(name)}" for key in names if _new_name(name) in names[key]]


def _check_keys(config_type: Any, values: Any, path: Path) -> None:
    """Raise ValueError unless all sections have all their fields and no others."""
    missing = _missing_keys(config_type, values, path, "")
    if missing:
        these = "it" if len(missing) == 1 else "them"
        raise ValueError(
            f"{path} lacks {', '.join(missing)}: add {these}, as a recipe states every value"
        )


def _missing_keys(config_type: Any, values: Any, path: Path, prefix: str) -> list[str]:
    """The dotted names of the fields that a section and its sections lack.

    Raises:
        ValueError: for a section that is no mapping, or an unknown key.
    """
    if not isinstance(values, Mapping):
        raise ValueError(
            f"{path}: {prefix.rstrip('.') or 'the recipe'} must be a mapping of keys to values"
        )
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    for key in values:
        if key not in fields:
            advice = f"choose from {', '.join(fields)}"
            if _new_name(key) in fields:
                advice = f"it is now called {_new_name(key)}"
            raise ValueError(f"{path} has the unknown key {one_line(f'{prefix}{key}')}: {advice}")
    hints = get_type_hints(config_type)
    missing = [f"{prefix}{name}" for name in fields if name not in values]
    for name in values:
        section = _section(hints[name])
        optional = section is not hints[name]
        if dataclasses.is_dataclass(section) and not (optional and values[name] is None):
            missing += _missing_keys(section, values[name], path, f"{prefix}{name}.")
    return missing


def _section(hint: Any) -> Any:
    """The dataclass of a section that may be null; any other type as it is."""
    sections = [part for part in get_args(hint) if dataclasses.is_dataclass(part)]
    return sections[0] if sections else hint


class _Parser(ArgumentParser):
    """jsonargparse that raises its errors as ValueError, in one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        raise ValueError(" ".join(message.split())) from None


def _instantiate(
    recipe_type: type[RecipeType], values: Any, name: str, overrides: Sequence[str]
) -> RecipeType:
    parser = _Parser(prog="recipe", allow_abbrev=False)
    parser.add_argument("--recipe", type=recipe_type)
    try:
        if overrides:
            text = yaml.safe_dump(values, sort_keys=False)
            parsed = parser.parse_args([f"--recipe={text}", *overrides])
        else:
            parsed = parser.parse_object({"recipe": values})
        recipe = cast(RecipeType, parser.instantiate(parsed).recipe)
    except ValueError as error:
        raise ValueError(f"recipe {name}: {one_line(_shorten(str(error)))}") from None
    for leaf, value in list_numbers(recipe):
        if not math.isfinite(value):
            raise ValueError(f"recipe {name}: {leaf} is {value}: give a finite number")
    return recipe


def _shorten(message: str) -> str:
    """Reduce jsonargparse's nested message to the key and what is wrong with it."""
    match = re.search(r'Parser key "recipe\.([\w.]+)":\s*(.*)$', message)
    if match:
        return _describe_mismatch(match.group(1), match.group(2))
    return message.replace("recipe.", "", 1) if message.startswith("recipe.") else message


_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text",
    "tuple": "a list",
    "NoneType": "null",
}


def _describe_mismatch(key: str, message: str) -> str:
    """What a value is, and what it should be, in place of the names of Python's types."""
    value = re.search(r"(?:Got value|Given value): (.*)$", message)
    kinds = re.search(r"Subtypes: \[(.*?)\] |^Expected a (<class '\w+'>)", message)
    names = re.findall(r"<class '(\w+)'>", kinds.group()) if kinds else []
    if value is None or not names or not all(name in _KINDS for name in names):
        return f"{key}: {message}"
    given = {"None": "null"}.get(value.group(1), value.group(1))
    part = re.match(r"NestedArg\(key='([\w.]+)'", given)
    what = f"has no {part.group(1)}" if part else f"is {given}"
    names.sort(key=[*_KINDS].index)  # their order depends on what else has been typed before
    return f"{key} {what}: give {' or '.join(_KINDS[name] for name in names)}"


def _plain(value: Any) -> Any:
    """Turn tuples into lists, recursively, as YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
