"""Keys, four-chord loops and voicings."""

from __future__ import annotations

from mss_demo_songs.score import Chord

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

#: Scale degrees, 1 the tonic, a chord per bar.
MAJOR_LOOPS = (
    (1, 5, 6, 4),
    (1, 6, 4, 5),
    (6, 4, 1, 5),
    (1, 4, 5, 4),
    (1, 3, 4, 5),
    (2, 5, 1, 6),
    (1, 4, 6, 5),
    (4, 5, 3, 6),
)
MINOR_LOOPS = (
    (1, 6, 3, 7),
    (1, 4, 7, 3),
    (1, 7, 6, 5),
    (1, 6, 4, 5),
    (1, 4, 6, 5),
    (1, 3, 7, 4),
)


def get_scale(key: int, minor: bool) -> tuple[int, ...]:
    """The seven pitch classes of a major or natural minor scale on `key`."""
    steps = MINOR_SCALE if minor else MAJOR_SCALE
    return tuple((key + step) % 12 for step in steps)


def chord_on(degree: int, key: int, minor: bool, seventh: bool) -> Chord:
    """The triad or seventh chord on a scale degree; the fifth of a minor key is dominant."""
    scale = get_scale(key, minor)
    if minor and degree == 5:
        # The raised leading note of harmonic minor, which the melody then sings as well.
        scale = tuple((key + step) % 12 for step in (0, 2, 3, 5, 7, 8, 11))
    root = scale[degree - 1]
    stacked = [scale[(degree - 1 + 2 * third) % 7] for third in range(4 if seventh else 3)]
    return Chord(root, tuple((pitch - root) % 12 for pitch in stacked), scale)


def loop_chords(loop: tuple[int, ...], key: int, minor: bool, seventh: bool) -> list[Chord]:
    """The chords of a four-bar loop."""
    return [chord_on(degree, key, minor, seventh) for degree in loop]


def nearest_pitch(pitch_class: int, around: float) -> int:
    """The MIDI pitch of a pitch class that lies closest to `around`; the lower one on a tie."""
    octave = round((around - pitch_class) / 12)
    candidates = [pitch_class + 12 * (octave + shift) for shift in (-1, 0, 1)]
    return min(candidates, key=lambda pitch: (abs(pitch - around), pitch))


def close_voicing(chord: Chord, centre: float) -> list[int]:
    """All chord tones, each in the octave nearest to `centre`, rising; moves little per bar."""
    return sorted({nearest_pitch(pitch, centre) for pitch in chord.pitch_classes})


def power_voicing(chord: Chord, lowest: int) -> list[int]:
    """Root, fifth and octave, the root at or above `lowest`."""
    root = lowest + (chord.root - lowest) % 12
    return [root, root + 7, root + 12]
