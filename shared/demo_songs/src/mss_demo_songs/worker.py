"""A process that makes songs; requests and answers are JSON, one object per line, over a pipe.

A request has plan (the fields of SongPlan), folder (where to write) and versions; the answer is
{"song": name} or {"song": name, "error": text, "kind": exception class}. Workers are started as
`python -m mss_demo_songs.worker`, so that a calling script needs no `if __name__` guard.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mss_demo_songs.settings import SongPlan
from mss_demo_songs.song import write_song


def answer(line: str) -> dict[str, str]:
    """Make the song of one request."""
    request = json.loads(line)
    plan = SongPlan(**request["plan"])
    try:
        folder = Path(request["folder"])
        folder.mkdir(parents=True)
        write_song(plan, folder, request["versions"])
    except OSError as error:
        return {"song": plan.name, "kind": "OSError", "error": error.strerror or str(error)}
    except Exception as error:  # the parent process raises it with the song's name
        kind = type(error).__name__
        return {"song": plan.name, "kind": kind, "error": f"{kind}: {error}"}
    return {"song": plan.name}


def main() -> None:
    """Answer requests until standard input closes."""
    replies, sys.stdout = sys.stdout, sys.stderr  # a stray print must not look like an answer
    try:
        for line in sys.stdin:
            print(json.dumps(answer(line)), file=replies, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The parent was killed; closing the pipe at exit would fail a second time.
        os._exit(1)


if __name__ == "__main__":
    main()
