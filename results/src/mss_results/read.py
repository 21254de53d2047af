"""Reads score folders: <scores>/<dataset>/<method>/<run>/ with run.json and track files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mss_results import track_table
from mss_results.cache import Cache
from mss_results.fields import Fields, check_name, parse_object
from mss_results.finished import folders_in, run_folders
from mss_results.musdb18 import check_official
from mss_results.small_file import read_small
from mss_results.track_file import (
    KNOWN_STEMS,
    Protocol,
    TrackScores,
    check_stem,
    parse_track,
)
from mss_results.training import (
    Content,
    Model,
    Tested,
    Training,
    join_distinct,
    read_content,
    read_models,
    read_training,
)

SCHEMA = 1
KINDS = ("model", "blind", "baseline", "oracle")
AGGREGATES = ("median", "mean")
SECOND_HAND = "second-hand"
NO_CACHE = Cache(None)


@dataclass(frozen=True)
class ScoreSet:
    """All tracks of one run under one protocol, sorted by track name.

    label: the protocol's folder within the run's; files: track -> its file in that folder;
    digests: track -> SHA-256 of this file; has_frames: false if only a value per track is kept.
    """

    label: str
    protocol: Protocol
    tracks: tuple[TrackScores, ...]
    files: Mapping[str, str]
    digests: Mapping[str, str]
    has_frames: bool


@dataclass(frozen=True)
class Cost:
    """GMAC and processing seconds per second of audio, peak memory; None if not measured."""

    gmac_per_second: float | None
    real_time_factor: float | None
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Provenance:
    """How the scores were made; None where it was not recorded."""

    command: str | None
    commit: str | None
    machine: str | None
    versions: Mapping[str, str]
    seed: int | None
    recipe_digest: str | None
    weights_digest: str | None


@dataclass(frozen=True)
class Run:
    """One run.json with its scores; `folder` holds it."""

    folder: Path
    dataset: str
    method: str
    name: str
    kind: str
    recipe: str | None
    verbatim: bool | None
    ours_leaves: int | None
    second_hand_leaves: int | None
    reproduces: str | None
    fingerprint: str | None
    tracks: tuple[str, ...]
    stems: tuple[str, ...]
    content: Content | None
    training: Training | None
    models: tuple[Model, ...]
    parameters: int | None
    cost: Cost
    provenance: Provenance
    scores: tuple[ScoreSet, ...]

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.method}/{self.name}"

    @property
    def tested(self) -> Tested:
        return Tested(self.dataset, self.fingerprint, self.tracks, self.content)

    @property
    def trainings(self) -> tuple[Training | None, ...]:
        return tuple(model.training for model in self.models)

    @property
    def training_data(self) -> str:
        """The names of the data sets that the models were trained on."""
        return join_distinct(each.dataset for each in self.trainings if each is not None)

    @property
    def fit_command(self) -> str:
        """The commands that trained the models."""
        return join_distinct(model.command for model in self.models)

    @property
    def fit_commit(self) -> str:
        """The commits that trained the models."""
        return join_distinct(model.commit for model in self.models)


def read_runs(roots: Sequence[Path], cache: Cache = NO_CACHE) -> tuple[Run, ...]:
    """Read all finished runs in the score folders, sorted by data set, method and run.

    Every digest is checked, even if the frames of unchanged files come from the cache.

    Raises:
        FileNotFoundError: if a score folder or a listed file is missing.
        ValueError: if a file is malformed, was changed after it was written, or refers to
            something the run does not have; if two folders hold the same run.
    """
    by_id: dict[str, tuple[Run, Path]] = {}
    for root in roots:
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {root}: --scores must name score folders")
        for folder in run_folders(root):
            run = read_run(folder, cache)
            if run.id in by_id:
                raise ValueError(
                    f"{folder}: run {run.id} is also in {by_id[run.id][1]}: "
                    f"give one of them another run name"
                )
            by_id[run.id] = (run, folder)
    runs = (run for run, _ in by_id.values())
    return tuple(sorted(runs, key=lambda run: (run.dataset, run.method, run.name)))


def read_run(folder: Path, cache: Cache) -> Run:
    """Read one finished run; errors as in read_runs."""
    file = folder / "run.json"
    fields = parse_object(read_small(file), file)
    if fields.count("schema") != SCHEMA:
        raise ValueError(
            f"{file}: field schema is {fields.count('schema')}: this version reads schema {SCHEMA}"
        )
    dataset = fields.inner("dataset")
    _check_folder_names(folder, fields, dataset)
    stems = fields.texts("stems")
    for stem in stems:
        check_stem(stem, KNOWN_STEMS, f"{file}: field stems")
    tracks = dataset.names("tracks")
    check_official(dataset.text("name"), tracks, dataset.where("tracks"))
    leaves = fields.inner_or_none("leaf_sources")
    weights = fields.inner_or_none("weights")
    return Run(
        folder=folder,
        dataset=dataset.text("name"),
        method=fields.text("method"),
        name=fields.text("run"),
        kind=fields.choice("kind", KINDS),
        recipe=fields.text_or_none("recipe"),
        verbatim=fields.flag_or_none("verbatim"),
        ours_leaves=None if leaves is None else leaves.count("ours"),
        second_hand_leaves=_second_hand(leaves),
        reproduces=fields.text_or_none("reproduces"),
        fingerprint=dataset.text_or_none("fingerprint"),
        tracks=tuple(sorted(tracks)),
        stems=stems,
        content=read_content(dataset),
        training=read_training(fields.inner_or_none("training")),
        models=read_models(fields),
        parameters=None if weights is None else weights.count("parameters"),
        cost=_cost(fields.inner("cost")),
        provenance=_provenance(fields, weights),
        scores=_score_sets(folder, fields, tracks, cache),
    )


def _check_folder_names(folder: Path, fields: Fields, dataset: Fields) -> None:
    """Check that the folders are named after run, method and data set: copies may not be."""
    expected = (
        (folder.name, fields.text("run"), fields.where("run")),
        (folder.parent.name, fields.text("method"), fields.where("method")),
        (folder.parent.parent.name, dataset.text("name"), dataset.where("name")),
    )
    for folder_name, name, where in expected:
        check_name(name, where)
        if folder_name != name:
            raise ValueError(f"{where} is {name!r}, its folder is {folder_name!r}: they must agree")
    if dataset.text("split") != "test":
        raise ValueError(
            f"{dataset.where('split')} is {dataset.text('split')!r}: boards show only 'test'"
        )


def _second_hand(leaves: Fields | None) -> int | None:
    """Values known second-hand; None for recipes older than that source."""
    if leaves is None or SECOND_HAND not in leaves.values:
        return None
    return leaves.count(SECOND_HAND)


def _cost(fields: Fields) -> Cost:
    return Cost(
        gmac_per_second=fields.number_or_none("gmac_per_second"),
        real_time_factor=fields.number_or_none("real_time_factor"),
        peak_memory_bytes=fields.count_or_none("peak_memory_bytes"),
    )


def _provenance(fields: Fields, weights: Fields | None) -> Provenance:
    versions = fields.inner("versions")
    return Provenance(
        command=fields.text_or_none("command"),
        commit=fields.text_or_none("commit"),
        machine=fields.text_or_none("machine"),
        versions={name: versions.text(name) for name in sorted(versions.values)},
        seed=fields.count_or_none("seed"),
        recipe_digest=fields.text_or_none("recipe_digest"),
        weights_digest=None if weights is None else weights.text("digest"),
    )


def _score_sets(
    folder: Path, fields: Fields, tracks: tuple[str, ...], cache: Cache
) -> tuple[ScoreSet, ...]:
    protocols = fields.inner("protocols")
    if not protocols.values:
        raise ValueError(f"{fields.where('protocols')} is empty: a run needs at least one protocol")
    present = {path.name for path in folders_in(folder)}
    for name in sorted(present - set(protocols.values)):
        raise ValueError(f"{protocols.where(name)} is missing: the folder {folder / name} exists")
    sets: dict[str, ScoreSet] = {}
    for name in sorted(protocols.values):
        check_name(name, f"{protocols.where(name)}, a folder's name,")
        entry = protocols.inner(name)
        protocol = _protocol(entry)
        if protocol.id in sets:
            raise ValueError(f"{entry.where('id')} is {protocol.id!r} twice: use each id once")
        sets[protocol.id] = _score_set(folder / name, entry, protocol, tracks, cache)
    return tuple(sets[id] for id in sorted(sets))


def _score_set(
    folder: Path, entry: Fields, protocol: Protocol, tracks: tuple[str, ...], cache: Cache
) -> ScoreSet:
    """Read a file per track with its frames, or the one table that `files` lists instead."""
    absent = _absent(entry, tracks)
    if set(entry.inner("files").values) == {track_table.FILE}:
        digest = entry.inner("files").text(track_table.FILE)
        scores = _table(folder, digest, protocol, tracks, absent)
        files = dict.fromkeys(tracks, track_table.FILE)
        return ScoreSet(folder.name, protocol, scores, files, dict.fromkeys(tracks, digest), False)
    listed = _digests(folder, entry, tracks)
    digests = {track: digest for track, _, digest in listed}
    files = {track: f"test/{track}.json" for track in tracks}
    scores = _tracks(listed, protocol, absent, cache)
    return ScoreSet(folder.name, protocol, scores, files, digests, True)


def _table(
    folder: Path,
    digest: str,
    protocol: Protocol,
    tracks: tuple[str, ...],
    absent: Mapping[str, tuple[str, ...]],
) -> tuple[TrackScores, ...]:
    for file in sorted(folder.rglob("*.json")):
        raise ValueError(f"{file}: not listed in run.json: remove it or evaluate again")
    file = folder / track_table.FILE
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}: run.json lists it in {folder.name}.files")
    return track_table.parse_table(_content(file, digest), file, protocol, tracks, absent)


def _protocol(entry: Fields) -> Protocol:
    targets = entry.texts("targets")
    for stem in targets:
        check_stem(stem, KNOWN_STEMS, entry.where("targets"))
    return Protocol(
        id=check_name(entry.text("id"), entry.where("id")),
        metrics=entry.texts("metrics"),
        unit=entry.text("unit"),
        targets=targets,
        frames=entry.choice("frames", AGGREGATES),
        tracks=entry.choice("tracks", AGGREGATES),
        silence=entry.text("silence"),
    )


def _digests(folder: Path, entry: Fields, tracks: tuple[str, ...]) -> list[tuple[str, Path, str]]:
    """Track, file and digest, after checking that disk, digests and track list agree."""
    files = entry.inner("files")
    wanted = {f"test/{track}.json" for track in tracks}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    for name in sorted(wanted ^ set(files.values)):
        raise ValueError(
            f"{files.where(name)} is {'missing' if name in wanted else 'not a test track'}: "
            f"files and dataset.tracks must list the same {len(tracks)} tracks"
        )
    for name in sorted(wanted - present):
        raise FileNotFoundError(f"no file {folder / name}: run.json lists it in {files.path[:-1]}")
    for name in sorted(present - wanted):
        raise ValueError(f"{folder / name}: not listed in run.json: remove it or evaluate again")
    return [
        (track, folder / f"test/{track}.json", files.text(f"test/{track}.json"))
        for track in sorted(tracks)
    ]


def _absent(entry: Fields, tracks: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Track -> targets without a score, for reasons given in `notes`."""
    notes = entry.inner("notes")
    for track in notes.values:
        if track not in tracks:
            raise ValueError(f"{notes.where(track)} is not a test track: use dataset.tracks")
    return {track: tuple(notes.inner(track).values) for track in notes.values}


def _tracks(
    files: Sequence[tuple[str, Path, str]],
    protocol: Protocol,
    absent: Mapping[str, tuple[str, ...]],
    cache: Cache,
) -> tuple[TrackScores, ...]:
    key = cache.key(protocol, {track: digest for track, _, digest in files}, absent)
    cached = cache.load(key, protocol, [track for track, _, _ in files])
    contents = ((track, file, _content(file, digest)) for track, file, digest in files)
    if cached is not None:
        for _ in contents:  # still check the digests
            pass
        return cached
    tracks = tuple(
        parse_track(content, file, track, protocol, absent.get(track, ()))
        for track, file, content in contents
    )
    cache.store(key, protocol, tracks)
    return tracks


def _content(file: Path, digest: str) -> bytes:
    content = read_small(file)
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise ValueError(
            f"{file}: its SHA-256 is {actual[:12]}..., run.json says {digest[:12]}...: "
            f"scores must not be edited, evaluate again"
        )
    return content
