"""Parts to MIDI bytes to sound: one file per part, rendered with the sound font."""

from __future__ import annotations

import functools
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from mss_demo_songs.score import Note, Part
from mss_demo_songs.settings import SAMPLE_RATE

TICKS_PER_BEAT, MICROSECONDS_PER_BEAT = 9_600, 500_000
RENDER_RATE = 48_000
DRUM_CHANNEL = 9
CHANNEL_VOLUME, SOUND_FONT = 7, "TimGM6mb.sf2"
#: Controllers sent before the first note: volume, expression, and no reverb or chorus of its own.
CONTROLS = ((CHANNEL_VOLUME, 110), (11, 127), (91, 0), (93, 0))


@functools.cache
def sound_font() -> bytes:
    """The General MIDI sound font of the installed pretty_midi, which is not imported.

    Raises:
        FileNotFoundError: if the package or its sound font is missing.
    """
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "pretty_midi, whose sound font plays the demo set, is not installed: "
            "pip install mss-demo-songs"
        )
    path = Path(spec.origin).parent / SOUND_FONT
    if not path.is_file():
        raise FileNotFoundError(
            f"no {SOUND_FONT} in {path.parent}: reinstall the pinned pretty_midi with "
            f"pip install mss-demo-songs"
        )
    return path.read_bytes()


def without_overlaps(notes: tuple[Note, ...]) -> list[Note]:
    """End each note before the same pitch starts again, as a note-off would stop the later one."""
    following: dict[int, float] = {}
    kept = []
    for note in sorted(notes, key=lambda note: (note.start, note.pitch), reverse=True):
        limit = following.get(note.pitch, np.inf) - note.start - 0.002
        if limit > 0.01:
            kept.append(replace(note, seconds=float(min(note.seconds, limit))))
            following[note.pitch] = note.start
    return kept[::-1]


def midi_bytes(part: Part, seconds: float) -> bytes:
    """A standard MIDI file of one part that lasts `seconds`."""
    import mido

    channel = DRUM_CHANNEL if part.is_drums else 0
    ticks_per_second = TICKS_PER_BEAT * 1_000_000 / MICROSECONDS_PER_BEAT
    events: list[tuple[int, int, int, int]] = []  # tick, on, pitch, velocity; offs sort first
    for note in without_overlaps(part.notes):
        if note.start < seconds:
            end = min(seconds, note.start + note.seconds)
            events.append((round(note.start * ticks_per_second), 1, note.pitch, note.velocity))
            events.append((round(end * ticks_per_second), 0, note.pitch, 0))
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=MICROSECONDS_PER_BEAT))
    for control, value in CONTROLS:
        track.append(mido.Message("control_change", channel=channel, control=control, value=value))
    track.append(mido.Message("program_change", channel=channel, program=part.program))
    now = 0
    for tick, is_on, pitch, velocity in sorted(events):
        kind = "note_on" if is_on else "note_off"
        track.append(
            mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now)
        )
        now = tick
    last = round(seconds * ticks_per_second)
    # The renderer stops at the last event, so a silent controller marks the song's end.
    track.append(
        mido.Message(
            "control_change", channel=channel, control=91, value=0, time=max(0, last - now)
        )
    )
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT, tracks=[track])
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()


def render(part: Part, samples: int) -> NDArray[np.float64]:
    """(2, sample) sound of a part at 44.1 kHz, full scale 1.0, `samples` long."""
    import midirenderer

    seconds = samples / SAMPLE_RATE + 0.05
    wave = midirenderer.render_wave_from(sound_font(), midi_bytes(part, seconds))
    rate, pcm = wavfile.read(io.BytesIO(wave))
    if rate != RENDER_RATE:
        raise RuntimeError(
            f"midirenderer answered at {rate} Hz, not {RENDER_RATE} Hz: "
            f"install the version pinned by mss-demo-songs"
        )
    sound = resample_poly(pcm.astype(np.float64) / 32_768.0, 147, 160, axis=0).T
    short = max(0, samples - sound.shape[1])
    return np.pad(sound[:, :samples], ((0, 0), (0, short)))
