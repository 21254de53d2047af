"""museval's signature over our BSSEval, and mir_eval's functions as calls of it."""

import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_places import GOLDEN

from mss_shared import metrics
from mss_shared.metrics import bss_eval
from mss_shared.metrics.bsseval import bsseval

Array = NDArray[np.float64]
METRICS = GOLDEN / "metrics"
MIR_EVAL = json.loads((METRICS / "mir_eval.json").read_text(encoding="utf-8"))
WHOLE = {"window": math.inf, "hop": math.inf}
FRAMES = {"window": 2_500, "hop": 2_500}


def song(seed: int, stems: int, samples: int, channels: int) -> tuple[Array, Array]:
    """References, and estimates with leakage and noise; (stem, sample, channel)."""
    made = np.random.default_rng(seed)
    references = made.standard_normal((stems, samples, channels))
    leaks = 0.2 * references.sum(axis=0) + 0.1 * made.standard_normal(references.shape)
    return references, references + leaks


def frozen(case: str) -> tuple[list[Array], dict[str, Any], list[Array]]:
    """References and estimates, arguments under museval's names, what museval returned."""
    with (
        np.load(METRICS / f"{case}.npz") as stored,
        np.load(METRICS / "bss_signals.npz") as signals,
    ):
        pair = [
            np.stack([signals[name] / 32768.0 for name in stored[side]])
            for side in ("references", "estimates")
        ]
        arguments = json.loads(str(stored["kwargs"]))
        arguments |= {"window": float(stored["window"]), "hop": float(stored["hop"])}
        names = ("SDR", "ISR", "SIR", "SAR", "perm")
        return pair, arguments, [stored[name] for name in names]


def mir_eval_signals() -> tuple[Array, Array, Array]:
    """References, the same with a pause in the second, and estimates in another order."""
    with np.load(METRICS / "bss_signals.npz") as signals:
        references, estimates = (
            np.stack([signals[f"permutation_3src_{side}_{n}"] for n in range(3)]) / 32768.0
            for side in ("reference", "estimate")
        )
    paused = references.copy()
    paused[1, 5_000:7_500] = 0.0
    return references, paused, estimates


@pytest.mark.parametrize(
    "case",
    [
        "bss_silent_ref_frame",
        "bss_silent_est_frame",
        "bss_permutation_3src",
        "bss_mono_channel_2src",
        "bss_sources_version_2src",
        "bss_v3_framewise_2src",
    ],
)
def test_what_museval_returned_is_returned(case: str) -> None:
    pair, arguments, expected = frozen(case)
    found = bss_eval(*pair, **arguments)
    assert len(found) == len(expected) == 5
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("kind", ["sources", "images"])
def test_each_function_of_mir_eval_is_a_call_of_ours(
    kind: str, frames: bool, permuted: bool
) -> None:
    references, paused, estimates = mir_eval_signals()
    pair = [paused if frames else references, estimates]
    # The left channels as (stem, sample), or two stereo stems.
    pair = [x[:, :, 0] if kind == "sources" else x[:2] for x in pair]
    ratios = bss_eval(
        *pair,
        **(FRAMES if frames else WHOLE),
        compute_permutation=permuted,
        bsseval_sources_version=kind == "sources",
        mode="v3",
    )
    found = dict(zip(("SDR", "ISR", "SIR", "SAR", "perm"), ratios, strict=True))
    name = f"bss_eval_{kind}{'_framewise' if frames else ''} {'permuted' if permuted else 'plain'}"
    expected = {key: np.array(values, float) for key, values in MIR_EVAL[name].items()}
    assert len(expected) == (4 if kind == "sources" else 5)
    for key, theirs in expected.items():
        ours = found[key] if frames else found[key][:, 0]
        assert ours.shape == theirs.shape
        if key == "perm":  # NaN in theirs where the frame is
            theirs = np.where(np.isnan(theirs), ours, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6, err_msg=key)
    assert np.isnan(found["SDR"]).any() == frames


def test_fast_bss_evals_ratios_are_those_of_the_sources() -> None:
    references, _, estimates = mir_eval_signals()
    sdr, _, sir, sar, order = bss_eval(
        references[:, :, 0],
        estimates[:, :, 0],
        **WHOLE,
        compute_permutation=True,
        bsseval_sources_version=True,
    )
    expected = MIR_EVAL["fast_bss_eval.bss_eval_sources"]
    assert order[:, 0].tolist() == expected["perm"]
    for name, found in (("SDR", sdr), ("SIR", sir), ("SAR", sar)):
        np.testing.assert_allclose(found[:, 0], expected[name], rtol=0, atol=1e-6)


def test_defaults_and_order_of_the_arguments_are_musevals() -> None:
    found = inspect.signature(bss_eval).parameters
    assert {name: value.default for name, value in found.items()} == {
        "reference_sources": inspect.Parameter.empty,
        "estimated_sources": inspect.Parameter.empty,
        "window": 88_200,
        "hop": 66_150,
        "compute_permutation": False,
        "filters_len": 512,
        "framewise_filters": False,
        "bsseval_sources_version": False,
        "mode": "v4",
    }
    assert found["mode"].kind is inspect.Parameter.KEYWORD_ONLY


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    stems=st.integers(1, 3),
    channels=st.integers(1, 3),
    samples=st.integers(40, 300),
    window=st.integers(20, 120),
    hop=st.integers(20, 120),
    mode=st.sampled_from(["v3", "v4"]),
)
def test_it_is_bsseval_with_the_last_axes_swapped(
    seed: int, stems: int, channels: int, samples: int, window: int, hop: int, mode: Any
) -> None:
    references, estimates = song(seed, stems, samples, channels)
    found = bss_eval(references, estimates, window, hop, filters_len=3, mode=mode)
    swapped = [x.transpose(0, 2, 1) for x in (references, estimates)]
    framewise = mode == "v3"
    plain = bsseval(*swapped, window=window, hop=hop, taps=3, framewise_filters=framewise)
    frames = 1 if window >= samples else (samples - window + hop) // hop
    for ours, name in zip(found, ("sdr", "isr", "sir", "sar", "permutation"), strict=True):
        np.testing.assert_array_equal(ours, getattr(plain, name))
    assert found[0].shape == (stems, frames)
    assert found[4].shape == (stems, frames if framewise else 1)


def test_one_axis_less_is_mono_and_two_less_a_single_stem() -> None:
    references, estimates = song(0, 2, 200, 1)
    arguments = {"window": 100, "hop": 100, "filters_len": 3}
    three = bss_eval(references, estimates, **arguments)
    two = bss_eval(references[..., 0], estimates[..., 0], **arguments)
    first = bss_eval(references[:1], estimates[:1], **arguments)
    one = bss_eval(references[0, :, 0], estimates[0, :, 0], **arguments)
    for more, fewer in ((three, two), (first, one)):
        for values, same in zip(more, fewer, strict=True):
            np.testing.assert_array_equal(values, same)


@given(stems=st.integers(1, 4), channels=st.integers(1, 2), samples=st.integers(9, 10**9))
def test_both_calls_refuse_each_others_order_before_they_allocate(
    stems: int, channels: int, samples: int
) -> None:
    ours = np.broadcast_to(1.0, (stems, channels, samples))
    count = f"have {samples} channels of {channels} samples: pass "
    with pytest.raises(ValueError, match=count + r"\(stem, sample, channel\) audio, or \(stem, "):
        bss_eval(ours, ours)
    theirs = ours.transpose(0, 2, 1)
    message = count + r"\(stem, channel, sample\) audio, or museval's .*metrics.bss_eval"
    with pytest.raises(ValueError, match=message):
        bsseval(theirs, theirs, window=1, hop=1)


def test_a_file_as_soundfile_reads_it_is_not_a_stem_per_sample() -> None:
    stereo = np.zeros((44_100, 2))
    with pytest.raises(ValueError, match="have 44100 stems of 2 samples: pass"):
        bss_eval(stereo, stereo)


@pytest.mark.parametrize("side", [0, 1])
def test_a_stem_that_is_silent_throughout_is_refused_as_in_museval(side: int) -> None:
    pair = song(0, 2, 200, 2)
    pair[side][1] = 0.0
    message = "1 is silent, .* leave the stem out, or pass silent='nan' to bsseval"
    with pytest.raises(ValueError, match=message):
        bss_eval(*pair, 100, 100, filters_len=3)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 90, 2), (2, 91, 2)), "have 2 stems of 90 samples and 2 channels, estimates .* 91"),
        (((0, 90, 2), (0, 90, 2)), r"have shape \(0, 90, 2\): pass a non-empty \(stem, sample, "),
        (((1, 2, 90, 2),) * 2, r"have shape \(1, 2, 90, 2\): pass a non-empty"),
        (((), ()), r"have shape \(\): pass a non-empty"),
    ],
)
def test_shapes_that_are_no_pair_of_stems_are_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bss_eval(np.ones(shapes[0]), np.ones(shapes[1]))


def test_a_mode_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'v2': choose 'v4' or 'v3'"):
        bss_eval(np.ones((1, 9, 1)), np.ones((1, 9, 1)), mode="v2")  # type: ignore[arg-type]


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute bss_eval_sources"):
        metrics.bss_eval_sources  # noqa: B018
