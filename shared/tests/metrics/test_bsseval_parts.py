"""The parts of BSSEval: frames, correlations, pieces and threads, memory, bad input."""

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mss_shared.metrics import bsseval_correlations, bsseval_frames
from mss_shared.metrics.bsseval import bsseval, bsseval_with_accompaniment
from mss_shared.metrics.bsseval_correlations import correlate
from mss_shared.metrics.bsseval_filters import projection_filters
from mss_shared.metrics.bsseval_signals import frame_bounds, map_in_order

Array = NDArray[np.float64]
RATIOS = ("sdr", "isr", "sir", "sar")


def noise(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def song(seed: int, stems: int, channels: int, samples: int) -> tuple[Array, Array]:
    """References, and estimates with leakage and noise."""
    references = noise(seed, stems, channels, samples)
    mixture = references.sum(axis=0)
    return references, references + 0.2 * mixture + 0.1 * noise(seed + 1, *references.shape)


@pytest.mark.parametrize("side", ["reference", "estimate"])
def test_a_stem_silent_over_the_song_raises_if_asked(side: str):
    audio = dict(zip(("reference", "estimate"), song(1, 3, 2, 500), strict=True))
    audio[side][1] = 0
    with pytest.raises(ValueError, match=rf"{side} 1 is silent.* 500 samples: leave"):
        bsseval(audio["reference"], audio["estimate"], window=100, hop=100, silent="raise")


@pytest.mark.parametrize(
    ("samples", "window", "hop", "expected"),
    [
        (10, 4, 4, [(0, 4), (4, 8)]),
        (10, 4, 3, [(0, 4), (3, 7), (6, 10)]),
        (10, 2, 7, [(0, 2), (7, 9)]),
        (10, 10, 4, [(0, 10)]),
        (10, 99, 99, [(0, 10)]),
        (10, float("inf"), float("inf"), [(0, 10)]),
        (10, 4, float("inf"), [(0, 4)]),
        (10, 2.5, 2.5, [(0, 2), (2, 5), (5, 7), (7, 10)]),
    ],
)
def test_frames_cover_whole_windows_only(samples, window, hop, expected):
    assert frame_bounds(samples, window, hop) == expected


@settings(max_examples=25)
@given(
    first=st.integers(0, 40),
    length=st.integers(1, 300),
    taps=st.integers(1, 20),
    block=st.sampled_from([64, 128, 200]),
    at_once=st.integers(1, 3),
)
def test_correlations_are_sums_over_the_given_samples(first, length, taps, block, at_once):
    references, estimates = song(length, 2, 2, first + length + 5)
    bounds = first, first + length
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bsseval_correlations, "BLOCK", block)
        patch.setattr(bsseval_correlations, "BLOCKS_AT_ONCE", at_once)
        found = correlate(references, estimates, taps, bounds, 2)
    inside = np.s_[:, :, first : first + length]
    for signals, lags in ((references, found.references), (estimates, found.estimates)):
        later = np.pad(signals[inside], ((0, 0), (0, 0), (0, taps - 1)))
        for lag in range(taps):
            ahead = later[:, :, lag : lag + length]
            expected = np.einsum("acn,bdn->acbd", references[inside], ahead)
            np.testing.assert_allclose(lags[..., lag], expected, rtol=0, atol=1e-10 * length)


@pytest.mark.parametrize(("window", "workers"), [(30_000, 1), (30_000, 3), (float("inf"), 2)])
def test_cutting_long_frames_into_pieces_and_threads_changes_nothing(window, workers, monkeypatch):
    references, estimates = song(4, 2, 2, 60_000)
    whole = bsseval(references, estimates, window=window, hop=window, taps=32, workers=1)
    if window == 30_000:
        threads = bsseval(references, estimates, window=window, hop=window, taps=32, workers=3)
        for name in RATIOS:
            np.testing.assert_array_equal(getattr(threads, name), getattr(whole, name))
    monkeypatch.setattr(bsseval_frames, "BLOCKS_AT_ONCE", 1)
    monkeypatch.setattr(bsseval_frames, "CHUNK", 777)
    pieces = bsseval(references, estimates, window=window, hop=window, taps=32, workers=workers)
    for name in RATIOS:
        expected = getattr(whole, name)
        np.testing.assert_allclose(getattr(pieces, name), expected, rtol=0, atol=1e-9)


def test_a_matrix_with_a_zero_pivot_is_solved_by_least_squares():
    auto = np.array([[4.0, 8.0], [8.0, 16.0]])[..., None]  # eps vanishes beside these numbers
    filters = projection_filters(auto, np.array([[[2.0]], [[4.0]]]), [0, 1])
    assert filters[0, 0, 0] + 2 * filters[0, 1, 0] == pytest.approx(0.5, abs=1e-12)


def test_float32_and_strided_audio_score_as_their_float64_copies():
    narrow = [x.astype(np.float32) for x in song(14, 2, 2, 700)]
    wide = bsseval(*(x.astype(float) for x in narrow), window=300, hop=300, taps=6)
    strided = [np.ascontiguousarray(x.transpose(2, 1, 0)).transpose(2, 1, 0) for x in narrow]
    for audio in (narrow, strided):
        scores = bsseval(*audio, window=300, hop=300, taps=6)
        for name in RATIOS:
            np.testing.assert_array_equal(getattr(scores, name), getattr(wide, name))


@pytest.mark.parametrize("window", [44_100, float("inf")])
def test_memory_does_not_grow_with_the_song(window: float):
    peaks = []
    for samples in (2_000_000, 6_000_000):
        references = np.random.default_rng(0).standard_normal((2, 1, samples), np.float32)
        estimates = references[::-1] + references
        tracemalloc.start()
        bsseval(references, estimates, window=window, hop=window, taps=16, workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]  # of three times the song; as many results wait as it happens
    assert peaks[1] < references.nbytes / 3


def test_no_more_results_wait_than_two_for_each_thread():
    begun: list[int] = []

    def task(item: int) -> int:
        begun.append(item)
        return -item

    for taken, result in enumerate(map_in_order(task, range(100), 3)):
        assert result == -taken
        assert len(begun) <= taken + 2 * 3 + 1


def arguments_but(**changes: object) -> dict[str, Any]:
    references, estimates = song(0, 2, 2, 400)
    given = {"references": references, "estimates": estimates, "window": 100, "hop": 100}
    return given | {"taps": 4} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimates": np.ones((2, 2, 399))}, r"\(2, 2, 400\) and estimates \(2, 2, 399\): both"),
        (
            {"references": np.ones(9), "estimates": np.ones(9)},
            r"have shape \(9,\): pass a non-empty",
        ),
        (
            {"references": np.ones((2, 0, 9)), "estimates": np.ones((2, 0, 9))},
            r"shape \(2, 0, 9\): ",
        ),
        (
            {"estimates": np.ones((2, 2, 400), complex)},
            "estimates have dtype complex128: pass real",
        ),
        ({"window": 0.5}, "window is 0.5 samples: pass"),
        ({"hop": float("nan")}, "hop is nan samples: pass"),
        ({"metrics": ("SDR", "SNR")}, r"metrics is \('SDR', 'SNR'\): choose from SDR, ISR"),
        ({"metrics": ()}, r"metrics is \(\): choose"),
        ({"taps": 0}, "taps is 0: "),
        ({"workers": 0}, "workers is 0: "),
        ({"silent": "skip"}, "silent is 'skip': choose 'nan' or 'raise'"),
    ],
)
def test_bad_arguments_stop_with_their_numbers(changes: dict[str, object], message: str):
    bsseval(**arguments_but())
    with pytest.raises(ValueError, match=message):
        bsseval(**arguments_but(**changes))


@settings(max_examples=20)
@given(
    side=st.sampled_from(["references", "estimates"]),
    stem=st.integers(0, 1),
    channel=st.integers(0, 1),
    sample=st.integers(0, 399),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_a_sample_that_is_not_finite_is_named(side, stem, channel, sample, value):
    given_arguments = arguments_but()
    given_arguments[side][stem, channel, sample] = value
    given_arguments[side][stem, 0, sample + 1 :] = value
    with pytest.raises(ValueError, match=rf"{side}\[{stem}\] is .* at sample {sample}: fix"):
        bsseval(**given_arguments)


@pytest.mark.parametrize(("stems", "index"), [(1, 0), (4, 4), (4, -1)])
def test_vocals_must_be_one_of_several_stems(stems: int, index: int):
    with pytest.raises(ValueError, match=f"vocals_index is {index} of {stems} stems: pass"):
        bsseval_with_accompaniment(*song(0, stems, 1, 50), index, window=10, hop=10)


def test_bsseval_needs_no_torch():
    code = "import sys, mss_shared.metrics.bsseval; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
