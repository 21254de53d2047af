"""Evaluation: a complete record, digests of the files, oracles that bound the board."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, demo_recipe, make_track, noise, tone, write_track

from mss_shared.audio import Audio
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.datasets import Dataset, Track, open_dataset
from mss_shared.datasets.content import describe_content
from mss_shared.evaluation import score_files
from mss_shared.evaluation.block_signals import BlockSignals
from mss_shared.evaluation.cost import count_gmac, flop_counter
from mss_shared.evaluation.evaluate import (
    Estimator,
    Settings,
    _cost,
    evaluate,
    model_estimator,
    oracle_estimator,
    with_remainder,
)
from mss_shared.evaluation.oracles import ORACLES, ideal_ratio_mask, mixture_as_estimate
from mss_shared.evaluation.protocols import find_protocol
from mss_shared.evaluation.track_metrics import Engine
from mss_shared.interfaces import Checkpoint
from mss_shared.metrics.bsseval import bsseval

SAMPLES = RATE * 5 // 2
ALL = ("bsseval_v4", "bsseval_v3", "usdr", "csdr", "si_sdr", "si_bss_eval", "l1_freq")
CHOSEN = {p.label: p for p in (find_protocol(name).on(STEMS) for name in ALL)}
FIELDS = {
    *("schema", "kind", "method", "run", "dataset", "recipe", "recipe_digest", "verbatim"),
    *("leaf_sources", "reproduces", "training", "stems", "protocols", "weights", "cost", "seed"),
    *("commit", "versions", "command", "machine", "threads", "models", "settings", "inputs"),
}
ABOUT = {
    *("id", "metrics", "unit", "targets", "window", "frames", "tracks", "silence"),
    *("computed_by", "notes", "files", "command", "commit"),
}
TRAINING = {"dataset": "mine", "fingerprint": "0", "tracks": ["t"], "steps": 3, "seed": 7}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two test songs: a tone of its own per stem, in a little noise."""
    root = tmp_path_factory.mktemp("songs") / "mine"
    for name, hz in (("x", 300.0), ("y", 500.0)):
        signals = {
            stem: tone(hz * (n + 1), SAMPLES) * 0.5 + noise(n, samples=SAMPLES, scale=0.01)
            for n, stem in enumerate(STEMS)
        }
        write_track(root / "test" / name, signals)
    return open_dataset(root)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    loaded = demo_recipe()
    torch.manual_seed(0)
    model = PAPER.build_model(loaded.recipe).eval()
    return Checkpoint(model, loaded.recipe, "demo", True, loaded.leaf_sources, TRAINING, ())


def method(estimate: Any, name: str = "mine") -> Estimator:
    """Of (track, stems) -> all estimates at once."""
    return oracle_estimator(name, "oracle", lambda *about: [estimate(*about)], STEMS)


def mixture(track: Track, stems: tuple[str, ...]) -> Audio:
    return whole(mixture_as_estimate(track, stems))


def ideal(track: Track, stems: tuple[str, ...] = STEMS) -> Audio:
    return whole(ideal_ratio_mask(track, stems))


def whole(blocks: Iterable[Audio]) -> Audio:
    return np.concatenate([*blocks], axis=-1)


def perfect(track: Track, stems: tuple[str, ...]) -> Audio:
    return track.read_stems(stems)


def read_run(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


def assert_files_match(folder: Path, protocols: Mapping[str, Any]) -> None:
    """Every digest is its file's, and there are no other files."""
    listed = {"run.json"}
    for name, about in protocols.items():
        assert about["id"] == CHOSEN[name].id
        for place, digest in about["files"].items():
            content = (folder / name / place).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest
            listed.add(f"{name}/{place}")
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == listed


def test_a_models_record_is_complete(
    dataset: Dataset, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    inference = checkpoint.recipe.inference
    estimator = model_estimator("tiny_paper", [checkpoint], checkpoint.model, inference)
    folder, summary = evaluate(estimator, dataset, ALL, tmp_path, "run-1", command="words typed")
    assert folder == tmp_path / "mine" / "tiny_paper" / "run-1"
    run = read_run(folder)
    assert set(run) == FIELDS and run["schema"] == 1
    assert (run["kind"], run["method"], run["run"]) == ("model", "tiny_paper", "run-1")
    assert (run["recipe"], run["verbatim"], run["reproduces"]) == ("demo", True, None)
    assert run["recipe_digest"] == demo_recipe().digest
    assert run["leaf_sources"] == demo_recipe().leaf_sources
    assert run["dataset"] == {
        "name": "mine",
        "split": "test",
        "tracks": ["x", "y"],
        "fingerprint": dataset.fingerprint,
        "content": describe_content(dataset.test),
    }
    assert (
        run["training"] == {**TRAINING, "extra_data": None}
        and run["seed"] == 7
        and run["command"] == "words typed"
    )
    assert run["stems"] == list(STEMS)
    assert run["weights"] == {
        "digest": weights_digest(checkpoint.model.state_dict()),
        "parameters": 2 * 4 * 5 + 4 + 4 * 4 * 5 + 4,
    }
    assert set(run["cost"]) == {"gmac_per_second", "real_time_factor", "peak_memory_bytes"}
    assert run["cost"]["real_time_factor"] > 0 and run["cost"]["peak_memory_bytes"] > 1e6
    assert {"python", "torch", "numpy"} <= set(run["versions"])
    assert_files_match(folder, run["protocols"])
    assert list(summary) == [protocol.id for protocol in CHOSEN.values()]
    assert "bsseval_v4.vocals+drums@1" in summary


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_an_oracles_record_has_the_same_fields_with_null_where_nothing_was_trained(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    kind, oracle = ORACLES[name]
    estimator = oracle_estimator(name, kind, oracle, STEMS)
    folder, _ = evaluate(estimator, dataset, ("usdr",), tmp_path, "both")
    run = read_run(folder)
    assert set(run) == FIELDS
    assert run["kind"] == ("baseline" if name == "mixture" else "oracle")
    for field in ("recipe", "verbatim", "training", "weights", "seed", "reproduces"):
        assert run[field] is None
    assert set(run["cost"].values()) == {None}
    assert_files_match(folder, run["protocols"])


def test_the_protocols_say_how_their_files_become_one_number(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder, summary = evaluate(method(mixture), dataset, ALL, tmp_path, "run")
    described = read_run(folder)["protocols"]
    assert set(described) == set(CHOSEN)
    for name, about in described.items():
        assert set(about) == ABOUT and about["targets"] == list(STEMS)
        assert about["computed_by"] == "mss-shared" and about["notes"] == {}
        rules = {"median": np.nanmedian, "mean": np.nanmean}
        frames, tracks = rules[about["frames"]], rules[about["tracks"]]
        for stem in STEMS:
            per_track = []
            for place in about["files"]:
                text = (folder / name / place).read_text()
                read = score_files.from_json(text, place).targets[stem]
                values = [frame.metrics[about["metrics"][0]] for frame in read]
                per_track.append(frames(values))
            expected = float(tracks(per_track))
            found = summary[about["id"]][stem][about["metrics"][0]]
            assert found == pytest.approx(expected, abs=1e-5)


def test_museval_computes_if_it_is_asked_to_and_the_record_says_so(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def instead(*pair: Any, framewise_filters: bool, **frames: Any) -> Any:
        asked.append(framewise_filters)
        return bsseval(*pair, framewise_filters=framewise_filters, **frames)

    monkeypatch.setattr("mss_shared.metrics.museval.bsseval", instead)
    protocols = ("bsseval_v4", "bsseval_v3", "usdr")
    folder, _ = evaluate(
        method(perfect),
        dataset,
        protocols,
        tmp_path,
        "run",
        settings=Settings(Engine(museval=True)),
    )
    described = read_run(folder)["protocols"].values()
    assert [about["computed_by"] for about in described] == ["museval", "museval", "mss-shared"]
    assert asked == [False, True, False, True]  # for each of two tracks


def test_a_silent_stem_is_nan_with_the_reason_and_the_other_is_scored(tmp_path: Path) -> None:
    quiet = {"vocals": np.zeros((2, SAMPLES), np.float32), "drums": noise(0, samples=SAMPLES)}
    write_track(tmp_path / "songs" / "test" / "x", quiet)
    songs = open_dataset(tmp_path / "songs")

    def delayed(track: Track, stems: tuple[str, ...]) -> Audio:
        return np.roll(mixture(track, stems), 700, axis=-1)

    folder, summary = evaluate(method(delayed), songs, ("bsseval_v4",), tmp_path, "run")
    (about,) = read_run(folder)["protocols"].values()
    reason = "the reference is silent over the whole track"
    assert about["notes"] == {"x": {"vocals": reason}}
    (values,) = summary.values()
    assert math.isnan(values["vocals"]["SDR"]) and math.isfinite(values["drums"]["SDR"])


def test_a_perfect_estimate_is_above_any_other(dataset: Dataset, tmp_path: Path) -> None:
    _, summary = evaluate(method(perfect), dataset, ALL, tmp_path, "run")
    for stem in STEMS:
        # The energy of 2.5 s, over a constant: 80 dB and more.
        assert summary["usdr@1"][stem]["uSDR"] > 80.0
        assert summary["si_sdr@1"][stem]["SI-SDR"] > 80.0
        # As in museval's files, which have no number for infinity.
        assert math.isnan(summary["bsseval_v4.vocals+drums@1"][stem]["SDR"])


def test_the_ideal_mask_beats_the_mixture_by_far_on_tones(dataset: Dataset, tmp_path: Path) -> None:
    found = {}
    for name in ORACLES:
        estimator = oracle_estimator(name, ORACLES[name][0], ORACLES[name][1], STEMS)
        _, summary = evaluate(estimator, dataset, ("usdr",), tmp_path, "run")
        found[name] = summary["usdr@1"]
    for stem in STEMS:
        # Equal tones: the other stem is the mixture's error, as strong as the stem.
        assert found["mixture"][stem]["uSDR"] == pytest.approx(0.0, abs=0.2)
        assert found["irm"][stem]["uSDR"] > 15.0


def test_ideal_masks_share_the_mixture_among_the_stems(dataset: Dataset) -> None:
    track = dataset.test[0]
    estimates = ideal(track)
    assert estimates.shape == (2, 2, SAMPLES) and estimates.dtype == np.float32
    np.testing.assert_allclose(estimates.sum(axis=0), track.read_mixture(), atol=1e-5)
    assert mixture(track, STEMS).shape == (2, 2, SAMPLES)


def test_the_ideal_mask_of_silence_is_silence(tmp_path: Path) -> None:
    silent = {stem: np.zeros((2, 5_001), np.float32) for stem in STEMS}
    write_track(tmp_path / "test" / "x", silent)
    assert not ideal(open_dataset(tmp_path).test[0]).any()


def equals(signals: BlockSignals, expected: Audio) -> bool:
    return bool((signals.read(0, signals.length) == expected).all())


def test_estimates_are_handed_over_and_progress_told(dataset: Dataset, tmp_path: Path) -> None:
    kept: list[tuple[str, bool]] = []
    told: list[tuple[str, int, int]] = []
    evaluate(
        method(perfect),
        dataset,
        ("usdr",),
        tmp_path,
        "run",
        keep=lambda track, e: kept.append((track.name, equals(e, track.read_stems(STEMS)))),
        progress=lambda *words: told.append(words),
    )
    assert kept == [("x", True), ("y", True)] and told == [("x", 1, 2), ("y", 2, 2)]


def test_an_unknown_protocol_is_refused_before_anything_is_estimated(
    dataset: Dataset, tmp_path: Path
) -> None:
    def never(*_: Any) -> Audio:
        raise AssertionError("estimated")

    with pytest.raises(ValueError, match="there is no protocol 'sdr': choose from"):
        evaluate(method(never), dataset, ("usdr", "sdr"), tmp_path, "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda e: e[..., :-1], r"track x: the estimates are \(2, 2, 19999\), the references"),
        (lambda e: e[:1], r"track x: the estimates are \(1, 2, 20000\), the references"),
        (lambda e: np.where(np.arange(SAMPLES) == 5, np.nan, e), "of stem 0 is NaN or infinite at"),
        (lambda e: np.where(np.arange(SAMPLES) == 9, np.inf, e), "infinite at sample 9: the weig"),
    ],
)
def test_estimates_that_are_none_are_refused_and_nothing_is_written(
    dataset: Dataset, tmp_path: Path, spoil: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(method(lambda t, s: spoil(perfect(t, s))), dataset, ALL, tmp_path, "run")
    assert not list(tmp_path.iterdir())


def test_a_set_without_test_tracks_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    empty = Dataset("mine", tmp_path, dataset.test, (), ())
    with pytest.raises(ValueError, match="has no test tracks: the data set must hold a test/"):
        evaluate(method(perfect), empty, ("usdr",), tmp_path, "run")


def test_operations_are_those_of_the_convolutions() -> None:
    model = PAPER.build_model(demo_recipe(model={"width": 400, "sample_rate": 9_000}).recipe)
    # Each sample: 2 channels x 400 features x 5 taps, then 400 x 4 outputs x 5 taps.
    assert count_gmac(model) == pytest.approx((4_000 + 8_000) * 9_000 / 1e9)


class Recurrent(torch.nn.Module):
    """Ten samples are one frame of two recurrent layers, both ways."""

    sample_rate, channels = 1_000, 1

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(10, 6, num_layers=2, bidirectional=True)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return self.lstm(mixture.reshape(-1, 1, 10))[0]


def test_recurrent_layers_count_every_matrix_once_per_frame() -> None:
    # 100 frames per second; 4 gates of 6 units, each way: 10 + 6 inputs, then 12 + 6.
    expected = 100 * 2 * 4 * 6 * (10 + 6 + 12 + 6)
    assert count_gmac(Recurrent().eval()) == pytest.approx(expected / 1e9, abs=0.5e-4)
    wide = Recurrent()
    wide.lstm = torch.nn.LSTM(10, 600, bidirectional=True)
    expected = 100 * 2 * 4 * 600 * (10 + 600)
    assert count_gmac(wide.eval()) == pytest.approx(expected / 1e9, abs=1e-4)


class Attending(torch.nn.Module):
    """Ten samples are one token: a product by oneDNN to 96 features, then attention of 3 heads."""

    sample_rate, channels = 1_000, 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(96, 10))

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        tokens = mixture.reshape(1, -1, 10)
        onednn = torch.ops.mkldnn._linear_pointwise
        x = onednn(tokens, self.weight, None, "none", [], "").unflatten(-1, (3, 32)).transpose(1, 2)
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch is built without oneDNN"
)
def test_attention_and_products_by_onednn_are_counted_on_a_cpu() -> None:
    # Over 6 s: 600 tokens to 96 features each; each of 3 heads twice 600 x 600 x 32.
    expected = (600 * 10 * 96 + 3 * 2 * 600 * 600 * 32) / 6
    assert count_gmac(Attending()) == pytest.approx(expected / 1e9, abs=0.5e-4)


def attention(tokens: torch.Tensor) -> torch.Tensor:
    heads = tokens.reshape(2, 3, 50, 8)
    return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)


@pytest.mark.parametrize(
    ("layer", "shape", "forward", "gradients"),
    [
        # 12 outputs of 8 / 4 inputs by 9 taps, at 2 x 30 places.
        (torch.nn.Conv2d(8, 12, 3, padding=1, groups=4), (2, 8, 5, 6), 60 * 12 * 2 * 9, 2),
        # 8 inputs to 12 / 4 outputs each by 2 taps, from 2 x 30 places.
        (
            torch.nn.ConvTranspose2d(8, 12, (1, 2), (1, 2), groups=4),
            (2, 8, 5, 6),
            60 * 8 * 3 * 2,
            2,
        ),
        # 4 gates of 6 units, each way: 10 + 6 inputs of 20 frames, 3 at a time.
        (torch.nn.LSTM(10, 6, bidirectional=True), (20, 3, 10), 60 * 2 * 24 * 16, 2),
        # The gradients of both products, and the first again.
        (attention, (2, 3, 50, 8), 2 * 2 * 3 * 50 * 50 * 8, 2.5),
    ],
    ids=["convolution", "transposed", "recurrent", "attention"],
)
def test_gradients_count_as_products_too(
    layer: Any, shape: tuple[int, ...], forward: int, gradients: float
) -> None:
    x = torch.randn(shape, requires_grad=True)
    counter = flop_counter()
    with counter:
        found = layer(x)
        assert counter.get_total_flops() == 2 * forward
        (found[0] if isinstance(found, tuple) else found).sum().backward()
    assert counter.get_total_flops() == 2 * forward * (1 + gradients)


def test_counting_leaves_no_hook_for_which_a_model_would_call_every_layer() -> None:
    hooks = torch.nn.modules.module._global_forward_pre_hooks
    before = dict(hooks)
    with flop_counter() as counter:
        assert hooks == before
        torch.ones(2, 3) @ torch.ones(3, 5)
    assert counter.get_total_flops() == 2 * 2 * 3 * 5


def test_the_weights_digest_sees_names_shapes_types_and_bits_but_not_the_order() -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    digest = weights_digest(state)
    assert weights_digest(dict(reversed(state.items()))) == digest
    assert weights_digest({**state, "a": state["a"].T.contiguous().T}) == digest
    changes: list[dict[str, torch.Tensor]] = [
        {**state, "a": state["a"].reshape(3, 2)},
        {**state, "b": torch.ones(2, dtype=torch.float64)},
        {**state, "b": torch.nextafter(state["b"], torch.zeros(2))},
        {"a": state["a"], "c": state["b"]},
        {"a": state["a"]},
        {"a": -state["a"].abs(), "b": state["b"]},
    ]
    assert len({digest, *(weights_digest(change) for change in changes)}) == 1 + len(changes)


def test_the_ideal_ratio_mask_is_of_powers(tmp_path: Path) -> None:
    """Stems that are one signal, 3 and 1 times: by power the first has nine tenths of the song."""
    signal = noise(0, samples=SAMPLES, scale=0.05)
    track = make_track(tmp_path / "t", {"vocals": 3 * signal, "drums": signal})
    vocals, drums = ideal(track)
    np.testing.assert_allclose(vocals, 0.9 * 4 * signal, atol=1e-6)
    np.testing.assert_allclose(drums, 0.1 * 4 * signal, atol=1e-6)


def test_the_ideal_ratio_mask_of_one_stem_knows_the_others(tmp_path: Path) -> None:
    signal = noise(0, samples=SAMPLES, scale=0.05)
    track = make_track(tmp_path / "t", {"vocals": 3 * signal, "drums": signal})
    [drums] = ideal(track, ("drums",))
    np.testing.assert_allclose(drums, 0.1 * 4 * signal, atol=1e-6)


def test_the_remainder_is_the_mixture_less_the_sum_of_all_stems(tmp_path: Path) -> None:
    """Of estimates 2 and 3 in a song of 7 the rest is 2; it would be 4.5 for their mean."""
    ones = np.full((2, 64), 1 / 16, np.float32)
    track = make_track(tmp_path / "t", {"vocals": 7 * ones})
    estimates = np.stack([2 * ones, 3 * ones])
    blocks = [estimates[..., :30], estimates[..., 30:]]
    found = with_remainder(Estimator(STEMS, lambda _: blocks, {}), "other")
    assert found.stems == (*STEMS, "other")
    made = whole(found.estimate(track))
    np.testing.assert_array_equal(made, np.stack([2 * ones, 3 * ones, 2 * ones]))


def test_the_memory_of_a_model_on_the_cpu_is_the_process_s_though_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 0)
    track = make_track(tmp_path, {stem: noise(0, 2, RATE) for stem in STEMS})
    assert _cost(track, 1.0)["peak_memory_bytes"] > 1e6
