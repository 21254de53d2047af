"""The flags of ``separate``, and the words of earlier programs they stand for. Loads no torch."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mss_shared.paper import Alias, AnyPaper
from mss_shared.separation.batch.inputs import SUFFIXES
from mss_shared.separation.output.options import CONTAINERS, LOSSLESS, SUBTYPES
from mss_shared.separation.passes import ENSEMBLES, MIRRORS, PRECISIONS

# Flags whose value may be left out, and what they then mean.
OPTIONAL = {"--lossless": ("mask", LOSSLESS), "--tta": ("both", ("both", *MIRRORS))}
# Their one value may look like a sound file and is none.
_ONE_VALUE = ("--out", "--list", "--filename", "--recipe", "--config_path")
Number = TypeVar("Number", int, float)
_TERM = re.compile(r"([+-]?)([^+-]+)")


def add_input_flags(verb: argparse.ArgumentParser) -> None:
    """What to separate."""
    verb.add_argument(
        "inputs",
        nargs="*",
        help="sound files, folders (with all below them), patterns, or - for a list on stdin",
    )
    verb.add_argument("--list", metavar="FILE", help="a file with an input a line; - for stdin")
    verb.add_argument(
        "--start", type=within(float, 0.0), default=0.0, help="skip so many seconds of a file"
    )
    verb.add_argument(
        "--duration", type=within(float, 1e-9), help="separate so many seconds, not all"
    )


def add_output_flags(verb: argparse.ArgumentParser, filename: str) -> None:
    """What to write, where, how; ``filename`` is the paper's pattern."""
    add = verb.add_argument
    add("--out", type=Path, default=Path("stems"), help="folder for the stems")
    add("--stems", nargs="+", help="write these alone; all if not given")
    add("--accompaniment", action="store_true", help="one more file: the song without vocals")
    add(
        "--aggregate",
        action="append",
        metavar="NAME=A+B",
        help="one more file: a sum of stems, or the song less some, as in karaoke=mixture-vocals; "
        'or sums as JSON, {"karaoke": ["drums", "bass"]}, which are then all that is written',
    )
    add(
        "--lossless",
        choices=LOSSLESS,
        help="files add up to the song: what is left is spread by energy (mask, if no word "
        "follows) or separated once more (rerun)",
    )
    add("--format", choices=CONTAINERS, default="same", help="same as the input if not given")
    add("--subtype", choices=SUBTYPES, help="sample format; the input's if not given")
    add("--filename", default=filename, help=f"below OUT, without suffix; {filename} if not given")
    add("--overwrite", action="store_true", help="finished songs as well")
    add("--quiet", action="store_true", help="print errors alone")
    add("--json", action="store_true", help="print a JSON object per song, and nothing else")


def add_context_flag(verb: argparse.ArgumentParser) -> None:
    """``--context_seconds``."""
    verb.add_argument(
        "--context_seconds",
        type=within(float, 0.0),
        help="heard on both sides of a piece and thrown away",
    )


def add_quality_flags(verb: argparse.ArgumentParser) -> None:
    """What costs time, or saves it."""
    add_context_flag(verb)
    add = verb.add_argument
    add(
        "--tta",
        choices=("both", *MIRRORS),
        help="average with the inverted mixture, with swapped channels, or both",
    )
    add("--shifts", type=within(int, 1), default=1, help="average over so many delays")
    add(
        "--ensemble",
        choices=ENSEMBLES,
        help="how checkpoints of the same stems are combined; mean if not given",
    )
    add("--precision", choices=PRECISIONS, default="fp32", help="of the model's products")
    add("--compile", action="store_true", help="compile the model first")


def within(kind: type[Number], least: Number, below: float = math.inf) -> Callable[[str], Number]:
    """A number of at least so much and below so much, for argparse; never infinite, never NaN."""

    def number(word: str) -> Number:
        value = kind(word)
        if not least <= value < below:
            wanted = f"at least {least}" + (f" and below {below}" if below < math.inf else "")
            raise argparse.ArgumentTypeError(f"{word} is out of range: give {wanted}")
        return value

    number.__name__ = kind.__name__  # argparse names it where a word is no number
    return number


def device_name(word: str) -> str:
    """``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:1``, for argparse."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", word):
        raise argparse.ArgumentTypeError(
            f"invalid choice: {word!r} (choose from auto, cpu, cuda, cuda:<number>, mps)"
        )
    return word


def describe_aliases(aliases: Sequence[Alias]) -> str | None:
    """A line for ``--help``."""
    if not aliases:
        return None
    told = [f"{a.name} {'VALUE ' if a.has_value else ''}is {_words(a)}" for a in aliases]
    return f"Flags of earlier programs: {'; '.join(told)}."


def _words(alias: Alias) -> str:
    words = " ".join(word.replace("{}", "VALUE") for word in alias.words)
    return words or ("not needed, the weights tell" if alias.has_value else "what is done anyway")


def rewrite(words: Sequence[str], paper: AnyPaper) -> list[str]:
    """The words after ``separate`` as argparse takes them.

    Flags of earlier programs become ours, optional values are written out, and sound files, and
    all that follows a lone ``--``, go to the front, where no flag with several values takes them.

    Raises:
        ValueError: if an earlier program's flag lacks its value or has another than it may.
    """
    end = words.index("--") if "--" in words else len(words)
    named = [f"./{word}" if word.startswith("-") else word for word in words[end + 1 :]]
    return [*named, *_files_first(_with_values(_without_aliases(words[:end], paper.aliases)))]


def _without_aliases(words: Sequence[str], aliases: Sequence[Alias]) -> list[str]:
    known = {alias.name: alias for alias in aliases}
    inputs: list[str] = []  # what stands for an input goes to the front
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        name, given, value = word.partition("=")
        alias = known.get(name)
        if alias is None:
            others.append(word)
            continue
        if alias.has_value:
            value = value if given else next(rest, "")
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
    before = ["", *words]
    is_file = [
        not word.startswith("-")
        and Path(word).suffix.lower() in SUFFIXES
        and before[number] not in _ONE_VALUE
        for number, word in enumerate(words)
    ]
    paired = list(zip(words, is_file, strict=True))
    return [word for word, first in paired if first] + [w for w, first in paired if not first]


def read_sums(words: Sequence[str], accompaniment: bool) -> tuple[dict[str, tuple[str, ...]], bool]:
    """The sums that ``--aggregate`` and ``--accompaniment`` ask for.

    Returns:
        Name -> parts, a minus sign before what is subtracted; and whether the sums are all that is
        written, as they are where they come as JSON.

    Raises:
        ValueError: if one is neither NAME=A+B nor JSON, or a name comes twice.
    """
    sums: dict[str, tuple[str, ...]] = {}
    alone = False
    for word in words:
        is_json = word.lstrip().startswith("{")
        alone |= is_json
        for name, parts in (_read_json(word) if is_json else _read_sum(word)).items():
            if name in sums:
                raise ValueError(f"--aggregate gives {name} twice: name each sum once")
            sums[name] = parts
    if accompaniment:
        sums.setdefault("accompaniment", ("mixture", "-vocals"))
    return sums, alone


def check_sums(
    sums: Mapping[str, Sequence[str]], stems: Sequence[str], wanted: Sequence[str] | None
) -> None:
    """Raise ValueError unless the stems asked for, and the parts of sums, are the model's."""
    for name in wanted or ():
        if name not in stems:
            raise ValueError(f"there is no stem {name!r}: choose --stems from {', '.join(stems)}")
    for name, parts in sums.items():
        if name in stems:
            raise ValueError(f"the sum {name!r} has the name of a stem: give it another")
        for part in parts:
            if part.lstrip("-") not in (*stems, "mixture"):
                raise ValueError(
                    f"the sum {name!r} has the part {part.lstrip('-')!r}: choose from mixture, "
                    f"{', '.join(stems)}"
                )


def _read_sum(word: str) -> dict[str, tuple[str, ...]]:
    name, _, formula = (part.strip() for part in word.partition("="))
    terms = _TERM.findall(formula)
    parts = tuple(("-" if sign == "-" else "") + part.strip() for sign, part in terms)
    if not name or not parts or "".join(sign + part for sign, part in terms) != formula:
        raise ValueError(f"--aggregate {word} is no sum: write it as karaoke=drums+bass+other")
    return {name: parts}


def _read_json(word: str) -> dict[str, tuple[str, ...]]:
    try:
        found = json.loads(word)
    except json.JSONDecodeError as error:
        raise ValueError(f"--aggregate {word} is not JSON ({error.msg}): quote it whole") from None
    if not all(
        isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts)
        for parts in found.values()
    ):
        raise ValueError(
            f"--aggregate {word} is no object of lists: write "
            f'{{"karaoke": ["drums", "bass", "other"]}}'
        )
    return {name: tuple(parts) for name, parts in found.items()}
