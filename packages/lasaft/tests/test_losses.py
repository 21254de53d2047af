"""Losses by name: frames, gradients, what they ask for. Their values: ``test_training.py``."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lasaft.losses import FRAMED, NAMES, find_loss, split_frames


@settings(max_examples=50)
@given(samples=st.integers(1, 300), window=st.integers(1, 90), hop=st.integers(1, 90))
def test_frames_hold_every_sample_whatever_the_padding(samples: int, window: int, hop: int) -> None:
    hop = min(hop, window)  # else frames leave gaps by intent
    signal = torch.arange(1.0, samples + 1.0)
    frames = split_frames(signal, window, hop)
    assert frames.shape[-1] == window
    assert set(frames.flatten().tolist()) - {0.0} == set(signal.tolist())


def test_an_odd_padding_loses_no_sample() -> None:
    # 10 samples in frames of 4 by 3 get 3 zeros; the authors' code adds 2 and loses the tenth.
    frames = split_frames(torch.arange(1.0, 11.0), 4, 3)
    assert frames.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10, 0, 0]]


@pytest.mark.parametrize("name", NAMES)
def test_a_small_step_along_its_gradient_lowers_every_loss_and_comes_nearer(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 2, 50_000, generator=generator, dtype=torch.float64)
    noise = torch.randn(2, 2, 50_000, generator=generator, dtype=torch.float64)
    loss = find_loss(name, 64, 16, (1.0, 1.0))

    def value(estimate: Tensor) -> Tensor:
        return loss((estimate, target), lambda: (estimate, target))

    estimate = (0.5 * target + noise).requires_grad_()
    before = value(estimate)
    [grad] = torch.autograd.grad(before, estimate)
    step = 1e-6 / grad.norm()
    with torch.no_grad():
        after = value(estimate - step * grad)
    # To first order the loss falls by the step times the gradient's square.
    fall = (step * grad.square().sum()).item()
    assert fall > 0.0
    assert (before - after).item() == pytest.approx(fall, rel=0.01)
    nearer = -(grad * (target - estimate)).sum().item()
    assert (nearer < 0.0) if name.startswith("sdr") and "like" not in name else (nearer > 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_asks_for_waveforms_only_if_they_count(name: str) -> None:
    asked = []
    pair = (torch.randn(1, 1, 50_000), torch.randn(1, 1, 50_000))
    find_loss(name, 64, 16, (1.0, 1.0))(pair, lambda: (asked.append(name), pair)[1])
    assert asked == ([] if name.startswith("spec") else [name])


def test_losses_of_a_second_cut_seconds() -> None:
    target = torch.randn(1, 1, 44_100 * 2, generator=torch.Generator().manual_seed(0))
    estimate = target.clone()
    estimate[..., 44_100:] = 0.0  # two frames right, one half, two silent
    kind, seconds = find_loss("ncs", 64, 16, (1, 1)), find_loss("ncs_44100", 64, 16, (1, 1))
    pair = (estimate, target)
    assert seconds.raw is not None and kind.raw is not None
    assert seconds.raw(*pair).item() == pytest.approx(-(2 + math.sqrt(0.5)) / 5, abs=0.01)
    assert kind.raw(*pair).item() == pytest.approx(-0.5, abs=0.01)


def test_both_parts_of_a_weighted_loss_count() -> None:
    images = (torch.ones(2, 3), torch.zeros(2, 3))
    waves = (3.0 * torch.ones(4), torch.zeros(4))
    loss = find_loss("raw_and_spec", 64, 16, (0.5, 2.0))
    assert loss(images, lambda: waves).item() == pytest.approx(0.5 * 3.0 + 2.0 * 1.0)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no loss 'raw_l3': choose from spec_l1, spec_l2"):
        find_loss("raw_l3", 64, 16, (1.0, 1.0))
    assert len(NAMES) == 7 + 2 * len(FRAMED)
