"""What is computed in fewer passes over memory is what the plain text computes, and so is seen."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from moises_light import MoisesLight
from moises_light.fewer_passes import RotatedProjection, unit
from moises_light.folded import convolve, over_bins

SMALL: dict[str, Any] = {
    "architecture": "0.1.5",
    "sources": ["vocals", "rest"],
    **{"n_fft": 256, "hop_size": 64, "win_size": 256, "freq_dim": 128, "n_bands": 4, "G": 8},
    **{"n_enc": 2, "n_dec": 1, "n_split_enc": 1, "n_rope": 1},
    "transformer_params": {
        **{"heads": 2, "dim_head": 8, "ff_mult": 1},
        **{"attn_dropout": 0.0, "proj_dropout": 0.0, "ff_dropout": 0.0},
    },
}


def small_model(**changes: Any) -> MoisesLight:
    """A small seeded network in evaluation mode."""
    torch.manual_seed(0)
    return MoisesLight(**{**SMALL, **changes}).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(model: MoisesLight, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)


def double(*shape: int, seed: int = 0) -> Tensor:
    return noise(*shape, seed=seed).double().requires_grad_()


def watched(model: MoisesLight) -> MoisesLight:
    """The model with hooks, for which every layer is called."""
    for part in model.modules():
        part.register_forward_hook(lambda *_: None)
    return model


def gradients(model: MoisesLight, mixture: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    output = model(mixture)
    output.square().mean().backward()
    return output.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("norm", [1.0, 1e-13])
def test_the_gradient_of_unit_vectors_is_theirs(norm: float) -> None:
    x = (norm * double(3, 5, 8)).detach().requires_grad_()
    expected = nn.functional.normalize(x, dim=-1)
    weight = noise(3, 5, 8, seed=1).double()
    (wanted,) = torch.autograd.grad((expected * weight).sum(), x)
    (found,) = torch.autograd.grad((unit(x) * weight).sum(), x)
    assert torch.allclose(unit(x), expected, rtol=1e-12, atol=0)
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-12 * wanted.abs().max().item())
    assert norm < 1e-12 or torch.autograd.gradcheck(unit, x)
    assert norm < 1e-12 or torch.autograd.gradgradcheck(unit, x)


def test_unit_vectors_are_contiguous_whatever_they_come_from() -> None:
    assert unit(noise(4, 3, 8).transpose(0, 1)).is_contiguous()


def test_the_gradient_of_rotated_projections_is_theirs() -> None:
    angle = double(5, 2).detach()
    rotation = torch.polar(torch.ones_like(angle), angle)
    heads, x, weight = 2, double(3, 5, 6), double(3 * 2 * 4 + 2, 6, seed=1)

    def project(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = RotatedProjection.apply(x, weight, rotation, heads)
        return outputs

    assert [tuple(y.shape) for y in project(x, weight)] == [*3 * [(3, 2, 5, 4)], (3, 5, 2)]
    assert torch.autograd.gradcheck(project, (x, weight))
    assert torch.autograd.gradgradcheck(project, (x, weight))


def written_out() -> dict[str, Any]:
    """Parameters of transformers whose attention has a second gradient, unlike torch's kernel."""
    return {"transformer_params": {**SMALL["transformer_params"], "flash_attn": False}}


def test_gradients_can_be_differentiated_again() -> None:
    """A penalty on the norm of the gradient, as in regularisation."""
    found, mixture = [], noise(2, 2, 3_000).double()
    for change in (lambda model: model, watched):
        model = change(small_model(**written_out()).double())
        parameters = [p for p in model.parameters() if p.requires_grad]
        loss = model(mixture).square().mean()
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        sum(gradient.square().sum() for gradient in gradients).backward()
        found.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, rtol=1e-7, atol=1e-10 * found[1].abs().max().item())


def test_transforms_of_torch_func_find_the_same_gradients() -> None:
    model, mixture = small_model(**written_out()).double(), noise(2, 2, 3_000).double()
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def loss(given: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, given, (mixture,)).square().mean()

    found = torch.func.grad(loss)(parameters)
    _, wanted = gradients(model, mixture)
    largest = max(gradient.abs().max().item() for gradient in wanted.values()) / 2
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-7, atol=1e-10 * largest), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "changes",
    [{}, {"architecture": "0.1.0"}, {"act_name": "SiLU"}, {"norm_name": "LayerNorm", "n_rope": 2}],
    ids=lambda changes: " ".join(map(str, changes.values())) or "plain",
)
def test_outputs_and_gradients_are_those_of_the_plain_text(
    changes: dict[str, Any], training: bool
) -> None:
    mixture = noise(2, 2, 3_000).double()
    models = [small_model(**changes).double().train(training) for _ in range(2)]
    for model in models:
        for parameter in model.parameters():  # 0.1.0 starts attention at zero
            if parameter.requires_grad and not parameter.any():
                nn.init.constant_(parameter, 0.1)
    output, found = gradients(models[0], mixture)
    expected, wanted = gradients(watched(models[1]), mixture)
    assert torch.allclose(output, expected, rtol=0, atol=1e-10 * expected.abs().max().item())
    assert found.keys() == wanted.keys() and len(found) > 50
    largest = max(gradient.abs().max().item() for gradient in wanted.values())
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-7, atol=1e-10 * largest), name


@pytest.mark.parametrize(
    "kind", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"]
)
def test_every_layer_calls_its_hooks_in_training(kind: str) -> None:
    model, called = small_model().train(), set()
    leaves = {name: part for name, part in model.named_modules() if not list(part.children())}
    skipped = ("rotary_embed", "final_norm")  # its frequencies alone are used; see below
    for name, part in leaves.items():

        def hook(*_: Any, name: str = name) -> None:
            called.add(name)

        getattr(part, kind)(hook)
    model(noise(1, 2, 1_500).requires_grad_()).sum().backward()
    missed = {name for name in set(leaves) - called if not name.endswith(skipped)}
    assert missed == set()


def test_layers_that_were_replaced_are_called() -> None:
    class Adapter(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    for name in ("to_qkv", "to_gates", "net.1", "tdf.fc1"):
        model, mixture = small_model(), noise(1, 2, 1_500)
        for path, part in list(model.named_modules()):
            if path.endswith(name):
                part.__class__ = Adapter
        expected = run(watched(model), mixture)
        for part in model.modules():
            part._forward_hooks.clear()
        assert torch.allclose(run(model, mixture), expected, rtol=0, atol=1e-6), name
        assert torch.allclose(model(mixture), expected, rtol=0, atol=1e-6), name


def replaced(name: str, make: Callable[[Any], nn.Module], **changes: Any) -> MoisesLight:
    """A network whose parts of that name are others."""
    model = small_model(**changes)
    for path, part in list(model.named_modules()):
        if path.endswith(name):
            parent, _, last = path.rpartition(".")
            model.get_submodule(parent)._modules[last] = make(part)
    return model.eval()


class Tanh(nn.Module):
    """A layer whose gradient takes its output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).tanh()


class Keeping(nn.Module):
    """A layer that keeps what it made."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        self.kept: Tensor = self.inner(x)
        self.before = self.kept.clone()
        return self.kept


KEEPING = ("tdf", "split2", "to_qkv", "source_head", "final_conv", "net", "to_out", "split2.0.act")


@pytest.mark.parametrize("architecture", ["0.1.0", "0.1.5"])
@pytest.mark.parametrize("name", KEEPING)
def test_what_a_layer_keeps_stays_as_it_is(name: str, architecture: str) -> None:
    model = replaced(name, Keeping, architecture=architecture)
    run(model, noise(1, 2, 1_500))
    layers = [part for part in model.modules() if isinstance(part, Keeping)]
    assert layers and all(torch.equal(layer.kept, layer.before) for layer in layers)


class Centred(nn.Module):
    """A layer that looks across sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


OTHERS: dict[str, tuple[str, Callable[[Any], nn.Module]]] = {
    "no attention": ("layers.0.0", lambda _: nn.Identity()),
    "no feed-forward": ("layers.0.1", lambda _: nn.Identity()),
    "another end": ("to_out.0", Tanh),
    "another feed-forward": ("net", lambda net: Tanh(net[1])),
    "an empty feed-forward": ("net", lambda _: nn.Sequential()),
    "a ReLU at the end": ("net.4", lambda _: nn.ReLU()),
    "a ReLU for a convolution": ("res.conv", lambda _: nn.ReLU()),
    "a look at other sequences": ("_transformer", lambda _: Centred()),
    "one gate for all heads": ("to_gates", lambda old: nn.Linear(old.in_features, 1)),
    "norms without gains": ("bn", lambda old: nn.BatchNorm2d(old.num_features, affine=False)),
    "norms without shifts": ("bn", lambda old: nn.BatchNorm2d(old.num_features, bias=False)),
    "qkv with bias": ("to_qkv", lambda old: nn.Linear(old.in_features, old.out_features)),
    "gates without": ("to_gates", lambda old: nn.Linear(old.in_features, old.out_features, False)),
    "TDF without bias": ("fc1", lambda old: nn.Linear(old.in_features, old.out_features, False)),
    "steps without bias": (
        "_us.0.conv",
        lambda old: nn.ConvTranspose2d(
            old.in_channels, old.out_channels, old.kernel_size, old.stride, bias=False
        ),
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_parts_may_be_others_than_the_model_s(other: str) -> None:
    model, mixture = replaced(*OTHERS[other]), noise(1, 2, 1_500)
    assert repr(model) != repr(small_model())
    output, found = gradients(model, mixture)
    without = run(model, mixture)
    for parameter in model.parameters():
        parameter.grad = None
    expected, wanted = gradients(watched(model), mixture)
    assert torch.allclose(output, expected, rtol=0, atol=1e-6)
    assert torch.allclose(without, expected, rtol=0, atol=1e-6)
    largest = max(gradient.abs().max().item() for gradient in wanted.values())
    assert all(torch.allclose(found[n], wanted[n], rtol=0, atol=1e-3 * largest) for n in wanted)


def everywhere(hook: Callable[..., None]) -> Any:
    return nn.modules.module.register_module_forward_hook(hook)


@pytest.mark.parametrize("of_all", [False, True], ids=["of one layer", "of all"])
@pytest.mark.parametrize("early", [False, True], ids=["comes late", "goes early"])
def test_hooks_may_come_and_go_before_blocks_are_computed_again(early: bool, of_all: bool) -> None:
    model = small_model().train()
    model.activation_checkpointing = True
    layer = model.get_submodule("encoder_blocks.0.tdf.fc1")
    register = everywhere if of_all else layer.register_forward_hook
    before = register(lambda *_: None) if early else None
    loss = model(noise(2, 2, 1_500)).square().mean()
    after = register(lambda *_: None) if before is None else before.remove()
    try:
        loss.backward()
    finally:
        if after is not None:
            after.remove()
    assert layer.weight.grad.any()


def test_layers_before_a_norm_over_channels_may_be_frozen() -> None:
    model = small_model(norm_name="LayerNorm").train()
    model.first_conv.conv.requires_grad_(False)
    model(noise(2, 2, 1_500)).square().mean().backward()
    found = model.first_conv.bn.weight.grad
    model.zero_grad()
    model.first_conv.conv.requires_grad_(True)
    model(noise(2, 2, 1_500)).square().mean().backward()
    assert torch.allclose(found, model.first_conv.bn.weight.grad, rtol=1e-3)


def test_a_block_has_shapes_without_values() -> None:
    part = small_model().bottleneck.rope_blocks[0].to("meta")
    x = torch.empty(2, 3, 5, 24, device="meta")
    assert part(x).shape == x.shape


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_the_tracer_and_forward_mode_see_plain_operations() -> None:
    model, x = small_model(**written_out()), noise(3, 5, 12)
    part = model.bottleneck.rope_blocks[0].time_transformer
    x = noise(3, 5, part.layers[0][0].to_qkv.in_features)
    assert "PythonOp" not in str(torch.jit.trace(part, x, check_trace=False).inlined_graph)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(part(forward_ad.make_dual(x, torch.ones_like(x)))).tangent
    _, expected = torch.func.jvp(part, (x,), (torch.ones_like(x),))
    assert tangent is not None
    assert torch.allclose(tangent, expected, atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(torch.vmap(part)(x[None])[0], part(x), atol=1e-6)


def test_frequencies_that_are_trained_get_their_gradient() -> None:
    model = small_model()
    for name, parameter in model.named_parameters():
        if name.endswith("freqs"):
            parameter.requires_grad_()
    _, found = gradients(model, noise(1, 2, 1_500))
    assert all(found[name].any() for name in found if name.endswith("freqs"))
    assert any(name.endswith("freqs") for name in found)


@pytest.mark.parametrize("frames", [6, 7])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_steps_in_time_are_the_convolutions(kind: Callable[..., Any], frames: int) -> None:
    torch.manual_seed(0)
    conv = kind(3, 5, (1, 2), stride=(1, 2)).double()
    x = noise(2, 3, 4, frames).double().contiguous(memory_format=torch.channels_last)
    assert torch.allclose(convolve(conv, x), conv(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "others",
    [{"output_padding": (0, 1)}, {"padding": (0, 1)}, {"dilation": (1, 3)}, {"groups": 2}],
    ids=str,
)
def test_steps_with_other_arguments_are_called(others: dict[str, Any]) -> None:
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(4, 6, (1, 2), stride=(1, 2), **others)
    x = noise(2, 4, 3, 6).contiguous(memory_format=torch.channels_last)
    assert torch.equal(convolve(conv, x), conv(x))


def test_a_layer_over_bins_is_the_layer() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 4).double()
    x = noise(2, 3, 6, 5).double().contiguous(memory_format=torch.channels_last)
    assert torch.allclose(over_bins(layer, x), layer(x.mT).mT, rtol=0, atol=1e-12)
