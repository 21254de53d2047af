"""Who sings: espeak-ng voice variants, split between training and test, and how they sing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Voice variants of espeak-ng that keep a clear tone; every third of a list is kept for test songs.
WOMEN = ("f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "aunty", "belinda", "linda")
MEN = (
    ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "Alex", "victor", "Denis", "Diogo", "Hugo", "Lee")
    + ("pablo", "Mario", "Michael", "Mike", "adam", "robert", "sandro")
)  # fmt: skip


@dataclass(frozen=True)
class Singer:
    """A voice and its habits.

    Attributes:
        variant: espeak-ng voice variant.
        pitch: espeak-ng's pitch setting, 0 to 100.
        lowest: lowest MIDI pitch of the range.
        formant_shift: factor on the frequencies of the spectral envelope.
        vibrato_hz, vibrato_cents: rate and amplitude of the vibrato on long notes.
        glide_seconds: time between two pitches of a phrase.
        scoop_semitones: how far below its first pitch a phrase starts.
        doubled: sings the chorus twice, one take on each side.
        harmony: adds a diatonic third to the chorus.
    """

    variant: str
    pitch: int
    lowest: int
    formant_shift: float
    vibrato_hz: float
    vibrato_cents: float
    glide_seconds: float
    scoop_semitones: float
    doubled: bool
    harmony: bool


def voices_for(split: str) -> tuple[tuple[str, bool], ...]:
    """(variant, is a woman) of every voice a split may use; the two splits share none."""
    voices = [(name, True) for name in WOMEN] + [(name, False) for name in MEN]
    held_out = split != "train"
    return tuple(voice for index, voice in enumerate(voices) if (index % 3 == 2) == held_out)


def cast_singer(split: str, rng: np.random.Generator) -> Singer:
    """One singer; women and men are equally likely."""
    woman = bool(rng.random() < 0.5)
    names = [name for name, is_woman in voices_for(split) if is_woman == woman]
    lowest = rng.integers(57, 60) if woman else rng.integers(47, 51)
    return Singer(
        variant=names[rng.integers(len(names))],
        pitch=int(rng.integers(45, 61)),
        lowest=int(lowest),
        formant_shift=float(rng.uniform(0.95, 1.10)),
        vibrato_hz=float(rng.uniform(4.8, 6.4)),
        vibrato_cents=float(rng.uniform(20.0, 55.0)),
        glide_seconds=float(rng.uniform(0.045, 0.115)),
        scoop_semitones=float(rng.uniform(0.4, 2.0)),
        doubled=bool(rng.random() < 0.45),
        harmony=bool(rng.random() < 0.4),
    )
