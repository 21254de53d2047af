"""The faster classes for a CPU compute what the plain modules do."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from bs_roformer import BSRoformer, MelBandRoformer
from bs_roformer.cpu_speed import (
    FASTER,
    MergedLinearAttention,
    OneDnnLinear,
    linear_gelu,
    runs_on_onednn,
    speed_up,
)
from bs_roformer.model import Roformer

SMALL: dict[str, Any] = {
    "dim": 8,
    "depth": 2,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "heads": 2,
    "dim_head": 4,
    "stft_n_fft": 64,
    "stft_hop_length": 16,
    "stft_win_length": 64,
    "mlp_expansion_factor": 1,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
    "stereo": True,
}
LAYOUTS = ("paper", "checkpoint", "1.2")
every_network = pytest.mark.parametrize(
    ("kind", "layout"), [*itertools.product(("bs", "mel"), LAYOUTS)]
)


def plain(kind: str = "bs", **changes: Any) -> Roformer:
    """A small seeded network with linear attention, in evaluation mode."""
    torch.manual_seed(0)
    sizes = {**SMALL, "linear_transformer_depth": 1, **changes}
    if kind == "bs":
        return BSRoformer(freqs_per_bands=(4, 4, 8, 17), **sizes).eval()
    return MelBandRoformer(num_bands=6, **sizes).eval()


def faster(kind: str = "bs", **changes: Any) -> Roformer:
    """The same network with the faster classes."""
    model = plain(kind, **changes)
    speed_up(model)
    return model


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


# ---- whole networks


@every_network
def test_the_plain_and_the_faster_network_agree(
    kind: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", 70)
    monkeypatch.setattr("bs_roformer.cpu_speed.RECORDED_FROM", 0)
    mixture, target = noise(2, 2, 900), noise(2, 2, 900, seed=1)
    results = []
    for make in (plain, faster):
        model = make(kind, layout=layout)
        with torch.no_grad():
            output = model(mixture)
        loss = model(mixture, target=target)
        loss.backward()
        # In one tensor: single gradients near zero are rounding alone, in float64 they vanish.
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        assert len(gradients) > 50
        results.append([output, loss.detach(), torch.cat(gradients)])
    assert all(close(ours, theirs) for theirs, ours in zip(*results, strict=True))


@every_network
def test_only_the_faster_network_has_the_faster_classes(kind: str, layout: str) -> None:
    models = [make(kind, layout=layout) for make in (plain, faster)]
    assert not {type(module) for module in models[0].modules()} & set(FASTER.values())
    assert not {type(module) for module in models[1].modules()} & set(FASTER)
    states = [model.state_dict() for model in models]
    assert [*states[0]] == [*states[1]]
    assert all(torch.equal(*pair) for pair in zip(*(s.values() for s in states), strict=True))


def test_making_a_network_faster_twice_is_the_same_as_once() -> None:
    model, mixture = plain(), noise(2, 2, 900)
    with torch.no_grad():
        before = model(mixture)
        speed_up(model)
        speed_up(model)
        assert close(model(mixture), before)
    assert not {type(module) for module in model.modules()} & set(FASTER)


# ---- cache blocking


@pytest.mark.parametrize("layout", ["checkpoint", "1.2"])
@pytest.mark.parametrize("kind", ["bs", "mel"])
def test_without_gradient_the_output_is_the_same_in_pieces(
    kind: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, mixture = faster(kind, layout=layout), noise(2, 2, 900)
    whole = model(mixture).detach()
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", 70)
    with torch.no_grad():
        assert close(model(mixture), whole)


def test_rows_in_pieces_may_lie_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = faster().layers[0].get_submodule("0").layers[0][1]
    x = noise(5, 30, layer.net[1].in_features).transpose(0, 1)
    whole = layer(x).detach()
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", 7)
    with torch.no_grad():
        assert torch.allclose(layer(x), whole, atol=1e-6)


@pytest.mark.parametrize("kind", ["bs", "mel"])
def test_hooks_are_called_without_gradient(kind: str) -> None:
    model, mixture = faster(kind), noise(2, 2, 900)
    linear = model.layers[0].get_submodule("0")
    waiting = [*linear.modules(), *model.layers[0].get_submodule("1").modules()]
    called: set[nn.Module] = set()
    for module in waiting:
        module.register_forward_hook(lambda module, *_: called.add(module))
    for gradient in (True, False):
        called.clear()
        with torch.set_grad_enabled(gradient):
            model(mixture)
        quiet = {type(module).__name__ for module in {*waiting} - called}
        assert quiet == {"ModuleList"}, gradient


@pytest.mark.parametrize("kind", ["bs", "mel"])
def test_a_hook_of_all_modules_is_called_as_often_without_gradient(kind: str) -> None:
    model, mixture = faster(kind), noise(2, 2, 900)
    counts = []
    for gradient in (True, False):
        called: list[nn.Module] = []
        hook = nn.modules.module.register_module_forward_hook(
            lambda module, *_, called=called: called.append(module)
        )
        try:
            with torch.set_grad_enabled(gradient):
                model(mixture)
        finally:
            hook.remove()
        counts.append(len(called))
    assert counts[0] == counts[1]


def test_gradients_may_be_enabled_in_inference_mode() -> None:
    model, mixture = faster(), noise(2, 2, 900)
    expected = model(mixture).detach()
    with torch.inference_mode(), torch.enable_grad():
        assert torch.allclose(model(mixture), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_linear_attention_is_one_matrix_without_gradient(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", 7)
    attention = faster().to(dtype).layers[0].get_submodule("0").layers[0][0]
    assert isinstance(attention, MergedLinearAttention)
    torch.nn.init.normal_(attention.temperature, std=0.3)
    x = noise(2, 30, 8).to(dtype)
    whole = attention(x).detach()
    assert not attention.merges(x)
    with torch.no_grad():
        assert attention.merges(x) is (dtype != torch.bfloat16)
        merged = attention(x)
    rounding = 2e-2 if dtype == torch.bfloat16 else 1e-5
    assert torch.allclose(merged, whole, rtol=0, atol=rounding * whole.abs().max().item())


# ---- oneDNN


def onednn_linear(features_in: int, features_out: int, bias: bool = True) -> OneDnnLinear:
    layer = nn.Linear(features_in, features_out, bias=bias)
    speed_up(layer)
    assert isinstance(layer, OneDnnLinear)
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_both_matrix_libraries_give_the_same_and_its_gradient(
    bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.RECORDED_FROM", 0)
    layer, x = onednn_linear(33, 20, bias), noise(5, 7, 33).requires_grad_()
    results = []
    for enabled in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(torch.backends.mkldnn, "is_available", lambda enabled=enabled: enabled)
            assert runs_on_onednn(x, layer.weight) is enabled
            y = layer(x)
            gradients = torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])
            with torch.no_grad():
                results.append([y, layer(x), linear_gelu(layer, x), *gradients])
    assert len(results[0]) == 5 + bias
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_only_products_in_float32_go_to_onednn() -> None:
    layer, x = onednn_linear(33, 20), noise(5, 33)
    assert runs_on_onednn(x, layer.weight)
    assert not runs_on_onednn(x.double(), layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs_on_onednn(x, layer.weight)


def test_gradients_of_a_long_batch_stay_exact() -> None:
    layer, x = onednn_linear(32, 16), noise(100_000, 32)
    assert type(layer(x).grad_fn).__name__ == "RecordedLinearBackward"
    assert type(layer(x[:100]).grad_fn).__name__ != "RecordedLinearBackward"
    layer(x).square().sum().backward()
    exact = nn.Linear(32, 16).double()
    exact.load_state_dict(layer.state_dict())
    exact(x.double()).square().sum().backward()
    difference = (layer.weight.grad - exact.weight.grad).abs().max()
    assert difference <= 1e-5 * exact.weight.grad.abs().max()


def test_what_is_compiled_has_no_operator_that_the_compiler_lacks() -> None:
    network, found = faster(), set()

    def collect(graph: GraphModule, _: object) -> Any:
        found.update(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch.compiler.reset()
    mixture = noise(1, 2, 4_000)
    with torch.inference_mode():
        compiled = torch.compile(network, backend=collect)(mixture)
        assert close(compiled, network(mixture))
    assert len(found) > 10 and not [name for name in found if "mkldnn" in name]
