"""One song in memory under a protocol: numbers known beforehand, museval's layout, refusals."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import mss_shared
from mss_shared import score
from mss_shared.metrics import bss_eval

RATE = 8_000
STEMS = ("vocals", "drums", "bass", "other")


def stems(seed: int = 0, count: int = 4, seconds: float = 2.5) -> Any:
    shape = (count, 2, round(seconds * RATE))
    return 0.1 * np.random.default_rng(seed).standard_normal(shape)


def named(signals: Any) -> dict[str, Any]:
    return dict(zip(STEMS, signals, strict=True))


def test_an_error_of_a_tenth_is_20_db() -> None:
    reference = stems()
    scores = score(named(reference), named(0.9 * reference), "usdr", sample_rate=RATE)
    assert scores.protocol == "usdr@1"
    for values in scores.median().values():
        assert values == {"uSDR": pytest.approx(20.0, abs=1e-4)}
    assert scores.frames["vocals"]["uSDR"].shape == (1,)


def test_bsseval_is_museval_s_in_its_order_and_names_the_stems() -> None:
    reference, estimate = stems(0), stems(0) + 0.3 * stems(1)
    scores = score(named(reference), named(estimate), sample_rate=RATE)
    assert scores.protocol == "bsseval_v4@1"
    sdr = bss_eval(reference.swapaxes(1, 2), estimate.swapaxes(1, 2), window=RATE, hop=RATE)[0]
    for stem, expected in zip(STEMS, sdr, strict=True):
        assert np.allclose(scores.frames[stem]["SDR"], expected)
        assert scores.median()[stem]["SDR"] == pytest.approx(float(np.median(expected)))
    two = score(reference[:2], estimate[:2], sample_rate=RATE)
    assert two.protocol == "bsseval_v4.stem_1+stem_2@1"


def test_the_layout_is_musevals() -> None:
    museval = pytest.importorskip("museval", reason='pip install "mss-shared[eval]"')
    scores = score(named(stems()), named(0.5 * stems()), sample_rate=RATE)
    store = museval.TrackStore(track_name="song")
    store.scores = scores.to_museval()
    frame = store.df
    assert set(frame["target"]) == {*STEMS} and set(frame["metric"]) == {"SDR", "SIR", "ISR", "SAR"}
    vocals = frame[(frame["target"] == "vocals") & (frame["metric"] == "SDR")]["score"]
    assert vocals.tolist() == pytest.approx([20 * np.log10(2)] * 2, abs=1e-4)


def test_arrays_tensors_and_integers_are_scored_alike() -> None:
    reference = np.rint(stems() * 2**15).astype(np.int16)
    estimate = np.rint(stems(2) * 2**15).astype(np.int16)
    expected = score(reference / 2**15, estimate / 2**15, "si_sdr", sample_rate=RATE).median()
    for pair in ((reference, estimate), map(torch.from_numpy, (reference, estimate))):
        assert score(*pair, "si_sdr", sample_rate=RATE).median() == expected
    mono = score(reference[0], estimate[0], "si_sdr", sample_rate=RATE, stems=["vocals"])
    assert mono.median() == {"vocals": expected["stem_1"]}
    assert repr(mono) == f"<si_sdr@1: vocals SI-SDR {expected['stem_1']['SI-SDR']:.2f}>"


def test_estimates_are_matched_by_name() -> None:
    reference = named(stems())
    turned = dict(reversed(reference.items()))
    values = score(reference, turned, "usdr", sample_rate=RATE).median()
    assert all(stem["uSDR"] > 60 for stem in values.values())


def test_silence_is_a_note_and_no_number() -> None:
    reference = stems()
    reference[1] = 0.0
    scores = score(named(reference), named(stems()), sample_rate=RATE)
    assert np.isnan(scores.median()["drums"]["SDR"])
    assert scores.notes == {"drums": "the reference is silent over the whole track"}


@pytest.mark.parametrize(
    ("reference", "estimate", "options", "sentence"),
    [
        (stems()[0, 0], stems()[0, 0], {}, r"the reference is \(20000,\): pass .*array\[None\]"),
        (stems().swapaxes(1, 2), stems(), {}, "has 20000 channels of 2 samples: pass"),
        (stems() * np.nan, stems(), {}, "the reference holds NaN"),
        (stems(), stems()[:3], {}, "the reference has .*stem_4, the estimate .*: pass the same"),
        (stems(), stems(seconds=1), {}, "both must be the same"),
        (stems()[..., :0], stems(), {}, "with at least one sample"),
        (named(stems()), {"vocals": stems()[0]}, {}, "pass the same stems"),
        ({}, {}, {}, "pass equal ones, at least one"),
        (named(stems()), named(stems()), {"stems": STEMS}, "names its stems, .*: leave out stems"),
        (stems(), stems(), {"stems": ("a", "a", "b", "c")}, "name each once"),
        (stems(), stems(), {"stems": ("a/b", "c", "d", "e")}, "can't name a file"),
        (stems(), stems(), {"protocol": "sdr"}, "there is no protocol 'sdr': choose from bsseval"),
        (stems(), stems(), {"sample_rate": 0}, "pass a positive whole number of Hz"),
        (stems(), stems(), {"bsseval": "theirs"}, "choose from ours, museval"),
        (stems(), stems(), {"mixture": stems()[0, :1]}, r"the mixture is \(1, 20000\), a stem"),
        (stems() > 0, stems(), {}, "has dtype bool"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_sentence(
    reference: Any, estimate: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        score(reference, estimate, **{"sample_rate": RATE, **options})
    assert "\n" not in str(error.value)


def test_the_names_load_no_torch() -> None:
    code = (
        "import sys, numpy as np, mss_shared, mss_results\n"
        "from mss_shared import open_dataset, score\n"
        "assert score(np.ones((1, 9)), np.ones((1, 9)), 'usdr', sample_rate=9).median()\n"
        "assert not {'torch', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {*mss_shared.__all__} == {"open_dataset", "score"}
    with pytest.raises(AttributeError, match="nonesuch"):
        mss_shared.nonesuch  # type: ignore[attr-defined]  # noqa: B018
