"""Nonsense lyrics, spelt in the phoneme mnemonics of espeak-ng's American English."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SYLLABLES_PER_SONG = 26

ONSETS = (
    ("b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "S", "t")
    + ("v", "w", "z", "tS", "dZ", "T", "bl", "br", "dr", "fl", "gl", "kr", "sl", "st", "tr")
)  # fmt: skip
VOWELS = ("a", "A:", "E", "I", "i:", "u:", "U", "V", "oU", "eI", "aI", "O:", "3:")
#: The empty coda is listed several times, because open syllables sing best.
CODAS = ("", "", "", "", "", "n", "m", "l", "s", "t", "d", "z", "k", "N", "v", "nd", "st")

#: Phonemes made without the vocal folds; consonants outside of this table are voiced.
UNVOICED = frozenset({"p", "t", "k", "f", "T", "s", "S", "h", "tS", "t#"})
#: Voiced phonemes that carry strong noise.
BREATHY = frozenset({"v", "z", "Z", "D", "dZ"})


@dataclass(frozen=True)
class Syllable:
    """Onset consonants (may be empty), one vowel, coda consonants (may be empty)."""

    onset: str
    vowel: str
    coda: str

    @property
    def spelling(self) -> str:
        """The stressed syllable as espeak-ng reads it."""
        return f"[[{self.onset}'{self.vowel}{self.coda}]]"


def write_lyrics(rng: np.random.Generator) -> list[Syllable]:
    """The different syllables of one song, sorted by spelling."""
    syllables: dict[str, Syllable] = {}
    while len(syllables) < SYLLABLES_PER_SONG:
        onset = ONSETS[rng.integers(len(ONSETS))]
        vowel = VOWELS[rng.integers(len(VOWELS))]
        syllable = Syllable(onset, vowel, CODAS[rng.integers(len(CODAS))])
        syllables[syllable.spelling] = syllable
    return [syllables[spelling] for spelling in sorted(syllables)]
