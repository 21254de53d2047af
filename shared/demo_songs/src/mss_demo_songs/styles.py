"""The twelve styles: tempo, swing, and the General MIDI programs of each role.

Programs count from 0. Within a style the test songs take the programs that stand last in a list
and the training songs the others, so that a test song has instruments its style did not train on;
a list of one serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Pads: strings, synth pads, organs, vibraphone; never the voice programs below.
PADS = (48, 89, 16, 50, 94, 17, 11, 49, 90, 18, 51, 19, 20)
#: Choir aahs, voice oohs, synth voice, voice lead, choir pad: only ever in the vocals stem.
VOICE_PROGRAMS = (52, 53, 54, 85, 91)
#: Pitch classes of the key; the test keys are never trained on.
TRAIN_KEYS = (0, 2, 3, 5, 7, 8, 9, 10)
TEST_KEYS = (1, 4, 6, 11)


@dataclass(frozen=True)
class Style:
    """The table row of a style.

    Attributes:
        bpm: range of the tempo in beats per minute.
        bass, chords, leads, kits: General MIDI programs (kits: drum kit programs).
        comping: names of the comping kinds in `comping.py`.
        swing: range of the share that the first of two paired steps takes; 0.5 is straight.
        swung_steps: sixteenth steps in a swung pair: 4 swings eighths, 2 swings sixteenths.
        sevenths: probability of seventh chords.
    """

    bpm: tuple[int, int]
    bass: tuple[int, ...]
    chords: tuple[int, ...]
    leads: tuple[int, ...]
    kits: tuple[int, ...]
    comping: tuple[str, ...]
    swing: tuple[float, float] = (0.5, 0.5)
    swung_steps: int = 4
    sevenths: float = 0.2


STYLES: dict[str, Style] = {
    "pop": Style(
        bpm=(92, 126),
        bass=(33, 34, 38),
        chords=(0, 4, 24, 25, 27),
        leads=(80, 81, 73, 65, 26),
        kits=(0, 8, 16),
        comping=("strum", "block", "pulse", "arpeggio"),
    ),
    "rock": Style(
        bpm=(108, 156),
        bass=(33, 34),
        chords=(29, 30),
        leads=(30, 29, 81),
        kits=(0, 16),
        comping=("power", "chug", "strum"),
    ),
    "funk": Style(
        bpm=(92, 116),
        bass=(36, 37, 33),
        chords=(27, 28, 7, 4),
        leads=(61, 65, 66, 7),
        kits=(0, 8, 32),
        comping=("funk", "stabs", "offbeat"),
        swing=(0.5, 0.56),
        swung_steps=2,
        sevenths=0.9,
    ),
    "ballad": Style(
        bpm=(62, 82),
        bass=(32, 33, 35),
        chords=(0, 1, 24, 4),
        leads=(73, 68, 40, 71),
        kits=(0, 40, 8),
        comping=("arpeggio", "alberti", "block"),
    ),
    "disco": Style(
        bpm=(112, 128),
        bass=(38, 39, 33),
        chords=(4, 27, 90, 0),
        leads=(81, 61, 62, 73),
        kits=(0, 24, 25),
        comping=("offbeat", "funk", "pulse", "stabs"),
    ),
    "reggae": Style(
        bpm=(72, 92),
        bass=(33, 32),
        chords=(27, 16, 25),
        leads=(66, 57, 22, 75),
        kits=(0, 8),
        comping=("skank", "offbeat"),
        swing=(0.5, 0.56),
        swung_steps=2,
    ),
    "bossa": Style(
        bpm=(112, 144),
        bass=(32, 35),
        chords=(24, 26, 4),
        leads=(73, 66, 11, 71),
        kits=(32, 40),
        comping=("bossa", "charleston"),
        sevenths=0.9,
    ),
    "swing": Style(
        bpm=(116, 176),
        bass=(32,),
        chords=(0, 26, 16),
        leads=(65, 66, 56, 71, 57),
        kits=(32, 40),
        comping=("charleston", "pulse", "stabs"),
        swing=(0.62, 0.67),
        sevenths=0.9,
    ),
    "hiphop": Style(
        bpm=(78, 98),
        bass=(38, 39, 33),
        chords=(4, 5, 0, 11),
        leads=(80, 81, 75),
        kits=(25, 24, 0),
        comping=("block", "stabs", "arpeggio", "pulse"),
        swing=(0.5, 0.6),
        swung_steps=2,
    ),
    "house": Style(
        bpm=(120, 130),
        bass=(38, 39),
        chords=(90, 81, 0, 4),
        leads=(81, 80, 87),
        kits=(25, 24),
        comping=("offbeat", "stabs", "arpeggio"),
    ),
    "country": Style(
        bpm=(96, 136),
        bass=(32, 34),
        chords=(25, 24),
        leads=(110, 105, 22, 25),
        kits=(0, 40, 8),
        comping=("boom_chuck", "strum", "alberti"),
    ),
    "metal": Style(
        bpm=(132, 180),
        bass=(34, 33),
        chords=(30, 29),
        leads=(30, 84),
        kits=(16, 0),
        comping=("chug", "power"),
    ),
}


def programs_for(split: str, programs: Sequence[int]) -> tuple[int, ...]:
    """The programs of a list that a split may use; "train" gets about two thirds of them."""
    if len(programs) == 1:
        return tuple(programs)
    held_out = max(1, len(programs) // 3)
    return tuple(programs[:-held_out] if split == "train" else programs[-held_out:])


def keys_for(split: str) -> tuple[int, ...]:
    """The pitch classes that a split's keys are drawn from."""
    return TRAIN_KEYS if split == "train" else TEST_KEYS
