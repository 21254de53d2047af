"""The written song: notes, parts, sections and the clock that turns steps into seconds."""

from __future__ import annotations

from dataclasses import dataclass

STEPS_PER_BAR = 16  # every song is in four-four; a step is a sixteenth note


@dataclass(frozen=True)
class Note:
    """A sounding note; `start` and `seconds` in seconds, `pitch` and `velocity` as in MIDI."""

    start: float
    seconds: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class SungNote:
    """A note of the voice with its syllable; `opens` marks the first note of a phrase."""

    note: Note
    syllable: int
    opens: bool
    section: str


@dataclass(frozen=True)
class Part:
    """One instrument: its General MIDI program, the stem it belongs to, its notes in order."""

    name: str
    stem: str
    program: int
    notes: tuple[Note, ...]

    @property
    def is_drums(self) -> bool:
        """Drum parts play on the tenth MIDI channel, where `program` names a kit."""
        return self.stem == "drums"


@dataclass(frozen=True)
class Chord:
    """A chord over one bar.

    Attributes:
        root: pitch class of the root, 0 to 11.
        intervals: semitones above the root, rising from 0; three or four of them.
        scale: the seven pitch classes of the scale around it.
    """

    root: int
    intervals: tuple[int, ...]
    scale: tuple[int, ...]

    @property
    def fifth(self) -> int:
        """Semitones from root to fifth."""
        return self.intervals[2]

    @property
    def seventh(self) -> int:
        """Semitones from root to the seventh, from the scale where the chord has none."""
        if len(self.intervals) > 3:
            return self.intervals[3]
        return 10 if (self.root + 10) % 12 in self.scale else 11

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord tones, root first."""
        return tuple((self.root + step) % 12 for step in self.intervals)


@dataclass(frozen=True)
class Section:
    """A run of bars, called intro, verse or chorus, with a chord for each bar."""

    name: str
    first_bar: int
    chords: tuple[Chord, ...]

    @property
    def bars(self) -> int:
        """Length in bars."""
        return len(self.chords)


@dataclass(frozen=True)
class Clock:
    """Steps to seconds, with swing.

    Attributes:
        bpm: quarter notes per minute.
        swing: share of a pair that its first half takes; 0.5 is straight.
        swung_steps: steps in a pair, 4 (eighths swing) or 2 (sixteenths swing).
    """

    bpm: float
    swing: float
    swung_steps: int

    @property
    def step_seconds(self) -> float:
        """A straight sixteenth note."""
        return 15.0 / self.bpm

    @property
    def bar_seconds(self) -> float:
        """A bar of four quarters."""
        return STEPS_PER_BAR * self.step_seconds

    def seconds(self, bar: int, step: float) -> float:
        """When a step of a bar sounds; steps past the bar's end run into the next."""
        position = bar * STEPS_PER_BAR + step
        pair, inside = divmod(position, self.swung_steps)
        half = self.swung_steps / 2
        if inside < half:
            warped = inside / half * self.swing
        else:
            warped = self.swing + (inside - half) / half * (1 - self.swing)
        return (pair + warped) * self.swung_steps * self.step_seconds
