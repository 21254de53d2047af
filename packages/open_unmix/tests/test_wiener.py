from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from open_unmix.estimates import FirstEstimates, State
from open_unmix.norbert_filter import norbert_window
from open_unmix.wiener import (
    NORBERT_EPS,
    Wiener,
    _filter_piece,
    _first_estimator,
    _fit_model,
    filter_window,
    wiener,
)


def spectrograms(stored: Tensor) -> Tensor:
    """(frame, bin, channel, stem) -> (1, stem, channel, bin, frame)."""
    return stored.permute(3, 2, 1, 0)[None]


def mixed(stored: Tensor) -> Tensor:
    """(frame, bin, channel, re/im) -> (1, channel, bin, frame) complex."""
    return torch.view_as_complex(stored.contiguous()).permute(2, 1, 0)[None]


def estimates(stored: Tensor, parts_axis: int) -> Tensor:
    """Five axes, one of them re/im -> (1, stem, channel, bin, frame) complex."""
    return spectrograms(torch.view_as_complex(stored.movedim(parts_axis, -1).contiguous()))


def assert_relative(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Largest difference over the largest value."""
    assert found.shape == wanted.shape
    assert ((found - wanted).abs().max() / wanted.abs().max()).item() <= tolerance


def cases(tensors: dict[str, Tensor], digits: int) -> list[list[str]]:
    found = [key.split(".") for key in tensors if ".niter" in key]
    assert len(found) == digits
    return found


def test_the_filter_is_the_authors_torch_version(golden: Any) -> None:
    found = golden("wiener")
    for key in cases(found.tensors, 48):
        channels, kind, niter, softmask, residual = key
        dtype = torch.float32 if kind == "f32" else torch.float64
        magnitudes = spectrograms(found[f"{channels}.spectrograms"]).to(dtype)
        mixture = mixed(found[f"{channels}.mix"]).to(dtype.to_complex())
        settings = Wiener(
            int(niter[-1]), softmask[-1] == "1", residual="signal" if residual[-1] == "1" else None
        )
        result = wiener(magnitudes, mixture, settings)
        assert_relative(result, estimates(found[".".join(key)], 3), 1e-5)


def test_the_filter_is_norbert_with_either_epsilon_and_up_to_three_channels(golden: Any) -> None:
    found = golden("norbert")
    runs = [key.split(".") for key in found.tensors if ".niter" in key]
    assert len(runs) == 36
    for key in runs:
        channels, niter, softmask, eps = key
        settings = Wiener(
            int(niter[-1]), softmask[-1] == "1", eps=1e-10 if "1e-10" in eps else NORBERT_EPS
        )
        result = wiener(
            spectrograms(found[f"{channels}.v"]), mixed(found[f"{channels}.x"]), settings
        )
        assert_relative(result, estimates(found[".".join(key)], 4), 1e-7)


@pytest.mark.parametrize("channels", ["ch1", "ch2", "ch3"])
def test_the_installed_norbert_is_selectable_and_the_same(channels: str, golden: Any) -> None:
    pytest.importorskip("norbert")
    found = golden("norbert")
    magnitudes, mixture = spectrograms(found[f"{channels}.v"]), mixed(found[f"{channels}.x"])
    before = mixture.clone()
    for settings in (Wiener(2, True), Wiener(1, residual="magnitude"), Wiener(0)):
        theirs = norbert_window([(magnitudes, mixture)], settings)
        assert torch.equal(mixture, before)
        assert_relative(wiener(magnitudes, mixture, settings), theirs, 1e-7)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
@pytest.mark.parametrize("channels", ["ch1", "ch2", "ch3"])
def test_the_2019_residual_is_norberts(channels: str, alpha: float, golden: Any) -> None:
    """Seen through the ratio mask, which alone raises magnitudes to the power of alpha."""
    found = golden("norbert")
    wanted = spectrograms(found[f"{channels}.residual_model.alpha{alpha:.0f}"])
    magnitudes, mixture = spectrograms(found[f"{channels}.v"]), mixed(found[f"{channels}.x"])
    settings = Wiener(0, softmask=True, alpha=alpha, residual="magnitude")
    ratio = wanted / (settings.eps + wanted.sum(dim=1, keepdim=True))
    result = wiener(magnitudes, mixture, settings)
    assert_relative(result, mixture[:, None] * ratio, 1e-7)


def test_the_softmask_shares_the_mixture_by_ratio(golden: Any) -> None:
    found = golden("norbert")
    for channels in ("ch1", "ch2", "ch3"):
        magnitudes, mixture = spectrograms(found[f"{channels}.v"]), mixed(found[f"{channels}.x"])
        result = wiener(magnitudes, mixture, Wiener(0, softmask=True, eps=NORBERT_EPS))
        assert_relative(result, estimates(found[f"{channels}.softmask"], 4), 1e-7)


def test_the_internals_of_two_iterations_are_the_authors(golden: Any) -> None:
    found = golden("wiener_silence")
    state: State = _Given(estimates(found["em.y_init"], 3), mixed(found["em.mix"]))
    first = _fit_model([state], [], 1e-10)
    state = _filter_piece(state, first)
    assert_relative(state.power().mean(dim=2), found["em.v"].permute(2, 1, 0)[None], 1e-5)
    second = _fit_model([state], [first], 1e-10)
    for number in range(2):
        wanted = torch.view_as_complex(found[f"em.R{number}"]).permute(1, 2, 0)
        ours = torch.complex(second.real, second.imaginary)[0, number]
        assert_relative(ours, wanted, 1e-5)
    result = torch.complex(*_filter_piece(state, second).planes())
    assert_relative(result, estimates(found["em.y"], 3), 1e-5)


class _Given(FirstEstimates):
    """First estimates as the fixture has them."""

    def __init__(self, estimate: Tensor, mixture: Tensor) -> None:
        super().__init__(estimate.abs(), mixture, mixture.abs())
        self.estimate = estimate

    def power(self) -> Tensor:
        return self.estimate.abs().square()

    def cross(self, c: int, d: int) -> tuple[Tensor, Tensor]:
        product = self.estimate[:, :, c] * self.estimate[:, :, d].conj()
        return product.real, product.imag


def test_exact_zeros_of_the_mixture_stay_and_differ_from_the_authors_there_alone(
    golden: Any,
) -> None:
    found = golden("wiener_silence")
    magnitudes, mixture = spectrograms(found["spectrograms"]), mixed(found["mix_before"])
    silent = mixture == 0
    assert 0 < silent.sum() < silent.numel()
    before = mixture.clone()
    result = wiener(magnitudes, mixture, Wiener(0, residual="signal"))
    assert torch.equal(mixture, before)
    wanted = estimates(found["niter0.residual1"], 3)
    heard = ~silent[:, None].expand_as(wanted)
    assert_close(result[heard], wanted[heard], rtol=1e-5, atol=1e-5)
    first = wiener(magnitudes, mixture, Wiener(0))  # the estimates alone agree in silence too
    assert_close(first, estimates(found["niter0.residual0"], 3), rtol=1e-5, atol=1e-5)
    filtered = wiener(magnitudes, mixture, Wiener(1))
    heard = ~silent.any(dim=1)[:, None, None].expand_as(filtered)  # channels mix in the filter
    wanted_filtered = estimates(found["niter1.residual0"], 3)
    assert_close(filtered[heard], wanted_filtered[heard], rtol=1e-5, atol=1e-5)
    # The authors' mixture became 1+0j there; ours is zero, and so is the sum of all stems.
    assert not result.sum(dim=1)[silent].abs().gt(1e-5).any()
    assert (wanted.sum(dim=1)[silent].real - 1.0).abs().max() < 1e-5


def test_silence_is_filtered_to_silence() -> None:
    mixture = torch.zeros(1, 2, 5, 8, dtype=torch.complex64)
    for niter in (1, 2):
        result = wiener(torch.rand(1, 3, 2, 5, 8), mixture, Wiener(niter))
        assert not result.abs().any()


@pytest.mark.parametrize(("level", "tolerance"), [(1.0, 1e-4), (0.37, 1e-5)])
def test_channels_that_differ_in_level_alone_do_not_break_the_filter(
    level: float, tolerance: float
) -> None:
    """Their covariance is singular and, in float32, the floor is lost in it."""
    for seed in range(6):
        torch.manual_seed(seed)
        mono = 300.0 * torch.randn(1, 1, 33, 50, dtype=torch.complex128)
        mixture = torch.cat([mono, level * mono], dim=1)
        magnitudes = (10 * torch.rand(1, 4, 1, 33, 50) * mixture.abs()[:, None]).double()
        exact = wiener(magnitudes, mixture, Wiener(1))
        single = wiener(magnitudes.float(), mixture.to(torch.complex64), Wiener(1))
        assert_relative(single.to(exact.dtype), exact, tolerance)


@pytest.mark.parametrize("settings", [Wiener(1), Wiener(2, True), Wiener(1, residual="signal")])
def test_a_window_read_in_pieces_is_the_window(settings: Wiener) -> None:
    torch.manual_seed(3)
    magnitudes = 20 * torch.rand(2, 3, 2, 9, 40, dtype=torch.float64)
    mixture = 30 * torch.randn(2, 2, 9, 40, dtype=torch.complex128)
    whole = wiener(magnitudes, mixture, settings)
    cuts = [(0, 7), (7, 30), (30, 40)]

    def pieces() -> Any:
        whole = (magnitudes, mixture, mixture.abs())
        return (tuple(part[..., a:b] for part in whole) for a, b in cuts)

    parts = list(filter_window(pieces, settings))
    assert_relative(torch.cat(parts, dim=-1), whole, 1e-12)


def test_a_filter_with_a_small_epsilon_gives_the_mixture_back() -> None:
    """The gains of all stems sum to the identity, but for the floor under the covariance."""
    magnitudes = torch.rand(1, 3, 2, 9, 40, dtype=torch.float64)
    mixture = torch.randn(1, 2, 9, 40, dtype=torch.complex128)
    total = wiener(magnitudes, mixture, Wiener(1, eps=NORBERT_EPS)).sum(dim=1)
    assert_relative(total, mixture, 1e-4)


def test_items_of_a_batch_do_not_see_each_other() -> None:
    magnitudes = torch.rand(2, 3, 2, 9, 40, dtype=torch.float64)
    mixture = torch.randn(2, 2, 9, 40, dtype=torch.complex128)
    mixture[1] *= 100.0  # only this one is loud enough to be scaled
    both = wiener(magnitudes, mixture, Wiener(1))
    for item in range(2):
        alone = wiener(magnitudes[item : item + 1], mixture[item : item + 1], Wiener(1))
        assert_relative(both[item : item + 1], alone, 1e-12)


def test_gradients_pass_through_the_filter() -> None:
    magnitudes = torch.rand(1, 2, 2, 3, 6, dtype=torch.float64, requires_grad=True)
    mixture = torch.randn(1, 2, 3, 6, dtype=torch.complex128)

    def energy(values: Tensor) -> Tensor:
        return wiener(values, mixture, Wiener(2)).abs().square().sum()

    assert torch.autograd.gradcheck(energy, (magnitudes,), atol=1e-4)


def test_one_stem_can_not_be_filtered() -> None:
    magnitudes, mixture = torch.rand(1, 1, 2, 3, 6), torch.randn(1, 2, 3, 6, dtype=torch.complex64)
    with pytest.raises(ValueError, match="one stem and niter=1"):
        wiener(magnitudes, mixture, Wiener(1))
    estimate = _first_estimator(lambda: [], Wiener(1, residual="signal"))
    assert estimate(magnitudes, mixture, mixture.abs()).power().shape[1] == 2
