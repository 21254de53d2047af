"""A recipe with its name, and how two differ: the verb ``recipe`` from Python. Loads no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from mss_shared.cli.recipes import Value, compare, list_values
from mss_shared.front.words import PathLike
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe

RecipeType = TypeVar("RecipeType")


@dataclass(frozen=True)
class Difference:
    """A value in which two recipes differ.

    Attributes:
        name: dotted, such as ``training.lr``.
        first, second: the value in each with its source; ``-`` where there is none.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class NamedRecipe(LoadedRecipe[RecipeType], Generic[RecipeType]):
    """A recipe: ``recipe`` has the typed values, ``text`` the YAML, ``name`` the name.

    Attributes:
        paper: its package.
        given: the name or the path that it was read by.
        overrides: the words that changed its values.
    """

    paper: AnyPaper
    given: str
    overrides: tuple[str, ...]

    def __repr__(self) -> str:
        """The package, the name and what was changed; ``recipe`` has the values."""
        changes = [word.removeprefix("--recipe.") for word in self.overrides]
        return f"<recipe {' '.join([f'{self.paper.name}/{self.name}', *changes])}>"

    @property
    def values(self) -> list[Value]:
        """Every value with its source and note, in order."""
        return list_values(self)

    def diff(self, other: PathLike | NamedRecipe[RecipeType]) -> list[Difference]:
        """The values in which another recipe differs, given as it is or by its name.

        Raises:
            FileNotFoundError, ValueError: if there is no such recipe, or it is not valid.
        """
        theirs = other if isinstance(other, NamedRecipe) else read_recipe(self.paper, other)
        return [
            Difference(row["value"], row["first"], row["second"])
            for row in compare(self.values, theirs.values)
        ]


def read_recipe(
    paper: AnyPaper, name: PathLike, overrides: list[str] | None = None
) -> NamedRecipe[RecipeType]:
    """A shipped recipe by its name, or a YAML file by its path.

    Args:
        paper: the package.
        name: the name or the path.
        overrides: words such as ``--recipe.training.lr=1.0e-3``.

    Raises:
        FileNotFoundError, ValueError: if there is no such recipe, or it is not valid.
    """
    loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, str(name)), overrides or ())
    copied = {field.name: getattr(loaded, field.name) for field in fields(LoadedRecipe)}
    return NamedRecipe(
        **copied, paper=paper, given=os.fspath(name), overrides=tuple(overrides or ())
    )
