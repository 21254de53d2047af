"""The losses against frozen values of the code in use, and by hand."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tflocoformer_mss.losses import (
    combine,
    l1_loss,
    l2_loss,
    reorder,
    si_sdr,
    si_sdr_loss,
    snr_loss,
    spectral_loss,
    tfd_loss,
)

FROZEN = load_file(Path(__file__).parent / "golden" / "losses.safetensors")
ESTIMATE, TARGET, ONE_SILENT = (
    FROZEN[key].unsqueeze(2) for key in ("estimate", "target", "zeroref_target")
)
STEMS = ("vocals", "drums", "bass", "other")
CASES = {
    "si_sdr": {"si_sdr": 1.0},
    "l1": {"l1": 0.1},
    "l2": {"l2": 1.0},
    "combined": {"si_sdr": 1.0, "l1": 0.1, "spectral": 0.1},
    "combined_xlarge": {"si_sdr": 1.0, "l1": 0.1, "spectral": 0.15},
}


def close(ours: Tensor, frozen: Tensor) -> None:
    """Within 1e-5, relative to the largest."""
    assert ours.shape == frozen.shape
    assert (ours - frozen).abs().max() <= 1e-5 * frozen.abs().max()


# ---- frozen values


@pytest.mark.parametrize("name", CASES)
def test_a_weighted_loss_and_its_terms_are_the_frozen_ones(name: str) -> None:
    total, parts = combine(ESTIMATE, TARGET, CASES[name])
    close(total[None], FROZEN[f"{name}.total_loss"])
    assert [*parts] == [*CASES[name]]
    for term, part in parts.items():
        close(part, torch.cat([FROZEN[f"{name}.{stem}_{term}"] for stem in STEMS]))


def test_each_items_si_sdr_is_the_frozen_one() -> None:
    close(-si_sdr(ESTIMATE, TARGET), FROZEN["si_sdr_individual"])


def test_spectral_losses_are_the_frozen_ones() -> None:
    close(spectral_loss(ESTIMATE, TARGET).mean(0), FROZEN["spectral_log"])
    close(spectral_loss(ESTIMATE, TARGET, log=False).mean(0), FROZEN["spectral_lin"])
    sizes = (512, 1024, 2048)
    close(spectral_loss(ESTIMATE, TARGET, sizes).mean(0), FROZEN["multires"])


def test_snr_losses_are_the_frozen_ones_with_a_silent_stem_too() -> None:
    close(snr_loss(ESTIMATE, ONE_SILENT), FROZEN["snr_zero_refs_noperm"])
    shuffled = ESTIMATE[:, [2, 0, 3, 1]]
    ordered = reorder(shuffled, ONE_SILENT, {"snr": 1.0})
    close(snr_loss(ordered, ONE_SILENT), FROZEN["snr_zero_refs_perm"])
    assert not torch.allclose(snr_loss(shuffled, ONE_SILENT), FROZEN["snr_zero_refs_perm"])


def test_without_a_threshold_the_snr_loss_is_the_plain_ratio() -> None:
    unbounded = snr_loss(ESTIMATE, TARGET, snr_max_db=float("inf"))
    close(unbounded, FROZEN["snr_noperm"])


# ---- by hand


def sine(level: float = 1.0, samples: int = 1_000) -> Tensor:
    """(1, 1, 1, sample) whole periods: no mean, energy of half the samples."""
    return level * torch.sin(torch.arange(samples) * (2 * torch.pi / 100)).expand(1, 1, 1, -1)


def cosine(level: float) -> Tensor:
    return level * torch.cos(torch.arange(1_000) * (2 * torch.pi / 100)).expand(1, 1, 1, -1)


def test_si_sdr_ignores_gain_and_offset_and_counts_what_is_orthogonal() -> None:
    estimate = 3.0 * (sine() + cosine(0.1)) + 5.0
    assert si_sdr(estimate, sine()).item() == pytest.approx(20.0, abs=1e-3)


def test_si_sdr_takes_both_channels_as_one_signal() -> None:
    """Equal channels with gains 1 and 0 are half right: the target's part is 3 dB below it."""
    reference = torch.cat([sine(), sine()], dim=2)
    estimate = torch.cat([sine(), 0.0 * sine()], dim=2)
    assert si_sdr(estimate, reference).item() == pytest.approx(0.0, abs=1e-3)


def test_the_snr_loss_saturates_at_30_db_and_is_20_at_a_tenth() -> None:
    assert snr_loss(sine(), sine()).item() == pytest.approx(-30.0, abs=1e-3)
    bounded = -10 * torch.tensor(100.0 / (1.0 + 0.1)).log10().item()
    assert snr_loss(0.9 * sine(), sine()).item() == pytest.approx(bounded, abs=1e-3)


@pytest.mark.parametrize("loss", [snr_loss, si_sdr_loss])
def test_a_silent_stem_costs_its_estimates_level_and_nothing_below_the_threshold(loss) -> None:  # type: ignore[no-untyped-def]
    reference = torch.cat([sine(), 0.0 * sine()], dim=1)  # the mixture has energy 500

    def cost(level: float) -> float:
        estimate = torch.cat([sine(), sine(level)], dim=1)
        return float(loss(estimate, reference)[0, 1])

    assert cost(1.0) == pytest.approx(torch.tensor(500.0 + 0.5).log10().item(), abs=1e-5)
    assert cost(0.0) == pytest.approx(torch.tensor(0.5).log10().item(), abs=1e-5)
    assert abs(cost(1.0)) < 3.0  # where the plain SI-SDR would be -107 dB


@pytest.mark.parametrize("loss", [snr_loss, si_sdr_loss, l1_loss, l2_loss, spectral_loss, tfd_loss])
def test_gradients_are_numbers_where_all_is_silent(loss) -> None:  # type: ignore[no-untyped-def]
    estimate = torch.zeros(1, 2, 2, 3_000, requires_grad=True)
    value = loss(estimate, torch.zeros(1, 2, 2, 3_000)).sum()
    value.backward()
    assert value.isfinite() and estimate.grad is not None
    assert bool(estimate.grad.isfinite().all())


def test_l1_and_l2_are_means_per_stem() -> None:
    estimate = torch.tensor([0.5, -2.0]).view(1, 2, 1, 1).expand(3, 2, 2, 10)
    zeros = torch.zeros_like(estimate)
    assert l1_loss(estimate, zeros).tolist() == [[0.5, 2.0]] * 3
    assert l2_loss(estimate, zeros).tolist() == [[0.25, 4.0]] * 3


def test_the_four_resolution_loss_ignores_gain_and_sums() -> None:
    torch.manual_seed(0)
    reference = torch.randn(1, 1, 1, 4_096)
    assert tfd_loss(0.5 * reference, reference).item() == pytest.approx(0.0, abs=0.05)
    estimate = torch.zeros_like(reference)
    spectral = [
        torch.stft(reference[0, 0], w, w // 2, window=torch.ones(w), return_complex=True)
        .abs()
        .sum()
        for w in (256, 512, 768, 1024)
    ]
    expected = 0.5 * reference.abs().sum() + 0.5 * sum(spectral) / 4
    assert tfd_loss(estimate, reference).item() == pytest.approx(expected.item(), rel=1e-5)


def test_losses_take_sound_shorter_than_their_windows() -> None:
    for loss in (spectral_loss, tfd_loss):
        assert loss(torch.ones(1, 1, 1, 50), torch.zeros(1, 1, 1, 50)).isfinite().all()


def test_permuting_finds_each_items_own_order() -> None:
    torch.manual_seed(0)
    reference = torch.randn(2, 3, 1, 500)
    estimate = torch.stack([reference[0, [2, 0, 1]], reference[1, [1, 0, 2]]])
    plain, _ = combine(estimate, reference, {"l1": 1.0})
    found, _ = combine(estimate, reference, {"l1": 1.0}, permute=True)
    assert found.item() == 0.0 < plain.item()
    assert torch.equal(reorder(estimate, reference, {"snr": 1.0}), reference)


def test_the_total_adds_stems_and_averages_items() -> None:
    estimate = torch.zeros(2, 3, 1, 4)
    reference = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).expand(2, 3, 1, 4)
    total, parts = combine(estimate, reference, {"l1": 0.5, "l2": 0.0})
    assert total.item() == pytest.approx(0.5 * 3 * 2.0)
    assert [*parts] == ["l1"] and parts["l1"].tolist() == [2.0] * 3


def test_the_loss_of_half_precision_is_computed_in_float32() -> None:
    halves = ESTIMATE.bfloat16(), TARGET.bfloat16()
    total, parts = combine(*halves, CASES["combined"])
    assert {total.dtype, *(part.dtype for part in parts.values())} == {torch.float32}
    assert total.item() == combine(*(h.float() for h in halves), CASES["combined"])[0].item()


def test_shapes_that_differ_and_weights_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1, 1, 4\), the reference \(1, 1, 1, 5\)"):
        combine(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 5), {"l1": 1.0})
    with pytest.raises(ValueError, match="weights are above zero"):
        combine(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4), {"l1": 0.0})
