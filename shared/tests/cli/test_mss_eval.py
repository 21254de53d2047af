"""mss-eval: pairing by name, restarts, parallel work, bad input, and what it leaves behind."""

import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_songs import RATE, noise, write_track

from mss_shared import audio
from mss_shared.audio import Audio, kept_open
from mss_shared.audio import files as audio_files
from mss_shared.audio.reader import open_sound
from mss_shared.audio.sndfile_reader import Reader
from mss_shared.cli.mss_eval import main
from mss_shared.datasets import open_dataset
from mss_shared.datasets.tracks import Sum
from mss_shared.evaluation import batch, score_files
from mss_shared.evaluation.file_signals import FileSignals
from mss_shared.evaluation.pairs import pair_tracks
from mss_shared.evaluation.protocols import find_protocol
from mss_shared.evaluation.track_metrics import Engine
from mss_shared.metrics.bsseval import bsseval

STEMS = ("vocals", "drums", "bass", "other")
TRACKS = ("A - One", "B - Two", "C - Three")
SAMPLES = 2 * RATE + 100


def signals(seed: int, scale: float = 0.1) -> dict[str, Audio]:
    return {
        stem: noise(seed * 10 + n, samples=SAMPLES, scale=scale) for n, stem in enumerate(STEMS)
    }


def estimates_of(track: int) -> dict[str, Audio]:
    return {
        stem: signal + 0.2 * noise(900 + track, samples=SAMPLES)
        for stem, signal in signals(track).items()
    }


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Three test tracks, references and estimates."""
    for number, name in enumerate(TRACKS):
        write_track(tmp_path / "ref" / "test" / name, signals(number))
        write_track(tmp_path / "est" / name, estimates_of(number))
    return tmp_path


def run(songs: Path, *words: str) -> int:
    """Exit code of ``mss-eval ref est --out out``; one process, SDR-like protocols by default."""
    words = words or ("--protocol", "usdr")
    line = [str(songs / "ref"), str(songs / "est"), "--out", str(songs / "out")]
    try:
        main([*line, "--jobs", "1", *words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def run_folder(songs: Path) -> Path:
    return songs / "out" / "ref" / "est" / "mss-eval"


def files(songs: Path) -> dict[str, bytes]:
    folder = run_folder(songs)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("test/*.json")}


def read(songs: Path, label: str, track: str) -> score_files.TrackScores:
    path = score_files.track_file(run_folder(songs), label, track)
    return score_files.from_json(path.read_text(), track)


def record(songs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_folder(songs) / "run.json").read_text())
    return found


def test_every_track_is_scored_and_the_aggregate_is_printed(
    songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(songs, "--protocol", "bsseval_v4", "usdr") == 0
    reference, estimate = (
        np.stack([audio.read(songs / side / TRACKS[1] / f"{stem}.wav") for stem in STEMS])
        for side in ("ref/test", "est")
    )
    expected = bsseval(reference, estimate, window=RATE, hop=RATE)
    found = read(songs, "bsseval_v4", TRACKS[1])
    assert list(found.targets) == list(STEMS)
    for row, frames in enumerate(found.targets.values()):
        for metric in ("SDR", "SIR", "SAR", "ISR"):
            values = [frame.metrics[metric] for frame in frames]
            wanted = getattr(expected, metric.lower())[row]
            np.testing.assert_allclose(values, wanted, rtol=0.0, atol=0.500001e-5)
    printed = capsys.readouterr().out
    assert "bsseval_v4@1, dB: median of frames, median of 3 tracks" in printed
    per_track = [
        np.median([f.metrics["SDR"] for f in read(songs, "bsseval_v4", t).targets["bass"]])
        for t in TRACKS
    ]
    assert f"bass            {np.median(per_track):11.3f}" in printed
    run_json = record(songs)
    assert run_json["dataset"]["tracks"] == list(TRACKS) and run_json["stems"] == list(STEMS)
    assert (run_json["method"], run_json["training"], run_json["kind"]) == ("est", None, "model")
    assert set(run_json["protocols"]) == {"bsseval_v4", "usdr"}


def test_tracks_are_paired_by_name_whatever_the_order_on_disk(songs: Path) -> None:
    shutil.move(songs / "est" / TRACKS[0], songs / "est" / "swap")
    shutil.move(songs / "est" / TRACKS[1], songs / "est" / TRACKS[0])
    shutil.move(songs / "est" / "swap", songs / "est" / TRACKS[1])
    assert run(songs) == 0
    # The estimates of the first two are each other's: noise against noise.
    values = [read(songs, "usdr", t).targets["vocals"][0].metrics["uSDR"] for t in TRACKS]
    assert values[0] < 0.0 and values[1] < 0.0 and values[2] > 10.0


def test_an_accent_may_be_spelt_in_two_ways(songs: Path) -> None:
    shutil.move(songs / "ref" / "test" / TRACKS[0], songs / "ref" / "test" / "Caf\u00e9")
    shutil.move(songs / "est" / TRACKS[0], songs / "est" / "Cafe\u0301")
    assert run(songs) == 0


def test_estimates_may_stand_below_test_and_be_flac(songs: Path) -> None:
    (songs / "est" / "test").mkdir()
    for name in TRACKS[:2]:
        shutil.move(songs / "est" / name, songs / "est" / "test" / name)
    path = songs / "est" / TRACKS[2] / "bass.wav"
    audio.write(path.with_suffix(".flac"), audio.read(path), RATE, "PCM_16")
    path.unlink()
    assert run(songs) == 0


def test_a_second_run_scores_nothing_again_and_prints_the_same(
    songs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(songs) == 0
    first, before = capsys.readouterr().out, files(songs)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("scored again")

    monkeypatch.setattr(batch, "score_song", never)
    assert run(songs) == 0
    assert capsys.readouterr().out == first and files(songs) == before


def test_what_changed_is_scored_again_and_nothing_else(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(songs) == 0
    before = files(songs)
    write_track(songs / "est" / TRACKS[1], signals(1, scale=0.05))
    scored: list[str] = []
    original = batch.score_song
    monkeypatch.setattr(
        batch, "score_song", lambda w, **k: scored.append(w.song.name) or original(w, **k)
    )
    assert run(songs) == 0
    assert scored == [TRACKS[1]]
    after = files(songs)
    assert [key for key in after if after[key] != before[key]] == [f"usdr/test/{TRACKS[1]}.json"]


def test_what_changed_while_it_was_scored_is_scored_again(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    original = batch.score_song

    def meddling(work: batch.Work, **named: Any) -> Any:
        found = original(work, **named)
        if work.song.name == TRACKS[1] and TRACKS[1] not in scored:
            write_track(songs / "est" / TRACKS[1], signals(1, scale=0.05))
        scored.append(work.song.name)
        return found

    monkeypatch.setattr(batch, "score_song", meddling)
    assert run(songs) == 0
    scored[:] = [TRACKS[1]]
    assert run(songs) == 0
    assert scored == [TRACKS[1], TRACKS[1]]


@pytest.mark.parametrize("spoil", ["edit", "remove", "journal"])
def test_a_touched_score_file_is_made_anew(songs: Path, spoil: str) -> None:
    assert run(songs) == 0
    before = files(songs)
    path = score_files.track_file(run_folder(songs), "usdr", TRACKS[0])
    if spoil == "edit":
        path.write_text(path.read_text().replace("1", "2"))
    elif spoil == "remove":
        path.unlink()
    else:
        (run_folder(songs) / "finished.json").write_text("{")
    assert run(songs) == 0
    assert files(songs) == before


def test_scores_that_the_command_does_not_ask_for_do_not_stay(songs: Path) -> None:
    assert run(songs, "--protocol", "usdr", "si_sdr") == 0
    shutil.rmtree(songs / "ref" / "test" / TRACKS[2])
    assert run(songs, "--protocol", "usdr") == 0
    assert set(files(songs)) == {f"usdr/test/{name}.json" for name in TRACKS[:2]}
    assert not (run_folder(songs) / "si_sdr").exists()
    assert set(record(songs)["protocols"]) == {"usdr"}


def test_jobs_change_no_bit(songs: Path) -> None:
    words = ("--protocol", "bsseval_v4", "usdr", "si_sdr", "--stems", "vocals", "drums")
    assert run(songs, *words, "--jobs", "1") == 0
    one = files(songs)
    shutil.rmtree(songs / "out")
    spoil_nan(songs / "est" / TRACKS[1])  # a bad track does not stop the other process
    assert run(songs, *words, "--jobs", "2") == 2
    kept = {key: text for key, text in one.items() if TRACKS[1] not in key}
    assert files(songs) == kept and len(kept) == 2 * 3 and len(one) == 3 * 3


def test_threads_change_no_bit(songs: Path) -> None:
    (song, *_) = pair_tracks(open_dataset(songs / "ref"), songs / "est", STEMS[:2]).songs
    protocol = find_protocol("bsseval_v4").on(song.stems)
    one, three = (score_files.to_json(protocol(song, Engine(workers=n))) for n in (1, 3))
    assert one == three


def spoil_missing(folder: Path) -> None:
    (folder / "bass.wav").unlink()


def spoil_length(folder: Path) -> None:
    audio.write(folder / "bass.wav", noise(0, samples=SAMPLES - 7), RATE)


def spoil_rate(folder: Path) -> None:
    audio.write(folder / "bass.wav", noise(0, samples=SAMPLES), 44_100)


def spoil_channels(folder: Path) -> None:
    audio.write(folder / "bass.wav", noise(0, channels=1, samples=SAMPLES), RATE)


def spoil_unreadable(folder: Path) -> None:
    (folder / "bass.wav").write_bytes(b"no sound")


def spoil_nan(folder: Path) -> None:
    values = noise(0, samples=SAMPLES).T.copy()
    values[1_234, 1] = math.nan
    values[5_000, 0] = math.inf
    soundfile.write(folder / "drums.wav", values, RATE, subtype="FLOAT")


def spoil_folder(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, "track B - Two has no estimate of bass in "),
        (spoil_length, "the estimate of bass has 16093 samples, the reference 16100: align it, or"),
        (spoil_rate, "the estimate of bass has 44100 Hz, the reference 8000: resample"),
        (spoil_channels, "the estimate of bass has 1 channels, the reference 2: convert one"),
        (spoil_unreadable, "B - Two/bass.wav is not a readable sound file"),
        (spoil_nan, "B - Two/drums.wav holds NaN or infinity, first at sample 1234: repair"),
        (spoil_folder, "track B - Two has no folder of estimates under "),
    ],
)
def test_a_bad_estimate_is_one_sentence_and_the_other_tracks_are_kept(
    songs: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    spoil(songs / "est" / TRACKS[1])
    assert run(songs) == 2
    printed = capsys.readouterr()
    assert message in printed.err and "Traceback" not in printed.err
    assert printed.err.count("mss-eval: ") == 2
    assert "1 of 3 tracks have no scores: fix them and run the command again" in printed.err
    assert "mean of 2 tracks" in printed.out
    assert set(files(songs)) == {f"usdr/test/{name}.json" for name in (TRACKS[0], TRACKS[2])}
    assert not (run_folder(songs) / "run.json").exists()
    write_track(songs / "est" / TRACKS[1], estimates_of(1))
    assert run(songs) == 0 and len(files(songs)) == 3 and record(songs)["run"] == "mss-eval"


@pytest.mark.parametrize("spoil", [spoil_length, spoil_unreadable])
def test_a_bad_reference_is_one_sentence_and_the_other_tracks_are_kept(
    songs: Path, capsys: pytest.CaptureFixture[str], spoil: Any
) -> None:
    spoil(songs / "ref" / "test" / TRACKS[1])
    assert run(songs) == 2
    assert "1 of 3 tracks have no scores" in capsys.readouterr().err
    assert len(files(songs)) == 2


def test_a_run_that_became_incomplete_loses_its_record(songs: Path) -> None:
    assert run(songs) == 0
    spoil_nan(songs / "est" / TRACKS[1])
    assert run(songs) == 2
    assert not (run_folder(songs) / "run.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ref", "nothing"], "there is no folder .*nothing: pass the folder of the estimates"),
        (["nothing", "est"], "there is no folder .*nothing: "),
        (["ref", "ref"], "no estimates under .* for the 3 tracks of .*: it must hold one folder"),
        (["ref", "est", "--stems", "piano"], "has no references of piano, only of vocals, drums"),
        (["ref", "est", "--protocol", "sdr"], "there is no protocol 'sdr': choose from"),
        (["ref", "est", "--protocol", "sisec18", "--stems", "bass"], "sisec18 needs vocals and"),
    ],
)
def test_a_wrong_command_is_one_sentence(
    songs: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (songs / "ref" / "empty").mkdir()
    line = [str(songs / word) if word in ("ref", "est", "nothing") else word for word in words]
    if words == ["ref", "ref"]:
        line[1] = str(songs / "ref" / "empty")
    with pytest.raises(SystemExit) as stop:
        main([*line, "--out", str(songs / "out")])
    assert stop.value.code == 2
    pattern = rf"^mss-eval: error: .*{message}.*\n$"
    err = capsys.readouterr().err
    assert re.match(pattern, err), err
    assert not (songs / "out").exists()


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_a_number_of_processes_below_one_is_refused(
    songs: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    assert run(songs, f"--jobs={jobs}") == 2
    assert f"{jobs} is not a number of processes: give 1 or more" in capsys.readouterr().err


def test_lengths_can_be_fitted_as_museval_does(songs: Path) -> None:
    shorter = {stem: signal[:, :-900] for stem, signal in estimates_of(0).items()}
    longer = {
        stem: np.concatenate([signal, signal], axis=1) for stem, signal in estimates_of(1).items()
    }
    write_track(songs / "est" / TRACKS[0], shorter)
    write_track(songs / "est" / TRACKS[1], longer)
    assert run(songs, "--protocol", "usdr", "--fit_length") == 0
    found = [read(songs, "usdr", t).targets["drums"][0].metrics["uSDR"] for t in TRACKS]
    reference = audio.read(songs / "ref" / "test" / TRACKS[0] / "drums.wav").astype(float)
    padded = np.zeros_like(reference)
    padded[:, :-900] = audio.read(songs / "est" / TRACKS[0] / "drums.wav")
    expected = 10 * np.log10((reference**2).sum() / ((reference - padded) ** 2).sum())
    assert found[0] == pytest.approx(expected, abs=1e-4)
    assert found[1] == pytest.approx(found[2], abs=0.3)


def test_fewer_stems_are_another_protocol_and_strangers_are_named(
    songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in TRACKS:
        audio.write(songs / "est" / name / "residual.wav", noise(0, samples=SAMPLES), RATE)
    (songs / "est" / "no track").mkdir()
    audio.write(songs / "est" / "no track" / "bass.wav", noise(0, samples=SAMPLES), RATE)
    assert run(songs, "--protocol", "bsseval_v4", "--stems", "vocals", "bass") == 0
    printed = capsys.readouterr().out
    assert "no reference for residual: ignored" in printed
    assert "no reference for no track: ignored" in printed
    assert set(record(songs)["protocols"]) == {"bsseval_v4.vocals+bass"}


def test_accompaniment_is_scored_against_the_sum_of_all_but_vocals(songs: Path) -> None:
    for number, name in enumerate(TRACKS):
        rest = [signal for stem, signal in estimates_of(number).items() if stem != "vocals"]
        shutil.rmtree(songs / "est" / name)
        pair = {"vocals": estimates_of(number)["vocals"], "accompaniment": np.sum(rest, axis=0)}
        write_track(songs / "est" / name, pair)
    assert run(songs, "--protocol", "sisec18", "bsseval_v4") == 0
    label = "bsseval_v4.vocals+accompaniment"
    assert set(record(songs)["protocols"]) == {"sisec18", label}
    for name in TRACKS:
        assert read(songs, "sisec18", name).targets == read(songs, label, name).targets
        frames = read(songs, label, name).targets["accompaniment"]
        # The error is thrice 0.2 x noise of 0.1, the reference three noises of 0.1.
        expected = 10 * math.log10(3 / (9 * 0.04))
        assert [f.metrics["SDR"] for f in frames] == pytest.approx([expected] * 2, abs=0.3)


def test_a_silent_stem_is_named_with_the_reason_and_kept_in_the_record(
    songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = {**signals(2), "bass": np.zeros((2, SAMPLES), np.float32)}
    write_track(songs / "ref" / "test" / TRACKS[2], silent)
    for _ in range(2):  # computed, then read back
        assert run(songs, "--protocol", "bsseval_v4") == 0
        reason = "the reference is silent over the whole track"
        assert f"C - Three: bass has no score: {reason}" in capsys.readouterr().out
        assert record(songs)["protocols"]["bsseval_v4"]["notes"] == {TRACKS[2]: {"bass": reason}}
    found = read(songs, "bsseval_v4", TRACKS[2]).targets
    assert all(math.isnan(f.metrics["SDR"]) for f in found["bass"])
    assert not any(math.isnan(f.metrics["SDR"]) for f in found["drums"])


def test_a_killed_process_is_one_sentence(
    songs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "score_song", _die)
    assert run(songs, "--protocol", "usdr", "--jobs", "2") == 2
    assert "was killed, perhaps for lack of memory: run again with fewer" in capsys.readouterr().err


def _die(*_: Any, **__: Any) -> None:
    os._exit(9)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 300),
    count=st.integers(1, 300),
    lengths=st.lists(st.integers(1, 400), min_size=2, max_size=2),
)
def test_files_read_piece_by_piece_are_the_files(
    tmp_path: Path, start: int, count: int, lengths: list[int]
) -> None:
    parts = [noise(n, samples=length) for n, length in enumerate(lengths)]
    paths = [tmp_path / f"{n}.wav" for n in range(2)]
    for path, part in zip(paths, parts, strict=True):
        audio.write(path, part, RATE, "FLOAT")
    whole = np.zeros((3, 2, 600), np.float32)
    for row, group in enumerate(([0], [1], [0, 1])):
        for n in group:
            whole[row, :, : lengths[n]] += (1.0, -1.0)[n] * parts[n]
    signals = FileSignals((Sum.of(paths[0]), Sum(((-1.0, paths[1]),))), 2, 600)
    found = signals.sums([[0], [1], [0, 1]])
    assert found.shape == whole.shape
    for _ in range(2):
        np.testing.assert_array_equal(
            found.read(start, start + count), whole[..., start : start + count]
        )
        found = pickle.loads(pickle.dumps(found))  # as for another process


def test_bsseval_reads_files_as_it_reads_arrays(songs: Path) -> None:
    (song, *_) = pair_tracks(open_dataset(songs / "ref"), songs / "est").songs
    arrays = [s.read(0, SAMPLES) for s in (song.references, song.estimates)]  # type: ignore[union-attr]
    options: Mapping[str, Any] = {"window": RATE, "hop": RATE}
    by_file = bsseval(song.references, song.estimates, **options)
    by_array = bsseval(*arrays, **options)
    for name in ("sdr", "isr", "sir", "sar"):
        np.testing.assert_array_equal(getattr(by_file, name), getattr(by_array, name))


def test_all_scores_of_a_song_open_each_file_once_and_close_it(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (song, *_) = pair_tracks(open_dataset(songs / "ref"), songs / "est").songs
    opened: Counter[Path] = Counter()
    closed: Counter[Path] = Counter()

    @contextmanager
    def counting(path: Path) -> Iterator[Reader]:
        opened[path] += 1
        with open_sound(path) as sound:
            yield sound
        closed[path] += 1

    for module in (kept_open, audio_files):
        monkeypatch.setattr(module, "open_sound", counting)
    found = batch.score_song(batch.Work(song, ("bsseval_v4", "usdr", "csdr")), Engine())
    assert isinstance(found, batch.Result)
    assert opened == closed and {*opened.values()} == {1} and len(opened) > 4


def test_scale_invariant_ratios_of_files_are_those_of_arrays(songs: Path) -> None:
    (song, *_) = pair_tracks(open_dataset(songs / "ref"), songs / "est").songs
    arrays = [s.read(0, SAMPLES) for s in (song.references, song.estimates)]  # type: ignore[union-attr]
    protocol = find_protocol("si_bss_eval").on(song.stems)
    by_file = protocol(song).targets
    by_array = protocol(replace(song, references=arrays[0], estimates=arrays[1])).targets
    assert by_file == by_array and set(by_file) == set(song.stems)


def test_the_protocols_of_the_help_are_all_there_are() -> None:
    from mss_shared.cli.eval_command import _parser
    from mss_shared.evaluation.protocols import PROTOCOLS

    text = " ".join(_parser().format_help().split())
    assert all(find_protocol(name).name in text for name in PROTOCOLS) and len(PROTOCOLS) == 10


def test_a_package_that_a_protocol_lacks_is_named_before_any_track_is_scored(
    songs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "log_wmse_audio_quality", None)
    assert run(songs, "--protocol", "usdr", "log_wmse") == 2
    assert 'pip install "mss-shared[logwmse]"' in capsys.readouterr().err
    assert not run_folder(songs).exists()


def test_scores_of_other_estimates_are_replaced_only_on_request(
    songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(songs, "--protocol", "usdr", "--method", "mine") == 0
    other = songs / "other"
    shutil.copytree(songs / "est", other / "est")
    words = [str(songs / "ref"), str(other / "est"), "--out", str(songs / "out"), "--jobs", "1"]
    words += ["--protocol", "usdr", "--method", "mine"]
    with pytest.raises(SystemExit):
        main(words)
    assert "holds scores of other estimates: name these with --method" in capsys.readouterr().err
    main([*words, "--overwrite"])
    assert run(songs, "--protocol", "usdr", "--method", "mine") == 2


def test_references_that_are_all_odd_are_said(
    songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in TRACKS:
        (songs / "ref" / "test" / name / "bass.wav").write_bytes(b"cut")
    assert run(songs) == 2
    said = capsys.readouterr().err
    assert all(f"{name}/bass.wav" in said for name in TRACKS)
    assert "none of 3 tracks of " in said and "--data_root" not in said


@pytest.mark.skipif(os.name != "posix", reason="processes are followed on posix")
def test_scoring_ends_with_the_process_that_leads_it() -> None:
    """As `mss-results verify --rescore` does, which is killed here while the scores are made."""
    scoring = (
        "import time; from mss_shared.cli import eval_command; "
        "eval_command._evaluate = lambda *_: time.sleep(600); print('scoring', flush=True); "
        "eval_command.run(['references', 'estimates', '--out', 'scores'])"
    )
    leading = (
        "import os, subprocess, sys; from mss_shared.processes import lead; "
        f"subprocess.run([sys.executable, '-c', {scoring!r}], env={{**os.environ, **lead()}})"
    )
    words = [sys.executable, "-c", leading]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None and leader.stdout.readline() == "scoring\n"
        leader.kill()
        assert leader.stdout.read() == ""  # the end of its last writer
