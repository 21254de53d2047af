"""Which tracks of a run are done: an interrupted run goes on where it stopped.

Each shard of a run keeps a journal of its own in the same folder, and reads those of all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared import atomic
from mss_shared.evaluation import score_files
from mss_shared.evaluation.protocols import Protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.shards import WHOLE, Shard
from mss_shared.json_text import read_json
from mss_shared.names import is_file_name, is_name
from mss_shared.small_files import read_small_text

JOURNAL, JOURNALS = "finished.json", "finished.*-of-*.json"


class Journal:
    """Which tracks of a run are done, and from which files; stored beside the scores.

    Attributes:
        folder: of the scores.
        path: the journal's file.
        entries: label/track to what is known of its scores.
    """

    def __init__(self, folder: Path, shard: Shard = WHOLE) -> None:
        self.folder = folder
        self.path = folder / (JOURNAL if shard == WHOLE else f"finished.{shard.label}.json")
        self.entries: dict[str, dict[str, Any]] = {}
        for path in self._files():
            self.entries |= _read_entries(path)
        # A shard writes down its own tracks alone, as others may be at work on theirs.
        self._own = self.entries if shard == WHOLE else _read_entries(self.path)

    def _files(self) -> list[Path]:
        """The journals of all shards, then its own."""
        return [*sorted({*self.folder.glob(JOURNALS)} - {self.path}), self.path]

    def find(self, track: str, protocol: Protocol, inputs: str) -> TrackScores | None:
        """The scores of an earlier run, if they are intact and the same ``inputs`` gave them."""
        entry = self.entries.get(f"{protocol.label}/{track}")
        path = score_files.track_file(self.folder, protocol.label, track)
        if not entry or entry["inputs"] != inputs or not path.is_file():
            return None
        text = read_small_text(path)
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            return None
        read = score_files.from_json(text, track, protocol.id, str(path))
        return TrackScores(track, read.targets, entry["notes"], protocol.id)

    def add(
        self,
        protocol: Protocol,
        scores: TrackScores,
        inputs: str,
        cost: Mapping[str, float] | None = None,
    ) -> TrackScores:
        """Write a track's scores, then record that they are done.

        Args:
            protocol: of the scores.
            scores: of one track.
            inputs: a digest of all that they were computed from.
            cost: what the estimates took, by name.

        Returns:
            The scores, rounded as in the file, so that an interrupted run gives the numbers of an
            uninterrupted one.
        """
        entry = {
            "inputs": inputs,
            "sha256": score_files.write_track(self.folder, protocol.label, scores),
            "notes": dict(scores.notes),
            **({"cost": dict(cost)} if cost else {}),
        }
        self.entries[f"{protocol.label}/{scores.name}"] = entry
        self._own[f"{protocol.label}/{scores.name}"] = entry
        self._write()
        read = score_files.from_json(score_files.to_json(scores), scores.name, protocol.id)
        return TrackScores(scores.name, read.targets, scores.notes, protocol.id)

    def digests(self, protocol: Protocol, tracks: Sequence[str]) -> dict[str, str]:
        """Track to the SHA-256 of its score file."""
        return {name: self.entries[f"{protocol.label}/{name}"]["sha256"] for name in tracks}

    def _write(self) -> None:
        atomic.write_text(self.path, json.dumps(dict(sorted(self._own.items())), indent=2) + "\n")

    def join(self) -> None:
        """Take over the journals of all shards, once the run is complete."""
        if self.entries:
            self._write()
        for path in self._files():
            if path != self.path:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all journals, and forget what they say."""
        self.remove()
        self.entries.clear()
        self._own.clear()

    def remove(self) -> None:
        """Remove all journals."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def keep_only(self, protocols: Sequence[Protocol], tracks: Sequence[str]) -> None:
        """Remove the score files of tracks and protocols that are not part of this run."""
        kept = {f"{p.label}/{name}" for p in protocols for name in tracks}
        for key in sorted(set(self.entries) - kept):
            label, _, name = key.partition("/")
            del self.entries[key]
            try:
                path = score_files.track_file(self.folder, label, name)
            except ValueError:  # it lies elsewhere, by a link
                continue
            path.unlink(missing_ok=True)
            for empty in (path.parent, path.parent.parent):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()


def _read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Label/track to its journal entry; malformed entries are dropped, so they are scored again."""
    if not path.is_file():
        return {}
    try:
        journal = read_json(path)
    except (ValueError, OSError):
        return {}
    entries = journal.items() if isinstance(journal, dict) else ()
    return {key: entry for key, entry in entries if is_entry(key, entry)}


def is_entry(key: str, entry: Any) -> bool:
    """Whether key and values have the form that ``Journal.add`` writes."""
    label, _, track = key.partition("/")
    if not (is_name(label) and is_file_name(track) and isinstance(entry, dict)):
        return False
    notes = entry.get("notes")
    texts = [entry.get("inputs"), entry.get("sha256")]
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in texts):
        return False
    cost = entry.get("cost", {})
    if not isinstance(cost, dict) or not all(type(x) in (int, float) for x in cost.values()):
        return False
    return all(isinstance(note, str) for note in notes.values())
