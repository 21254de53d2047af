"""From a song's seed to its written parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mss_demo_songs.bass import compose_bass
from mss_demo_songs.comping import compose_chords
from mss_demo_songs.drums import compose_drums
from mss_demo_songs.harmony import MAJOR_LOOPS, MINOR_LOOPS, loop_chords
from mss_demo_songs.lyrics import SYLLABLES_PER_SONG
from mss_demo_songs.melody import compose_lead, compose_pad, compose_vocals
from mss_demo_songs.score import Chord, Clock, Part, Section, SungNote
from mss_demo_songs.settings import SongPlan
from mss_demo_songs.singers import Singer, cast_singer
from mss_demo_songs.styles import (
    PADS,
    STYLES,
    VOICE_PROGRAMS,
    Style,
    keys_for,
    programs_for,
)

#: Largest share of a song for a two-bar intro; a longer one leaves the singer too little.
LONGEST_INTRO = 0.25


@dataclass(frozen=True)
class Song:
    """A composed song, as the renderer plays it and meta.json describes it.

    Attributes:
        plan: what was asked for.
        clock: tempo and swing.
        key: pitch class of the tonic; `minor` its mode.
        sections: intro, verse and chorus with their chords.
        parts: the instruments, the choir among them where it sings.
        singer: None unless the voice is sung.
        melody: the sung notes; empty without a singer.
    """

    plan: SongPlan
    clock: Clock
    key: int
    minor: bool
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    singer: Singer | None
    melody: tuple[SungNote, ...]

    @property
    def bars(self) -> int:
        """Bars of the whole song."""
        return sum(section.bars for section in self.sections)


def _pick(choices: tuple[int, ...], rng: np.random.Generator) -> int:
    return int(choices[rng.integers(len(choices))])


def lay_out(
    bars: int, longest_intro: float, verse: list[Chord], chorus: list[Chord]
) -> tuple[Section, ...]:
    """Intro, verse and chorus over `bars` bars; the chorus takes the second half.

    Args:
        bars: bars of the song, at least 2; with 2 there is no verse.
        longest_intro: bars that the intro may last; it takes 1 or 2.
        verse: the four chords of intro and verse.
        chorus: the four chords of the chorus.
    """
    intro = 2 if longest_intro >= 2 else 1
    half = max(intro, bars // 2)

    def section(name: str, first: int, after: int, loop: list[Chord]) -> Section:
        chords = tuple(loop[bar % len(loop)] for bar in range(after - first))
        return Section(name, first, chords)

    sections = (
        section("intro", 0, intro, verse),
        section("verse", intro, half, verse),
        section("chorus", half, bars, chorus),
    )
    return tuple(part for part in sections if part.bars > 0)


def _write_form(
    plan: SongPlan, style: Style, rng: np.random.Generator
) -> tuple[Clock, int, bool, tuple[Section, ...]]:
    """Tempo, key, mode and the sections with their chords."""
    bpm = float(rng.uniform(*style.bpm))
    clock = Clock(bpm, float(rng.uniform(*style.swing)), style.swung_steps)
    key = _pick(keys_for(plan.split), rng)
    minor = bool(rng.random() < 0.45)
    seventh = bool(rng.random() < style.sevenths)
    loops = MINOR_LOOPS if minor else MAJOR_LOOPS
    first, second = rng.permutation(len(loops))[:2]
    bars = max(2, math.ceil(plan.seconds / clock.bar_seconds))
    sections = lay_out(
        bars,
        LONGEST_INTRO * bars,
        loop_chords(loops[first], key, minor, seventh),
        loop_chords(loops[second], key, minor, seventh),
    )
    return clock, key, minor, sections


def _write_other(
    plan: SongPlan, style: Style, sections: list[Section], clock: Clock, rng: np.random.Generator
) -> list[Part]:
    """One or two chord parts, perhaps a pad, perhaps a lead."""
    programs = programs_for(plan.split, style.chords)
    kinds = rng.permutation(len(style.comping))
    parts = []
    for index in range(1 if rng.random() < 0.4 else 2):
        program, kind = _pick(programs, rng), style.comping[kinds[index]]
        centre = 60.0 if index == 0 else 67.0
        notes = compose_chords(kind, centre, sections, clock, rng)
        parts.append(Part(f"chords-{kind}", "other", program, notes))
    if rng.random() < 0.75:
        program = _pick(programs_for(plan.split, PADS), rng)
        parts.append(Part("pad", "other", program, compose_pad(sections, clock, rng)))
    instrumental = plan.voice == "none"
    if rng.random() < 0.85 or instrumental:
        program = _pick(programs_for(plan.split, style.leads), rng)
        notes = compose_lead(sections, instrumental, clock, rng)
        parts.append(Part("lead", "other", program, notes))
    return parts


def compose(plan: SongPlan, rng: np.random.Generator) -> Song:
    """Write every part of a song; the same plan and generator state give the same song."""
    style = STYLES[plan.style]
    clock, key, minor, form = _write_form(plan, style, rng)
    sections = list(form)
    kit = _pick(programs_for(plan.split, style.kits), rng)
    bass = _pick(programs_for(plan.split, style.bass), rng)
    parts = [
        Part("drums", "drums", kit, compose_drums(plan.style, sections, clock, rng)),
        Part("bass", "bass", bass, compose_bass(plan.style, sections, clock, rng)),
        *_write_other(plan, style, sections, clock, rng),
    ]
    singer = cast_singer(plan.split, rng)
    melody = compose_vocals(sections, singer.lowest, SYLLABLES_PER_SONG, clock, rng)
    if plan.voice == "choir":
        notes = tuple(sung.note for sung in melody)
        parts.append(Part("choir", "vocals", _pick(VOICE_PROGRAMS, rng), notes))
    sings = plan.voice == "sung"
    return Song(
        plan,
        clock,
        key,
        minor,
        form,
        tuple(parts),
        singer if sings else None,
        melody if sings else (),
    )
