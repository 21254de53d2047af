"""What can't be audio in the expected order of axes is refused by every metric, at once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.metrics import bss_eval, museval
from mss_shared.metrics.axes import refuse_swapped
from mss_shared.metrics.bleedfull import bleedless_fullness
from mss_shared.metrics.bsseval import bsseval, bsseval_with_accompaniment
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.logwmse import log_wmse
from mss_shared.metrics.sdr import chunk_sdr, frame_sdr, k_sdr, usdr
from mss_shared.metrics.sibss import si_bss_eval
from mss_shared.metrics.sisdr import si_sdr, si_sdr_keeping_mean, si_sdr_per_channel

FRAMES = {"window": 9, "hop": 9}
METRICS: dict[str, Any] = {
    "usdr": usdr,
    "k_sdr": k_sdr,
    "chunk_sdr": lambda r, e: chunk_sdr(r, e, window=1),
    "frame_sdr": lambda r, e: frame_sdr(r, e, window=1, hop=1),
    "si_sdr": si_sdr,
    "si_sdr_keeping_mean": si_sdr_keeping_mean,
    "si_sdr_per_channel": si_sdr_per_channel,
    "si_bss_eval": si_bss_eval,
    "l1_freq": l1_freq,
    "bleedless_fullness": lambda r, e: bleedless_fullness(r, e, sample_rate=44_100),
    "log_wmse": lambda r, e: log_wmse(r[0], r, e, sample_rate=44_100),
    "bsseval": lambda r, e: bsseval(r, e, **FRAMES),
    "bsseval_with_accompaniment": lambda r, e: bsseval_with_accompaniment(r, e, 0, **FRAMES),
    "museval": lambda r, e: museval.bsseval(r, e, **FRAMES),
    "bss_eval": lambda r, e: bss_eval(r.transpose(0, 2, 1), e.transpose(0, 2, 1)),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(4, 441_000, 2), (1, 9, 8), (2, 10**12, 1)])
def test_more_channels_than_samples_are_refused_before_anything_is_allocated(
    metric: str, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(museval, "_import", lambda: None)  # it may not be installed
    signals = np.broadcast_to(0.5, shape)  # one number in memory
    message = rf"ha(s|ve) {shape[1]} channels of {shape[2]} samples: pass \(.*\) audio"
    with pytest.raises(ValueError, match=message) as refused:
        METRICS[metric](signals, signals)
    assert str(refused.value).count(": ") == 1 and "\n" not in str(refused.value)


@pytest.mark.parametrize("metric", ["si_bss_eval", "bsseval", "museval", "bss_eval"])
def test_more_stems_than_samples_are_refused_where_stems_are_scored_together(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(museval, "_import", lambda: None)
    signals = np.broadcast_to(0.5, (441_000, 2, 4))
    with pytest.raises(ValueError, match=r"have 441000 stems of 4 samples: pass \(.*\) audio"):
        METRICS[metric](signals, signals)


@given(channels=st.integers(1, 200), stems=st.integers(1, 200), samples=st.integers(0, 500))
def test_what_may_be_audio_passes(channels: int, stems: int, samples: int) -> None:
    allowed = (channels <= 8 or channels <= min(samples, 64)) and (
        stems <= 8 or stems <= min(samples, 100)
    )
    counts = {"channels": channels, "stems": stems}
    if allowed:
        refuse_swapped("it has", counts, samples, "audio")
        return
    with pytest.raises(ValueError, match=rf"^it has \d+ (channels|stems) of {samples} samples: pa"):
        refuse_swapped("it has", counts, samples, "audio")
