"""BSSEval against frozen museval scores, a dense least-squares oracle, arithmetic and symmetry."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_places import GOLDEN

from mss_shared.metrics.bsseval import BssScores, bsseval, bsseval_with_accompaniment
from mss_shared.metrics.bsseval_filters import equal_channels, independent
from mss_shared.metrics.bsseval_signals import Scenario

Array = NDArray[np.float64]
METRICS = GOLDEN / "metrics"
CASES = sorted(path.stem for path in METRICS.glob("bss_*.npz") if path.stem != "bss_signals")
RATIOS = ("sdr", "isr", "sir", "sar")
NAMES = {  # museval's name of an argument: ours
    "compute_permutation": "permute",
    "bsseval_sources_version": "sources_version",
    "framewise_filters": "framewise_filters",
}
# dB; 1e-5 elsewhere. Near-dependent references leave less to the solver, see the sheet on museval.
TOLERANCES = {"bss_bandlimited_4src": 1e-4, "bss_dependent_channels_4src": 1e-3}


def golden(case: str) -> tuple[Array, Array, dict[str, Any], dict[str, Array]]:
    """References, estimates, our arguments, museval's scores."""
    with (
        np.load(METRICS / f"{case}.npz") as stored,
        np.load(METRICS / "bss_signals.npz") as signals,
    ):
        audio = [
            np.stack([signals[name].T / 32768.0 for name in stored[side]])
            for side in ("references", "estimates")
        ]
        arguments = {NAMES[k]: v for k, v in json.loads(str(stored["kwargs"])).items()}
        arguments |= {"window": float(stored["window"]), "hop": float(stored["hop"])}
        scores = {name: stored[name.upper()] for name in RATIOS} | {"order": stored["perm"]}
    return audio[0], audio[1], arguments, scores


def noise(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def song(seed: int, stems: int, channels: int, samples: int) -> tuple[Array, Array]:
    """References, and estimates with leakage and noise."""
    references = noise(seed, stems, channels, samples)
    mixture = references.sum(axis=0)
    return references, references + 0.2 * mixture + 0.1 * noise(seed + 1, *references.shape)


def assert_close(left: BssScores, right: BssScores, tolerance: float = 1e-7) -> None:
    for name in RATIOS:
        a, b = getattr(left, name), getattr(right, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


def delayed(signals: Array, taps: int) -> Array:
    """(sample + taps - 1, lane * taps): every lane at every delay."""
    lanes = signals.reshape(-1, signals.shape[-1])
    columns = [np.pad(x, (k, taps - 1 - k)) for x in lanes for k in range(taps)]
    return np.stack(columns, axis=1)


def dense_scores(references: Array, estimates: Array, window: int, hop: int, taps: int) -> Array:
    """(ratio, stem, frame) by the definition: one dense least squares, then plain products."""
    stems, channels, samples = references.shape
    ends = np.pad(estimates, ((0, 0), (0, 0), (0, taps - 1)))
    every = np.linalg.lstsq(
        delayed(references, taps), ends.reshape(-1, ends.shape[-1]).T, rcond=None
    )[0]
    scores = []
    for j in range(stems):
        own = np.linalg.lstsq(delayed(references[j], taps), ends[j].T, rcond=None)[0]
        for start in range(0, samples - window + 1, hop):
            inside = slice(start, start + window)
            s = np.pad(references[j, :, inside], ((0, 0), (0, taps - 1))).T
            e = np.pad(estimates[j, :, inside], ((0, 0), (0, taps - 1))).T
            mine = slice(j * channels, (j + 1) * channels)
            joint = delayed(references[:, :, inside], taps) @ every[:, mine]
            alone = delayed(references[j, :, inside], taps) @ own
            above = (s, s, alone, joint)
            below = (e - s, alone - s, joint - alone, e - joint)
            pairs = zip(above, below, strict=True)
            scores.append([(np.sum(a**2), np.sum(b**2)) for a, b in pairs])
    above, below = np.array(scores).reshape(stems, -1, 4, 2).transpose(3, 2, 0, 1)
    return 10 * np.log10(above / np.maximum(below, 1e-30))


def test_all_sixteen_golden_cases_are_here():
    assert len(CASES) == 16


@pytest.mark.parametrize("case", CASES)
def test_every_ratio_of_museval_comes_out(case: str):
    references, estimates, arguments, expected = golden(case)
    scores = bsseval(references, estimates, **arguments)
    np.testing.assert_array_equal(scores.permutation, expected["order"])
    for name in RATIOS:
        ours, theirs = getattr(scores, name), expected[name]
        assert ours.shape == theirs.shape
        if case == "bss_identical_4src" and name != "sdr":  # rounding noise on both sides
            assert ours.min() > 120 and theirs.min() > 120
            continue
        tolerance = 1e-9 if name == "sdr" else TOLERANCES.get(case, 1e-5)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=name)


def test_half_the_reference_is_6_02_db_and_the_reference_itself_infinite():
    references, _ = song(0, 3, 2, 4000)
    halved = bsseval(references, 0.5 * references, window=1000, hop=1000, taps=8)
    np.testing.assert_allclose([halved.sdr, halved.isr], 20 * np.log10(2), rtol=0, atol=1e-9)
    assert min(halved.sir.min(), halved.sar.min()) > 120
    assert np.all(bsseval(references, references, window=1000, hop=1000, taps=8).sdr == np.inf)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    stems=st.integers(1, 3),
    channels=st.integers(1, 2),
    taps=st.integers(1, 9),
    window=st.integers(30, 80),
    hop=st.integers(20, 90),
)
def test_dense_least_squares_give_the_same_ratios(seed, stems, channels, taps, window, hop):
    references, estimates = song(seed, stems, channels, 200)
    scores = bsseval(references, estimates, window=window, hop=hop, taps=taps, workers=1)
    expected = dense_scores(references, estimates, window, hop, taps)
    if stems == 1:  # nothing interferes: only rounding noise, or 0, in the denominator
        assert scores.sir.min() > 120 and expected[2].min() > 120
        scores.sir[:] = expected[2]
    for name, values in zip(RATIOS, expected, strict=True):
        np.testing.assert_allclose(getattr(scores, name), values, rtol=0, atol=1e-8)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), gain=st.floats(1e-3, 10), samples=st.integers(300, 900))
def test_sdr_is_the_energy_of_the_reference_over_that_of_the_error(seed, gain, samples):
    references, errors = noise(seed, 2, 2, samples), gain * noise(seed + 1, 2, 2, samples)
    for metrics in (("SDR",), ("SDR", "SIR")):
        scores = bsseval(
            references, references + errors, window=100, hop=100, metrics=metrics, taps=4
        )
        for frame in range(samples // 100):
            part = np.s_[:, :, 100 * frame : 100 * (frame + 1)]
            above, below = (np.sum(x[part] ** 2, axis=(1, 2)) for x in (references, errors))
            expected = 10 * np.log10(above / below)
            np.testing.assert_allclose(scores.sdr[:, frame], expected, rtol=0, atol=1e-9)
        assert scores.sdr.shape == (2, samples // 100)


@pytest.mark.parametrize("case", ["bss_noisy_4src_overlap", "bss_silent_est_frame"])
def test_sdr_without_filters_equals_sdr_beside_them(case: str):
    references, estimates, arguments, _ = golden(case)
    alone = bsseval(references, estimates, metrics=("SDR",), **arguments)
    beside = bsseval(references, estimates, taps=16, **arguments)
    np.testing.assert_array_equal(alone.sdr, beside.sdr)
    for name in ("isr", "sir", "sar"):
        assert np.isnan(getattr(alone, name)).all()
        assert not np.isnan(getattr(beside, name)).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)), framewise=st.booleans())
def test_permuting_the_stems_permutes_the_rows(seed, order, framewise):
    references, estimates = song(seed, 4, 2, 900)
    arguments = {"window": 300, "hop": 250, "taps": 6, "framewise_filters": framewise}
    straight = bsseval(references, estimates, **arguments)
    permuted = bsseval(references[order], estimates[order], **arguments)
    for name in RATIOS:
        expected = getattr(straight, name)[order]
        np.testing.assert_allclose(getattr(permuted, name), expected, rtol=0, atol=1e-7)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), gain=st.floats(1e-2, 1e3))
def test_a_common_gain_changes_nothing(seed, gain):
    references, estimates = song(seed, 3, 2, 900)
    arguments = {"window": 300, "hop": 300, "taps": 8}
    scaled = bsseval(gain * references, gain * estimates, **arguments)
    assert_close(scaled, bsseval(references, estimates, **arguments))


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    vocals=st.integers(0, 3),
    channels=st.integers(1, 2),
    framewise=st.booleans(),
)
def test_vocals_and_accompaniment_score_as_their_sums_do(seed, vocals, channels, framewise):
    references, estimates = song(seed, 4, channels, 900)
    references[:, :, 300:330] = 0  # silent in a short frame of all stems
    references[(vocals + 1) % 4, :, 600:] = 0  # of one stem: NaN for four stems, not for two
    arguments = {"window": 300, "hop": 300, "taps": 5, "framewise_filters": framewise}
    four, two = bsseval_with_accompaniment(references, estimates, vocals, **arguments)
    assert_close(four, bsseval(references, estimates, **arguments))
    rest = [stem for stem in range(4) if stem != vocals]
    summed = [np.stack([x[vocals], x[rest].sum(axis=0)]) for x in (references, estimates)]
    assert_close(two, bsseval(*summed, **arguments))
    assert np.isnan(four.sir[:, 2]).all() and np.isfinite(two.sir).all()
    if not framewise:
        np.testing.assert_array_equal(four.sdr[vocals, :2], two.sdr[0, :2])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_stem_silent_over_the_song_is_nan_and_leaves_the_others_alone(mirrored: bool):
    references, estimates = song(3, 4, 2, 1200)
    references[2] = [[1.0], [-1.0]] * noise(5, 1, 1200) if mirrored else 0
    estimates[2, :, 400:800] = 0  # does not spoil the second frame either
    scores = bsseval(references, estimates, window=400, hop=400, taps=7)
    kept = [0, 1, 3]
    without = bsseval(references[kept], estimates[kept], window=400, hop=400, taps=7)
    for name in RATIOS:
        np.testing.assert_allclose(
            getattr(scores, name)[kept], getattr(without, name), rtol=0, atol=1e-9
        )
        assert np.isnan(getattr(scores, name)[2]).all()
        assert np.isfinite(getattr(without, name)).all()


def test_stems_that_cancel_leave_no_accompaniment_and_keep_their_own_scores():
    references, estimates = song(6, 3, 2, 800)
    references[0], references[2] = 0, -references[1]
    four, two = bsseval_with_accompaniment(references, estimates, 0, window=400, hop=400, taps=4)
    for name in RATIOS:
        assert np.isnan(getattr(two, name)).all() and np.isnan(getattr(four, name)[0]).all()
        assert not np.isnan(getattr(four, name)[1:]).any()


def test_a_reference_whose_estimate_is_silent_over_the_song_still_interferes():
    references, estimates = song(7, 3, 2, 1200)
    references[1, :, 800:] = 0  # and still counts in the rule for frames
    spoken = bsseval(references, estimates, window=400, hop=400, taps=7)
    estimates[1] = 0
    scores = bsseval(references, estimates, window=400, hop=400, taps=7)
    for name in RATIOS:
        ratio, before = getattr(scores, name), getattr(spoken, name)
        assert np.isnan(ratio[1]).all() and np.isfinite(ratio[[0, 2], :2]).all()
        np.testing.assert_allclose(ratio[[0, 2]], before[[0, 2]], rtol=0, atol=1e-9)
        assert np.isnan(ratio[:, 2]).all()


@settings(max_examples=40)
@given(data=st.data())
def test_frames_are_nan_exactly_where_the_rule_says(data):
    stems, frames = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    loud = np.array(data.draw(st.lists(st.booleans(), min_size=1).map(lambda x: x * 24)))[:24]
    loud = loud[: 2 * stems * frames].reshape(2, stems, frames)
    framewise = data.draw(st.booleans())
    gains = np.repeat(loud, 50, axis=-1)[:, :, None].astype(float)
    references, estimates = np.array(song(frames, stems, 2, 50 * frames)) * gains
    scores = bsseval(references, estimates, window=50, hop=50, taps=3, framewise_filters=framewise)
    heard = loud.any(axis=-1)  # side, stem
    both = heard.all(axis=0)
    counted = [flags for flags, is_heard in zip(loud[0], heard[0], strict=True) if is_heard]
    counted += [flags for flags, is_both in zip(loud[1], both, strict=True) if is_both]
    valid = np.all(counted, axis=0) if counted else np.zeros(frames, bool)
    for name in RATIOS:
        np.testing.assert_array_equal(~np.isnan(getattr(scores, name)), both[:, None] & valid)


def test_references_that_are_delays_of_each_other_still_project_right():
    references, estimates = song(9, 2, 2, 400)
    references[:, :, -20:] = 0
    references[:, 1, 3:] = references[:, 0, :-3]
    references[:, 1, :3] = 0  # singular, though no two channels are equal; one frame, since
    expected = dense_scores(references, estimates, 400, 400, 16)  # only whole songs are unique
    scores = bsseval(references, estimates, window=400, hop=400, taps=16)
    for name, values in zip(RATIOS, expected, strict=True):
        np.testing.assert_allclose(getattr(scores, name), values, rtol=0, atol=1e-7)


def test_equal_and_opposite_channels_are_found_and_one_sided_stems_scored():
    references, estimates = song(11, 3, 2, 600)
    references[0, 1] = references[0, 0]
    references[1, 1] = -references[0, 0]
    references[2, 1] = 0
    equal = equal_channels(references, Scenario.one_per_stem(3), (0, 600))
    assert equal == [(0, 1), (0, 3), (1, 3)]
    assert independent(range(6), equal) == [0, 2, 4, 5]
    assert independent([2, 3], equal) == [2, 3]
    expected = dense_scores(references, estimates, 200, 200, 5)
    scores = bsseval(references, estimates, window=200, hop=200, taps=5)
    for name, values in zip(RATIOS, expected, strict=True):
        np.testing.assert_allclose(getattr(scores, name), values, rtol=0, atol=1e-8)


@settings(max_examples=10)
@given(order=st.permutations(range(3)), framewise=st.booleans(), sources=st.booleans())
def test_permute_finds_the_order_of_the_estimates(order, framewise, sources):
    references, estimates = song(12, 3, 2, 800)
    arguments = {"window": 400, "hop": 400, "taps": 6}
    arguments |= {"framewise_filters": framewise, "sources_version": sources}
    straight = bsseval(references, estimates, **arguments)
    found = bsseval(references, estimates[order], permute=True, **arguments)
    expected = np.argsort(order)[:, None].repeat(2 if framewise else 1, axis=1)
    np.testing.assert_array_equal(found.permutation, expected)
    assert_close(found, straight, 1e-9)
    assert np.isnan(found.isr).all() == sources


def test_one_undefined_frame_keeps_the_given_order_of_the_song_or_of_that_frame():
    references, estimates = song(13, 2, 2, 800)
    references[0, :, :400] = 0
    arguments = {"window": 400, "hop": 400, "taps": 6, "permute": True}
    whole = bsseval(references, estimates[::-1], **arguments)
    assert whole.permutation.tolist() == [[0], [1]]
    framewise = bsseval(references, estimates[::-1], framewise_filters=True, **arguments)
    assert framewise.permutation.tolist() == [[0, 1], [1, 0]]
