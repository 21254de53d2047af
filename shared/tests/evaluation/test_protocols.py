"""Protocols: their ids, what they score, and how frames and tracks become one number."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import noise

from mss_shared.audio import Audio
from mss_shared.evaluation.protocols import (
    PROTOCOLS,
    Protocol,
    aggregate,
    find_protocol,
    mean_of_stems,
)
from mss_shared.evaluation.score_files import Frame, TrackScores
from mss_shared.evaluation.track_metrics import Song
from mss_shared.metrics.bleedfull import bleedless_fullness
from mss_shared.metrics.bsseval import bsseval
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.logwmse import log_wmse
from mss_shared.metrics.sdr import usdr
from mss_shared.metrics.sibss import si_bss_eval
from mss_shared.metrics.sisdr import si_sdr

RATE = 1_000
FAST = 4_000  # samples per second that determine the filters of all stems
FOUR = ("vocals", "drums", "bass", "other")
NAN = math.nan


def song(references: Audio, estimates: Audio, *stems: str, rate: int = RATE) -> Song:
    mixture = references.sum(axis=0, keepdims=True)
    return Song("x", stems, references, estimates, mixture, rate)


def noisy(stems: int, samples: int = 2_500) -> tuple[Audio, Audio]:
    references = np.stack([noise(n, samples=samples) for n in range(stems)])
    return references, references + 0.3 * np.stack(
        [noise(n + 50, samples=samples) for n in range(stems)]
    )


def scored(protocol: Protocol, **stems: list[float]) -> TrackScores:
    metric = protocol.metrics[0]
    frames = {
        stem: [
            Frame(float(t), 1.0, dict.fromkeys(protocol.metrics, NAN) | {metric: value})
            for t, value in enumerate(values)
        ]
        for stem, values in stems.items()
    }
    return TrackScores("x", frames, protocol=protocol.id)


BSSEVAL = find_protocol("bsseval_v4").on(("vocals", "drums"))
USDR = find_protocol("usdr").on(("vocals",))


def test_every_protocol_is_found_by_its_name_and_carries_a_version() -> None:
    assert {name: find_protocol(name).id for name in PROTOCOLS} == {
        "bsseval_v4": "bsseval_v4@1",
        "sisec18": "sisec18@1",
        "bsseval_v3": "bsseval_v3@1",
        "usdr": "usdr@1",
        "csdr": "csdr@1",
        "si_sdr": "si_sdr@1",
        "si_bss_eval": "si_bss_eval@1",
        "l1_freq": "l1_freq@1",
        "bleed": "bleed@1",
        "log_wmse": "log_wmse@1",
    }


def test_the_aggregation_is_that_of_the_papers() -> None:
    rules = {name: (p.frames, p.tracks) for name, p in PROTOCOLS.items()}
    medians = {"bsseval_v4", "sisec18", "bsseval_v3", "csdr"}
    assert rules == {
        name: ("median", "median") if name in medians else ("mean", "mean") for name in PROTOCOLS
    }
    assert find_protocol("bsseval_v4").metrics == ("SDR", "SIR", "SAR", "ISR")


def test_an_unknown_protocol_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="no protocol 'sdr': choose from bsseval_v4, sisec18, "):
        find_protocol("sdr")


@pytest.mark.parametrize(
    ("stems", "id"),
    [
        (FOUR, "bsseval_v4@1"),
        (("other", "bass", "drums", "vocals"), "bsseval_v4@1"),
        ((*FOUR, "accompaniment"), "bsseval_v4@1"),  # the sum of others is no fifth reference
        (("vocals",), "bsseval_v4.vocals@1"),
        (("accompaniment", "vocals"), "bsseval_v4.vocals+accompaniment@1"),
        (("drums", "vocals"), "bsseval_v4.vocals+drums@1"),
        (("piano", "drums", "guitar"), "bsseval_v4.drums+guitar+piano@1"),
    ],
)
def test_bsseval_of_other_stems_is_another_protocol(stems: tuple[str, ...], id: str) -> None:
    assert find_protocol("bsseval_v4").on(stems).id == id


def test_metrics_that_look_at_one_stem_have_one_id_for_all() -> None:
    assert find_protocol("usdr").on(("vocals",)).id == find_protocol("usdr").on(FOUR).id == "usdr@1"


def test_one_stems_score_depends_on_the_others_which_is_why() -> None:
    references, estimates = noisy(2)
    references[1, :, 1_000:2_000] = 0.0
    alone = find_protocol("bsseval_v4").on(("vocals",))
    both = find_protocol("bsseval_v4").on(("vocals", "drums"))
    first = alone(song(references[:1], estimates[:1], "vocals")).targets["vocals"]
    second = both(song(references, estimates, "vocals", "drums")).targets["vocals"]
    assert [math.isnan(frame.metrics["SDR"]) for frame in first] == [False, False]
    assert [math.isnan(frame.metrics["SDR"]) for frame in second] == [False, True]


def test_bsseval_is_the_median_of_tracks_of_the_median_of_frames() -> None:
    tracks = [
        scored(BSSEVAL, vocals=[1.0, 9.0, 2.0], drums=[0.0, 0.0]),  # medians 2, 0
        scored(BSSEVAL, vocals=[4.0, 5.0], drums=[7.0]),  # 4.5, 7
        scored(BSSEVAL, vocals=[-3.0], drums=[8.0, 2.0, 4.0]),  # -3, 4
    ]
    found = aggregate(tracks, BSSEVAL)
    assert {stem: values["SDR"] for stem, values in found.items()} == {"vocals": 2.0, "drums": 4.0}
    assert math.isnan(found["vocals"]["SIR"])


def test_frames_without_a_score_are_skipped_and_tracks_without_one_as_well() -> None:
    tracks = [
        scored(BSSEVAL, vocals=[NAN, 1.0, 3.0, NAN]),
        scored(BSSEVAL, vocals=[NAN]),
        scored(BSSEVAL, vocals=[6.0]),
    ]
    assert aggregate(tracks, BSSEVAL)["vocals"]["SDR"] == 4.0


def test_a_stem_that_a_track_lacks_is_averaged_over_the_others() -> None:
    found = aggregate([scored(USDR, vocals=[1.0]), scored(USDR, vocals=[3.0], drums=[5.0])], USDR)
    assert found == {"vocals": {"uSDR": 2.0}, "drums": {"uSDR": 5.0}}


def test_a_number_that_no_frame_supports_is_nan() -> None:
    found = aggregate([scored(USDR, vocals=[NAN, NAN]), scored(USDR, vocals=[])], USDR)
    assert math.isnan(found["vocals"]["uSDR"])
    assert aggregate([], USDR) == {}


def test_usdr_is_the_mean_over_tracks() -> None:
    tracks = [scored(USDR, vocals=[value]) for value in (1.0, 2.0, 9.0)]
    assert aggregate(tracks, USDR) == {"vocals": {"uSDR": 4.0}}


@pytest.mark.parametrize("other", ["usdr@2", "bsseval_v4@1", ""])
def test_scores_of_two_ids_are_never_averaged(other: str) -> None:
    track = scored(USDR, vocals=[1.0])
    with pytest.raises(ValueError, match=f"track x was scored under {other}, the average is of us"):
        aggregate([track, replace(track, protocol=other)], USDR)


@pytest.mark.parametrize(("name", "metric"), [("usdr", usdr), ("si_sdr", si_sdr)])
def test_whole_track_protocols_have_one_frame_with_the_float64_value(
    name: str, metric: object
) -> None:
    references, estimates = noisy(2)
    protocol = find_protocol(name).on(("bass", "other"))
    found = protocol(song(references, estimates, "bass", "other"))
    assert found.protocol == protocol.id and list(found.targets) == ["bass", "other"]
    for index, frames in enumerate(found.targets.values()):
        value = metric(  # type: ignore[operator]
            torch.from_numpy(references[index]).double(),
            torch.from_numpy(estimates[index]).double(),
        )
        (frame,) = frames
        assert (frame.time, frame.duration) == (0.0, 2.5)
        assert dict(frame.metrics) == pytest.approx({protocol.metrics[0]: value.item()}, rel=1e-12)


def test_the_scale_invariant_ratios_of_a_song_are_those_of_its_stems_together() -> None:
    references, estimates = noisy(4, samples=70_000)  # more than a block
    order = ("bass", "vocals", "other", "drums")  # as a model may have them
    protocol = find_protocol("si_bss_eval").on(order)
    found = protocol(song(references, estimates, *order))
    assert protocol.id == found.protocol == "si_bss_eval@1" and list(found.targets) == list(FOUR)
    scores = si_bss_eval(references.astype(float), estimates.astype(float))
    names = ("SI-SDR", "SI-SIR", "SI-SAR")
    assert protocol.metrics == names
    for stem, (frame,) in found.targets.items():
        row = order.index(stem)
        assert (frame.time, frame.duration) == (0.0, 70.0)
        values = {name: values[row] for name, values in zip(names, scores, strict=True)}
        assert dict(frame.metrics) == pytest.approx(values, abs=1e-9)
    alone = find_protocol("si_sdr").on(order)(song(references, estimates, *order))
    for stem, (frame,) in alone.targets.items():
        values = found.targets[stem][0].metrics
        assert values["SI-SDR"] == pytest.approx(frame.metrics["SI-SDR"], abs=1e-9)


def test_scale_invariant_ratios_of_other_stems_are_another_protocol() -> None:
    protocol = find_protocol("si_bss_eval")
    assert protocol.on((*FOUR, "accompaniment")).id == "si_bss_eval@1"
    assert protocol.on(("drums", "vocals")).id == "si_bss_eval.vocals+drums@1"
    assert protocol.on(("b", "a"), best_order=True).id == "si_bss_eval.a+b.best_order@1"


def test_a_silent_stem_scores_scale_invariant_ratios_far_below_zero_and_leaves_the_others() -> None:
    references, estimates = noisy(3)
    references[1] = 0.0
    stems = ("a", "b", "c")
    protocol = find_protocol("si_bss_eval").on(stems)
    found = protocol(song(references, estimates, *stems)).targets
    assert all(value < -50.0 for value in found["b"][0].metrics.values())
    two = find_protocol("si_bss_eval").on(("a", "c"))
    without = two(song(references[[0, 2]], estimates[[0, 2]], "a", "c")).targets
    for stem, (frame,) in without.items():
        assert dict(found[stem][0].metrics) == pytest.approx(dict(frame.metrics), abs=1e-9)


def test_the_perceptual_protocols_give_their_metrics_values() -> None:
    pytest.importorskip("log_wmse_audio_quality")
    references, estimates = noisy(2, samples=30_000)
    track = song(references, estimates, "vocals", "drums", rate=44_100)
    found = {
        name: find_protocol(name).on(track.stems)(track).targets["drums"]
        for name in ("l1_freq", "bleed", "log_wmse")
    }
    pair = [torch.from_numpy(side[1]).double() for side in (references, estimates)]
    bleed = bleedless_fullness(*pair, sample_rate=44_100)
    mixture = torch.from_numpy(references.sum(axis=0))
    heard = log_wmse(mixture, *(side[None] for side in pair), sample_rate=44_100)
    # One thread here, several there: the last digit may differ.
    values = {name: value for (frame,) in found.values() for name, value in frame.metrics.items()}
    assert values == pytest.approx(
        {
            "L1Freq": l1_freq(*pair).item(),
            "bleedless": bleed.bleedless.item(),
            "fullness": bleed.fullness.item(),
            "logWMSE": heard.item(),
        },
        rel=1e-12,
    )


def test_csdr_is_the_ratio_of_every_whole_second() -> None:
    references = np.stack([noise(n, samples=3_900) for n in range(2)])
    scale = np.repeat([0.9, 0.99, 0.5, 0.0], 1_000)[:3_900].astype(np.float32)
    found = find_protocol("csdr").on(("a", "b"))(song(references, scale * references, "a", "b"))
    for frames in found.targets.values():
        assert [(frame.time, frame.duration) for frame in frames] == [(t, 1.0) for t in (0, 1, 2)]
        values = [frame.metrics["cSDR"] for frame in frames]
        assert values == pytest.approx([20.0, 40.0, 20 * math.log10(2)], abs=1e-3)


def test_bsseval_frames_are_whole_seconds_in_order_with_all_four_ratios() -> None:
    references, estimates = noisy(4, samples=3_900)
    found = find_protocol("bsseval_v4").on(FOUR)(song(references, estimates, *FOUR))
    expected = bsseval(references, estimates, window=RATE, hop=RATE)
    for row, frames in enumerate(found.targets.values()):
        assert [(frame.time, frame.duration) for frame in frames] == [(t, 1.0) for t in (0, 1, 2)]
        for metric in ("SDR", "SIR", "SAR", "ISR"):
            values = [frame.metrics[metric] for frame in frames]
            assert values == getattr(expected, metric.lower())[row].tolist()


def test_a_song_shorter_than_a_second_is_one_bsseval_frame() -> None:
    references = np.stack([noise(n, samples=700) for n in range(2)])
    found = BSSEVAL(song(references, 0.5 * references, "vocals", "drums"))
    for frames in found.targets.values():
        assert [(frame.time, frame.duration) for frame in frames] == [(0.0, 1.0)]  # as museval says
        assert frames[0].metrics["SDR"] == pytest.approx(20 * math.log10(2), abs=1e-4)


def test_version_three_estimates_filters_in_every_frame() -> None:
    references, estimates = noisy(2, samples=2 * FAST)
    stems = ("vocals", "drums")
    protocol = find_protocol("bsseval_v3").on(stems)
    found = protocol(song(references, estimates, *stems, rate=FAST)).targets["drums"]
    first = bsseval(references[..., :FAST], estimates[..., :FAST], window=FAST, hop=FAST)
    assert found[0].metrics["SIR"] == pytest.approx(first.sir[1, 0], abs=1e-9)
    whole = BSSEVAL(song(references, estimates, *stems, rate=FAST)).targets["drums"]
    assert abs(whole[0].metrics["SIR"] - found[0].metrics["SIR"]) > 0.1


def test_sisec_takes_vocals_from_the_pair_and_the_rest_from_the_four() -> None:
    references, estimates = noisy(4, samples=3 * FAST)
    order = ("bass", "vocals", "other", "drums")  # as a model may have them
    found = find_protocol("sisec18").on(order)(song(references, estimates, *order, rate=FAST))
    four = bsseval(references, estimates, window=FAST, hop=FAST)
    pair = bsseval(*map(vocals_and_rest, (references, estimates)), window=FAST, hop=FAST)
    expected = {
        "drums": (four, 3),
        "bass": (four, 0),
        "other": (four, 2),
        "vocals": (pair, 0),
        "accompaniment": (pair, 1),
    }
    assert list(found.targets) == list(expected)
    for stem, (result, row) in expected.items():
        for metric in ("SDR", "SIR", "SAR", "ISR"):
            values = np.array([frame.metrics[metric] for frame in found.targets[stem]])
            np.testing.assert_allclose(values, getattr(result, metric.lower())[row], atol=1e-6)


def test_sisec_gives_reasons_for_what_it_took_alone() -> None:
    references, estimates = noisy(4, samples=2_000)
    references[1, :, :1_000] = references[2, :, 1_000:] = 0.0  # never all four, always the pair
    found = find_protocol("sisec18").on(FOUR)(song(references, estimates, *FOUR))
    assert set(found.notes) == {"drums", "bass", "other"}
    assert not math.isnan(found.targets["vocals"][0].metrics["SDR"])


def vocals_and_rest(signals: Audio) -> np.ndarray:
    exact = signals.astype(np.float64)
    return np.stack([exact[1], exact[[0, 2, 3]].sum(axis=0)])


def test_sisec_takes_the_accompaniment_that_was_estimated() -> None:
    references, estimates = noisy(2)
    protocol = find_protocol("sisec18").on(("vocals", "accompaniment"))
    found = protocol(song(references, estimates, "vocals", "accompaniment"))
    plain = bsseval(references, estimates, window=RATE, hop=RATE)
    assert list(found.targets) == ["vocals", "accompaniment"]
    assert [f.metrics["SIR"] for f in found.targets["accompaniment"]] == plain.sir[1].tolist()


def test_accompaniment_is_the_sum_of_all_but_vocals() -> None:
    references, estimates = noisy(3)
    pair = song(references, estimates, "bass", "vocals", "drums").pair(("accompaniment", "vocals"))
    for found, signals in zip(pair, (references, estimates), strict=True):
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, [signals[0] + signals[2], signals[1]])


def test_sisec_scores_an_estimated_accompaniment_beside_its_parts() -> None:
    references, estimates = noisy(5)
    references[4] = references[1:4].sum(axis=0)
    estimates[4] = 0.5 * references[4]
    stems = (*FOUR, "accompaniment")
    found = find_protocol("sisec18").on(stems)(song(references, estimates, *stems))
    assert list(found.targets) == ["drums", "bass", "other", "vocals", "accompaniment"]
    values = [frame.metrics["SDR"] for frame in found.targets["accompaniment"]]
    assert values == pytest.approx([20 * math.log10(2)] * 2, abs=1e-6)


@pytest.mark.parametrize("stems", [("vocals",), ("vocals", "drums"), ("drums", "bass", "other")])
def test_sisec_without_vocals_or_their_accompaniment_is_refused(stems: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="sisec18 needs vocals and accompaniment, or all of voca"):
        find_protocol("sisec18").on(stems)


@pytest.mark.parametrize("side", ["reference", "estimate"])
def test_a_stem_that_is_silent_throughout_has_no_score_and_a_reason(side: str) -> None:
    references, estimates = noisy(2)
    (references if side == "reference" else estimates)[0] = 0.0
    found = BSSEVAL(song(references, estimates, "vocals", "drums"))
    assert found.notes == {"vocals": f"the {side} is silent over the whole track"}
    assert all(math.isnan(value) for f in found.targets["vocals"] for value in f.metrics.values())
    assert not any(math.isnan(f.metrics["SDR"]) for f in found.targets["drums"])


def test_stems_that_never_sound_together_have_no_score_and_a_reason() -> None:
    references, estimates = noisy(2, samples=2_000)
    references[0, :, :1_000] = references[1, :, 1_000:] = 0.0
    found = BSSEVAL(song(references, estimates, "vocals", "drums"))
    assert set(found.notes.values()) == {"in every frame some stem is silent"}
    assert set(found.notes) == {"vocals", "drums"}


@given(st.permutations(FOUR))
def test_the_order_of_a_methods_stems_changes_no_number(order: list[str]) -> None:
    references, estimates = noisy(4, samples=1_500)
    rows = [FOUR.index(stem) for stem in order]
    protocol = find_protocol("usdr")
    plain = protocol.on(FOUR)(song(references, estimates, *FOUR))
    mixed = protocol.on(order)(song(references[rows], estimates[rows], *order))
    assert mixed.targets == plain.targets and list(mixed.targets) == list(FOUR)


def test_a_mean_is_taken_over_the_four_stems_alone() -> None:
    four = dict(zip(FOUR, (7.0, 6.0, 5.0, 4.0), strict=True))
    assert mean_of_stems(four) == 5.5
    assert mean_of_stems(four | {"accompaniment": 12.0}) is None
    assert mean_of_stems({stem: four[stem] for stem in FOUR[:3]}) is None
    assert mean_of_stems({}) is None
