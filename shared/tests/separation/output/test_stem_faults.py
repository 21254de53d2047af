"""Bad songs and bad disks: one sentence, and never a stem that is not whole under its name."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_songs import noise
from torch import Tensor

from mss_shared import audio, console
from mss_shared.audio import writer
from mss_shared.audio.formats import Format
from mss_shared.audio.tags import Tags, read_tags
from mss_shared.audio.writer import SoundWriter
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.output.options import Delivery, Separated
from mss_shared.separation.output.stem_files import StemFiles, null_depth
from mss_shared.separation.separate import separate_file

RATE = 8_000
CHUNKS = InferenceConfig(0.1, 0.5, 0.0, "triangle", "none")


class Halves:
    stems = ("vocals", "other")
    sample_rate = RATE
    channels = 2

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([0.5 * mixture, 0.25 * mixture], dim=1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def run(song: Path, out: Path, delivery: Delivery | None = None) -> Separated:
    return separate_file(Halves(), song, out, CHUNKS, delivery or Delivery())


def test_corrupt_empty_and_absent_songs_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    song, out = tmp_path / "song.wav", tmp_path / "out"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*song\.wav: check"):
        run(song, out)
    song.write_bytes(b"RIFF nothing of the kind" * 20)
    with pytest.raises(ValueError, match=r"song\.wav is not a readable sound file"):
        run(song, out)
    song.write_bytes(b"")
    with pytest.raises(ValueError, match=r"song\.wav is empty, it has 0 bytes"):
        run(song, out)
    audio.write(song, np.zeros((2, 0), np.float32), RATE)
    with pytest.raises(ValueError, match=r"song\.wav has no samples: give a file with sound"):
        run(song, out)
    assert not out.exists() or not names(out)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_song_that_was_cut_short_is_refused_and_nothing_is_written(
    tmp_path: Path, suffix: str
) -> None:
    song, out = tmp_path / f"song.{suffix}", tmp_path / "out"
    audio.write(song, noise(0, 2, 200_000, 0.1), RATE)
    song.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"song\.{suffix} .*: .*replace"):
        run(song, out)
    assert not out.exists() or not names(out)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_song_that_holds_no_number_is_refused_with_its_place(tmp_path: Path, bad: float) -> None:
    values = noise(0, 2, 100_000, 0.1)
    values[1, 70_000] = bad
    soundfile.write(tmp_path / "song.wav", values.T, RATE, subtype="FLOAT")
    for lossless in (None, "mask"):
        with pytest.raises(ValueError, match="NaN or infinity, first at sample 70000: repair"):
            run(tmp_path / "song.wav", tmp_path / "out", Delivery(lossless=lossless))
    assert not names(tmp_path / "out") if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize("samples", [1, 2, 500])
@pytest.mark.parametrize("lossless", [None, "mask", "rerun"])
def test_the_shortest_and_silent_songs_are_separated(
    tmp_path: Path, rate: int, samples: int, lossless: str | None
) -> None:
    for name, song in (("one", noise(1, 2, samples)), ("silent", np.zeros((2, samples)))):
        audio.write(tmp_path / f"{name}.wav", song.astype(np.float32), rate)
        done = run(tmp_path / f"{name}.wav", tmp_path, Delivery(lossless=lossless))
        found = [audio.read(path) for path in done.paths.values()]
        assert all(stem.shape == (2, samples) for stem in found)
        if lossless:
            assert np.array_equal(sum(found), audio.read(tmp_path / f"{name}.wav"))
        if name == "silent":
            assert not np.any(found)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 100), RATE)
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OSError) as caught:
        run(tmp_path / "song.wav", tmp_path / "out")
    assert "check the path and its permissions" in console.sentence(caught.value)


def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes to read-only folders")
    audio.write(tmp_path / "song.wav", noise(0, 2, 100), RATE)
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(PermissionError) as caught:
        run(tmp_path / "song.wav", tmp_path / "out")
    assert "check the path and its permissions" in console.sentence(caught.value)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root mounts a small disk")
    try:
        audio.write(tmp_path / "song.wav", noise(0, 2, 100_000, 0.1), RATE)
        for delivery in (Delivery(), Delivery("flac"), Delivery(lossless="mask")):
            with pytest.raises(OSError, match="can't be written .*: is the disk full") as caught:
                run(tmp_path / "song.wav", disk, delivery)
            assert "\n" not in console.sentence(caught.value)
            assert not names(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_refuses_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 200_000, 0.1), RATE)
    write, calls = soundfile.SoundFile.write, []

    def failing(self: soundfile.SoundFile, data: np.ndarray) -> None:
        calls.append(len(data))
        assert len(calls) < 100, "short write"
        write(self, data)

    monkeypatch.setattr(soundfile.SoundFile, "write", failing)
    with pytest.raises(OSError, match=r"can't be written \(not all samples arrived\): is the disk"):
        run(tmp_path / "song.wav", tmp_path / "out")
    assert len(calls) == 100 and not (tmp_path / "out").exists()


KILLED = """
import sys, time
from pathlib import Path
from test_stem_faults import CHUNKS, Halves
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.separate import separate_file

def slowly(what, done, total):
    if done == 20:
        print("running", flush=True)
        time.sleep(60)

separate_file(Halves(), Path(sys.argv[1]), Path(sys.argv[2]), CHUNKS, Delivery(), progress=slowly)
"""


def test_a_killed_run_leaves_no_stem_under_its_name(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 100_000, 0.1), RATE)
    words = [sys.executable, "-c", KILLED, str(tmp_path / "song.wav"), str(tmp_path / "out")]
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": folders}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = names(tmp_path / "out")
    assert left and all(name.startswith(".part-") for name in left)


def test_files_get_their_names_together_when_all_are_complete(tmp_path: Path) -> None:
    seen = []
    audio.write(tmp_path / "song.wav", noise(0, 2, 5_000, 0.1), RATE)

    def look(what: str, done: int, total: int) -> None:
        seen.append([name for name in names(tmp_path / "out") if name[0] != "."])

    done = separate_file(
        Halves(), tmp_path / "song.wav", tmp_path / "out", CHUNKS, Delivery(), progress=look
    )
    assert len(seen) > 5 and not any(seen)
    assert names(tmp_path / "out") == ["other.wav", "vocals.wav"] and len(done.paths) == 2


def test_a_guard_is_asked_before_files_are_made_and_told_before_they_are_named(
    tmp_path: Path,
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 5_000, 0.1), RATE)
    out, seen = tmp_path / "out", []

    class Guard:
        part_prefix = ".part-"

        def check(self, paths: Mapping[str, Path]) -> None:
            seen.append((dict(paths), out.exists()))

        def begin(self, paths: Mapping[str, Path]) -> None:
            seen.append((dict(paths), [name[:6] for name in names(out)]))

    done = separate_file(Halves(), tmp_path / "song.wav", out, CHUNKS, Delivery(), guard=Guard())
    assert seen == [(done.paths, False), (done.paths, [".part-", ".part-"])]


def test_a_wav_beyond_four_gigabytes_is_an_rf64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 1_000, 0.1), RATE)
    monkeypatch.setattr(writer, "_RIFF_BYTES", 3_000)
    done = run(tmp_path / "song.wav", tmp_path / "out", Delivery(lossless="mask"))
    for path in done.paths.values():
        assert path.read_bytes()[:4] == b"RF64"
        assert soundfile.info(path).frames == 1_000
    assert done.null_depth_dbfs == -np.inf


def test_a_rate_or_channels_a_container_lacks_is_one_sentence(tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 3, 1_000, 0.1), 192_000)
    with pytest.raises(ValueError, match="mp3 can't hold 3 channels at 192000 Hz: write wav"):
        run(tmp_path / "song.wav", tmp_path / "out", Delivery("mp3"))
    assert not (tmp_path / "out").exists()
    audio.write(tmp_path / "song.wav", noise(0, 9, 1_000, 0.1), 44_100)
    with pytest.raises(ValueError, match="flac can't hold 9 channels at 44100 Hz .*: write wav"):
        run(tmp_path / "song.wav", tmp_path / "out", Delivery("flac"))
    assert not (tmp_path / "out").exists()


def test_a_file_shorter_than_promised_is_not_published(tmp_path: Path) -> None:
    form = Format("WAV", "PCM_16")
    with StemFiles([tmp_path / "a.wav"], form, RATE, 2, 10) as files:
        files.write(np.zeros((1, 2, 5)))
        with pytest.raises(OSError, match=r"a\.wav can't be written \(5 of 10 samples arrived\)"):
            files.close()
    assert not names(tmp_path)


def test_no_file_gets_its_name_if_the_header_of_one_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = []

    def failing(path: Path, mask: int) -> None:
        finished.append(path)
        if len(finished) == 3:
            raise OSError("the disk is gone")

    monkeypatch.setattr(writer, "set_mask", failing)
    targets = [tmp_path / "out" / f"{name}.wav" for name in "abcd"]
    with (
        pytest.raises(OSError, match="the disk is gone"),
        StemFiles(targets, Format("WAV", "PCM_16"), RATE, 3, 10) as files,
    ):
        files.write(np.zeros((4, 3, 10)))
        files.close()
        files.publish(0x7)
    assert len(finished) == 3 and not (tmp_path / "out").exists()


def test_null_depth_is_the_peak_of_what_is_missing(tmp_path: Path) -> None:
    stems = np.stack([noise(0, 2, 70_000, 0.1), noise(1, 2, 70_000, 0.1)]).astype(np.float64)
    targets = [tmp_path / "a.wav", tmp_path / "b.wav"]
    with StemFiles(targets, Format("WAV", "DOUBLE"), RATE, 2, 70_000) as files:
        files.write(stems)
        files.close()
        files.publish()
    song = stems.sum(axis=0)
    assert null_depth(targets, iter([song[:, :30_000], song[:, 30_000:]])) == -np.inf
    song[1, 69_999] += 0.001
    assert null_depth(targets, iter([song])) == pytest.approx(-60.0, abs=1e-6)


@pytest.mark.parametrize("container", ["wav", "flac", "mp3", "mp4"])
def test_tags_go_from_a_song_to_its_stems(container: str, tmp_path: Path) -> None:
    tags = Tags("Song", "Artist", "Album", "3/12", "2020", 10**12)
    song = SoundWriter(tmp_path / "song.wav", Format("WAV", "PCM_16"), RATE, 2, 9_000, tags=tags)
    song.write(noise(0, 2, 9_000, 0.1).astype(np.float64))
    song.close()
    song.finish_header()
    delivery = Delivery(container, filename="{song}_{stem}")
    done = separate_file(
        Halves(), song.part, tmp_path / "out", CHUNKS, delivery, part_seconds=(0.5, None)
    )
    for stem, path in done.paths.items():
        whole = container == "mp4"
        assert read_tags(path).texts() == tags.texts() | (
            {} if whole else {"title": f"Song ({stem})"}
        )
        expected = 10**12 + RATE // 2 if container == "wav" else None
        assert read_tags(path).time_reference == expected


def test_a_stem_that_can_not_get_its_name_costs_the_others_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 5_000, 0.1), RATE)
    run(tmp_path / "song.wav", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "song").iterdir()}
    audio.write(tmp_path / "song.wav", noise(1, 2, 5_000, 0.1), RATE)
    replace, calls = os.replace, []

    def failing(old: Path, new: Path) -> None:
        calls.append(new)
        if len(calls) == 2:
            raise PermissionError(1, "Operation not permitted", str(new))
        replace(old, new)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(PermissionError):
        run(tmp_path / "song.wav", tmp_path / "out")
    after = {path: path.read_bytes() for path in (tmp_path / "out" / "song").iterdir()}
    assert after == before and len(before) == 2


def test_a_disk_that_has_no_modes_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    audio.write(tmp_path / "song.wav", noise(0, 2, 5_000, 0.1), RATE)
    for name in ("chmod", "fchmod", "lchmod", "chown", "fchown", "utime"):
        monkeypatch.setattr(os, name, refuse, raising=False)
    for container in ("wav", "flac", "mp3", "mp4"):
        run(tmp_path / "song.wav", tmp_path / container, Delivery(container))


@pytest.mark.skipif(os.name == "nt", reason="there are no modes there")
@pytest.mark.parametrize("container", ["wav", "flac", "mp3", "mp4"])
@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_stems_have_the_mode_of_any_new_file(mask: int, container: str, tmp_path: Path) -> None:
    audio.write(tmp_path / "song.wav", noise(0, 2, 5_000, 0.1), RATE)
    before = os.umask(mask)
    try:
        done = run(tmp_path / "song.wav", tmp_path / "out", Delivery(container))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in done.paths.values()} == {0o666 & ~mask}
