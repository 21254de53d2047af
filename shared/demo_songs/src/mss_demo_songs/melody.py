"""Sung melodies, instrumental leads and pads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mss_demo_songs.drums import nudge, play
from mss_demo_songs.harmony import close_voicing, nearest_pitch
from mss_demo_songs.score import (
    STEPS_PER_BAR,
    Chord,
    Clock,
    Note,
    Section,
    SungNote,
)

#: Two-bar rhythm cells: x starts a note, "-" holds it, "." rests; every cell ends in a breath.
SPARSE_CELLS = (
    "x---x---x-------x---x---x-----..",
    "x-----x-x-------x-----x-x-----..",
    "x-------x---x---x-----------....",
    "..x-x---x---x---x-------x-----..",
    "x---x-x-x-------x-x-x---x-----..",
)
MEDIUM_CELLS = (
    "x-x-x---x-x-x---x-x-x-x-x-----..",
    "x---x-x-x---x-x-x---x-x-x-----..",
    "..x-x-x-x---x---..x-x-x-x-----..",
    "x-----x-x-x-x---x-----x-x-----..",
    "x-x-x-x-x-------x-x-x-x-x-----..",
    "x---x---x-x-x-x-x-------x-----..",
)
DENSE_CELLS = (
    "x-x-xxx-x-x-x---x-x-xxx-x-----..",
    "xxx-x-x-x---x-x-xxx-x-x-x---....",
    "x--x--x-x-x-x---x--x--x-x-----..",
    "..xxx-x-x-xxx---..xxx-x-x-----..",
    "x-xxx-x-x---x-x-x-xxx-x-x-----..",
)
CELL_BARS = 2
#: A syllable shorter than this can't be understood; faster songs take sparser cells.
SPARSE_ABOVE_BPM, DENSE_BELOW_BPM = 138, 94


@dataclass(frozen=True)
class Range:
    """Lowest and highest MIDI pitch of a line."""

    low: int
    high: int


def rhythm_cells(bpm: float) -> tuple[str, ...]:
    """The cells whose notes have a singable length at a tempo."""
    if bpm > SPARSE_ABOVE_BPM:
        return SPARSE_CELLS
    return DENSE_CELLS if bpm < DENSE_BELOW_BPM else MEDIUM_CELLS


def cell_events(cell: str) -> list[tuple[int, int]]:
    """(step, steps held) of each note of a cell."""
    starts = [step for step, symbol in enumerate(cell) if symbol == "x"]
    events = []
    for start in starts:
        end = start + 1
        while end < len(cell) and cell[end] == "-":
            end += 1
        events.append((start, end - start))
    return events


def _in_range(pitch_class: int, span: Range) -> list[int]:
    """Every pitch of a class within a range."""
    first = span.low + (pitch_class - span.low) % 12
    return list(range(first, span.high + 1, 12))


def _next_pitch(
    before: int, chord: Chord, on_beat: bool, span: Range, rng: np.random.Generator
) -> int:
    """A chord tone on the beat, a scale tone between; small moves are the likeliest."""
    classes = chord.pitch_classes if on_beat else chord.scale
    candidates = sorted({p for pitch_class in classes for p in _in_range(pitch_class, span)})
    distance = np.abs(np.array(candidates, dtype=float) - before)
    # A step of two semitones is preferred to a repeated note and to a leap.
    centre = (span.low + span.high) / 2
    pull = np.abs(np.array(candidates, dtype=float) - centre) / (span.high - span.low)
    weight = np.exp(-np.abs(distance - 2.0) / 2.2 - 1.2 * pull)
    return candidates[int(rng.choice(len(candidates), p=weight / weight.sum()))]


def _line(
    section: Section, cells: list[str], span: Range, rng: np.random.Generator
) -> list[tuple[int, int, int, bool]]:
    """(step from the section's start, steps held, pitch, opens a phrase), cells in turn."""
    line = []
    pitch = round((span.low + span.high) / 2)
    for first_bar in range(0, section.bars, CELL_BARS):
        cell = cells[first_bar // CELL_BARS % len(cells)]
        opens = True
        for step, held in cell_events(cell):
            bar = first_bar + step // STEPS_PER_BAR
            if bar >= section.bars:
                break
            pitch = _next_pitch(pitch, section.chords[bar], step % 4 == 0, span, rng)
            line.append((first_bar * STEPS_PER_BAR + step, held, pitch, opens))
            # A rest of the cell opens another phrase.
            after = step + held
            opens = after >= len(cell) or cell[after] == "."
    return line


def compose_vocals(
    sections: list[Section],
    lowest: int,
    syllables: int,
    clock: Clock,
    rng: np.random.Generator,
) -> tuple[SungNote, ...]:
    """The sung line: a good octave from MIDI `lowest`, the chorus four semitones higher.

    The verse walks through the syllables; the chorus repeats one hook in each of its cells.
    """
    cells = rhythm_cells(clock.bpm)
    order = rng.permutation(len(cells))
    words = rng.permutation(syllables)
    hook = rng.permutation(syllables)
    sung, spoken = [], 0
    for section in sections:
        if section.name == "intro":
            continue
        chorus = section.name == "chorus"
        span = Range(lowest + 4, lowest + 16) if chorus else Range(lowest, lowest + 12)
        own = [cells[order[2]]] if chorus else [cells[order[0]], cells[order[1]]]
        for step, held, pitch, opens in _line(section, own, span, rng):
            start = nudge(clock.seconds(section.first_bar, step), rng)
            seconds = clock.seconds(section.first_bar, step + held) - start
            note = Note(start, max(0.08, seconds), pitch, play(96 if chorus else 86, rng))
            if chorus and opens and step % (CELL_BARS * STEPS_PER_BAR) < 4:
                spoken = 0
            text = hook if chorus else words
            sung.append(SungNote(note, int(text[spoken % syllables]), opens, section.name))
            spoken += 1
    return tuple(sung)


def compose_lead(
    sections: list[Section], everywhere: bool, clock: Clock, rng: np.random.Generator
) -> tuple[Note, ...]:
    """A lead line in the intro and in every fourth bar of the verse, or in all bars."""
    cells = rhythm_cells(clock.bpm)
    order = rng.permutation(len(cells))
    notes = []
    for section in sections:
        own = [cells[order[0]], cells[order[1]]]
        for step, held, pitch, _ in _line(section, own, Range(64, 81), rng):
            bar = step // STEPS_PER_BAR
            fills = section.name == "verse" and bar % 4 == 3
            if not (everywhere or section.name == "intro" or fills):
                continue
            start = nudge(clock.seconds(section.first_bar, step), rng)
            seconds = max(0.08, clock.seconds(section.first_bar, step + held) - start)
            notes.append(Note(start, seconds * 0.95, pitch, play(92, rng)))
    return tuple(sorted(notes, key=lambda note: note.start))


def compose_pad(
    sections: list[Section], clock: Clock, rng: np.random.Generator
) -> tuple[Note, ...]:
    """Held chords, a bar each, around MIDI 62 with the root an octave below."""
    notes = []
    for section in sections:
        for offset, chord in enumerate(section.chords):
            bar = section.first_bar + offset
            start = nudge(clock.seconds(bar, 0), rng)
            seconds = clock.bar_seconds * 0.98
            for pitch in [*close_voicing(chord, 62), nearest_pitch(chord.root, 50)]:
                notes.append(Note(start, seconds, pitch, play(74, rng)))
    return tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))
