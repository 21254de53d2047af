"""The fourteen ways to accompany: what a chord part does with one bar of harmony.

Each kind maps (chord, voicing, generator) to events in steps; `compose_chords` gives them times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mss_demo_songs.drums import nudge, play
from mss_demo_songs.harmony import close_voicing, power_voicing
from mss_demo_songs.score import Chord, Clock, Note, Section


@dataclass(frozen=True)
class Strike:
    """Pitches struck together at `step` for `held` steps.

    `roll` is the delay between neighbours in seconds: positive from the lowest up, negative from
    the highest down.
    """

    step: float
    held: float
    pitches: tuple[int, ...]
    velocity: int
    roll: float = 0.0


Comping = Callable[[Chord, list[int], np.random.Generator], list[Strike]]


def _rhythm(pattern: str, pitches: list[int], held: float, loud: int = 88) -> list[Strike]:
    """One strike per digit of a 16-step pattern; the digit is its loudness."""
    return [
        Strike(step, held, tuple(pitches), loud - 45 + 5 * int(digit))
        for step, digit in enumerate(pattern)
        if digit != "."
    ]


def _block(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Whole or half notes."""
    if rng.random() < 0.5:
        return _rhythm("8...............", pitches, 15.5)
    return _rhythm("8.......7.......", pitches, 7.6)


def _strum(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Guitar strums: down on the beat, up between, with an octave doubling."""
    pattern = ("9...7.6...6.7.6.", "9.5.7.56..6.7.56", "9...7...7.6.7.6.")[rng.integers(3)]
    full = tuple(sorted({pitches[0] - 12, *pitches, pitches[0] + 12}))
    strikes = []
    for step, digit in enumerate(pattern):
        if digit != ".":
            roll = 0.014 if step % 4 == 0 else -0.009
            strikes.append(Strike(step, 3.2, full, 40 + 6 * int(digit), roll))
    return strikes


def _offbeat(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Eighths between the beats."""
    return _rhythm("..8...8...8...8.", pitches, 1.6)


def _skank(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Reggae: short chops on the second and fourth beat, at times doubled."""
    pattern = "....9.......9..." if rng.random() < 0.6 else "....9.6.....9.6."
    high = [pitch + 12 if pitch < 58 else pitch for pitch in pitches]
    return [
        Strike(hit.step, hit.held, hit.pitches, hit.velocity, 0.006)
        for hit in _rhythm(pattern, sorted(high), 0.9)
    ]


def _funk(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Muted sixteenths around accented chords."""
    pattern = ("9.2392.29.2392.2", "29.2.92.29.2.9.2", "9229.229.2292.92")[rng.integers(3)]
    return [
        Strike(step, 0.9 if digit > "4" else 0.35, tuple(pitches), 42 + 6 * int(digit), 0.004)
        for step, digit in enumerate(pattern)
        if digit != "."
    ]


def _stabs(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """A few short accents."""
    pattern = ("9..8..8.........", "9.....8..8......", "..8..8....9.....")[rng.integers(3)]
    return _rhythm(pattern, pitches, 1.2, loud=92)


def _arpeggio(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Broken chord in eighths, up and down."""
    ladder = [*pitches, pitches[0] + 12]
    order = ladder + ladder[-2:0:-1]
    return [
        Strike(2 * k, 3.0, (order[k % len(order)],), 84 if k % 4 == 0 else 74) for k in range(8)
    ]


def _alberti(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Low, high, middle, high."""
    low, middle, high = pitches[0], pitches[len(pitches) // 2], pitches[-1]
    order = (low, high, middle, high)
    return [Strike(2 * k, 2.4, (order[k % 4],), 82 if k % 4 == 0 else 70) for k in range(8)]


def _power(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Held fifths."""
    fifths = power_voicing(chord, 40)
    pattern = ("9...............", "9.....8.........", "9.......8...8...")[rng.integers(3)]
    steps = [step for step, digit in enumerate(pattern) if digit != "."]
    ends = [*steps[1:], 16]
    return [
        Strike(step, end - step - 0.3, tuple(fifths), 92)
        for step, end in zip(steps, ends, strict=True)
    ]


def _chug(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Short low fifths in eighths or gallops, with open accents."""
    fifths = power_voicing(chord, 40)
    pattern = ("9.6.6.6.8.6.6.6.", "9.669.669.669.66", "9.6.6.8...6.6.8.")[rng.integers(3)]
    return [
        Strike(step, 1.8 if digit > "7" else 0.7, tuple(fifths[:2]), 50 + 5 * int(digit))
        for step, digit in enumerate(pattern)
        if digit != "."
    ]


def _bossa(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """The two-three guitar figure."""
    pattern = "8..8..8...8..8.." if rng.random() < 0.5 else "8.....8..8..8..."
    return _rhythm(pattern, pitches, 1.8, loud=84)


def _charleston(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """One, and the and of two."""
    pattern = "8.....8........." if rng.random() < 0.6 else "..8.......8....."
    return _rhythm(pattern, pitches, 2.6)


def _boom_chuck(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Alternating low note and strummed chord."""
    root = 45 + (chord.root - 45) % 12 - (12 if (chord.root - 45) % 12 > 7 else 0)
    fifth = root + chord.fifth - 12 if root > 45 else root + chord.fifth
    strikes = [Strike(0, 3.5, (root,), 90), Strike(8, 3.5, (fifth,), 86)]
    for step in (4, 12):
        strikes.append(Strike(step, 2.0, tuple(pitches), 80, 0.012))
        if rng.random() < 0.5:
            strikes.append(Strike(step + 2, 1.5, tuple(pitches), 66, -0.008))
    return strikes


def _pulse(chord: Chord, pitches: list[int], rng: np.random.Generator) -> list[Strike]:
    """Quarters or eighths."""
    if rng.random() < 0.6:
        return _rhythm("8...7...8...7...", pitches, 3.0, loud=84)
    return _rhythm("8.6.7.6.8.6.7.6.", pitches, 1.6, loud=84)


KINDS: dict[str, Comping] = {
    "block": _block,
    "strum": _strum,
    "offbeat": _offbeat,
    "skank": _skank,
    "funk": _funk,
    "stabs": _stabs,
    "arpeggio": _arpeggio,
    "alberti": _alberti,
    "power": _power,
    "chug": _chug,
    "bossa": _bossa,
    "charleston": _charleston,
    "boom_chuck": _boom_chuck,
    "pulse": _pulse,
}


def _sound(strike: Strike, bar: int, clock: Clock, rng: np.random.Generator) -> list[Note]:
    """The notes of a strike, rolled from one side and released together."""
    start = nudge(clock.seconds(bar, strike.step), rng)
    end = clock.seconds(bar, strike.step + strike.held)
    pitches = strike.pitches if strike.roll >= 0 else strike.pitches[::-1]
    notes = []
    for index, pitch in enumerate(pitches):
        late = start + index * abs(strike.roll)
        seconds = max(0.05, end - late)
        notes.append(Note(late, seconds, pitch, play(strike.velocity, rng)))
    return notes


def compose_chords(
    kind: str, centre: float, sections: list[Section], clock: Clock, rng: np.random.Generator
) -> tuple[Note, ...]:
    """A chord part of one comping kind, voiced around MIDI pitch `centre`.

    A loop repeats, so each position of the four-bar loop keeps its choices through a section.
    """
    notes = []
    for section in sections:
        chosen: dict[int, list[Strike]] = {}
        for offset, chord in enumerate(section.chords):
            position = (section.first_bar + offset) % 4
            if position not in chosen:
                chosen[position] = KINDS[kind](chord, close_voicing(chord, centre), rng)
            for strike in chosen[position]:
                notes += _sound(strike, section.first_bar + offset, clock, rng)
    return tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))
