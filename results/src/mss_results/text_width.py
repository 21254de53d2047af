"""Estimates how wide LaTeX sets a text, in points of its standard font, rather too wide."""

# Widths of cmr10's characters in hundredths of a point; D. E. Knuth's font metrics, rounded.
_WIDTHS = {
    **dict.fromkeys("0123456789/", 500),
    **dict.fromkeys("abcdefghijklm", 500),
    **{"b": 556, "c": 444, "d": 556, "e": 444, "f": 306, "h": 556, "i": 278, "j": 306},
    **{"k": 528, "l": 278, "m": 833, "n": 556, "o": 526, "p": 556, "q": 528, "r": 392},
    **{"s": 394, "t": 389, "u": 556, "v": 528, "w": 722, "x": 528, "y": 528, "z": 444},
    **{"A": 750, "B": 708, "C": 722, "D": 764, "E": 681, "F": 653, "G": 785, "H": 750},
    **{"I": 386, "J": 514, "K": 778, "L": 625, "M": 917, "N": 750, "O": 778, "P": 681},
    **{"Q": 778, "R": 736, "S": 556, "T": 722, "U": 750, "V": 750, "W": 1028, "X": 750},
    **{"Y": 750, "Z": 611, " ": 333, "-": 333, "(": 389, ")": 389, "[": 278, "]": 278},
    **{".": 278, ",": 278, ":": 278, ";": 278, "'": 278, "_": 361, "!": 278, "?": 472},
}
_WIDEST = 1028  # of all others
_FOOTNOTE = 0.851  # cmr8, set at 8 points, against cmr10
_BOLD = 1.23  # at most, against the upright font
_SUPERSCRIPT = 0.78


def footnote_width(text: str, *, bold: bool = False) -> float:
    r"""Points that the text takes in \footnotesize of an article at 10 points."""
    width = sum(_WIDTHS.get(sign, _WIDEST) for sign in text) / 100
    return width * _FOOTNOTE * (_BOLD if bold else 1.0)


def superscript_width(text: str) -> float:
    r"""Points that \textsuperscript takes there."""
    return footnote_width(text) * _SUPERSCRIPT
