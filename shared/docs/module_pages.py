"""A page for each public module, whose text Sphinx takes from the docstrings.

A module is public if it has ``__all__``: the packages, the rooms of the library, and the modules
that people import by name, such as the metrics.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from types import MethodType


def find_modules(root: Path) -> list[str]:
    """The names of all public modules of the repository's distributions, sorted."""
    sources = sorted([*root.glob("*/src"), *root.glob("*/*/src")])
    return sorted(name for source in sources for name in _public_modules(source))


def _public_modules(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*.py")):
        if _has_public_names(path):
            parts = path.relative_to(source).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _has_public_names(path: Path) -> bool:
    """Whether a module assigns ``__all__``; read, not imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    targets = [
        target
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
    ]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def module_page(name: str, ours: Collection[str]) -> str:
    """The page of a module: its docstring, then each public name, as directives in Markdown.

    The first directive names the module of those after it.

    Args:
        name: of the module.
        ours: all public modules; what comes from other packages is not described.
    """
    module = import_module(name)
    lines = [f"# {name}", "", "```{eval-rst}", f".. automodule:: {name}", "   :no-members:", ""]
    for public in module.__all__:
        lines += _directive(public, getattr(module, public), ours)
    return "\n".join([*lines, "```", ""])


def _directive(name: str, value: object, ours: Collection[str]) -> list[str]:
    """What shows a public name; a value that has no docstring of its own is named with its type."""
    if inspect.ismethod(value):
        return _bound(name, value)
    known = str(getattr(value, "__module__", "")).partition(".")[0] in ours
    if known and inspect.isclass(value):
        bases = [] if value.__bases__ == (object,) else ["   :show-inheritance:"]
        return [f".. autoclass:: {name}", "   :members:", *bases, ""]
    if known and inspect.isfunction(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. py:data:: {name}", f"   :type: {type(value).__name__}", ""]


def _bound(name: str, method: MethodType) -> list[str]:
    """A method of one object, as a package's ``load``: its text stands at the class."""
    parameters = inspect.signature(method).parameters.values()
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    owner = f"{type(method.__self__).__module__.rpartition('.')[0]}.{method.__qualname__}"
    first = (inspect.getdoc(method) or "").partition("\n")[0]
    signature = f".. py:function:: {name}{inspect.Signature(bare)}"
    return [signature, "", f"   {first} See :py:meth:`{owner}`.", ""]
