"""logWMSE through its published package, against frozen values of two other implementations."""

import sys

import pytest
import torch
from frozen_metrics import CASES, RATE, VALUES, estimates, mixture, noise, references

from mss_shared.metrics.logwmse import log_wmse

# torch-log-wmse 1 defines it differently; the sheet on metrics says by how much at most.
BETWEEN_DEFINITIONS = 5e-4


@pytest.fixture
def package() -> None:
    pytest.importorskip("log_wmse_audio_quality", reason='pip install "mss-shared[logwmse]"')


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_wmse_is_the_frozen_value_of_older_tables(dtype: torch.dtype) -> None:
    found = log_wmse(mixture(dtype), references(dtype), estimates(dtype), sample_rate=RATE)
    assert found.shape == (4,)
    expected = [VALUES[case]["zf_log_wmse"] for case in CASES]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("case", CASES)
def test_the_newer_definition_differs_in_the_fourth_decimal(case: str) -> None:
    place = slice(CASES.index(case), CASES.index(case) + 1)
    stems = references()[place], estimates()[place]
    together = log_wmse(mixture(), *stems, sample_rate=RATE)
    expected = VALUES[case]["log_wmse_v1.1.0_p0"]
    assert together.item() == pytest.approx(expected, abs=BETWEEN_DEFINITIONS)
    apart = [
        log_wmse(mixture()[c, None], *(s[:, c, None] for s in stems), sample_rate=RATE).item()
        for c in range(2)
    ]
    expected = VALUES[case]["log_wmse_v1.1.0_per_channel"]
    assert apart == pytest.approx(expected, abs=BETWEEN_DEFINITIONS)
    assert together.item() == pytest.approx(sum(apart) / 2, abs=1e-5)


@pytest.mark.usefixtures("package")
def test_all_four_stems_score_the_mean_of_their_scores() -> None:
    found = log_wmse(mixture(), references(), estimates(), sample_rate=RATE).mean().item()
    expected = VALUES["all_four_stems"]["log_wmse_v1.1.0_p0"]
    assert found == pytest.approx(expected, abs=BETWEEN_DEFINITIONS)


@pytest.mark.usefixtures("package")
def test_silence_left_in_at_a_tenth_of_the_level_is_40_db_of_a_logarithm() -> None:
    song = noise(0, 2, RATE)
    silent = torch.zeros(1, 2, RATE)
    found = log_wmse(song, silent, 0.1 * song[None], sample_rate=RATE).item()
    assert found == pytest.approx(8 * torch.tensor(10.0).log().item(), abs=1e-3)


@pytest.mark.usefixtures("package")
def test_perfect_estimates_and_silent_mixtures_score_the_most_there_is() -> None:
    stem = noise(0, 1, 2, 5_000)
    most = pytest.approx(-4 * torch.tensor(1e-8).log().item(), abs=1e-4)
    assert log_wmse(noise(1, 2, 5_000), stem, stem, sample_rate=RATE).item() == most
    assert log_wmse(torch.zeros(2, 5_000), stem, 0 * stem, sample_rate=RATE).item() == most


@pytest.mark.parametrize(
    ("song", "stems"),
    [((2, 9), (1, 2, 8)), ((1, 9), (1, 2, 9)), ((9,), (2, 9)), ((2, 0), (1, 2, 0))],
)
def test_shapes_that_do_not_fit_are_refused(song: tuple[int, ...], stems: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mixture is \(.*, the references \(.*: pass \(channel"):
        log_wmse(torch.zeros(song), torch.zeros(stems), torch.zeros(stems), sample_rate=RATE)


def test_without_the_package_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "log_wmse_audio_quality", None)
    silent = torch.zeros(1, 2, 9)
    with pytest.raises(ModuleNotFoundError, match=r'not installed: pip install "mss-shared\[log'):
        log_wmse(silent[0], silent, silent, sample_rate=RATE)
