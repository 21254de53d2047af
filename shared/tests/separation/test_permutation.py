"""Interchangeable stems: one order over channels, chunks and passes, and in scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_songs import RATE, noise, tone, write_track
from torch import Tensor, nn

from mss_shared.datasets import Track, open_dataset
from mss_shared.evaluation.evaluate import evaluate, oracle_estimator
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.channels import AnyChannels
from mss_shared.separation.ensembles import Ensemble, Mirrored, Shifted
from mss_shared.separation.overlap_add import separate
from mss_shared.separation.permutation import align_stems, best_order
from mss_shared.separation.separate import separate_song

WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")
PIECES = InferenceConfig(0.25, 0.0, 0.05, "flat", "none")


class Louder(nn.Module):
    """Two bands, the louder one first: as legal after a permutation-invariant loss as any order."""

    def __init__(self, channels: int = 1, interchangeable: bool = True, turn: bool = False) -> None:
        super().__init__()
        self.stems = ("speaker1", "speaker2")
        self.sample_rate = RATE
        self.channels = channels
        self.turn = turn
        if interchangeable:
            self.interchangeable = True

    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(mixture)
        half = spectrum.shape[-1] // 2
        low, high = spectrum.clone(), spectrum.clone()
        low[..., half:] = 0
        high[..., :half] = 0
        first, second = (torch.fft.irfft(s, n=mixture.shape[-1]) for s in (low, high))
        swap = first.square().sum((-1, -2)) < second.square().sum((-1, -2))
        swap = (swap ^ self.turn)[:, None, None]
        return torch.stack(
            [torch.where(swap, second, first), torch.where(swap, first, second)], dim=1
        )


def talk() -> tuple[Tensor, Tensor]:
    """(channel, sample) of two voices: the low one louder on the left and at first."""
    samples = RATE
    fade = np.linspace(1.0, 0.2, samples)
    low, high = tone(0.05 * RATE, samples)[0], tone(0.4 * RATE, samples)[0]
    left = np.stack([fade * low, 0.5 * (1.2 - fade) * high])
    right = np.stack([0.5 * fade * low, (1.2 - fade) * high])
    both = torch.from_numpy(np.stack([left, right], axis=1).astype(np.float32))
    return both[0], both[1]


def is_one_voice_each(stems: Tensor) -> bool:
    """Whether each of (stem, channel, sample) is one of the two bands throughout."""
    found = []
    for stem in stems:
        spectra = torch.stft(
            stem, 256, window=torch.hann_window(256), return_complex=True, center=False
        ).abs()
        quarter = spectra.shape[1] // 2
        found.append((spectra[:, :quarter].sum(1) > spectra[:, quarter:].sum(1)).flatten().unique())
    return all(len(each) == 1 for each in found) and found[0] != found[1]


@settings(max_examples=25)
@given(order=st.permutations(range(3)), gain=st.floats(0.05, 20.0), sign=st.sampled_from([1, -1]))
def test_any_order_is_found(order: list[int], gain: float, sign: int) -> None:
    like = torch.from_numpy(np.stack([noise(n, samples=200)[:2] for n in range(3)]))[None]
    mixed = sign * gain * like[:, order] + 0.1 * gain * like.flip(1)
    assert torch.equal(best_order(mixed, like)[0], torch.tensor(order).argsort())
    assert torch.allclose(
        align_stems(sign * gain * like[:, order], like), sign * gain * like, rtol=1e-6
    )


def test_equal_and_silent_stems_stay_where_they_are() -> None:
    like = torch.zeros(2, 3, 1, 10)
    assert torch.equal(best_order(like, like), torch.arange(3).expand(2, 3))


def test_every_item_of_a_batch_has_an_order_of_its_own() -> None:
    like = torch.randn(2, 2, 1, 50, generator=torch.Generator().manual_seed(0))
    mixed = torch.stack([like[0], like[1].flip(0)])
    assert torch.equal(align_stems(mixed, like), like)


@pytest.mark.parametrize("interchangeable", [True, False])
def test_channels_of_a_voice_are_in_one_stem(interchangeable: bool) -> None:
    low, high = talk()
    end = (low + high)[:, : RATE // 4]  # the left's low voice is the louder, the right's high one
    left_right = torch.stack([end[0] + 0.0, end[1] + 3 * high[1, : RATE // 4]])
    model = AnyChannels(Louder(interchangeable=interchangeable), 2)
    assert is_one_voice_each(model(left_right[None])[0]) == interchangeable


@pytest.mark.parametrize("interchangeable", [True, False])
def test_chunks_of_a_voice_are_in_one_stem(interchangeable: bool) -> None:
    low, high = talk()
    model = Louder(2, interchangeable)
    stems = separate(model, low + high, PIECES, batch=2)
    assert is_one_voice_each(stems) == interchangeable


def test_chunks_that_share_nothing_are_refused() -> None:
    apart = InferenceConfig(0.25, 0.0, 0.0, "flat", "none")
    with pytest.raises(ValueError, match=r"give --overlap or --context_seconds above 0"):
        separate(Louder(2), torch.ones(2, RATE), apart)


@pytest.mark.parametrize("interchangeable", [True, False])
@pytest.mark.parametrize("kind", ["mirrored", "shifted", "ensemble"])
def test_passes_are_averaged_voice_by_voice(kind: str, interchangeable: bool) -> None:
    low, high = talk()
    models: dict[str, Any] = {
        "mirrored": lambda: Mirrored(Turning(interchangeable), ["polarity"]),
        "shifted": lambda: Shifted(Turning(interchangeable), 2),
        "ensemble": lambda: Ensemble(
            [Louder(2, interchangeable), Louder(2, interchangeable, turn=True)]
        ),
    }
    stems = models[kind]()((low + high)[None])[0]
    assert is_one_voice_each(stems[..., 300:-300]) == interchangeable


class Turning(Louder):
    """Turns its stems around with every call."""

    def __init__(self, interchangeable: bool) -> None:
        super().__init__(2, interchangeable)

    def forward(self, mixture: Tensor) -> Tensor:
        self.turn = not self.turn
        return super().forward(mixture)


def test_a_second_pass_over_the_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="are interchangeable .*: choose --lossless mask"):
        separate_song(np.ones((2, RATE)), Louder(2), WHOLE, lossless="rerun")


def test_scores_are_those_of_the_best_order_and_their_id_says_so(tmp_path: Path) -> None:
    stems = ("a", "b")
    for name in ("x", "y"):
        signals = {stem: noise(n, samples=2 * RATE) for n, stem in enumerate(stems)}
        write_track(tmp_path / "two" / "test" / name, signals)
    dataset = open_dataset(tmp_path / "two")

    def turned(track: Track, wanted: tuple[str, ...]) -> Any:
        stems = track.read_stems(wanted)
        found = stems + np.float32(0.05) * stems[::-1]
        return [found[::-1] if track.name == "y" else found]

    protocols = ["si_sdr", "bsseval_v4", "usdr"]
    found = {}
    for free in (False, True):
        estimator = oracle_estimator("turned", "oracle", turned, stems)
        estimator.best_order = free
        folder, found[free] = evaluate(
            estimator, dataset, protocols, tmp_path / f"scores{free}", "run"
        )
        assert (folder / ("si_sdr.best_order" if free else "si_sdr")).is_dir()
    assert set(found[True]) == {
        *("si_sdr.best_order@1", "bsseval_v4.a+b.best_order@1", "usdr.best_order@1")
    }
    for protocol, metric in (("si_sdr", "SI-SDR"), ("usdr", "uSDR")):
        for stem in stems:
            assert found[True][f"{protocol}.best_order@1"][stem][metric] > 20.0
            assert found[False][f"{protocol}@1"][stem][metric] < 15.0
