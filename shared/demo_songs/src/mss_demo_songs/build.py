"""Build a demo set once, resume an interrupted build, and leave a manifest.

Songs are written into a temporary folder and renamed into place, the manifest last. Processes that
build the same set at the same time make the same bytes, and the first rename wins.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from mss_demo_songs.settings import (
    GENERATOR_VERSION,
    SAMPLE_RATE,
    DemoSettings,
    SongPlan,
    plan_songs,
    set_name,
    short_name,
    validation_names,
)
from mss_demo_songs.workplace import new_workplace, sweep

MANIFEST = "manifest.json"
_MOST_BYTES = 2**24  # of a manifest or of what is known of a song
FILES = ("mixture", "vocals", "drums", "bass", "other")
SPLITS = ("train", "test", "edge")
#: Module to distribution.
PACKAGES = {"midirenderer": "midirenderer", "pretty_midi": "pretty_midi", "mido": "mido"}
VOCAL_PACKAGES = {"espeakng_loader": "espeakng-loader", "pyworld": "pyworld-prebuilt"}

Progress = Callable[[str, int, int], None]


def demo_root(
    settings: DemoSettings,
    *,
    cache: Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder of a demo set, which is built first if it does not exist.

    A set whose manifest matches, with the SHA-256 of every file, is returned at once. Songs that
    are missing or damaged are made again; an interrupted build keeps its finished songs. Workers
    are separate programs, so a calling script needs no `if __name__` guard.

    Args:
        settings: what to build, one of SIZES or your own.
        cache: folder with a subfolder per set; the user's cache directory by default.
        jobs: worker processes; the number of processors by default.
        progress: called with (song name, songs done, songs in all) after each song.

    Returns:
        The folder with train/, test/, edge/ and manifest.json.

    Raises:
        ModuleNotFoundError: if a package of `mss-demo-songs` is missing.
        OSError: if the folder can't be written or its disk is full.
        RuntimeError: if a song could not be made.
    """
    parent = platformdirs.user_cache_path("mss") / "demo" if cache is None else Path(cache)
    root = parent / short_name(settings)
    plans = plan_songs(settings)
    if _is_complete(root, settings, plans):
        return root
    _require_packages(settings)
    try:
        _build(root, settings, plans, jobs or os.cpu_count() or 1, progress)
    except OSError as error:
        raise OSError(_unwritable(root, plans, error)) from error
    return root


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of a demo set: name, settings, validation songs, versions, SHA-256 per file.

    Raises:
        FileNotFoundError: if the folder has none.
        ValueError: if it is not a JSON object.
    """
    path = Path(root) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"no {MANIFEST} in {root}: pass the folder of a demo set that was built completely"
        )
    try:
        return _read_object(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}: delete it to build the set again") from None


def _read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file that anybody may have written.

    Raises:
        OSError: if it can't be read.
        ValueError: if it is no plain file, too long, too deep, or no JSON object.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is no plain file")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"is longer than {_MOST_BYTES} bytes")
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else ascii(str(error))[1:-1][:200]
        raise ValueError(f"is not valid JSON ({why})") from None
    if not isinstance(value, dict):
        raise ValueError(f"holds a {type(value).__name__}, not an object")
    return value


def _unwritable(root: Path, plans: list[SongPlan], error: OSError) -> str:
    megabytes = sum(_wav_bytes(plan) * len(FILES) for plan in plans) / 1e6
    reason = (error.strerror or str(error)).replace(":", ",")
    return (
        f"the demo set can't be written under {root} ({reason}): it needs {megabytes:.0f} MB "
        f"in a folder you may write to, here or under another cache folder (XDG_CACHE_HOME)"
    )


def _wav_bytes(plan: SongPlan) -> int:
    """Bytes of the samples of one stereo 16-bit file."""
    return 4 * round(plan.seconds * SAMPLE_RATE)


def _needed(settings: DemoSettings) -> dict[str, str]:
    return PACKAGES | VOCAL_PACKAGES if settings.vocals else dict(PACKAGES)


def _require_packages(settings: DemoSettings) -> None:
    missing = [name for name in _needed(settings) if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"{len(missing)} of the packages that make the demo set are not installed "
            f"({', '.join(missing)}): pip install mss-demo-songs"
        )


def _versions(settings: DemoSettings) -> dict[str, str]:
    names = [*_needed(settings).values(), "numpy", "scipy"]
    return {name: importlib.metadata.version(name) for name in names}


def _is_whole(folder: Path, plan: SongPlan) -> bool:
    """Whether every wav file of a song is there in full length."""
    paths = [folder / f"{name}.wav" for name in FILES]
    return all(path.is_file() and path.stat().st_size > _wav_bytes(plan) for path in paths)


def _is_undamaged(folder: Path, digests: dict[str, Any]) -> bool:
    """Whether every wav file of a whole song has its digest of the manifest."""
    for name in FILES:
        with (folder / f"{name}.wav").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != digests.get(f"{folder.parent.name}/{folder.name}/{name}.wav"):
            return False
    return True


def _read_digests(root: Path, settings: DemoSettings) -> dict[str, Any] | None:
    """The manifest's digests, None unless it is of these settings and this generator."""
    try:
        manifest = read_manifest(root)
    except (OSError, ValueError):
        return None
    made = (manifest.get("generator_version"), manifest.get("settings"))
    digests = manifest.get("sha256")
    matches = made == (GENERATOR_VERSION, asdict(settings)) and isinstance(digests, dict)
    return digests if matches else None


def _is_complete(root: Path, settings: DemoSettings, plans: list[SongPlan]) -> bool:
    """Whether there is the manifest of the settings and this generator, and all that it lists."""
    digests = _read_digests(root, settings)
    folders = {root / plan.split / plan.name: plan for plan in plans}
    return digests is not None and all(
        _is_whole(folder, plan) and _is_undamaged(folder, digests)
        for folder, plan in folders.items()
    )


def _is_current(
    folder: Path, plan: SongPlan, versions: dict[str, str], digests: dict[str, Any] | None
) -> bool:
    """Whether a folder is a finished song of this plan, generator and package versions.

    Its files must have the digests of the manifest, if there is one.
    """
    try:
        meta = _read_object(folder / "meta.json")
    except (OSError, ValueError):
        return False
    made = (meta.get("plan"), meta.get("generator_version"), meta.get("package_versions"))
    is_made = made == (asdict(plan), GENERATOR_VERSION, versions) and _is_whole(folder, plan)
    return is_made and (digests is None or _is_undamaged(folder, digests))


def _build(
    root: Path,
    settings: DemoSettings,
    plans: list[SongPlan],
    jobs: int,
    progress: Progress | None,
) -> None:
    # Imported here: only a build needs it, and a finished set is not built.
    from mss_demo_songs.pool import make_songs

    versions = _versions(settings)
    for split in SPLITS:
        (root / split).mkdir(parents=True, exist_ok=True)
    sweep(root)
    workplace = new_workplace(root)
    try:
        digests = _read_digests(root, settings)
        todo = _remaining(root, plans, versions, digests, workplace)
        done = len(plans) - len(todo)
        for plan in make_songs(todo, workplace, versions, jobs):
            _move_in(workplace / plan.split / plan.name, root / plan.split / plan.name)
            done += 1
            if progress is not None:
                progress(plan.name, done, len(plans))
        _write_manifest(root, settings, plans, versions, workplace)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _remaining(
    root: Path,
    plans: list[SongPlan],
    versions: dict[str, str],
    digests: dict[str, Any] | None,
    workplace: Path,
) -> list[SongPlan]:
    """The songs still to make; folders that are no longer current are moved out of the way."""
    current = {
        root / plan.split / plan.name
        for plan in plans
        if _is_current(root / plan.split / plan.name, plan, versions, digests)
    }
    for split in SPLITS:
        for folder in sorted((root / split).iterdir()):
            if folder not in current:
                folder.rename(workplace / f"outdated-{split}-{folder.name}")
    return [plan for plan in plans if root / plan.split / plan.name not in current]


def _move_in(finished: Path, destination: Path) -> None:
    """Rename a finished song into place, unless another process was first."""
    try:
        finished.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise


def _write_manifest(
    root: Path,
    settings: DemoSettings,
    plans: list[SongPlan],
    versions: dict[str, str],
    workplace: Path,
) -> None:
    # Imported here, as it loads NumPy and SciPy, which a finished set does not need.
    from mss_demo_songs.song import file_digests

    digests = {
        f"{plan.split}/{plan.name}/{file}": digest
        for plan in plans
        for file, digest in file_digests(root / plan.split / plan.name).items()
    }
    manifest = {
        "name": set_name(settings),
        "generator_version": GENERATOR_VERSION,
        "package_versions": versions,
        "size": short_name(settings),
        "settings": asdict(settings),
        "vocals": "sung" if settings.vocals else "choir of the sound font",
        "sample_rate": SAMPLE_RATE,
        "validation": validation_names(plans),
        "edge": {"instrumental": [plan.name for plan in plans if plan.split == "edge"]},
        "sha256": digests,
    }
    written = workplace / MANIFEST
    written.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    written.replace(root / MANIFEST)
