"""Without gradients, on a CPU: batch norms in layers' weights, other memory orders, in place."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lasaft import Separator
from lasaft.blocks import TFC, TFC_LaSAFT
from lasaft.folded import Folded
from lasaft.variants import VARIANTS

SMALL: dict[str, Any] = {  # windows of 12224 samples, of which 2112 are left
    "internal_channels": 3,
    "n_fft": 128,
    "hop_length": 64,
    "num_frame": 192,
    "n_blocks": 3,
    "n_internal_layers": 2,
    "embedding_dim": 4,
    "num_tdfs": 3,
    "dk": 3,
    "min_bn_units": 3,
}
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    *((f"CUNET_TFC_{name}", {}) for name in ("FiLM", "PoCM_TDF", "GPoCM", "GPoCM_LightSAFT")),
    ("CUNET_TFC_GPoCM_LaSAFT", {}),
    ("CUNET_TFC_GPoCM_LaSAFT", {"tdf_bias": True}),
    ("CUNET_TFC_FiLM_TDF", {"block_activation": "leaky_relu"}),
    ("CUNET_TFC_FiLM_LaSAFT", {"internal_channels": 1}),
    *((f"{name}_net", {}) for name in ("tfc", "tdf", "tfc_tdf", "tfc_rnn")),
    ("lightsaft_advanced", {}),
]


def network(name: str, **changes: Any) -> Separator:
    """In evaluation, float64, with batch norms that change something."""
    torch.manual_seed(0)
    model = VARIANTS[name](**{**SMALL, **changes}).eval().double()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            if part.weight is not None:
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.normal_(part.bias, 0, 0.1)
    return model


def mixture(items: int) -> Tensor:
    torch.manual_seed(1)
    return 0.1 * torch.randn(items, 2, 1500, dtype=torch.float64)


@pytest.mark.parametrize(("name", "changes"), NETWORKS, ids=str)
def test_what_is_separated_is_that_of_plain_layers(
    name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(name, **changes)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    audio = mixture(2)
    before = audio.clone()
    with torch.no_grad():
        folded = model(audio)
    monkeypatch.setattr(Folded, "folds", lambda *_: False)
    with torch.no_grad():
        plain = model(audio)
    assert not torch.equal(folded, plain)  # other roundings: something was folded
    assert torch.allclose(folded, plain, rtol=0, atol=1e-12 * float(plain.abs().max()))
    assert torch.equal(audio, before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["CUNET_TFC_GPoCM_LaSAFT", "CUNET_TFC_FiLM_TDF"])
def test_features_that_a_hook_keeps_stay_as_they_are(name: str) -> None:
    model = network(name)
    audio = mixture(1)
    with torch.no_grad():
        exact = model(audio)
    kept: list[tuple[Tensor, Tensor]] = []

    def keep(_part: nn.Module, _given: Any, made: Any) -> None:
        if isinstance(made, Tensor):
            kept.append((made, made.clone()))

    for part in model.modules():
        part.register_forward_hook(keep)
    with torch.no_grad():
        assert torch.allclose(model(audio), exact, rtol=0, atol=1e-12)
    assert len(kept) > 30 and all(torch.equal(made, before) for made, before in kept)


def test_training_and_gradients_see_plain_layers() -> None:
    model = network("CUNET_TFC_GPoCM_LaSAFT")
    layers = next(part for part in model.modules() if isinstance(part, Folded))
    x = torch.zeros(1, 1, 1, 1)
    assert not layers.folds(x)
    with torch.no_grad():
        assert layers.folds(x)
        assert not layers.train().folds(x)
        layers.eval()[0].register_forward_hook(lambda *_: None)
        assert not layers.folds(x)


@pytest.mark.parametrize("name", ["CUNET_TFC_GPoCM_LaSAFT", "CUNET_TFC_FiLM_TDF"])
def test_norms_without_statistics_are_not_folded(name: str) -> None:
    model, audio = network(name), mixture(1)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.track_running_stats, part.running_mean, part.running_var = False, None, None
    expected = model(audio).detach()
    with torch.no_grad():
        assert torch.allclose(model(audio), expected, rtol=0, atol=1e-12)


def conv_like(old: nn.Conv2d, **changes: Any) -> nn.Conv2d:
    sizes = {"padding": old.padding, **changes}
    return nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, **sizes)


def first_conv(**changes: Any) -> Any:
    def change(tfc: TFC, _: TFC_LaSAFT) -> None:
        tfc.H[0][0] = conv_like(tfc.H[0][0], **changes)

    return change


def replace(tfc_layer: int, place: int, make: Any) -> Any:
    def change(tfc: TFC, _: TFC_LaSAFT) -> None:
        tfc.H[tfc_layer][place] = make(tfc.H[tfc_layer][place])

    return change


def doubled(module: nn.Module) -> None:
    """Give a module another forward, as wrappers of single modules do."""
    forward = module.forward
    module.forward = lambda x: 2 * forward(x)


def other_layer(tfc: TFC, _: TFC_LaSAFT) -> None:
    tfc.H[1] = nn.Sequential(*tfc.H[1])


def other_tdf(_: TFC, block: TFC_LaSAFT) -> None:
    block.tdfs.tdf = nn.Sequential(*block.tdfs.tdf)


class OtherMixture(TFC_LaSAFT):
    """A block that mixes latent sources otherwise."""

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        return 2 * super().mix(sources, weights)


def patched_sources(_: TFC, block: TFC_LaSAFT) -> None:
    latent_sources = block.latent_sources
    block.latent_sources = lambda features: 2 * latent_sources(features)


CHANGES: dict[str, Any] = {
    "a softmax over bins": lambda _, block: block.tdfs.tdf.__setitem__(-1, nn.Softmax(dim=-1)),
    "a block of another class": lambda _, block: setattr(block, "__class__", OtherMixture),
    "latent sources patched": patched_sources,
    "groups": first_conv(groups=3),
    "padding mode": first_conv(padding_mode="circular"),
    "dilation": first_conv(dilation=3, padding=(3, 3)),
    "a wider kernel": replace(1, 0, lambda old: nn.Conv2d(old.in_channels, 3, 5, padding=2)),
    "ReLU for a convolution": replace(0, 0, lambda _: nn.ReLU()),
    "no norm": replace(1, 1, lambda _: nn.Identity()),
    "a norm of another kind": replace(1, 1, lambda _: nn.InstanceNorm2d(3)),
    "no activation": replace(1, 2, lambda _: nn.Identity()),
    "one more layer": lambda tfc, _: tfc.H[1].append(nn.ReLU()),
    "two more layers": lambda tfc, _: tfc.H[0].extend([nn.Tanh(), nn.BatchNorm2d(3)]),
    "layers of another class": other_layer,
    "layers patched": lambda tfc, _: doubled(tfc.H[1]),
    "one more layer of the TDF": lambda _, block: block.tdfs.tdf.append(nn.ReLU()),
    "a TDF of another class": other_tdf,
    "a TDF patched": lambda _, block: doubled(block.tdfs.tdf),
    "transforms patched": lambda _, block: doubled(block.tdfs),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_layers_compute_the_same_with_and_without_gradients(change: str) -> None:
    model, audio = network("CUNET_TFC_GPoCM_LaSAFT"), mixture(1)
    torch.manual_seed(1)
    tfc = next(part for part in model.modules() if isinstance(part, TFC))
    CHANGES[change](tfc, next(part for part in model.modules() if isinstance(part, TFC_LaSAFT)))
    model.eval().double()
    with torch.no_grad():
        found = model(audio)
    expected = model(audio).detach()
    assert torch.allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("others", [{"groups": 3}, {"output_padding": 1}, {"padding": 1}], ids=str)
def test_transposed_convolutions_with_other_arguments_are_called(others: dict[str, Any]) -> None:
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(3, 3, 3, stride=2, **others)
    layers = Folded(up, nn.BatchNorm2d(3), nn.ReLU()).eval()
    x = torch.randn(2, 3, 8, 8)
    expected = layers(x).detach()
    with torch.no_grad():
        found = layers(x)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-6)
