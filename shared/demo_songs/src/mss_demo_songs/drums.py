"""Drum patterns, fills and percussion: sixteen steps a lane, a digit per hit for its loudness."""

from __future__ import annotations

import numpy as np

from mss_demo_songs.score import STEPS_PER_BAR, Clock, Note, Section

Pattern = dict[str, str]

#: General MIDI drum keys of the lanes.
LANES = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "floor_tom": 43,
    "closed_hat": 42,
    "pedal_hat": 44,
    "low_tom": 45,
    "open_hat": 46,
    "mid_tom": 47,
    "crash": 49,
    "high_tom": 50,
    "ride": 51,
    "bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "bongo_high": 60,
    "bongo_low": 61,
    "conga_mute": 62,
    "conga_open": 63,
    "conga_low": 64,
    "cabasa": 69,
    "maracas": 70,
    "claves": 75,
}

PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "pop": (
        {"kick": "9.....6.8.......", "snare": "....9.......9...", "closed_hat": "7.4.7.4.7.4.7.4."},
        {"kick": "9..7....8.6.....", "snare": "....9.......9..3", "closed_hat": "7.5.7.5.7.5.7.5."},
        {"kick": "9.......9.7.....", "snare": "....9.......9...", "closed_hat": "7343734373437343"},
    ),
    "rock": (
        {"kick": "9.......9.8.....", "snare": "....9.......9...", "closed_hat": "8.6.8.6.8.6.8.6."},
        {"kick": "9.7.....8.7...6.", "snare": "....9.......9...", "open_hat": "7...7...7...7..."},
        {"kick": "9...8.7.9...8...", "snare": "....9.......9...", "ride": "7.5.7.5.7.5.7.5."},
    ),
    "funk": (
        {"kick": "9..7......7..6..", "snare": "....9..3.3..9..3", "closed_hat": "7464746474647464"},
        {
            "kick": "9.7...6...8..7..",
            "snare": "....9.23.3..9...",
            "closed_hat": "7.5.7.5.7.5.7...",
            "open_hat": "..............7.",
        },
        {"kick": "9......7..87....", "snare": "....9..4.4.39...", "closed_hat": "75.575.575.575.5"},
    ),
    "ballad": (
        {"kick": "8.........7.....", "rim": "....7.......7...", "closed_hat": "5.4.5.4.5.4.5.4."},
        {"kick": "8.....5.8.......", "snare": "....7.......7...", "ride": "6...5...6...5..."},
        {"kick": "8.......7..5....", "snare": "........8.......", "closed_hat": "5.3.5.3.5.3.5.3."},
    ),
    "disco": (
        {
            "kick": "9...9...9...9...",
            "snare": "....8.......8...",
            "open_hat": "..7...7...7...7.",
            "closed_hat": "6...6...6...6...",
        },
        {
            "kick": "9...9...9...9...",
            "clap": "....8.......8...",
            "closed_hat": "75.575.575.575.5",
            "open_hat": "..6...6...6...6.",
        },
    ),
    "reggae": (
        {"kick": "........9.......", "rim": "........8.......", "closed_hat": "6.4.6.4.6.4.6.4."},
        {"kick": "9...8...9...8...", "rim": "........8.......", "closed_hat": "6.456.456.456.45"},
        {"kick": "8.......9.....5.", "snare": "........8....3..", "closed_hat": "..6...6...6...6."},
    ),
    "bossa": (
        {
            "kick": "8..58..58..58..5",
            "rim": "7..7..7...7..7..",
            "closed_hat": "5454545454545454",
        },
        {
            "kick": "8..58..58..58..5",
            "rim": "..7...7.7..7..7.",
            "pedal_hat": "....5.......5...",
            "maracas": "6.4.6.4.6.4.6.4.",
        },
    ),
    "swing": (
        {"ride": "8...8.6.8...8.6.", "pedal_hat": "....7.......7...", "kick": "4...4...4...4..."},
        {
            "ride": "8...8.6.8...8.6.",
            "pedal_hat": "....7.......7...",
            "snare": "......4.......5.",
            "kick": "6.........5.....",
        },
        {
            "closed_hat": "7...8.5.7...8.5.",
            "rim": "............7...",
            "kick": "6...4...6...4...",
            "snare": "..........3...4.",
        },
    ),
    "hiphop": (
        {"kick": "9......7..8.....", "snare": "....9.......9...", "closed_hat": "7.5.7.5.7.5.7.55"},
        {"kick": "9.7.......9..6..", "clap": "....9.......9...", "closed_hat": "7.577.5.7.577.55"},
        {"kick": "9..8..7...9.....", "snare": "....9..3....9..3", "closed_hat": "6.6.6.6.6.6.6666"},
    ),
    "house": (
        {
            "kick": "9...9...9...9...",
            "clap": "....8.......8...",
            "open_hat": "..7...7...7...7.",
        },
        {
            "kick": "9...9...9...9...",
            "clap": "....8.......8..4",
            "closed_hat": "5454545454545454",
            "open_hat": "..6...6...6...6.",
        },
        {
            "kick": "9...9...9...9..5",
            "snare": "....7.......7...",
            "open_hat": "..7...7...7...7.",
            "maracas": "6.456.456.456.45",
        },
    ),
    "country": (
        {"kick": "8.......8.......", "snare": "4.4.8.4.4.4.8.44", "closed_hat": "....5.......5..."},
        {"kick": "8...5...8...5...", "rim": "....8.......8...", "closed_hat": "6.5.6.5.6.5.6.5."},
        {"kick": "8.......8.6.....", "snare": "....8.......8...", "closed_hat": "6.4.6.4.6.4.6.4."},
    ),
    "metal": (
        {"kick": "9898989898989898", "snare": "....9.......9...", "ride": "8...7...8...7..."},
        {"kick": "9.99..9.9.99..9.", "snare": "....9.......9...", "open_hat": "8...8...8...8..."},
        {"kick": "9..99..99..99.9.", "snare": "........9.......", "bell": "8...8...8...8..."},
    ),
}

#: The second half of the bar before a section change; it replaces the pattern there.
FILLS: tuple[Pattern, ...] = (
    {"snare": "........7.7.8.99", "kick": "........8...8..."},
    {
        "high_tom": "........88......",
        "mid_tom": "..........88....",
        "floor_tom": "............8888",
    },
    {"snare": "........7.......", "mid_tom": "..........8.8...", "low_tom": "..............89"},
    {"snare": "........56678899", "kick": "........8...8..."},
    {"snare": "............9.99", "kick": "........9.9....."},
)

#: Added over the chorus.
PERCUSSION: tuple[Pattern, ...] = (
    {"tambourine": "7.5.7.5.7.5.7.5."},
    {"tambourine": "....8.......8..."},
    {"maracas": "6464646464646464"},
    {"cabasa": "6.456.456.456.45"},
    {"cowbell": "7...6...7...6..."},
    {"conga_mute": "6..6..6.6..6..6.", "conga_open": "..........7...77"},
    {"bongo_high": "7.56..5.7.56..5.", "bongo_low": "....6.......6..."},
    {"claves": "7..7..7...7.7..."},
)

#: Velocity added per lane: the sound font's hats are faint and its crash covers everything.
LANE_VELOCITY = {
    "closed_hat": 24,
    "pedal_hat": 24,
    "open_hat": 12,
    "ride": 12,
    "maracas": 16,
    "cabasa": 12,
    "crash": -20,
}

JITTER_SECONDS, JITTER_VELOCITY = 0.005, 5.0


def play(velocity: int, rng: np.random.Generator) -> int:
    """A velocity with the player's unevenness, sigma 5, held in MIDI's range."""
    return int(np.clip(round(velocity + rng.normal(0.0, JITTER_VELOCITY)), 1, 127))


def nudge(seconds: float, rng: np.random.Generator) -> float:
    """A time with the player's unevenness, sigma 5 ms, never before the song's start."""
    return max(0.0, seconds + rng.normal(0.0, JITTER_SECONDS))


def _bar(
    pattern: Pattern, bar: int, steps: range, clock: Clock, rng: np.random.Generator
) -> list[Note]:
    """The hits of a pattern in one bar, on the given steps only."""
    hits = []
    for lane, digits in pattern.items():
        for step in steps:
            if digits[step] != ".":
                start = nudge(clock.seconds(bar, step), rng)
                velocity = play(34 + 10 * int(digits[step]) + LANE_VELOCITY.get(lane, 0), rng)
                hits.append(Note(start, 0.12, LANES[lane], velocity))
    return hits


def _section(
    section: Section,
    pattern: Pattern,
    percussion: Pattern,
    fill: Pattern | None,
    clock: Clock,
    rng: np.random.Generator,
) -> list[Note]:
    """A crash, the pattern with its percussion, and the fill in the last bar if there is one."""
    crash = _bar({"crash": "9..............."}, section.first_bar, range(1), clock, rng)
    hits = list(crash)
    for offset in range(section.bars):
        bar = section.first_bar + offset
        filled = fill is not None and offset == section.bars - 1
        steps = range(STEPS_PER_BAR // 2 if filled else STEPS_PER_BAR)
        hits += _bar(pattern, bar, steps, clock, rng)
        hits += _bar(percussion, bar, steps, clock, rng)
        if filled and fill is not None:
            hits += _bar(fill, bar, range(STEPS_PER_BAR // 2, STEPS_PER_BAR), clock, rng)
    return hits


def compose_drums(
    style: str, sections: list[Section], clock: Clock, rng: np.random.Generator
) -> tuple[Note, ...]:
    """The drum part: another pattern for the chorus, fills before changes, crashes after them."""
    patterns = PATTERNS[style]
    order = rng.permutation(len(patterns))
    verse, chorus = patterns[order[0]], patterns[order[1]]
    extra = PERCUSSION[rng.integers(len(PERCUSSION))] if rng.random() < 0.8 else {}
    hits: list[Note] = []
    for index, section in enumerate(sections):
        fill = FILLS[rng.integers(len(FILLS))] if rng.random() < 0.8 else None
        if index == len(sections) - 1:
            fill = None
        is_chorus = section.name == "chorus"
        pattern, percussion = (chorus, extra) if is_chorus else (verse, {})
        hits += _section(section, pattern, percussion, fill, clock, rng)
    return tuple(sorted(hits, key=lambda hit: (hit.start, hit.pitch)))
