"""The built demo set: exact, reproducible, resumable, and a fair separation task."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import istft, stft

from mss_demo_songs import SIZES, DemoSettings, build, demo_root, pool, read_manifest
from mss_demo_songs.settings import plan_songs
from mss_demo_songs.song import file_digests, write_song
from mss_demo_songs.workplace import new_workplace

STEMS = ("vocals", "drums", "bass", "other")
TINY = SIZES["tiny"]
MICRO = DemoSettings(train=1, test=1, seconds=4.0, seed=7, vocals=True)
RATE = 44_100


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny set, made by one process, song after song."""
    return demo_root(TINY, cache=tmp_path_factory.mktemp("one"), jobs=1)


@pytest.fixture(scope="session")
def tiny_again(tmp_path_factory):
    """The tiny set, made by two processes."""
    return demo_root(TINY, cache=tmp_path_factory.mktemp("two"), jobs=2)


@pytest.fixture()
def broken_workers(monkeypatch):
    """Workers that end at once with status 3."""
    command = (sys.executable, "-I", "-S", "-c", "raise SystemExit(3)")
    monkeypatch.setattr(pool, "WORKER", command)


def songs_of(root):
    folders = sorted(path.parent for path in root.glob("*/*/mixture.wav"))
    assert len(folders) == 7  # four to train on, two to test on, one edge case
    return folders


def samples_of(path):
    rate, pcm = wavfile.read(path)
    assert rate == RATE and pcm.dtype == np.int16
    return pcm.T.astype(np.int64)


def rms_db(sound):
    return 10 * np.log10(np.mean((sound / 32_768) ** 2))


def median_frame_sdr(references, estimates):
    """(stem,) dB over the 1-s frames in which every stem sounds."""
    frames = references.shape[-1] // RATE
    shape = (len(references), 2, frames, RATE)
    reference = references[..., : frames * RATE].reshape(shape)
    error = estimates[..., : frames * RATE].reshape(shape) - reference
    signal, noise = (reference**2).sum((1, 3)), (error**2).sum((1, 3))
    heard = (signal > 0).all(0)
    assert heard.sum() >= 4
    return np.median(10 * np.log10(signal[:, heard] / noise[:, heard]), axis=1)


def ideal_ratio_masked(references, mixture, power):
    settings = {"fs": RATE, "nperseg": 2_048, "noverlap": 1_536}
    weights = np.stack([np.abs(stft(stem, **settings)[2]) ** power for stem in references])
    masked = weights / np.maximum(weights.sum(0), 1e-12) * stft(mixture, **settings)[2]
    return np.stack([istft(spec, **settings)[1] for spec in masked])[..., : mixture.shape[-1]]


def test_one_process_and_two_make_the_same_bytes(tiny, tiny_again):
    first, second = read_manifest(tiny), read_manifest(tiny_again)
    assert len(first["sha256"]) == 7 * 5
    assert first == second


def test_a_song_made_after_others_in_this_process_has_the_same_bytes(tiny, tmp_path):
    digests = read_manifest(tiny)["sha256"]
    last_two = plan_songs(TINY)[:-3:-1]
    for plan in last_two:
        folder = tmp_path / plan.name
        folder.mkdir()
        write_song(plan, folder, {})
        made = file_digests(folder)
        assert len(made) == 5
        for file, digest in made.items():
            assert digests[f"{plan.split}/{plan.name}/{file}"] == digest
    assert "pretty_midi" not in sys.modules  # only its sound font is read


def test_the_manifest_tells_what_the_files_are(tiny):
    manifest = read_manifest(tiny)
    assert manifest["name"] == "demo_tiny"
    assert manifest["settings"] == {
        "train": 4,
        "test": 2,
        "seconds": 8.0,
        "seed": 1,
        "vocals": True,
    }
    train = sorted(path.name for path in (tiny / "train").iterdir())
    assert manifest["validation"] == train[-3:]
    for folder in songs_of(tiny):
        for file, digest in file_digests(folder).items():
            assert manifest["sha256"][f"{folder.parent.name}/{folder.name}/{file}"] == digest


def test_the_mixture_is_the_integer_sum_of_the_stems(tiny):
    for folder in songs_of(tiny):
        stems = [samples_of(folder / f"{stem}.wav") for stem in STEMS]
        mixture = samples_of(folder / "mixture.wav")
        assert mixture.shape == (2, 8 * RATE)
        assert np.array_equal(np.sum(stems, axis=0), mixture)
        assert max(np.abs(sound).max() for sound in (mixture, *stems)) <= 32_767
        assert -1.6 < 20 * np.log10(np.abs(mixture).max() / 32_767) < -0.2


def test_every_sounding_stem_lies_between_minus_26_and_minus_15_dbfs(tiny):
    for folder in songs_of(tiny):
        stems = {stem: samples_of(folder / f"{stem}.wav") for stem in STEMS}
        if folder.parent.name == "edge":
            stems.pop("vocals")
        for sound in stems.values():
            assert -26.0 <= rms_db(sound) <= -15.0


def test_the_edge_case_song_has_no_voice_and_stands_outside_of_the_test_folder(tiny):
    names = read_manifest(tiny)["edge"]["instrumental"]
    assert len(names) == 1
    folder = tiny / "edge" / names[0]
    assert not samples_of(folder / "vocals.wav").any()
    assert samples_of(folder / "other.wav").any()
    assert len(list((tiny / "test").iterdir())) == 2


def test_an_oracle_separates_the_test_songs_and_the_mixture_does_not(tiny):
    folders = sorted((tiny / "test").iterdir())
    assert len(folders) == 2
    for folder in folders:
        references = np.stack([samples_of(folder / f"{stem}.wav") / 32_768 for stem in STEMS])
        mixture = references.sum(axis=0)
        for power in (1, 2):
            oracle = median_frame_sdr(references, ideal_ratio_masked(references, mixture, power))
            assert (oracle >= 5.0).all() and (oracle <= 14.0).all(), oracle
        repeated = np.broadcast_to(mixture, references.shape)
        assert (median_frame_sdr(references, repeated) < 0.0).all()


def test_the_bass_is_mono_and_the_others_are_not(tiny):
    for folder in songs_of(tiny):
        left, right = samples_of(folder / "bass.wav")
        assert np.array_equal(left, right)
        for stem in ("drums", "other"):
            left, right = samples_of(folder / f"{stem}.wav")
            assert np.mean((left - right) ** 2) > 0.01 * np.mean((left + right) ** 2)


def test_meta_tells_seed_tempo_parts_and_singer(tiny):
    for folder in songs_of(tiny):
        meta = json.loads((folder / "meta.json").read_text())
        assert folder.name.endswith(f"-{meta['style']}-{meta['seed']}")
        assert {part["stem"] for part in meta["parts"]} == {"drums", "bass", "other"}
        assert all(part["notes"] for part in meta["parts"])
        assert (meta["singer"] is None) == (folder.parent.name == "edge")


def test_a_finished_set_is_returned_without_work(tiny, broken_workers):
    heard = []
    written = (tiny / "manifest.json").stat().st_mtime_ns
    root = demo_root(TINY, cache=tiny.parent, progress=lambda *told: heard.append(told))
    assert root == tiny and heard == []
    assert (tiny / "manifest.json").stat().st_mtime_ns == written


def test_only_missing_and_outdated_songs_are_made_again(tiny, tmp_path):
    root = tmp_path / tiny.name
    shutil.copytree(tiny, root)
    missing, outdated = sorted((root / "train").iterdir())[1:3]
    shutil.rmtree(missing)
    meta = json.loads((outdated / "meta.json").read_text())
    (outdated / "meta.json").write_text(json.dumps(meta | {"generator_version": "0"}))
    heard = []
    demo_root(TINY, cache=tmp_path, jobs=2, progress=lambda *told: heard.append(told))
    assert sorted(name for name, _, _ in heard) == [missing.name, outdated.name]
    assert [(done, total) for _, done, total in heard] == [(6, 7), (7, 7)]
    assert read_manifest(root) == read_manifest(tiny)
    assert sorted(path.name for path in root.iterdir()) == [
        "edge",
        "manifest.json",
        "test",
        "train",
    ]


def test_a_shortened_file_is_noticed(tiny, tmp_path, broken_workers):
    root = tmp_path / tiny.name
    shutil.copytree(tiny, root)
    short = next((root / "test").iterdir()) / "drums.wav"
    short.write_bytes(short.read_bytes()[:-400])
    with pytest.raises(RuntimeError, match=short.parent.name):
        demo_root(TINY, cache=tmp_path, jobs=1)


def test_a_damaged_file_is_made_again(tiny, tmp_path):
    root = tmp_path / tiny.name
    shutil.copytree(tiny, root)
    damaged = next((root / "test").iterdir()) / "drums.wav"
    content = bytearray(damaged.read_bytes())
    content[-401] ^= 1
    damaged.write_bytes(content)
    heard = []
    demo_root(TINY, cache=tmp_path, jobs=1, progress=lambda *told: heard.append(told))
    assert [name for name, _, _ in heard] == [damaged.parent.name]
    assert file_digests(damaged.parent) == file_digests(tiny / "test" / damaged.parent.name)
    assert read_manifest(root) == read_manifest(tiny)


def test_only_what_dead_processes_left_is_removed(tmp_path, broken_workers):
    root = tmp_path / "tiny"
    root.mkdir()
    ours = new_workplace(root).name
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = ours.replace(f".{os.getpid()}-", f".{ended.pid}-")
    machine = ours.removeprefix(".building-").partition(".")[0]
    others = [dead.replace(machine, f"other{machine}"), f"{dead}.x", ".building-mine", "train"]
    for name in (dead, *others):
        (root / name).mkdir(exist_ok=True)
        (root / name / "x").touch()
    with pytest.raises(RuntimeError):
        demo_root(TINY, cache=tmp_path, jobs=1)
    left = {path.name for path in root.iterdir()}
    assert left == {ours, *others, "test", "edge"}


def test_two_builders_of_the_same_set_leave_it_whole(tmp_path):
    def told():
        return read_manifest(demo_root(MICRO, cache=tmp_path, jobs=1))

    manifests = []
    builders = [threading.Thread(target=lambda: manifests.append(told())) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(manifests) == 2 and manifests[0] == manifests[1]
    root = demo_root(MICRO, cache=tmp_path)
    made = {
        f"{folder.parent.name}/{folder.name}/{file}": digest
        for folder in root.glob("*/*")
        for file, digest in file_digests(folder).items()
    }
    assert len(made) == 3 * 5
    assert made == manifests[0]["sha256"]
    assert not list(root.glob(".building-*"))


def hide(monkeypatch, *names):
    """Make find_spec, as the builder sees it, miss some modules."""
    find_spec = build.importlib.util.find_spec
    monkeypatch.setattr(
        build.importlib.util,
        "find_spec",
        lambda name, *rest: None if name in names else find_spec(name, *rest),
    )


def test_missing_packages_are_named_with_what_to_install(tmp_path, monkeypatch):
    hide(monkeypatch, "pyworld", "mido")
    message = r"2 of the packages .* \(mido, pyworld\): pip install mss-demo-songs"
    with pytest.raises(ModuleNotFoundError, match=message):
        demo_root(MICRO, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_choir_variant_needs_no_speech_packages_and_says_so(tmp_path, monkeypatch):
    hide(monkeypatch, "pyworld", "espeakng_loader")
    root = demo_root(replace(MICRO, vocals=False), cache=tmp_path, jobs=2)
    manifest = read_manifest(root)
    assert manifest["name"] == "demo_1x1x4s_seed7_choir"
    assert "pyworld-prebuilt" not in manifest["package_versions"]
    folder = next((root / "test").iterdir())
    assert -26.0 <= rms_db(samples_of(folder / "vocals.wav")) <= -15.0
    assert json.loads((folder / "meta.json").read_text())["singer"] is None


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = r"can't be written under .*file.* \(Not a directory\): it needs 11 MB"
    with pytest.raises(OSError, match=message):
        demo_root(MICRO, cache=tmp_path / "file")


def test_a_full_disk_in_a_worker_is_one_sentence(tmp_path, monkeypatch):
    program = (
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'song': '', 'kind': 'OSError', 'error': 'No space left'}))\n"
        "    sys.stdout.flush()\n"
    )
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-I", "-S", "-c", program))
    with pytest.raises(OSError, match=r"\(No space left\): it needs 11 MB"):
        demo_root(MICRO, cache=tmp_path, jobs=1)
    assert not list(tmp_path.glob("*/.building-*"))


def test_a_worker_that_dies_names_its_song_and_the_status(tmp_path, broken_workers):
    message = r"the song 01-pop-700000 was not made .*ended with 3\): run the same command again"
    with pytest.raises(RuntimeError, match=message):
        demo_root(MICRO, cache=tmp_path, jobs=1)


def test_sets_are_kept_in_the_users_cache_directory(tmp_path, monkeypatch, broken_workers):
    monkeypatch.setattr(build.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    with pytest.raises(RuntimeError):
        demo_root(TINY, jobs=1)
    assert (tmp_path / "mss" / "demo" / "tiny" / "train").is_dir()


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no manifest.json in .*: pass the folder"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="delete it to build the set again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("kind", ["[]", "[" * 100_000, '"a"', "9" * 5_000, "\xff", "pipe", "long"])
def test_odd_notes_of_a_song_or_a_set_are_no_notes(tmp_path, kind):
    for name, read in (("meta.json", build._read_object), ("manifest.json", read_manifest)):
        path = tmp_path / name
        if kind == "pipe" and name == "meta.json":
            os.mkfifo(path)
        else:
            path.write_bytes(kind.encode("latin-1"))
        if kind == "long":
            os.truncate(path, 2**36)
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            read(path if name == "meta.json" else tmp_path)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert not build._is_current(tmp_path, None, {}, None)
    assert build._read_digests(tmp_path, SIZES["tiny"]) is None


def test_importing_the_demo_set_imports_no_torch_and_no_build_package():
    program = (
        "import sys, mss_demo_songs\n"
        "slow = {'torch', 'midirenderer', 'pretty_midi', 'mido', 'espeakng_loader', 'pyworld'}\n"
        "sys.exit(str(sorted(slow & set(sys.modules))) if slow & set(sys.modules) else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert Path(build.__file__).is_file()
