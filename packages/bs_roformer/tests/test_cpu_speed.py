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


# ---- other parts than those of the model


def linear_transformer(model: Roformer) -> Any:
    return model.layers[0].get_submodule("0")


class Centred(nn.Module):
    """A layer that looks across sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0, keepdim=True) if x.shape[0] > 1 else 0.9 * x


class Mean(nn.Module):
    """A layer that looks across positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=-2, keepdim=True)


class Halved(nn.Module):
    """Attention between features that is another."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
        return v * temperature.mean() / 2


def doubled(module: nn.Module) -> None:
    """Give a module another forward, as wrappers of single modules do."""
    forward = module.forward
    module.forward = lambda *arguments: 2 * forward(*arguments)


def changed(place: str, key: int | str, make: Any) -> Any:
    """A change of a part of a block: its place, and a function from the old part to the new."""

    def change(model: Roformer) -> None:
        parent = model.layers[0].get_submodule(place)
        parent._modules[str(key)] = make(parent._modules[str(key)])

    return change


def patched(place: str) -> Any:
    return lambda model: doubled(model.layers[0].get_submodule(place))


LINEAR, TIME = "0.layers.0.0", "1.layers.0"
CHANGES: dict[str, Any] = {
    "to_out with bias": changed(f"{LINEAR}.to_out", 1, lambda _: nn.Linear(8, 8)),
    "to_qkv with bias": changed(f"{LINEAR}.to_qkv", 0, lambda _: nn.Linear(8, 24)),
    "to_qkv alone": changed(LINEAR, "to_qkv", lambda old: old[0]),
    "to_out longer": lambda model: (
        model.layers[0].get_submodule(f"{LINEAR}.to_out").append(nn.Tanh())
    ),
    "to_out begins otherwise": changed(f"{LINEAR}.to_out", 0, lambda _: nn.GELU()),
    "another attend": changed(LINEAR, "attend", lambda _: Halved()),
    "attend patched": patched(f"{LINEAR}.attend"),
    "linear attention patched": patched(LINEAR),
    "its transformer patched": patched("0"),
    "norm of linear attention": changed(LINEAR, "norm", lambda _: Mean()),
    "norm of a transformer": changed("1", "norm", lambda _: Centred()),
    "norm over the batch": changed(f"{TIME}.1.net", 0, lambda _: Centred()),
    "last layer of a feed-forward": changed(f"{TIME}.1.net", 5, lambda _: Mean()),
    "a feed-forward patched": patched(f"{TIME}.1"),
    "another GELU": changed(f"{TIME}.1.net", 2, lambda _: nn.GELU(approximate="tanh")),
    "a longer feed-forward": lambda model: (
        model.layers[0].get_submodule(f"{TIME}.1.net").append(nn.Linear(8, 8))
    ),
    "a shorter feed-forward": changed(f"{TIME}.1", "net", lambda old: old[:5]),
    "a feed-forward of one layer": changed(f"{TIME}.1", "net", lambda old: nn.Linear(8, 8)),
    "no feed-forward": changed(TIME, 1, lambda _: nn.Identity()),
    "no linear transformer": lambda model: model.layers[0]._modules.update({"0": nn.Identity()}),
    "gains of one number": lambda model: setattr(
        model.layers[0].get_submodule(f"{TIME}.0.norm"), "gamma", nn.Parameter(torch.tensor([2.0]))
    ),
    "no attention": changed(TIME, 0, lambda _: nn.Identity()),
}


@pytest.mark.parametrize("fast_again", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_parts_compute_the_same_with_and_without_gradient(
    change: str, fast_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", 6)
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_VALUES", 64)
    mixture, outputs = noise(1, 2, 400), []
    for make in (plain, faster):
        model = make()
        torch.manual_seed(1)
        CHANGES[change](model)
        if fast_again and make is faster:
            speed_up(model)
        with torch.no_grad():
            outputs.append(model(mixture))
        outputs.append(model(mixture).detach())
    # What a change does is small in some.
    size = (outputs[0] - plain()(mixture).detach()).abs().max().item()
    rounding = 3e-7 * outputs[0].abs().max().item()
    for output in outputs[1:]:
        assert (output - outputs[0]).abs().max().item() < max(1e-2 * size, rounding)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("gradient", [True, False])
def test_forward_mode_finds_the_derivative(trained: bool, gradient: bool) -> None:
    x, direction, found = noise(1, 2, 400), noise(1, 2, 400, seed=1), []
    for make in (plain, faster):
        model = make(flash_attn=False).requires_grad_(trained)
        with torch.set_grad_enabled(gradient):
            _, tangent = torch.func.jvp(model, (x,), (direction,))
        found.append(tangent.detach())
        assert tangent.any()
    assert close(found[1], found[0])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_the_tracer_sees_plain_operations_without_gradient() -> None:
    transformer, x = faster().layers[0].get_submodule("1"), noise(5, 30, 8)
    with torch.no_grad():
        traced = torch.jit.trace(transformer, x, check_trace=False)
        assert torch.allclose(traced(noise(9, 30, 8)), transformer(noise(9, 30, 8)), atol=1e-6)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_weights_may_be_given_and_stacked_without_gradient() -> None:
    model, x = faster(flash_attn=False), noise(1, 2, 400)
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def run(given: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(model, given, (x,))
        return output

    with torch.no_grad():
        expected = model(x)
        assert close(run(weights), expected)
        both = {name: torch.stack([p, p]) for name, p in weights.items()}
        assert close(torch.vmap(run)(both)[1], expected)


def test_half_precision_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = faster().layers[0].get_submodule(f"{TIME}.1"), noise(5, 30, 8)
    dtypes = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for rows in (1_000, 7):
            monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_ROWS", rows)
            dtypes.append(layer(x).dtype)
    assert dtypes == [torch.bfloat16] * 2


def test_a_vector_has_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.RECORDED_FROM", 0)
    layer, x = onednn_linear(33, 20), noise(33).requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, layer.weight.sum(dim=0), atol=1e-6)


@pytest.mark.parametrize("early", [False, True], ids=["comes late", "goes early"])
def test_hooks_may_come_and_go_before_blocks_are_computed_again(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bs_roformer.cpu_speed.PIECE_VALUES", 64)
    model = faster().train()
    model.activation_checkpointing = True
    layer = model.layers[0].get_submodule(f"{TIME}.1.net.1")
    before = layer.register_forward_hook(lambda *_: None) if early else None
    loss = model(noise(1, 2, 900)).square().mean()
    if before is None:
        layer.register_forward_hook(lambda *_: None)
    else:
        before.remove()
    loss.backward()
    assert layer.weight.grad.any()


def test_blocks_are_computed_again_as_often_as_gradients_are() -> None:
    model = faster(flash_attn=False).train()
    model.activation_checkpointing = True
    parameters = [p for p in model.layers.parameters() if p.requires_grad]
    loss = model(noise(1, 2, 400)).square().mean()
    found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    again = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    used = [pair for pair in zip(found, again, strict=True) if pair[0] is not None]
    once, twice = (
        torch.cat([g.detach().flatten() for g in each]) for each in zip(*used, strict=True)
    )
    assert len(used) > 20 and close(once, twice)
    sum(gradient.square().sum() for gradient, _ in used).backward()
