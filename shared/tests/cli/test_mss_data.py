"""``mss-data check`` and ``mss-data info``: what they find, what they print, how they end."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_songs import noise, write_set, write_track

from mss_shared import audio
from mss_shared.audio.containers import write_streams
from mss_shared.cli.mss_data import main
from mss_shared.datasets.check import check_root

ALL = ("vocals", "drums", "bass", "other")
LENGTH = 64


def sound_track(folder: Path, seed: int = 0) -> Path:
    stems = {stem: noise(seed + n, samples=LENGTH) for n, stem in enumerate(ALL)}
    write_track(folder, stems)
    mixture = np.sum([*stems.values()], axis=0).astype(np.float32)
    audio.write(folder / "mixture.wav", mixture, 8_000)
    return folder


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    monkeypatch.setattr("sys.argv", ["mss-data", *words])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place in ("train/a", "train/b", "test/x"):
        sound_track(tmp_path / "set" / place, seed=10 * ord(place[-1]))
    return tmp_path / "set"


def faults(root: Path, track: str = "train/b") -> list[str]:
    found = dict(check_root(root))
    assert set(found) == {"train/a", "train/b", "test/x"}
    assert not found["train/a"] and not found["test/x"]
    return found[track]


def test_a_sound_set_ends_with_0(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, "check", str(root))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "train/a: ok",
        "train/b: ok",
        "test/x: ok",
        "3 tracks, 0 with faults",
    ]


def test_faults_end_with_1_and_are_listed_by_track(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "train/b/bass.wav").unlink()
    code, out, _ = run(monkeypatch, capsys, "check", str(root))
    assert code == 1
    assert "train/b: no bass.wav" in out.splitlines()
    assert out.splitlines()[-1] == "3 tracks, 1 with faults"


def test_a_folder_of_track_folders_is_checked_as_well(tmp_path: Path) -> None:
    sound_track(tmp_path / "a")
    assert list(check_root(tmp_path)) == [("a", [])]


def test_missing_files_are_faults(root: Path) -> None:
    (root / "train/b/bass.wav").unlink()
    (root / "train/b/mixture.wav").unlink()
    assert faults(root) == ["no bass.wav", "no mixture.wav"]


def test_an_unreadable_file_is_a_fault(root: Path) -> None:
    (root / "train/b/bass.wav").write_bytes(b"nothing")
    (fault,) = faults(root)
    assert "bass.wav is not a readable sound file" in fault


def test_a_truncated_file_is_a_fault(root: Path) -> None:
    path = root / "train/b/bass.wav"
    path.write_bytes(path.read_bytes()[:-101])
    assert any("bass" in fault for fault in faults(root))


def test_nan_is_a_fault(root: Path) -> None:
    import soundfile

    signal = np.zeros((LENGTH, 2), np.float32)
    signal[9] = np.nan
    soundfile.write(root / "train/b/bass.wav", signal, 8_000, subtype="FLOAT")
    assert any("bass.wav holds NaN or infinity, first at sample 9" in f for f in faults(root))


@pytest.mark.parametrize(
    ("signal", "rate", "fault"),
    [
        (noise(0, samples=LENGTH - 1), 8_000, "samples differ: bass 63, drums 64"),
        (noise(0, samples=LENGTH), 7_000, "sample_rate differ: bass 7000, drums 8000"),
        (noise(0, 1, LENGTH), 8_000, "channels differ: bass 1, drums 2"),
    ],
)
def test_differing_files_are_a_fault_with_their_numbers(
    root: Path, signal: audio.Audio, rate: int, fault: str
) -> None:
    audio.write(root / "train/b/bass.wav", signal, rate)
    (found,) = faults(root)
    assert found.startswith(fault)


def test_a_silent_stem_is_a_fault_and_the_sum_is_checked_all_the_same(root: Path) -> None:
    audio.write(root / "train/b/bass.wav", np.zeros((2, LENGTH), np.float32), 8_000)
    silent, total = faults(root)
    assert silent == "bass is silent"
    assert total.startswith("stems do not sum to the mixture: largest difference 0.")


@pytest.mark.parametrize(("steps", "sound"), [(1, True), (4, True), (5, False), (-5, False)])
def test_a_step_of_16_bits_per_stem_is_rounding_and_more_is_a_fault(
    root: Path, steps: int, sound: bool
) -> None:
    path = root / "train/b/mixture.wav"
    mixture = audio.read(path)
    mixture[1, 33] += steps / 32_768
    audio.write(path, mixture, 8_000, "FLOAT")
    assert (faults(root) == []) is sound


@pytest.mark.parametrize("verb", ["check", "info"])
@pytest.mark.parametrize(("place", "message"), [("gone", "no folder"), ("empty", "no track fold")])
def test_what_the_user_got_wrong_ends_with_2_and_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    place: str,
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = run(monkeypatch, capsys, verb, str(tmp_path / place))
    assert (code, out) == (2, "")
    assert err.startswith("mss-data: error: ") and message in err and err.count("\n") == 1


def test_info_lists_splits_tracks_and_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_set(tmp_path / "mine", {"train/a": 0, "valid/b": 1, "test/c d": 2})
    code, out, err = run(monkeypatch, capsys, "info", str(root))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"mine  {root}" and lines[1].startswith(f"{root} is shown as mine (")
    assert lines[2].startswith("fingerprint ")
    assert lines[3:] == [
        "train: 1 tracks, 0.0 minutes",
        "  a  0.0 s  8000 Hz  2 channels  drums vocals",
        "valid: 1 tracks, 0.0 minutes",
        "  b  0.0 s  8000 Hz  2 channels  drums vocals",
        "test: 1 tracks, 0.0 minutes",
        "  c d  0.0 s  8000 Hz  2 channels  drums vocals",
    ]


def test_an_unknown_verb_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(monkeypatch, capsys, "chekc", "x")
    assert code == 2 and "chekc" in err


def test_stem_files_are_checked_and_listed_by_their_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    root = tmp_path / "songs"
    parts = {}
    for n, stem in enumerate(("mixture", "drums", "bass", "other", "vocals")):
        parts[stem] = tmp_path / f"{stem}.wav"
        audio.write(parts[stem], noise(n, samples=44_100), 44_100)
    write_streams(root / "train" / "a.stem.mp4", parts)
    (root / "test").mkdir()
    (root / "test" / "b.stem.mp4").write_bytes(b"cut")
    code, out, _ = run(monkeypatch, capsys, "check", str(root))
    assert code == 1 and out.splitlines()[0] == "train/a.stem.mp4: ok"
    assert "test/b.stem.mp4: " in out and "2 tracks, 1 with faults" in out
    code, out, _ = run(monkeypatch, capsys, "info", str(root))
    assert code == 1 and "  a  1.0 s  44100 Hz  2 channels" in out.splitlines()
    assert "test: 1 tracks, 0.0 minutes" in out and "  b  " in out and "b.stem.mp4 is not" in out
    (root / "test" / "b.stem.mp4").unlink()
    shutil.rmtree(tmp_path / "cache")
    code, out, _ = run(monkeypatch, capsys, "info", str(root))
    assert code == 0 and out.splitlines()[1] == "train: 1 tracks, 0.0 minutes"
    assert out.splitlines()[2] == "  a  1.0 s  44100 Hz  2 channels"
    assert not (tmp_path / "cache").exists()


def test_check_takes_the_names_of_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUSDB18_7S_ROOT", str(tmp_path))
    code, _, err = run(monkeypatch, capsys, "check", "musdb18_7s")
    assert code == 2 and "MUSDB18_7S_ROOT is" in err
    code, _, err = run(monkeypatch, capsys, "check", "nowhere")
    assert code == 2 and "there is no folder nowhere" in err


def test_any_stems_without_a_mixture_are_checked(tmp_path: Path) -> None:
    for n, name in enumerate(("a", "b", "c")):
        write_track(
            tmp_path / name, {s: noise(10 * n + k, samples=LENGTH) for k, s in enumerate("xy")}
        )
    assert dict(check_root(tmp_path)) == {"a": [], "b": [], "c": []}
    (tmp_path / "b" / "y.wav").unlink()
    assert dict(check_root(tmp_path)) == {"a": [], "b": ["no y.wav"], "c": []}
    assert dict(check_root(tmp_path, ["x"])) == {"a": [], "b": [], "c": []}
    assert dict(check_root(tmp_path, ["z"]))["a"] == ["no z.wav"]


def test_a_sum_beside_its_parts_is_no_fault(root: Path) -> None:
    for track in ("train/a", "train/b", "test/x"):
        parts = [audio.read(root / track / f"{stem}.wav") for stem in ALL[1:]]
        audio.write(root / track / "accompaniment.wav", sum(parts), 8_000, "FLOAT")
    assert faults(root) == []


def test_pairs_are_checked(tmp_path: Path) -> None:
    for n, name in enumerate("ab"):
        files = {"mixture": noise(n, samples=LENGTH), "clean": noise(n + 9, samples=LENGTH)}
        write_track(tmp_path / "train" / name, files)
    assert dict(check_root(tmp_path, layout="aligned")) == {"train/a": [], "train/b": []}
    audio.write(tmp_path / "train" / "b" / "more.wav", noise(5, samples=LENGTH), 8_000)
    found = dict(check_root(tmp_path, layout="aligned"))
    assert found["train/b"] == [
        "holds clean, mixture, more: a pair is mixture.wav and one other file"
    ]


def test_tracks_that_differ_from_most_are_told(root: Path) -> None:
    shutil.rmtree(root / "train" / "b")
    stems = {stem: noise(n, samples=LENGTH) for n, stem in enumerate((*ALL, "mixture"))}
    write_track(root / "train" / "b", stems, 9_000)
    assert "9000 Hz in 2 channels, most tracks have 8000 Hz in 2" in faults(root)


def test_copies_are_told_within_and_between_splits(root: Path) -> None:
    shutil.copytree(root / "train" / "a", root / "test" / "new title")
    shutil.copytree(root / "train" / "b", root / "train" / "c")
    found = dict(check_root(root))
    assert found["test/new title"] == ["sounds like train/a: they are one song"]
    assert found["train/c"] == ["sounds like train/b: they are one song"]
    assert not found["train/a"] and not found["train/b"]


def test_songs_that_two_roots_share_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = root.parent / "other"
    shutil.copytree(root / "train" / "a", other / "train" / "a")
    shutil.copytree(root / "test" / "x", other / "train" / "y")
    sound_track(other / "train" / "new", seed=7)
    code, out, _ = run(monkeypatch, capsys, "check", str(root), str(other))
    assert code == 1 and out.splitlines() == [
        f"{root}:",
        "train/a: ok",
        "train/b: ok",
        "test/x: ok",
        f"{other}:",
        f"train/a: sounds like {root}/train/a: they are one song",
        "train/new: ok",
        f"train/y: sounds like {root}/test/x: they are one song",
        "6 tracks, 2 with faults",
    ]


def test_an_empty_or_broken_file_is_called_that(root: Path) -> None:
    path = root / "train" / "b" / "bass.wav"
    for content, said in (
        (b"", f"{path} is empty, it has 0 bytes: restore or remove it"),
        (b"RIFF\0\0\0", "it is damaged or no sound, restore or replace it"),
    ):
        path.write_bytes(content)
        [fault] = faults(root)
        assert fault.startswith(str(path)) and fault.endswith(said) and "use wav" not in fault


def test_odd_entries_are_faults_of_their_tracks_and_the_others_go_on(root: Path) -> None:
    for place in ("link", "pipe", "folder", "name"):
        sound_track(root / "train" / place, seed=len(place) * 50)
    (root / "train/link/solo.wav").symlink_to("/nowhere")
    os.mkfifo(root / "train/pipe/solo.wav")
    (root / "train/folder/solo.wav").mkdir()
    (root / "train/gone").symlink_to("/nowhere")
    os.rename(root / "train/name", os.fsencode(root / "train") + b"/caf\xe9")
    found = dict(check_root(root))
    assert not found["train/a"] and not found["train/b"] and not found["test/x"]
    for place, said in {
        "link": "solo.wav is a link to nothing",
        "pipe": "solo.wav is a pipe or device",
        "folder": "solo.wav is a folder",
        "gone": "gone is a link to nothing",
        "caf\udce9": "is not valid UTF-8: rename it",
    }.items():
        [fault] = found[f"train/{place}"]
        assert said in fault


def test_check_says_what_it_ignores(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound_track(root / "train" / ".Trash-1000")
    sound_track(root / "more" / "z")
    (root / "train" / "a" / "take.mp3").write_bytes(b"")
    code, out, _ = run(monkeypatch, capsys, "check", str(root))
    assert code == 0 and out.splitlines()[3:] == [
        "ignored train/.Trash-1000: hidden",
        "ignored train/a/take.mp3: only wav and flac are read",
        "ignored more: neither train, valid nor test",
        "3 tracks, 0 with faults",
    ]


def test_files_are_checked_in_blocks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*_: object) -> audio.Audio:
        raise AssertionError("read at once")

    monkeypatch.setattr(audio, "read", whole)
    monkeypatch.setattr("mss_shared.datasets.check._BLOCK", 9)
    monkeypatch.setattr("mss_shared.datasets.check._Checked.add", lambda *_: [])
    assert faults(root) == []


@pytest.mark.parametrize("layout", ["sourcefolder", "trackfolder_var"])
def test_layouts_are_checked_by_their_names(
    layout: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "check", f"{layout}:{root}")
    assert code == 0 and out.endswith(" tracks, 0 with faults\n")
    code, _, err = run(monkeypatch, capsys, "check", f"{layout}:{root}/gone")
    assert code == 2 and f"correct what follows {layout}:" in err
