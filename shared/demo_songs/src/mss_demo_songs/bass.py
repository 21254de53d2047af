"""Bass lines: patterns of root, fifth, octave and seventh, walking lines, approach notes."""

from __future__ import annotations

import numpy as np

from mss_demo_songs.drums import nudge, play
from mss_demo_songs.harmony import nearest_pitch
from mss_demo_songs.score import STEPS_PER_BAR, Chord, Clock, Note, Section

LOWEST, HIGHEST = 28, 52
WALKING = "walking"

#: R root, F fifth, O octave, S seventh; "-" holds the note, "." is silence.
PATTERNS: dict[str, tuple[str, ...]] = {
    "pop": ("R-----R-R---F---", "R-R-R-R-R-R-R-R-", "R-----R-O---R-F-"),
    "rock": ("R-R-R-R-R-R-R-R-", "R---R-R-R---F-R-", "R-R-R-R-F-F-O-O-"),
    "funk": ("R..R..O.R..S..O.", "R.R...O..R.S.O..", "R..RO..S..RR.F.O"),
    "ballad": ("R-------F-------", "R-----R-O---F---", "R-----------F---"),
    "disco": ("R.O.R.O.R.O.R.O.", "R-O-R-O-F-O-R-O-", "R.RO..RO..RO..RO"),
    "reggae": ("R---..F-R---..O-", "..R-R-..F-R-R...", "R-..R-F-..R-O-.."),
    "bossa": ("R-----F-F-----R-", "R-----R-F-----F-", "R-----F-O-----F-"),
    "swing": (WALKING, WALKING, "R-------F-------"),
    "hiphop": ("R-----..R-R---..", "R--R--..S-..R---", "R-------..O-R-F-"),
    "house": ("..R-..R-..R-..R-", "R..R..R...R.R.O.", "..R-..O-..R-..F-"),
    "country": ("R-------F-------", "R---F---R---F---", "R---R---F---F-R-"),
    "metal": ("RRRRRRRRRRRRRRRR", "R-RRR-RRR-RRR-RR", "R..RR..RR..RR.O."),
}


def _root(chord: Chord) -> int:
    """The chord's root in the lowest octave of the range that leaves room above it."""
    return LOWEST + (chord.root - LOWEST) % 12


def _fit(pitch: int) -> int:
    """A pitch brought into the bass range by octaves."""
    while pitch > HIGHEST:
        pitch -= 12
    while pitch < LOWEST:
        pitch += 12
    return pitch


def _events(pattern: str) -> list[tuple[int, int, str]]:
    """(step, steps held, symbol) of a pattern."""
    events = []
    for step, symbol in enumerate(pattern):
        if symbol in ".-":
            continue
        held = 1
        while step + held < len(pattern) and pattern[step + held] == "-":
            held += 1
        events.append((step, held, symbol))
    return events


def _pattern_bar(pattern: str, chord: Chord) -> list[tuple[int, int, int]]:
    """(step, steps held, pitch) of a pattern over a chord."""
    interval = {"R": 0, "F": chord.fifth, "O": 12, "S": chord.seventh}
    root = _root(chord)
    return [(step, held, _fit(root + interval[kind])) for step, held, kind in _events(pattern)]


def _walking_bar(
    chord: Chord, coming: Chord, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Four quarters: the root, two chord or scale tones, a step from the next root."""
    pitches = [_root(chord)]
    for _ in range(2):
        tones = chord.pitch_classes if rng.random() < 0.65 else chord.scale
        choices = [_fit(nearest_pitch(tone, pitches[-1] + rng.normal(1.0, 4.0))) for tone in tones]
        moved = [pitch for pitch in choices if pitch != pitches[-1]]
        pitches.append(moved[rng.integers(len(moved))])
    target = nearest_pitch(coming.root, pitches[-1])
    pitches.append(_fit(target + (1 if rng.random() < 0.5 else -1)))
    return [(4 * beat, 4, pitch) for beat, pitch in enumerate(pitches)]


def _with_approach(
    bar: list[tuple[int, int, int]], coming: Chord, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Lead the last note into the next root by a step where it stands late in the bar."""
    step, held, pitch = bar[-1]
    if step < STEPS_PER_BAR - 4 or rng.random() >= 0.3:
        return bar
    target = nearest_pitch(coming.root, pitch)
    return bar[:-1] + [(step, held, _fit(target + int(rng.choice([-2, -1, 1, 2]))))]


def compose_bass(
    style: str, sections: list[Section], clock: Clock, rng: np.random.Generator
) -> tuple[Note, ...]:
    """The bass part, MIDI 28 to 52, one pattern for the verse and one for the chorus."""
    order = rng.permutation(len(PATTERNS[style]))
    by_section = {"chorus": PATTERNS[style][order[1]]}
    bars = [(section.name, chord) for section in sections for chord in section.chords]
    staccato = float(rng.uniform(0.75, 0.97))
    notes = []
    for bar, (name, chord) in enumerate(bars):
        coming = bars[(bar + 1) % len(bars)][1]
        pattern = by_section.get(name, PATTERNS[style][order[0]])
        if pattern == WALKING:
            events = _walking_bar(chord, coming, rng)
        else:
            events = _with_approach(_pattern_bar(pattern, chord), coming, rng)
        for step, held, pitch in events:
            start, end = clock.seconds(bar, step), clock.seconds(bar, step + held)
            accent = 98 if step % 4 == 0 else 88
            seconds = max(0.06, staccato * (end - start))
            notes.append(Note(nudge(start, rng), seconds, pitch, play(accent, rng)))
    return tuple(sorted(notes, key=lambda note: note.start))
