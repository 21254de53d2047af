import json
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from open_unmix import separator as separator_module
from open_unmix import umx, umxhq, umxl, umxse
from open_unmix.model import OpenUnmix
from open_unmix.separator import Separator
from open_unmix.wiener import filter_window

NAMES = ("niter0", "niter1", "niter1_softmask", "niter2_residual", "mono")
MADE = {"umx": umx, "umxhq": umxhq, "umxl": umxl, "umxse": umxse}


def small(stems: str = "ab", channels: int = 2, **arguments: Any) -> Separator:
    torch.manual_seed(0)
    networks = {
        stem: OpenUnmix(33, channels, hidden_size=8, nb_layers=1, max_bin=20) for stem in stems
    }
    sizes = {"n_fft": 64, "n_hop": 16, "nb_channels": channels, "sample_rate": 8000.0}
    return Separator(networks, **{**sizes, **arguments}).eval()


@torch.no_grad()
def run(separator: Separator, audio: Tensor) -> Tensor:
    result: Tensor = separator(audio)
    return result


@pytest.mark.parametrize("name", NAMES)
def test_a_separator_gives_the_authors_output(name: str, golden: Any) -> None:
    found = golden(f"separator_{name}")
    config = found.config
    networks = {stem: OpenUnmix(**config["target_model"]) for stem in config["targets"]}
    separator = Separator(networks, **config["separator"])
    separator.load_state_dict(found.below("param."), strict=True)
    assert_close(run(separator.eval(), found["input"]), found["output"], rtol=1e-5, atol=1e-5)


def legacy(golden: Any, **arguments: Any) -> tuple[Separator, Any]:
    """The 2019 fixture's networks in a separator of pipeline 1.0.0."""
    found = golden("legacy_v1_separate")
    config = found.config
    networks = {}
    for stem in arguments.pop("targets", config["targets"]):
        sizes = {key: config[key] for key in ("nb_channels", "hidden_size", "max_bin")}
        networks[stem] = OpenUnmix(nb_bins=config["n_fft"] // 2 + 1, **sizes)
        networks[stem].load_state_dict(found.below(f"param.{stem}."), strict=True)
    keys = ("sample_rate", "n_fft", "n_hop", "nb_channels")
    residual = arguments.pop("residual_model", False) or len(networks) == 1
    sizes = {key: config[key] for key in keys}
    separator = Separator(networks, residual=residual, pipeline="1.0.0", **sizes, **arguments)
    return separator.eval(), found


def test_the_2019_pipeline_gives_the_authors_output(golden: Any) -> None:
    runs = json.loads(golden("legacy_v1_separate").about["runs"])
    compared = 0
    for name, arguments in runs.items():
        for wiener in ("torch", "norbert"):
            if wiener == "norbert":
                pytest.importorskip("norbert")
            separator, found = legacy(golden, wiener=wiener, **arguments)
            audio = found["input"].T[None]
            output = run(separator, audio)
            assert output.shape[-1] == audio.shape[-1]
            for stem, estimate in zip(separator.stems, output[0], strict=True):
                if f"{name}.{stem}" in found.tensors:
                    wanted = found[f"{name}.{stem}"].T
                    assert_close(estimate[:, : wanted.shape[1]], wanted, rtol=1e-5, atol=1e-5)
                    assert not estimate[:, wanted.shape[1] :].any()
                    compared += 1
    assert compared == 16


def test_the_2019_pipeline_filters_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []

    def watched(pieces: Any, settings: Any) -> Any:
        for _, mixture, level in pieces():
            kinds.append(mixture.dtype)
            assert torch.equal(level, mixture.abs())
        return filter_window(pieces, settings)

    monkeypatch.setattr(separator_module, "filter_window", watched)
    run(small(niter=1, pipeline="1.0.0"), torch.randn(1, 2, 500))
    run(small(niter=1), torch.randn(1, 2, 500))
    assert kinds == [torch.complex128, torch.complex64]


def test_batch_norm_in_training_sees_all_frames_at_once() -> None:
    separator = small().train()
    separator(torch.randn(1, 2, 16 * 200))
    for network in separator.networks():
        for norm in (network.bn1, network.bn2, network.bn3):
            assert norm.num_batches_tracked == 1


def test_the_pipelines_differ_in_epsilon_window_and_end(golden: Any) -> None:
    old, found = legacy(golden)
    assert old.settings.eps == torch.finfo(torch.float64).eps
    assert old.wiener_win_len is None
    new = small(niter=1)
    assert (new.settings.eps, new.wiener_win_len) == (1e-10, 300)


@pytest.mark.parametrize("name", MADE)
def test_keys_and_shapes_of_the_whole_are_the_published_ones(name: str, golden_json: Any) -> None:
    separator = MADE[name](pretrained=False)
    keys = [(key, list(value.shape)) for key, value in separator.state_dict().items()]
    assert keys == list(golden_json(f"{name}_separator.keys").items())
    assert len(keys) == (95 if name == "umxse" else 187)
    assert separator.settings.niter == 1 and not separator.training


def test_chosen_targets_are_all_there_is_and_unknown_ones_are_refused() -> None:
    two = umxhq(targets=["drums", "vocals"], pretrained=False, residual=True)
    assert two.stems == ("drums", "vocals", "residual")
    with pytest.raises(ValueError, match="no target 'piano': choose from vocals"):
        umxhq(targets=["piano"], pretrained=False)


@pytest.mark.parametrize("arguments", [{}, {"niter": 2}, {"niter": 1, "residual": True}])
@pytest.mark.parametrize("pipeline", ["1.0.0", "1.3.0"])
@pytest.mark.parametrize("samples", [1, 31, 33, 1000])
def test_any_length_comes_back(samples: int, pipeline: str, arguments: dict[str, Any]) -> None:
    separator = small(pipeline=pipeline, **arguments)
    output = run(separator, torch.randn(3, 2, samples))
    assert output.shape == (3, len(separator.stems), 2, samples)
    assert output.dtype == torch.float32 and bool(output.isfinite().all())


def test_reading_in_runs_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    separator = small(niter=2, wiener_win_len=50).double()
    audio = torch.randn(1, 2, 16 * 170, dtype=torch.float64)
    once = run(separator, audio)
    monkeypatch.setattr(separator_module, "PIECE_FRAMES", 7)
    monkeypatch.setattr(separator_module, "KEEP_FRAMES", 20)
    assert_close(run(separator, audio), once, rtol=1e-9, atol=1e-12)


def test_windows_are_filtered_apart() -> None:
    """What comes after a window's last frame does not change what it holds."""
    separator = small(niter=1, wiener_win_len=20)
    for network in separator.target_models.values():
        assert isinstance(network, OpenUnmix)
        network.fc2.weight.data[:, 8:] = 0.0  # no LSTM, which would see the future
    audio = torch.randn(1, 2, 16 * 80)
    louder = audio.clone()
    louder[..., 16 * 40 :] *= 3.0
    first = slice(0, 16 * 20 - 64)
    assert torch.equal(run(separator, audio)[..., first], run(separator, louder)[..., first])


def test_stereo_through_a_mono_network_keeps_both_channels() -> None:
    separator = small(channels=1, niter=1)
    stereo = torch.randn(1, 2, 500)
    output = run(separator, stereo)
    assert output.shape == (1, 2, 2, 500) and separator.channels == 1
    assert not torch.equal(output[:, :, 0], output[:, :, 1])


def test_equal_channels_through_a_mono_network_stay_finite_and_equal() -> None:
    mono = 0.5 * torch.randn(1, 1, 4000)
    output = run(small(channels=1, niter=1), mono.expand(1, 2, -1))
    assert_close(output[:, :, 0], output[:, :, 1], rtol=1e-3, atol=1e-3)
    assert output.abs().max() < 10.0


def test_the_residual_is_the_mixture_minus_the_stems_without_a_filter() -> None:
    separator = small(residual=True, niter=0)
    audio = torch.randn(1, 2, 800)
    assert_close(run(separator, audio).sum(dim=1), audio, rtol=1e-4, atol=1e-5)


def test_names_follow_targets_residual_and_aggregation() -> None:
    separator = small("abc", residual=True)
    assert separator.stems == ("a", "b", "c", "residual")
    assert small("a", residual=True).stems == ("a", "accompaniment")
    estimates = run(separator, torch.randn(2, 2, 300))
    named = separator.to_dict(estimates)
    assert list(named) == ["a", "b", "c", "residual"]
    assert torch.equal(named["b"], estimates[:, 1])
    summed = separator.to_dict(estimates, {"d": ["a", "c"]})
    assert_close(summed["d"], estimates[:, 0] + estimates[:, 2])
    with pytest.raises(ValueError, match="aggregate 'd' sums x: choose from a, b, c, residual"):
        separator.to_dict(estimates, {"d": ["a", "x"]})


def test_freezing_stops_gradients_and_sets_evaluation_mode() -> None:
    separator = small().train()
    separator.freeze()
    assert not separator.training
    assert not any(parameter.requires_grad for parameter in separator.parameters())


@pytest.mark.parametrize(
    ("stems", "arguments", "message"),
    [
        ("a", {"niter": 1}, "niter=1 with 1 stem"),
        ("", {}, "target_models is empty"),
        ("ab", {"n_fft": 128}, "33 bins and 2 channels, the separator 65 and 2"),
        ("ab", {"pipeline": "1.1.0"}, "pipeline is '1.1.0': choose 1.0.0 or 1.3.0"),
        ("ab", {"wiener": "scipy"}, "wiener is 'scipy': choose torch or norbert"),
    ],
)
def test_what_can_not_be_is_refused(stems: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(stems, **arguments)


def test_other_channels_are_refused_with_their_count() -> None:
    with pytest.raises(ValueError, match=r"\(1, 3, 100\), the networks take \(batch, 2"):
        run(small(), torch.randn(1, 3, 100))
