"""A separate program: speak a list of syllables with espeak-ng, then exit.

espeak-ng keeps state between utterances that no call clears, so each song speaks its syllables,
sorted, in a fresh process. It is run by path, `python -I -S speech_process.py`, and imports
nothing beyond the standard library, so that it starts in some twenty milliseconds.

Standard input: a JSON object with library, data, voice, pitch, rate, syllables (strings).
Standard output: a JSON object with sample_rate and spoken, a list of {pcm, phonemes}: base64 of
16-bit samples, and [first sample, name] pairs.
"""

from __future__ import annotations

import base64
import ctypes
import json
import sys
from typing import Any

SYNCHRONOUS_OUTPUT, PHONEME_EVENTS = 2, 1
RATE, PITCH, PITCH_RANGE = 1, 3, 4
TEXT_IS_UTF8, TEXT_HAS_PHONEMES = 1, 0x100
EVENT_END_OF_LIST, EVENT_PHONEME = 0, 7
NOISE_SEED = 20_261


class EventId(ctypes.Union):
    """The last member of espeak_EVENT; `string` is UTF-8, at most 8 bytes."""

    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", EventId),
    ]


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))


class Speaker:
    """One loaded espeak-ng voice that collects what it says."""

    def __init__(self, library: str, data: str, voice: str, pitch: int, rate: int) -> None:
        self.library = ctypes.CDLL(library)
        self.pcm: list[bytes] = []
        self.phonemes: list[tuple[int, str]] = []
        self.callback = Callback(self._collect)  # kept: the library holds only a pointer to it
        self.sample_rate = self.library.espeak_Initialize(
            SYNCHRONOUS_OUTPUT, 0, data.encode(), PHONEME_EVENTS
        )
        if self.sample_rate <= 0:
            raise RuntimeError(f"espeak-ng did not start with the data of {data}")
        self.library.espeak_SetSynthCallback(self.callback)
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice called {voice}")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (PITCH_RANGE, 0)):
            self.library.espeak_SetParameter(parameter, value, 0)

    def _collect(self, wave: int | None, count: int, events: Any) -> int:
        if wave and count > 0:
            self.pcm.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != EVENT_END_OF_LIST:
            if events[index].type == EVENT_PHONEME:
                name = events[index].id.string.decode("utf-8", "replace")
                self.phonemes.append((events[index].sample, name))
            index += 1
        return 0

    def say(self, spelling: str) -> dict[str, Any]:
        """Speak one syllable."""
        self.pcm.clear()
        self.phonemes.clear()
        # The library seeds itself from the clock at the start of every utterance.
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(NOISE_SEED))
        text = spelling.encode() + b"\0"
        flags = TEXT_IS_UTF8 | TEXT_HAS_PHONEMES
        status = self.library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, 1, 0, flags, None, None
        )
        if status != 0:
            raise RuntimeError(f"espeak-ng returned {status} for {spelling}")
        self.library.espeak_Synchronize()
        pcm = base64.b64encode(b"".join(self.pcm)).decode("ascii")
        return {"pcm": pcm, "phonemes": list(self.phonemes)}


def main() -> None:
    """Read the request, speak, print the answer."""
    request = json.load(sys.stdin)
    syllables = request.pop("syllables")
    speaker = Speaker(**request)
    spoken = [speaker.say(spelling) for spelling in sorted(syllables)]
    json.dump({"sample_rate": speaker.sample_rate, "spoken": spoken}, sys.stdout)


if __name__ == "__main__":
    main()
