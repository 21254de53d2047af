"""One song, from its plan to its five files and meta.json."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from mss_demo_songs.compose import Song, compose
from mss_demo_songs.master import Integers, master
from mss_demo_songs.settings import GENERATOR_VERSION, SAMPLE_RATE, SongPlan
from mss_demo_songs.stems import mix_stems

#: Part of every seed, so that other programs with small seeds draw different numbers.
SEED_CONSTANT = 20_261_103


def make_song(plan: SongPlan) -> tuple[Song, dict[str, Integers]]:
    """Compose, render and mix a song; (2, sample) int16 by file name without suffix."""
    composing, mixing, mastering = np.random.default_rng([SEED_CONSTANT, plan.seed]).spawn(3)
    song = compose(plan, composing)
    samples = round(plan.seconds * SAMPLE_RATE)
    return song, master(mix_stems(song, samples, mixing), mastering)


def describe(song: Song, versions: dict[str, str]) -> dict[str, Any]:
    """The content of meta.json; note times in seconds, rounded to a tenth of a millisecond."""
    parts = [
        {
            "name": part.name,
            "stem": part.stem,
            "program": part.program,
            "notes": [
                [round(n.start, 4), round(n.start + n.seconds, 4), n.pitch, n.velocity]
                for n in part.notes
            ],
        }
        for part in song.parts
    ]
    melody = [
        [round(s.note.start, 4), round(s.note.start + s.note.seconds, 4), s.note.pitch, s.syllable]
        for s in song.melody
    ]
    return {
        "generator_version": GENERATOR_VERSION,
        "package_versions": versions,
        "plan": asdict(song.plan),
        "seed": song.plan.seed,
        "style": song.plan.style,
        "tempo_bpm": round(song.clock.bpm, 3),
        "swing": round(song.clock.swing, 4),
        "key": song.key,
        "mode": "minor" if song.minor else "major",
        "bars": song.bars,
        "sections": [[section.name, section.first_bar, section.bars] for section in song.sections],
        "parts": parts,
        "singer": None if song.singer is None else asdict(song.singer),
        "melody": melody,
    }


def write_song(plan: SongPlan, folder: Path, versions: dict[str, str]) -> None:
    """Write a song's five wav files and its meta.json into an existing folder.

    Raises:
        OSError: if a file can't be written.
    """
    song, files = make_song(plan)
    for name, sound in files.items():
        # Through memory, so that a full disk raises the system's OSError, not the library's error.
        buffer = io.BytesIO()
        wavfile.write(buffer, SAMPLE_RATE, np.ascontiguousarray(sound.T))
        (folder / f"{name}.wav").write_bytes(buffer.getvalue())
    text = json.dumps(describe(song, versions), indent=1, sort_keys=True)
    (folder / "meta.json").write_text(text + "\n", encoding="utf-8")


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each wav file of a song folder, by file name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.wav"))
    }
