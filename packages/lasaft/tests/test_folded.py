"""Without gradients, on a CPU: batch norms in layers' weights, other memory orders, in place."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lasaft import Separator
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
