"""museval itself as the judge: its schema, its stores, its scores and its files."""

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_songs import RATE, noise, write_track

from mss_shared.cli.mss_eval import main
from mss_shared.evaluation import score_files
from mss_shared.evaluation.protocols import aggregate, find_protocol
from mss_shared.evaluation.track_metrics import Song
from mss_shared.metrics import bss_eval
from mss_shared.metrics import museval as oracle
from mss_shared.metrics.bsseval import bsseval

STEMS = ("vocals", "drums", "bass", "other")
SAMPLES = 2 * RATE + 100
METRICS = ("SDR", "SIR", "SAR", "ISR")


@pytest.fixture(scope="module")
def museval() -> Iterator[Any]:
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("museval needs ffmpeg and ffprobe to be imported")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("museval")


def signals(track: int) -> dict[str, np.ndarray]:
    """Stem to (channel, sample); one stem is silent in the second second."""
    found = {n: noise(10 * track + i, samples=SAMPLES) for i, n in enumerate(STEMS)}
    found["bass"][:, RATE:] = 0.0 if track == 1 else found["bass"][:, RATE:]
    return found


def separated(track: int) -> dict[str, np.ndarray]:
    return {
        stem: (0.9 * signal + 0.1 * noise(70 + i + track, samples=SAMPLES)).astype(np.float32)
        for i, (stem, signal) in enumerate(signals(track).items())
    }


def theirs(museval: Any, track: int, folder: Path, *, accompaniment: bool) -> Path:
    """The file that museval writes for a track."""
    references, estimates = signals(track), separated(track)
    rest = STEMS[1:]
    if accompaniment:
        references["accompaniment"] = np.sum([references[s] for s in rest], axis=0)
        estimates["accompaniment"] = np.sum([estimates[s] for s in rest], axis=0)
    targets = {s: SimpleNamespace(audio=x.T.astype(float)) for s, x in references.items()}
    name = f"Track {track}"
    song = SimpleNamespace(name=name, rate=RATE, subset="test", targets=targets)
    museval.eval_mus_track(song, {s: x.T.astype(float) for s, x in estimates.items()}, folder)
    return folder / "test" / f"{name}.json"


def ours(track: int, protocol: str) -> score_files.TrackScores:
    references, estimates = (
        np.stack([side[s] for s in STEMS]).astype(float)
        for side in (signals(track), separated(track))
    )
    song = Song(f"Track {track}", STEMS, references, estimates, references[:1], RATE)
    return find_protocol(protocol).on(STEMS)(song)


@pytest.mark.parametrize(("protocol", "accompaniment"), [("bsseval_v4", False), ("sisec18", True)])
def test_our_file_is_musevals_file(
    museval: Any, tmp_path: Path, protocol: str, accompaniment: bool
) -> None:
    track = 1  # with a frame that has no score
    text = theirs(museval, track, tmp_path, accompaniment=accompaniment).read_text()
    version = f',\n  "museval_version": "{metadata.version("museval")}"'
    assert version in text
    read = score_files.from_json(text, "x")
    # To the letter, when it has been read; to the last digit or its neighbour, when computed.
    assert score_files.to_json(read) == text.replace(version, "")
    found = score_files.from_json(score_files.to_json(ours(track, protocol)), "x")
    assert list(found.targets) == list(read.targets)
    compared = 0
    for stem, frames in read.targets.items():
        for frame, mine in zip(frames, found.targets[stem], strict=True):
            assert (frame.time, frame.duration) == (mine.time, mine.duration)
            assert list(frame.metrics) == list(mine.metrics) == list(METRICS)
            for metric in METRICS:
                np.testing.assert_allclose(mine.metrics[metric], frame.metrics[metric], atol=1.5e-5)
                compared += 1
    assert compared == 2 * 4 * len(read.targets)
    nans = sum(np.isnan(f.metrics["SDR"]) for fs in read.targets.values() for f in fs)
    assert nans == (3 if accompaniment else 4)  # the pair sounds where bass is silent


def test_our_files_pass_musevals_schema(museval: Any, tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads((Path(museval.__file__).parent / "musdb.schema.json").read_text())
    for protocol in ("bsseval_v4", "sisec18", "usdr"):
        score_files.write_track(tmp_path, protocol, ours(0, protocol))
        path = score_files.track_file(tmp_path, protocol, "Track 0")
        document = json.loads(path.read_text())
        jsonschema.validate(document, schema)
        assert document["targets"][0]["frames"][0]["metrics"]
    document["targets"][0]["frames"][0]["metrics"]["SDR"] = "high"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_musevals_stores_read_our_files_and_aggregate_as_we_do(
    museval: Any, tmp_path: Path
) -> None:
    protocol = find_protocol("bsseval_v4").on(STEMS)
    read = []
    for track in range(3):
        found = ours(track, "bsseval_v4")
        score_files.write_track(tmp_path / "mine", protocol.label, found)
        text = score_files.track_file(tmp_path / "mine", protocol.label, found.name).read_text()
        read.append(score_files.from_json(text, found.name, protocol.id))
    store = museval.EvalStore(frames_agg="median", tracks_agg="median")
    store.add_eval_dir(tmp_path / "mine" / protocol.label)
    methods = museval.MethodStore(frames_agg="median", tracks_agg="median")
    methods.add_evalstore(store, name="mine")
    assert store.df["track"].nunique() == 3
    table, rows = store.agg_frames_tracks_scores(), methods.agg_frames_tracks_scores()
    for stem, values in aggregate(read, protocol).items():
        for metric, value in values.items():
            assert table[stem, metric] == pytest.approx(value, abs=1e-12)
            assert rows["mine", stem, metric] == pytest.approx(value, abs=1e-12)


def test_mss_eval_scores_with_museval_and_says_how_far_ours_is(
    museval: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem_set, side in ((signals(1), "ref"), (separated(1), "est")):
        write_track(tmp_path / side / "Track 1", stem_set)
    words = [str(tmp_path / "ref"), str(tmp_path / "est"), "--out", str(tmp_path / "out")]
    main([*words, "--bsseval", "museval", "--jobs", "1"])
    line = capsys.readouterr().out.split("largest difference between museval and ours, dB: ")[1]
    far = {part.split()[0]: float(part.split()[1]) for part in line.splitlines()[0].split(", ")}
    assert set(far) == set(METRICS) and all(0.0 <= value < 1e-9 for value in far.values())
    (path,) = (tmp_path / "out").rglob("run.json")
    assert json.loads(path.read_text())["protocols"]["bsseval_v4"]["computed_by"] == "museval"


def test_what_museval_does_not_score_is_one_sentence(museval: Any) -> None:
    references = np.stack([noise(n, samples=RATE) for n in range(2)])
    silent = np.stack([np.zeros_like(references[0]), references[1]])
    with pytest.raises(ValueError, match="museval can't score this track .*: score it with ours"):
        oracle.bsseval(silent, references, window=RATE, hop=RATE)


def test_museval_gives_what_ours_gives_frame_by_frame(museval: Any) -> None:
    pair = [np.stack([side[s] for s in STEMS[:2]]) for side in (signals(0), separated(0))]
    options = {"window": RATE, "hop": RATE, "framewise_filters": True}
    one, other = oracle.bsseval(*pair, **options), bsseval(*pair, **options)
    for name in ("sdr", "isr", "sir", "sar"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)
    assert one.permutation.tolist() == other.permutation.tolist()


def real_like(seed: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(stem, sample, channel): decaying notes with pauses, and estimates that leak and are late."""
    made = np.random.default_rng(seed)
    time = np.arange(3 * RATE)[:, None]
    pitches = made.uniform(0.02, 0.4, (3, 6))
    notes = sum(np.sin(pitches[:, n, None, None] * time) / (n + 1) for n in range(6))
    references = notes * np.exp(-(time % (RATE // 4)) / 300.0) * made.uniform(0.2, 1, (3, 1, 1))
    references = references * made.uniform(0.3, 1, (3, 1, channels))
    references = references + 0.01 * made.standard_normal(references.shape)
    references[1, RATE : 2 * RATE] = 0.0
    late = np.roll(references, 5, axis=1)
    estimates = references + 0.2 * late + 0.1 * references.sum(axis=0)
    return references, estimates + 0.01 * made.standard_normal(references.shape)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": RATE, "hop": RATE},
        {"window": 0.9 * RATE, "hop": 700.5, "filters_len": 64},
        {"window": RATE, "hop": RATE, "filters_len": 64, "compute_permutation": True},
        {"window": np.inf, "hop": np.inf, "filters_len": 64, "compute_permutation": True},
        {"window": RATE, "hop": RATE, "filters_len": 64, "bsseval_sources_version": True},
        {"window": RATE, "hop": RATE, "filters_len": 64, "framewise_filters": True},
    ],
)
def test_a_script_that_changes_its_import_gets_the_same_numbers(
    museval: Any, options: dict[str, Any], channels: int
) -> None:
    references, estimates = real_like(channels, channels)
    estimates = estimates[::-1] if options.get("compute_permutation") else estimates
    theirs = museval.metrics.bss_eval(references, estimates, **options)
    found = bss_eval(references, estimates, **options)
    assert len(theirs) == len(found) == 5
    for one, other in zip(theirs, found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
    assert np.isnan(found[0]).any() == (options.get("window") in (RATE, 0.9 * RATE))


def test_mode_v3_is_that_of_musevals_evaluate(museval: Any) -> None:
    pair = [signals[:2] for signals in real_like(3, 1)]
    theirs = museval.evaluate(*pair, win=RATE, hop=RATE, mode="v3", padding=False)
    found = bss_eval(*pair, window=RATE, hop=RATE, mode="v3")
    np.testing.assert_allclose(found[:4], theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("missing", ["ffmpeg", "museval"])
def test_without_museval_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "ffmpeg":
        monkeypatch.setattr(shutil, "which", lambda tool: None if tool == missing else tool)
        message = "museval needs ffmpeg on the path: install ffmpeg, or score with ours"
    else:
        monkeypatch.setattr(shutil, "which", lambda tool: tool)
        monkeypatch.setitem(sys.modules, "museval.metrics", None)
        message = r'museval is not installed: pip install "mss-shared\[eval\]", or score with ours'
    pair = np.stack([noise(n, samples=RATE) for n in range(2)])
    with pytest.raises(ValueError, match=message):
        oracle.bsseval(pair, pair, window=RATE, hop=RATE)
