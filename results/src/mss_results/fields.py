"""Typed access to parsed JSON, with errors that name file and field."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mss_results.output import HIDDEN
from mss_results.small_file import check_values, decode

MAX_NUMBER = 2**63 - 1
_JOINERS = {0x200C: None, 0x200D: None}  # format characters of Persian, of Hindi and of emoji
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]*")


def check_name(name: str, where: str) -> str:
    """Return the name if it can be used in file names and markers.

    Raises:
        ValueError: if it has unsafe characters, or the "--" that joins data set and protocol.
    """
    if not _SAFE_NAME.fullmatch(name) or "--" in name:
        raise ValueError(
            f"{where} is {name!r}: use letters, digits and . _ + @ -, and no '--', "
            f"since table files are named after it"
        )
    return name


def check_part(name: str, where: str) -> str:
    """Return the name if it can be a single part of a path, which leads nowhere else.

    Raises:
        ValueError: if it is empty, `.` or `..`, or has slashes, control or format characters.
    """
    if name in (".", "..") or "/" in name or "\\" in name or not _is_text(name):
        raise ValueError(
            f"{where} has {_short(name)}: a name must be a single part of a path, without / and \\"
        )
    return name


@dataclass(frozen=True)
class Fields:
    """A JSON object that knows its file and its path in it, such as `dataset.`."""

    file: Path
    path: str
    values: Mapping[str, object]

    def where(self, name: str) -> str:
        return f"{self.file}: field {self.path}{name}"

    def _take(self, name: str, kinds: tuple[type, ...], wanted: str) -> object:
        if name not in self.values:
            raise ValueError(f"{self.where(name)} is missing: it must be {wanted}")
        value = self.values[name]
        # bool is a subclass of int, but true is not a count.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{self.where(name)} is {_short(value)}: it must be {wanted}")
        return value

    def _is_null(self, name: str) -> bool:
        return name in self.values and self.values[name] is None

    def text(self, name: str) -> str:
        """A non-empty string without control and format characters."""
        value = str(self._take(name, (str,), "a string"))
        if not _is_text(value):
            raise ValueError(
                f"{self.where(name)} is {_short(value)}: it must be a non-empty string without "
                f"control or format characters"
            )
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self._is_null(name) else self.text(name)

    def choice(self, name: str, legal: tuple[str, ...]) -> str:
        """One of the legal strings."""
        value = self.text(name)
        if value not in legal:
            raise ValueError(f"{self.where(name)} is {value!r}: it must be {_one_of(legal)}")
        return value

    def count(self, name: str) -> int:
        """An integer of at least 0."""
        value = self._take(name, (int,), "an integer of at least 0")
        assert isinstance(value, int)
        if not 0 <= value <= MAX_NUMBER:
            raise ValueError(
                f"{self.where(name)} is {_short(value)}: it must be between 0 and {MAX_NUMBER}"
            )
        return value

    def count_or_none(self, name: str) -> int | None:
        return None if self._is_null(name) else self.count(name)

    def number(self, name: str) -> float:
        """A JSON number, or the bare token NaN."""
        value = self._take(name, (int, float), "a number or NaN")
        assert isinstance(value, int | float)
        if math.isnan(value) or abs(value) <= MAX_NUMBER:
            return float(value)
        raise ValueError(
            f"{self.where(name)} is {_short(value)}: it must be a finite number or NaN"
        )

    def number_or_none(self, name: str) -> float | None:
        return None if self._is_null(name) else self.number(name)

    def flag(self, name: str) -> bool:
        return bool(self._take(name, (bool,), "true or false"))

    def flag_or_none(self, name: str) -> bool | None:
        return None if self._is_null(name) else self.flag(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A non-empty list of distinct strings."""
        values = self._take(name, (list,), "a list of strings")
        assert isinstance(values, list)
        if not values or not all(isinstance(value, str) and _is_text(value) for value in values):
            raise ValueError(
                f"{self.where(name)} is {_short(values)}: it must be a list of strings"
            )
        if len(set(values)) != len(values):
            raise ValueError(f"{self.where(name)} has a duplicate entry: list each entry once")
        return tuple(values)

    def names(self, name: str) -> tuple[str, ...]:
        """A non-empty list of distinct strings, each a single part of a path."""
        return tuple(check_part(each, self.where(name)) for each in self.texts(name))

    def any_texts(self, name: str) -> tuple[str, ...]:
        """A list of strings that may be empty, null or absent."""
        return () if not self.values.get(name) else self.texts(name)

    def texts_or_none(self, name: str) -> tuple[str, ...] | None:
        return None if self._is_null(name) else self.texts(name)

    def inner(self, name: str) -> "Fields":
        """The JSON object under a name."""
        values = self._take(name, (dict,), "a JSON object")
        assert isinstance(values, dict)
        return Fields(self.file, f"{self.path}{name}.", values)

    def inner_or_none(self, name: str) -> "Fields | None":
        return None if self._is_null(name) else self.inner(name)

    def items(self, name: str, most: int | None = None) -> tuple["Fields", ...]:
        """The JSON objects of a list, or the first `most` of them."""
        values = self._take(name, (list,), "a list of JSON objects")
        assert isinstance(values, list)
        values = values[:most]
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise ValueError(
                    f"{self.where(name)}[{index}] is {_short(value)}: it must be a JSON object"
                )
        return tuple(
            Fields(self.file, f"{self.path}{name}[{index}].", value)
            for index, value in enumerate(values)
        )


def parse_object(content: bytes, file: Path) -> Fields:
    """Parse a JSON object; accepts the bare token NaN, which museval writes.

    Raises:
        ValueError: if the content is not UTF-8 encoded JSON, or its top level is not an object.
    """
    try:
        check_values(content)
        values = json.loads(decode(content))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: invalid JSON ({error}): replace the file") from None
    if not isinstance(values, dict):
        raise ValueError(f"{file}: the top level is {_short(values)}: it must be a JSON object")
    return Fields(file, "", values)


def _one_of(legal: tuple[str, ...]) -> str:
    return "one of " + ", ".join(legal) if len(legal) > 1 else legal[0]


def _is_text(value: str) -> bool:
    visible = value.translate(_JOINERS)
    return bool(visible) and not any(unicodedata.category(each) in HIDDEN for each in visible)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
