"""Gradients that are written out are those of the plain formulas, also a second time."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from tflocoformer_mss import blocks, written_gradients
from tflocoformer_mss.blocks import (
    Attention,
    Block,
    ConvSwiGLU,
    RMSGroupNorm,
    rms_group_norm,
    swiglu,
    swiglu_formula,
)
from tflocoformer_mss.config import FFNConfig
from tflocoformer_mss.model import BSLocoformerSeparator
from tflocoformer_mss.written_gradients import GroupNormGradient, HeadsGradient, SwiGLUGradient

GRADIENTS = (GroupNormGradient, SwiGLUGradient, HeadsGradient)


def values(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def wanted(*shape: int) -> Tensor:
    return values(*shape).requires_grad_()


def network() -> BSLocoformerSeparator:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_spk": 2, "emb_dim": 8, "attention_dim": 8, "n_heads": 2}
    sizes |= {"num_groups": 2, "stereo": True, "conv1d_kernel": 3, "ffn_hidden_dim": [8, 8]}
    return BSLocoformerSeparator(n_layers=1, ffn_type=["swiglu_conv1d"] * 2, **sizes)


def trained_blocks(differentiate: Any = torch.autograd.grad) -> Tensor:
    """Gradients of the blocks of a network and of their input, in one vector."""
    block = next(part for part in network().modules() if isinstance(part, Block))
    parts = list(block.parameters())
    x = values(2, 7, 6, 8).float().requires_grad_()
    gradients = differentiate(block(x).square().sum(), [x, *parts])
    return torch.cat([gradient.flatten() for gradient in gradients])


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


# ---- one by one


def test_norm() -> None:
    def plain(x: Tensor, gamma: Tensor, groups: int, eps: float) -> Tensor:
        parts = x.unflatten(-1, (groups, -1))
        return (parts / (parts.square().mean(-1, keepdim=True).sqrt() + eps)).flatten(-2) * gamma

    def normed(x: Tensor, gamma: Tensor) -> Tensor:
        y: Tensor = GroupNormGradient.apply(plain, x, gamma, 2, 0.01)
        return y

    given = wanted(3, 4, 6), nn.Parameter(values(6, seed=1))
    assert gradcheck(normed, given)
    assert gradgradcheck(normed, given)


def test_of_silence_the_norm_has_the_gradient_of_the_plain_formula() -> None:
    norm, gradients = RMSGroupNorm(2, 4, 1e-5), []
    for formula in (norm, lambda x: rms_group_norm(x, norm.gamma, 2, 1e-5)):
        x = torch.tensor([[0.0, 0.0, 1.0, 2.0], [0.0] * 4], requires_grad=True)
        (formula(x) * torch.tensor([1.0, 5.0, 2.0, 3.0])).sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert torch.allclose(*gradients)
    assert gradients[0][1].abs().min() > 1e4


@pytest.mark.parametrize("size", [1e18, 1e20, 1e30])
def test_of_what_has_no_finite_square_the_norm_has_a_finite_gradient(size: float) -> None:
    norm, x = RMSGroupNorm(2, 8, 1e-5), (size * values(3, 8)).float().requires_grad_()
    norm(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("together", [4, 2**17])
def test_swiglu(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_gradients, "CACHED_VALUES", together)

    def gated(both: Tensor) -> Tensor:
        y: Tensor = SwiGLUGradient.apply(swiglu_formula, both)
        return y

    assert torch.allclose(gated(values(3, 5, 6)), swiglu_formula(values(3, 5, 6)))
    assert gradcheck(gated, (wanted(3, 5, 6),))
    assert gradgradcheck(gated, (wanted(3, 5, 6),))


def test_heads() -> None:
    rotation = torch.polar(torch.ones(3, 2, dtype=torch.float64), values(3, 2))
    assert gradcheck(HeadsGradient.apply, (wanted(2, 3, 3, 2, 4), rotation))
    assert gradgradcheck(HeadsGradient.apply, (wanted(2, 3, 3, 2, 4), rotation))


def test_gradients_that_do_not_lie_in_pairs_are_copied() -> None:
    rotation = torch.polar(torch.ones(3, 2), values(3, 2).float())
    qkv = values(2, 3, 3, 2, 4).float().requires_grad_()
    found = HeadsGradient.apply(qkv, rotation)[0]
    torch.cat([found, torch.ones(2, 3, 2, 1)], dim=-1).square().sum().backward()
    assert qkv.grad is not None
    assert close(qkv.grad[:, :, 0], 2 * qkv.detach()[:, :, 0])


@pytest.mark.parametrize("shift", [1, 2])
@pytest.mark.parametrize("length", [6, 7])
def test_convolutions_of_padded_sequences(shift: int, length: int) -> None:
    """Whether torch's own layer pads the sequence or the convolution does."""
    torch.manual_seed(0)
    layer = ConvSwiGLU(4, FFNConfig(kind="swiglu_conv1d", hidden=6, kernel=4, shift=shift), 0.0)
    x = values(3, length, 4).float()
    found = layer(x)
    layer.conv1d.register_forward_hook(lambda *_: None)
    assert found.shape == x.shape
    assert close(found, layer(x))


def test_backward_hooks_of_convolutions_are_called() -> None:
    layer, called = ConvSwiGLU(4, FFNConfig("swiglu_conv1d", 6, 4, 1), 0.0), []
    for part in (layer.conv1d, layer.deconv1d):
        part.register_full_backward_hook(lambda module, *_: called.append(module))
    layer(values(3, 7, 4).float().requires_grad_()).sum().backward()
    assert called == [layer.deconv1d, layer.conv1d]


# ---- in blocks


def test_blocks_in_training_use_them_and_find_the_plain_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = set()
    for kind in GRADIENTS:
        plain = kind.backward

        def count(*given: Any, plain: Any = plain, kind: Any = kind) -> Any:
            used.add(kind)
            return plain(*given)

        monkeypatch.setattr(kind, "backward", staticmethod(count))
    ours = trained_blocks()
    assert used == {*GRADIENTS}
    used.clear()
    monkeypatch.setattr(blocks, "worth_it", lambda _: False)
    assert close(ours, trained_blocks())
    assert not used


def test_gradients_can_be_differentiated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A penalty on the norm of the gradient, as in regularisation."""

    def attend(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        """Attention written out, as torch's own kernel has no second gradient."""
        return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1) @ v

    def penalised(loss: Tensor, inputs: list[Tensor]) -> Any:
        gradients = torch.autograd.grad(loss, inputs, create_graph=True)
        penalty = sum(g.square().sum() for g in gradients)
        return torch.autograd.grad(penalty, inputs)

    monkeypatch.setattr(blocks.F, "scaled_dot_product_attention", attend)
    ours = trained_blocks(penalised)
    monkeypatch.setattr(blocks, "worth_it", lambda _: False)
    assert ours.abs().max() > 0
    assert close(ours, trained_blocks(penalised))


def test_transforms_of_torch_func_find_the_same_gradients() -> None:
    part = next(part for part in network().modules() if isinstance(part, Attention))
    feed_forward = next(part for part in network().modules() if isinstance(part, ConvSwiGLU))
    norm, x = RMSGroupNorm(2, 8, 1e-5), values(2, 7, 8).float()

    def loss(x: Tensor) -> Tensor:
        hidden: Tensor = feed_forward(norm(x))
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return part(hidden).square().sum()  # type: ignore[no-any-return]

    found = torch.func.grad(loss)(x)
    x.requires_grad_()
    assert close(found, torch.autograd.grad(loss(x), x)[0])


def test_hooks_of_what_is_differentiated_again_run_once() -> None:
    norm, x = RMSGroupNorm(2, 4, 1e-5), values(3, 4).float()
    norm.gamma.register_hook(lambda gradient: 2 * gradient)
    (found,) = torch.autograd.grad(norm(x).square().sum(), norm.gamma, create_graph=True)
    expected = 4 * rms_group_norm(x, torch.ones(4), 2, 1e-5).square().sum(dim=0)
    assert torch.allclose(found, expected)


def test_gains_that_stand_in_for_the_norm_s_own_get_the_gradient() -> None:
    """As fast weights of meta-learning do."""
    norm, x = RMSGroupNorm(2, 4, 1e-5), values(3, 4).float().requires_grad_()
    fast = torch.full((4,), 3.0, requires_grad=True)
    y = torch.func.functional_call(norm, {"gamma": fast}, x)
    found = torch.autograd.grad(y.square().sum(), (x, fast), create_graph=True)
    plain = rms_group_norm(x, fast, 2, 1e-5)
    assert all(map(close, found, torch.autograd.grad(plain.square().sum(), (x, fast))))


def test_frequencies_that_are_trained_get_their_gradient() -> None:
    part = next(part for part in network().modules() if isinstance(part, Attention))
    assert part.rope is not None
    part.rope.freqs.requires_grad_()
    part(values(2, 7, 8).float()).square().sum().backward()
    assert part.rope.freqs.grad is not None and part.rope.freqs.grad.any()


def test_outputs_may_be_changed_in_place_and_have_any_shape() -> None:
    norm, x = RMSGroupNorm(2, 4, 1e-5), values(4).float().requires_grad_()
    norm(x).mul_(2).sum().backward()
    swiglu(x).mul_(2).sum().backward()
    assert x.grad is not None and x.grad.shape == (4,)


def path() -> Any:
    block = next(part for part in network().modules() if isinstance(part, Block))
    return block.frame_path


@pytest.fixture
def kernel_without_limits() -> Iterator[None]:
    """Attention of plain operations: torch's fused kernel has neither forward mode nor batches."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


@pytest.mark.usefixtures("kernel_without_limits")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_forward_mode() -> None:
    x, direction = values(2, 5, 8).float(), values(2, 5, 8, seed=1).float()
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(path()(forward_ad.make_dual(x, direction))).tangent
    _, expected = torch.func.jvp(path(), (x,), (direction,))
    assert found is not None
    assert close(found.detach(), expected.detach())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_the_compiler_and_the_tracer_see_plain_operations() -> None:
    part, x = path(), values(2, 5, 8).float()
    torch.compiler.reset()
    compiled = torch.compile(part, backend="eager", fullgraph=True)
    assert close(compiled(x).detach(), part(x).detach())
    graph = str(torch.jit.trace(part, x, check_trace=False).inlined_graph)
    assert "aten::silu" in graph and "PythonOp" not in graph
