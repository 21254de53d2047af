"""What a package promises of sizes in a recipe that no model can have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from mss_shared.paper import AnyPaper

_ODD = (0, -1)


def check_odd_sizes(paper: AnyPaper, recipe: Any) -> int:
    """Each whole number of ``recipe.model``, made odd, builds a model or is refused in a sentence.

    Returns:
        How many were tried.
    """
    from mss_shared.training.enough_memory import check_model

    tried = 0
    for odd in _ODD:
        for name, change in _changes(recipe.model, odd):
            tried += 1
            try:
                check_model(paper, dataclasses.replace(recipe, model=change()))
            except ValueError as error:
                said = str(error)
                assert said.isprintable() and len(said) < 1000, f"model.{name}: {odd} says {said}"
            except Exception as error:
                raise AssertionError(f"model.{name}: {odd} ends in {error!r}") from error
    return tried


def _changes(section: Any, odd: int) -> Iterator[tuple[str, Any]]:
    """Name and maker of every version of a section in which one whole number is another."""
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            for name, change in _changes(value, odd):
                yield f"{field.name}.{name}", _replaced(section, field.name, change)
        elif type(value) is int:
            yield field.name, _replaced(section, field.name, lambda: odd)
        elif isinstance(value, tuple) and value and type(value[0]) is int:
            rest = value[1:]
            yield field.name, _replaced(section, field.name, lambda rest=rest: (odd, *rest))


def _replaced(section: Any, name: str, value: Any) -> Any:
    """A function that makes a copy, as values that contradict each other are refused then."""
    return lambda: dataclasses.replace(section, **{name: value()})
