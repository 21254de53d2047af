"""All that the command prints: names in it can neither steer the terminal nor end the command."""

import sys
import unicodedata
from typing import TextIO

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, surrogate, line and paragraph ends


def print_any_text() -> None:
    """Let both streams show what they can't encode as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def escaped(text: str) -> str:
    """The text with control and format characters but line feeds as Python writes them."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_shown(each) for each in text)


def say(line: str, stream: TextIO | None = None) -> None:
    """Print one line, on stdout if no stream is given; line feeds in it are escaped."""
    say_lines(line.replace("\n", r"\n") + "\n", stream)


def say_lines(text: str, stream: TextIO | None = None) -> None:
    """Print lines that end in line feeds, on stdout if no stream is given."""
    print(escaped(text), end="", file=stream)


def _shown(sign: str) -> str:
    if sign == "\n" or unicodedata.category(sign) not in HIDDEN:
        return sign
    code = ord(sign)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
