"""The flags of ``separate``, and flags of other programs that it accepts. Imports no torch."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mss_shared.json_text import parse_json
from mss_shared.paper import Alias, AnyPaper
from mss_shared.separation.output.options import CONTAINERS, LOSSLESS, SUBTYPES
from mss_shared.separation.passes import ENSEMBLES, MIRRORS, PRECISIONS

# Flags whose value may be left out: the default value then, and the choices.
OPTIONAL = {"--lossless": ("mask", LOSSLESS), "--tta": ("both", ("both", *MIRRORS))}
# Flags with one value, which may look like an audio file but is not an input.
_ONE_VALUE = ("--out", "--list", "--list0", "--filename", "--recipe", "--config_path")
Number = TypeVar("Number", int, float)
_TERM = re.compile(r"([+-]?)([^+-]+)")


def add_input_flags(verb: argparse._ActionsContainer) -> None:
    """Flags for what to separate."""
    verb.add_argument(
        "inputs",
        nargs="*",
        help="audio files, folders (searched recursively), patterns, or - for a list on stdin",
    )
    verb.add_argument(
        "--list", metavar="FILE", help="text file with one input per line; - for stdin"
    )
    verb.add_argument(
        "--list0",
        metavar="FILE",
        help="list whose entries end with NUL, as find -print0 writes them; - for stdin; "
        "also --list FILE -0, and --list -0 for stdin",
    )
    verb.add_argument(
        "--start", type=within(float, 0.0), default=0.0, help="skip the first START seconds"
    )
    verb.add_argument(
        "--duration",
        type=within(float, 1e-9),
        help="separate DURATION seconds; default: to the end",
    )


def add_output_flags(verb: argparse._ActionsContainer, filename: str) -> None:
    """Flags for what to write, where and how; ``filename`` is the paper's pattern."""
    add = verb.add_argument
    add("--out", type=Path, default=Path("stems"), help="output folder; default: stems")
    add("--stems", nargs="+", help="write only these stems; default: all")
    add("--accompaniment", action="store_true", help="also write the song without vocals")
    add(
        "--aggregate",
        action="append",
        metavar="NAME=A+B",
        help="also write a sum of stems, or the mixture minus some, as in karaoke=mixture-vocals; "
        'given as JSON, {"karaoke": ["drums", "bass"]}, only the sums are written',
    )
    add(
        "--lossless",
        choices=LOSSLESS,
        help="make the stems add up to the song: distribute the residual by energy (mask, the "
        "default without a value) or separate it again (rerun)",
    )
    add("--format", choices=CONTAINERS, default="same", help="file format; default: the input's")
    add("--subtype", choices=SUBTYPES, help="sample format; default: the input's")
    add(
        "--filename",
        default=filename,
        help=f"path of a stem below OUT, without suffix; default: {filename}",
    )
    add("--overwrite", action="store_true", help="separate finished songs again")
    add("--quiet", action="store_true", help="print only errors")
    add("--json", action="store_true", help="print one JSON object per song and nothing else")


def add_context_flag(verb: argparse._ActionsContainer) -> None:
    """The flag ``--context_seconds``."""
    verb.add_argument(
        "--context_seconds",
        type=within(float, 0.0),
        help="context on both sides of a chunk, whose output is discarded; overrides the recipe",
    )


def add_quality_flags(verb: argparse._ActionsContainer) -> None:
    """Flags that trade time for quality."""
    add = verb.add_argument
    add(
        "--tta",
        choices=("both", *MIRRORS),
        help="test-time augmentation: average with the polarity inverted, the channels swapped, or "
        "both",
    )
    add("--shifts", type=within(int, 1), default=1, help="average over SHIFTS delays")
    add(
        "--ensemble",
        choices=ENSEMBLES,
        help="how checkpoints of the same stems are combined; default: mean",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of matrix products and convolutions; others are faster on a GPU; default: fp32",
    )
    add(
        "--compile",
        action="store_true",
        help="compile the model with torch.compile; the first chunk then takes minutes",
    )


def within(
    number_type: type[Number], least: Number, below: float = math.inf
) -> Callable[[str], Number]:
    """An argparse type: numbers from ``least`` to below ``below``, neither infinite nor NaN."""

    def parse_number(word: str) -> Number:
        value = number_type(word)
        if not least <= value < below:
            wanted = f"at least {least}" + (f" and below {below}" if below < math.inf else "")
            raise argparse.ArgumentTypeError(f"{word} is out of range: give {wanted}")
        return value

    parse_number.__name__ = number_type.__name__  # argparse's error shows it: "invalid int value"
    return parse_number


def device_name(word: str) -> str:
    """An argparse type: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:1``."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", word):
        raise argparse.ArgumentTypeError(
            f"invalid choice: {word!r} (choose from auto, cpu, cuda, cuda:<number>, mps)"
        )
    return word


def describe_aliases(aliases: Sequence[Alias]) -> str | None:
    """The aliases in a sentence for ``--help``; None if there are none."""
    if not aliases:
        return None
    meanings = [f"{a.name} {'VALUE ' if a.has_value else ''}{_meaning(a)}" for a in aliases]
    return f"Flags of other programs are accepted: {'; '.join(meanings)}."


def _meaning(alias: Alias) -> str:
    if alias.words == ("{}",):
        return "means the input VALUE"
    words = " ".join(word.replace("{}", "VALUE") for word in alias.words)
    return f"means {words}" if words else "is not needed"


def rewrite(words: Sequence[str], paper: AnyPaper) -> list[str]:
    """Rewrite the words after ``separate`` for argparse.

    Flags of other programs become ours and optional values are written out. Audio files, and all
    words after ``--``, go to the front, where a flag with several values cannot swallow them.

    Raises:
        ValueError: if the flag of another program lacks its value or has an invalid one.
    """
    end = words.index("--") if "--" in words else len(words)
    named = [f"./{word}" if word.startswith("-") else word for word in words[end + 1 :]]
    plain = _with_nul(_without_aliases(words[:end], paper.aliases))
    return [*named, *_files_first(_with_values(plain))]


def _with_nul(words: Sequence[str]) -> list[str]:
    """Write ``--list -0`` and ``--list FILE -0``, as of xargs and tar, as ``--list0``."""
    if "-0" not in words or "--list" not in words:
        return list(words)
    rest = [word for word in words if word != "-0"]
    at = rest.index("--list")
    name = rest[at + 1] if at + 1 < len(rest) else "--"
    return [*rest[:at], "--list0", *(["-"] if name.startswith("--") else []), *rest[at + 1 :]]


def _without_aliases(words: Sequence[str], aliases: Sequence[Alias]) -> list[str]:
    known = {alias.name: alias for alias in aliases}
    inputs: list[str] = []  # aliases of inputs go to the front
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        alias = known.get(name)
        if alias is None:
            others.append(word)
            continue
        if alias.has_value:
            value = value if equals else next(rest, "")
            if not value or (alias.choices is not None and value not in alias.choices):
                legal = " or ".join(alias.choices or ("one",))
                raise ValueError(f"{name} has the value {value!r}: give {legal}")
        filled = [part.replace("{}", value) for part in alias.words]
        (inputs if alias.words == ("{}",) else others).extend(filled)
    return [*inputs, *others]


def _with_values(words: Sequence[str]) -> list[str]:
    rewritten: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in OPTIONAL:
            default, legal = OPTIONAL[word]
            word = f"{word}={rest.pop(0) if rest and rest[0] in legal else default}"
        rewritten.append(word)
    return rewritten


def _files_first(words: Sequence[str]) -> list[str]:
    if all(word.startswith("-") for word in words):
        return [*words]
    from mss_shared.audio.formats import SOUND_SUFFIXES

    before = ["", *words]
    is_file = [
        not word.startswith("-")
        and Path(word).suffix.lower() in SOUND_SUFFIXES
        and before[index] not in _ONE_VALUE
        for index, word in enumerate(words)
    ]
    paired = list(zip(words, is_file, strict=True))
    return [word for word, first in paired if first] + [w for w, first in paired if not first]


def read_sums(words: Sequence[str], accompaniment: bool) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Parse the sums of ``--aggregate`` and ``--accompaniment``.

    Returns:
        Name -> parts, with a minus sign before those that are subtracted; and whether only the sums
        are written, which is what JSON asks for.

    Raises:
        ValueError: if one is neither NAME=A+B nor JSON, or two have the same name.
    """
    sums: dict[str, tuple[str, ...]] = {}
    sums_only = False
    for word in words:
        is_json = word.lstrip().startswith("{")
        sums_only |= is_json
        for name, parts in (_read_json(word) if is_json else _read_sum(word)).items():
            if not name.rpartition("/")[2].strip():
                raise ValueError(f"--aggregate {word} has an empty name: name each sum")
            if name in sums:
                raise ValueError(f"--aggregate gives {name} twice: name each sum once")
            sums[name] = parts
    if accompaniment:
        sums.setdefault("accompaniment", ("mixture", "-vocals"))
    return sums, sums_only


def check_sums(
    sums: Mapping[str, Sequence[str]], stems: Sequence[str], wanted: Sequence[str] | None
) -> None:
    """Raise ValueError unless the wanted stems, and the parts of sums, are the model's."""
    for name in wanted or ():
        if name not in stems:
            raise ValueError(f"there is no stem {name!r}: choose --stems from {', '.join(stems)}")
    for name, parts in sums.items():
        if name in stems:
            raise ValueError(f"the sum {name!r} has the name of a stem: choose another name")
        for part in parts:
            if part.lstrip("-") not in (*stems, "mixture"):
                raise ValueError(
                    f"the sum {name!r} has the unknown part {part.lstrip('-')!r}: choose from "
                    f"mixture, {', '.join(stems)}"
                )


def _read_sum(word: str) -> dict[str, tuple[str, ...]]:
    name, _, formula = (part.strip() for part in word.partition("="))
    terms = _TERM.findall(formula)
    parts = tuple(("-" if sign == "-" else "") + part.strip() for sign, part in terms)
    if not name or not parts or "".join(sign + part for sign, part in terms) != formula:
        raise ValueError(f"--aggregate {word} is not a sum: write it as karaoke=drums+bass+other")
    return {name: parts}


def _read_json(word: str) -> dict[str, tuple[str, ...]]:
    sums = parse_json(word, f"--aggregate {word}", "quote it as one word")
    if not isinstance(sums, dict) or not all(
        isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts)
        for parts in sums.values()
    ):
        raise ValueError(
            f"--aggregate {word} is not an object of lists: write "
            f'{{"karaoke": ["drums", "bass", "other"]}}'
        )
    return {name: tuple(parts) for name, parts in sums.items()}
