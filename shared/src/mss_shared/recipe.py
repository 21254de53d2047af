"""Recipes: the parts that all papers have, how a YAML file becomes one, what its leaves rest on.

No dataclass here or in a paper has a default: a value lives in the recipe or nowhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from mss_shared.names import check_name

LEAF_SOURCES = ("paper", "code", "ours")

# What the recipes inside weights meant before these keys existed.
_INFERENCE_BEFORE = {"context_seconds": 0.0, "window": "triangle", "edges": "none"}


RecipeType = TypeVar("RecipeType")


@dataclass(frozen=True)
class LoadedRecipe(Generic[RecipeType]):
    """A recipe and where it comes from.

    Attributes:
        recipe: the typed values.
        name: the file's name without suffix.
        text: the YAML: the file's own while verbatim, the changed values otherwise.
        verbatim: False if the command line changed a value.
        leaf_sources: how many leaves rest on the paper, its code, our choice.
    """

    recipe: RecipeType
    name: str
    text: str
    verbatim: bool
    leaf_sources: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the values, whatever the comments or the order of keys."""
        return recipe_digest(self.recipe)


def recipe_digest(recipe: Any) -> str:
    """SHA-256 of a recipe's values in the order of its fields."""
    return hashlib.sha256(to_yaml(recipe).encode()).hexdigest()


def to_yaml(recipe: Any) -> str:
    """All values as YAML, in the order of the fields."""
    text: str = yaml.safe_dump(
        _plain(dataclasses.asdict(recipe)), sort_keys=False, allow_unicode=True
    )
    return text


def load_recipe(
    recipe_type: type[RecipeType], path: Path, overrides: Sequence[str] = ()
) -> LoadedRecipe[RecipeType]:
    """Read a recipe.

    Args:
        recipe_type: the paper's Recipe dataclass.
        path: the YAML file.
        overrides: command-line words such as ``--recipe.training.lr 1.0e-3``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for YAML that does not parse, an unknown or missing key, a value of a wrong
            type, or an override of something that is no leaf.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe file {path}: check --recipe")
    name = check_name(path.stem, f"the name of {path} without suffix")
    text = _read_text(path)
    values = _parse_yaml(text, path)
    _check_keys(recipe_type, values, path)
    for word in overrides:
        _check_override(recipe_type, word)
    original = _instantiate(recipe_type, values, name, ())
    recipe = _instantiate(recipe_type, values, name, overrides) if overrides else original
    verbatim = recipe == original
    return LoadedRecipe(
        recipe, name, text if verbatim else to_yaml(recipe), verbatim, count_sources(text)
    )


def recipe_from_text(recipe_type: type[RecipeType], text: str, name: str) -> RecipeType:
    """A recipe from YAML text, as it stands in the header of a weights file, of any age.

    Raises:
        ValueError: as ``load_recipe``, or if the name is none.
    """
    where = Path(f"{check_name(name, 'the name of a recipe')}.yaml")  # for messages alone
    values = _parse_yaml(text, where)
    values = _renamed(values)
    if isinstance(values, dict) and isinstance(values.get("inference"), dict):
        values["inference"] = _INFERENCE_BEFORE | values["inference"]
    _check_keys(recipe_type, values, where)
    return _instantiate(recipe_type, values, name, ())


def _renamed(values: Any) -> Any:
    """The same with today's names of keys: probabilities were called odds."""
    if not isinstance(values, dict):
        return values
    return {_new_name(key): _renamed(value) for key, value in values.items()}


def _new_name(key: Any) -> Any:
    return re.sub(r"_odds$", "_prob", key) if isinstance(key, str) else key


def find_recipe(package: str, name: str) -> Path:
    """The file for ``--recipe``: a path, or the name of a recipe that ships with the package.

    Raises:
        ValueError: if there is neither, listing the names there are.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name).expanduser()
    shipped = {path.stem: path for path in shipped_recipes(package)}
    if name not in shipped:
        raise ValueError(
            f"there is no recipe {name!r} in {package}: choose from {', '.join(shipped)}, or give "
            f"the path of a .yaml file"
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


def leaf_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield (line, source comment) for each YAML line that sets a leaf; '' if it has no comment."""
    for line in text.splitlines():
        match = re.match(r"\s*[\w]+:\s*([^#\s].*)$", line)
        if match:
            value, _, comment = match.group(1).partition("#")
            if value.strip():
                yield line.strip(), comment.strip()


def count_sources(text: str) -> dict[str, int]:
    """How many leaves of a recipe's text name the paper, its code, or us as their source."""
    comments = [comment for _, comment in leaf_lines(text)]
    return {
        source: sum(re.match(rf"{source}\b", comment) is not None for comment in comments)
        for source in LEAF_SOURCES
    }


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text, byte {error.start} is no UTF-8: save it as UTF-8"
        ) from None


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML's safe loader, which takes the last of two equal keys; this one takes none."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that the mapping already has."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"two keys {key}", problem_mark=mark)
        return cast(dict[Any, Any], super().construct_mapping(node, deep))


def _parse_yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or "a character YAML forbids"
        raise ValueError(f"{path} is not YAML{where} ({what}): fix the file") from None
    except (ValueError, RecursionError) as error:  # a date that does not exist, endless brackets
        raise ValueError(f"{path} is not YAML ({error}): fix the file") from None


def _check_override(recipe_type: Any, word: str) -> None:
    """Only a single value can be changed: a section given whole would hide what differs."""
    name = word.removeprefix("--recipe.").partition("=")[0]
    kind: Any = recipe_type
    for part in name.split("."):
        if not dataclasses.is_dataclass(kind):
            return  # below a leaf that is itself a mapping
        names = [field.name for field in dataclasses.fields(kind)]
        if part not in names:
            raise ValueError(
                f"there is no --recipe.{name}, {part!r} is unknown: choose from {', '.join(names)}"
            )
        kind = _section(_type_hints(kind)[part])
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        raise ValueError(
            f"--recipe.{name} is a section, not a value: choose one of --recipe.{name}."
            f"{{{','.join(names)}}}"
        )


def _check_keys(kind: Any, values: Any, path: Path, prefix: str = "") -> None:
    """Every field present, none besides: each recipe is complete and says nothing unread."""
    if not isinstance(values, Mapping):
        raise ValueError(
            f"{path}: {prefix.rstrip('.') or 'the recipe'} must be a mapping of keys to values"
        )
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            advice = f"choose from {', '.join(fields)}"
            if _new_name(key) in fields:
                advice = f"it is called {_new_name(key)} now"
            raise ValueError(f"{path} has the unknown key {prefix}{key}: {advice}")
    hints = _type_hints(kind)
    for name in fields:
        if name not in values:
            raise ValueError(f"{path} lacks {prefix}{name}: a recipe states every value")
        section = _section(hints[name])
        optional = section is not hints[name]
        if dataclasses.is_dataclass(section) and not (optional and values[name] is None):
            _check_keys(section, values[name], path, f"{prefix}{name}.")


def _section(hint: Any) -> Any:
    """The dataclass of a section that may be null; any other type as it is."""
    found = [kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)]
    return found[0] if found else hint


def _type_hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


class _Parser(ArgumentParser):
    """jsonargparse with errors as exceptions of one sentence."""

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
        return cast(RecipeType, parser.instantiate(parsed).recipe)
    except ValueError as error:
        raise ValueError(f"recipe {name}: {_shorten(str(error))}") from None


def _shorten(message: str) -> str:
    """Keep the key and what was wrong with it of jsonargparse's nested message."""
    match = re.search(r'Parser key "recipe\.([\w.]+)":\s*(.*)$', message)
    if match:
        return f"{match.group(1)}: {match.group(2)}"
    return message.replace("recipe.", "", 1) if message.startswith("recipe.") else message


def _plain(value: Any) -> Any:
    """Tuples to lists, all the way down, so that YAML stays plain."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
