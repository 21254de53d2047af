"""YAML from outside, parsed with limits on size, depth, digits, tags and aliases."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import yaml

from mss_shared.json_text import MOST_DEPTH, check_nesting
from mss_shared.names import one_line, shorten
from mss_shared.small_files import decode

MOST_YAML_BYTES = 2**20  # PyYAML takes some seconds for as many
_PLAIN_TAGS = ("!", "tag:yaml.org,2002:str")


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, except that it rejects duplicate keys instead of taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Reject a key that the mapping already has."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        seen: set[str] = set()
        for index, key in enumerate(keys):
            if key in seen:
                mark = node.value[index][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key}", problem_mark=mark)
            seen.add(key)
        return cast(dict[Any, Any], super().construct_mapping(node, deep))


def read_text(path: Path) -> str:
    """The text of a YAML file in UTF-8.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is not UTF-8, or longer than ``parse_yaml`` takes.
    """
    with path.open("rb") as file:
        content = file.read(MOST_YAML_BYTES + 1)
    if len(content) > MOST_YAML_BYTES:
        raise _too_long(str(path))
    try:
        return io.StringIO(decode(content), newline=None).read()
    except ValueError as error:
        raise ValueError(f"{path} is {error}: save it as UTF-8") from None


def parse_yaml(text: str, what: str, loader: type[PlainLoader] = PlainLoader) -> Any:
    """The value of a YAML text of plain values: no anchors, no tags such as ``!!set``.

    Args:
        text: the text.
        what: names the text in errors, such as its path.
        loader: a subclass that knows more tags.

    Raises:
        ValueError: if it is not such YAML, has a key twice, or is too long or too deep.
    """
    if len(text) > MOST_YAML_BYTES:
        raise _too_long(what)
    try:
        _check_events(text, loader)
        value = yaml.load(text, loader)
        check_nesting(value)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = one_line(getattr(error, "problem", None) or "a character that YAML forbids")
        raise ValueError(f"{what} is not valid YAML{line} ({problem}): fix the file") from None
    except (ValueError, TypeError, LookupError, RecursionError, ArithmeticError) as error:
        # A date that does not exist, a list as key, a number of too many digits.
        raise ValueError(
            f"{what} is not valid YAML ({one_line(str(error))}): fix the file"
        ) from None
    return value


def _too_long(what: str) -> ValueError:
    return ValueError(f"{what} is longer than {MOST_YAML_BYTES} bytes: fix the file")


def _check_events(text: str, loader: type[PlainLoader]) -> None:
    """Raise YAMLError at an anchor, a tag or a depth that no plain document has."""
    tags = {*loader.yaml_constructors} - {*yaml.SafeLoader.yaml_constructors} | {None, *_PLAIN_TAGS}
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        problem = None
        if getattr(event, "anchor", None) is not None:
            problem = "anchors and aliases are not read: write the value out"
        elif (tag := getattr(event, "tag", None)) not in tags:
            problem = f"the tag {shorten(tag)} is not read: write a plain value"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            problem = f"more than {MOST_DEPTH} levels"
        if problem is not None:
            mark = cast(yaml.Mark, event.start_mark)
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
