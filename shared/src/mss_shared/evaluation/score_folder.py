"""The folder of one run's scores: begun once, gone on with, and never overwritten unasked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared.atomic import write_new_text
from mss_shared.datasets import Dataset
from mss_shared.evaluation.journal import Journal, is_entry
from mss_shared.evaluation.protocols import Protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.shards import WHOLE, Shard
from mss_shared.json_text import read_json_object
from mss_shared.names import real_path

_BEGUN = "begun.json"  # what the scores of an unfinished run depend on


class ScoreFolder:
    """Scores of one run, as they are written."""

    def __init__(self, folder: Path, inputs: str, shard: Shard = WHOLE) -> None:
        """The folder of a run.

        Args:
            folder: of the run, or of all its shards.
            inputs: a digest of all that its scores depend on.
            shard: the part of the run that is scored.
        """
        self.folder, self.inputs = folder, inputs
        self._journal = Journal(folder, shard)
        self._record: dict[str, Any] = {}
        self._found: dict[str, TrackScores] = {}
        self._is_begun = False

    def open(
        self, about: Mapping[str, Any], dataset: Mapping[str, Any], *, overwrite: bool
    ) -> None:
        """Find what is done; nothing is written before the first score.

        Args:
            about, dataset: as in ``write_record``, by which an older record is recognised.
            overwrite: remove the scores of another run.

        Raises:
            ValueError: if there are scores of other inputs, or of no readable record.
        """
        self._record = self._read("run.json", overwrite)
        begun = self._read(_BEGUN, overwrite)
        self._is_begun = bool(begun)
        if not self._record and isinstance(begun.get("record"), dict):
            self._record = begun["record"]
        known = self._record.get("inputs") or begun.get("inputs")
        if self._record and not known and _is_same(self._record, about, dataset):
            known = self.inputs
        is_complete = bool(self._record) and not self._is_begun
        again = is_complete and overwrite
        is_taken = self._holds_scores() or os.path.lexists(self.folder / _BEGUN)
        if (known != self.inputs or again) and is_taken:
            if not overwrite:
                raise ValueError(
                    f"{self.folder} holds scores of other weights, settings or songs: give this "
                    f"run another name with --run, or replace them with --overwrite"
                )
            self._clear()
        for key, entry in _entries(self._record, self._inputs).items():
            self._journal.entries.setdefault(key, entry)

    @property
    def needs_record(self) -> bool:
        """Whether scores were added that no ``run.json`` lists."""
        return self._is_begun or not self._record

    def find(self, track: str, protocol: Protocol) -> TrackScores | None:
        """A track's scores, if it is done."""
        found = self._journal.find(track, protocol, self._inputs(protocol.label))
        if found is not None:
            self._found[f"{protocol.label}/{track}"] = found
        return found

    def add(
        self, protocol: Protocol, scores: TrackScores, cost: Mapping[str, float] | None = None
    ) -> None:
        """Write a track's scores, and what its estimates took."""
        if not self._is_begun:
            # run.json marks complete runs only; what it says of other protocols is kept.
            self._begin()
            (self.folder / "run.json").unlink(missing_ok=True)
            self._is_begun = True
        rounded = self._journal.add(protocol, scores, self._inputs(protocol.label), cost)
        self._found[f"{protocol.label}/{scores.name}"] = rounded

    def _begin(self) -> None:
        """Say whose scores follow; of two other runs that begin at once, one is refused."""
        if not self._record:
            self._record = self._read("run.json", False)
            if self._record and self._record.get("inputs") != self.inputs:
                raise self._taken()
        begun = {"inputs": self.inputs, "record": self._record or None}
        try:
            write_new_text(self.folder / _BEGUN, json.dumps(begun) + "\n")
        except FileExistsError:
            self.check_owner()

    def check_owner(self) -> None:
        """Raise ValueError if another process has begun another run in this folder.

        One that has meanwhile completed the same run, such as that of the mixture, does no harm;
        what it scored is kept.
        """
        completed = self._read("run.json", False)
        if (self._read(_BEGUN, False) or completed).get("inputs") != self.inputs:
            raise self._taken()
        self._record = completed or self._record

    def _taken(self) -> ValueError:
        return ValueError(
            f"another evaluation has meanwhile written to {self.folder}: give this run another "
            f"name with --run"
        )

    def _read(self, name: str, overwrite: bool) -> dict[str, Any]:
        try:
            return _read(self.folder / name)
        except (ValueError, OSError):
            if not overwrite:
                raise
            return {}

    def get(self, track: str, protocol: Protocol) -> TrackScores:
        """A track's scores, which were found or added."""
        return self._found[f"{protocol.label}/{track}"]

    def digests(self, protocol: Protocol, tracks: Sequence[str]) -> dict[str, str]:
        """Track to the SHA-256 of its score file."""
        return self._journal.digests(protocol, tracks)

    def costs(self, protocol: Protocol, tracks: Sequence[str]) -> list[Mapping[str, float]]:
        """What the estimates of tracks took, as far as it is known."""
        found = (self._journal.entries[f"{protocol.label}/{track}"] for track in tracks)
        return [entry["cost"] for entry in found if "cost" in entry]

    def earlier_protocols(self) -> dict[str, Any]:
        """The protocols of a complete run of the same inputs, as its record describes them."""
        protocols = self._record.get("protocols")
        return dict(protocols) if isinstance(protocols, dict) else {}

    def close(self) -> None:
        """Remove what only an unfinished run needs; call once ``run.json`` is written."""
        self._journal.remove()
        (self.folder / _BEGUN).unlink(missing_ok=True)

    def _inputs(self, label: str) -> str:
        return hashlib.sha256(f"{self.inputs}\n{label}".encode()).hexdigest()

    def _holds_scores(self) -> bool:
        return bool(self._record or self._journal.entries or any(self.folder.rglob("test/*.json")))

    def _clear(self) -> None:
        """Remove the score files that record and journals list, the record, and empty folders."""
        for key, entry in _entries(self._record, self._inputs).items():
            self._journal.entries.setdefault(key, entry)
        self._journal.keep_only((), ())
        (self.folder / "run.json").unlink(missing_ok=True)
        self.close()
        self._journal.clear()
        self._record, self._is_begun = {}, False


def digest_places(dataset: Dataset, estimates: Path) -> str:
    """SHA-256 of which estimates are scored on which data set, by the folder they lie in."""
    words = (str(real_path(estimates)), dataset.name)
    return hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()


def check_free(folder: Path, inputs: str, *, overwrite: bool) -> None:
    """Raise ValueError if a folder holds complete scores of other estimates.

    Args:
        folder: of a run of ``mss-eval``.
        inputs: the result of ``digest_places``.
        overwrite: whether they may be replaced.
    """
    if overwrite:
        return
    known = _read(folder / "run.json").get("inputs")
    if known is not None and known != inputs:
        raise ValueError(
            f"{folder} holds scores of other estimates: name these with --method or --run, or "
            f"replace them with --overwrite"
        )


def _read(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty if there is none.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is not one.
    """
    if not os.path.lexists(path):
        return {}
    return read_json_object(path, "replace the run with --overwrite, or choose another --run")


def _is_same(
    record: Mapping[str, Any], about: Mapping[str, Any], dataset: Mapping[str, Any]
) -> bool:
    """Whether a record of an older version, without a digest of its inputs, is of this run."""
    theirs, weights, ours = record.get("dataset"), record.get("weights"), about["weights"]
    if not isinstance(theirs, dict) or not isinstance(weights, dict | None):
        return False
    return (
        (record.get("kind"), record.get("method")) == (about["kind"], about["method"])
        and all(theirs.get(name) == dataset[name] for name in ("fingerprint", "tracks"))
        and (weights or {}).get("digest") == (ours or {}).get("digest")
    )


def _entries(record: Mapping[str, Any], inputs: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """The journal of a complete run, from its record, as far as that has the right form."""
    protocols = record.get("protocols")
    found: dict[str, dict[str, Any]] = {}
    for label, about in protocols.items() if isinstance(protocols, dict) else ():
        files = about.get("files") if isinstance(about, dict) else None
        for file, digest in files.items() if isinstance(files, dict) else ():
            track = file.removeprefix("test/").removesuffix(".json")
            notes = about.get("notes")
            entry = {
                "inputs": inputs(label),
                "sha256": digest,
                "notes": notes.get(track, {}) if isinstance(notes, dict) else {},
            }
            if is_entry(f"{label}/{track}", entry):
                found[f"{label}/{track}"] = entry
    return found
