"""Odd versions of a JSON or YAML text, for tests of the readers of files from outside."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**40,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "\x1b[31m",
    "..",
    "/../../elsewhere",
    "a" * 5000,
    "\ud800",
    "\udcff",
    "=1+1",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"x//elsewhere/precious": {}},
)
_BYTES = (b"\0", b"\xff", b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b"&a [*a]", b"!!set ", b"\n")


def mutate_value(value: Any, choose: random.Random) -> Any:
    """A copy in which one place, chosen at random, is odd, missing, doubled or renamed."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places or choose.random() < 0.05:
        return choose.choice(ODD_VALUES)
    holder, key = choose.choice(places)
    act = choose.randrange(5)
    if act == 0:
        del holder[key]
    elif act == 1 and isinstance(holder, dict):
        holder[choose.choice(("", "odd", "x" * 300, "..", "/"))] = holder.pop(key)
    elif act == 1:
        holder.append(copy.deepcopy(holder[key]))
    elif act == 2:
        holder[key] = [holder[key]]
    else:
        holder[key] = copy.deepcopy(choose.choice(ODD_VALUES))
    return value


def mutate_bytes(content: bytes, choose: random.Random) -> bytes:
    """A copy that is cut, or has a byte changed, or odd bytes put into it."""
    at = choose.randrange(len(content) + 1)
    act = choose.randrange(3)
    if act == 0:
        return content[:at]
    if act == 1:
        return content[:at] + bytes([choose.randrange(256)]) + content[at + 1 :]
    return content[:at] + choose.choice(_BYTES) + content[at:]


def mutate_json(value: Any, choose: random.Random) -> bytes:
    """The JSON of a value with one fault, in its values or in its bytes."""
    if choose.random() < 0.3:
        return mutate_bytes(json.dumps(value).encode(), choose)
    return json.dumps(mutate_value(value, choose)).encode()


def count_escapes(
    read: Callable[[bytes], object],
    odd: Callable[[random.Random], bytes],
    tries: int,
    seed: int = 0,
) -> dict[str, int]:
    """How often a reader ended in anything but a result, a ValueError or an OSError of one line.

    Args:
        read: takes the odd bytes.
        odd: makes them.
        tries: how many.
        seed: of the first; each try has its own.

    Returns:
        Description of what escaped, with the seed of the first -> count; empty if nothing did.
    """
    escaped: dict[str, int] = {}
    first: dict[str, str] = {}
    for number in range(seed, seed + tries):
        content = odd(random.Random(number))
        kind = _escape(read, content)
        if kind is None:
            continue
        name = first.setdefault(kind, f"{kind} (seed {number})")
        escaped[name] = escaped.get(name, 0) + 1
    return escaped


def _escape(read: Callable[[bytes], object], content: bytes) -> str | None:
    """What a reader ended in, None for a result or one plain sentence."""
    try:
        read(content)
    except (ValueError, OSError) as error:
        message = str(error)
        is_plain = "\n" not in message and message.isprintable() and len(message) < 2000
        return None if is_plain else f"{type(error).__name__} that is no plain sentence"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:80]!r}"
    return None


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a nested value."""
    keys: Any = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])
