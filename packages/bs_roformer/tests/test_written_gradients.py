"""Gradients that are written out are those of the plain formulas, also a second time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from bs_roformer import BSRoformer, cpu_speed
from bs_roformer.cpu_speed import RecordedAttention, RecordedNorm, speed_up
from bs_roformer.transformer import RMSNorm, Transformer, rms_norm
from bs_roformer.written_gradients import (
    HeadsGradient,
    NormGradient,
    RealSpectrum,
    short_time_spectrum,
)


def values(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def wanted(*shape: int) -> Tensor:
    return values(*shape).requires_grad_()


def network(**changes: Any) -> BSRoformer:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 8, "depth": 1, "heads": 2, "dim_head": 4, "stft_n_fft": 64}
    sizes |= {"stft_hop_length": 16, "stft_win_length": 64, "mlp_expansion_factor": 1}
    sizes |= {"time_transformer_depth": 1, "freq_transformer_depth": 1, "stereo": True}
    sizes |= {"attn_dropout": 0.0, "ff_dropout": 0.0, **changes}
    model = BSRoformer(freqs_per_bands=(4, 4, 8, 17), **sizes)
    speed_up(model)
    return model


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


# ---- one by one


def normed(x: Tensor, gamma: Tensor) -> Tensor:
    found: Tensor = NormGradient.apply(rms_norm, x, gamma)
    return found


def test_norm() -> None:
    given = wanted(3, 4, 6), nn.Parameter(values(6, seed=1))
    assert gradcheck(normed, given)
    assert gradgradcheck(normed, given)


def test_of_silence_the_norm_has_the_gradient_of_the_plain_formula() -> None:
    gradients = []
    for kind in (RMSNorm, RecordedNorm):
        x = torch.tensor([[0.0, 0.0], [1e-13, 2e-13], [3.0, 4.0]], requires_grad=True)
        (kind(2)(x) * torch.tensor([1.0, 5.0])).sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert torch.allclose(*gradients)
    assert gradients[0][1].abs().min() > 1e11  # below the smallest norm it is divided by that


def test_heads() -> None:
    turn = torch.polar(torch.ones(3, 2, dtype=torch.float64), values(3, 2))[:, None, None]
    assert gradcheck(HeadsGradient.apply, (wanted(2, 3, 3, 2, 4), turn))
    assert gradgradcheck(HeadsGradient.apply, (wanted(2, 3, 3, 2, 4), turn))


@pytest.mark.parametrize("samples", [1, 2, 7, 8])
def test_spectrum(samples: int) -> None:
    assert gradcheck(RealSpectrum.apply, (wanted(2, samples),))
    assert gradgradcheck(RealSpectrum.apply, (wanted(2, samples),))


@pytest.mark.parametrize(("n_fft", "size"), [(16, 16), (16, 6), (15, 8)])
def test_short_time_spectrum_is_that_of_torch(n_fft: int, size: int) -> None:
    x, window = wanted(2, 50), torch.hann_window(size, dtype=torch.float64)
    ours = short_time_spectrum(x, n_fft, 4, window)
    theirs = torch.stft(x, n_fft, 4, size, window, return_complex=True).mT
    assert torch.allclose(ours, theirs)
    gradients = [torch.autograd.grad(spec.abs().sum(), x)[0] for spec in (ours, theirs)]
    assert torch.allclose(*gradients)


# ---- in networks


def trained(
    model: BSRoformer, differentiate: Callable[[Tensor, list[Tensor]], Any] | None = None
) -> Tensor:
    """The loss's gradients, in one vector."""
    mixture = 0.1 * values(2, 2, 900).float()
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = model(mixture, target=0.5 * mixture)
    gradients = (differentiate or torch.autograd.grad)(loss, parameters)
    return torch.cat([gradient.flatten() for gradient in gradients])


def test_a_network_in_training_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()
    for kind in (NormGradient, HeadsGradient, RealSpectrum):
        plain = kind.backward

        def count(*given: Any, plain: Any = plain, kind: Any = kind) -> Any:
            used.add(kind.__name__)
            return plain(*given)

        monkeypatch.setattr(kind, "backward", staticmethod(count))
    trained(network())
    assert used == {"NormGradient", "HeadsGradient", "RealSpectrum"}


def test_gradients_can_be_differentiated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A penalty on the norm of the gradient, as in regularisation."""
    monkeypatch.setattr(cpu_speed, "RECORDED_FROM", 0)

    def penalised(loss: Tensor, parameters: list[Tensor]) -> Any:
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        penalty = sum(g.square().sum() for g in gradients)
        return torch.autograd.grad(penalty, parameters, allow_unused=True, materialize_grads=True)

    found = []
    for plain in (False, True):
        model = network(flash_attn=False)  # torch's own kernel has no second gradient
        if plain:
            monkeypatch.setattr(cpu_speed, "differs", lambda: True)
            monkeypatch.setattr("bs_roformer.written_gradients.differs", lambda: True)
        found.append(trained(model, penalised))
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, rtol=1e-3, atol=1e-5 * found[1].abs().max().item())


def test_transforms_of_torch_func_find_the_same_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_speed, "RECORDED_FROM", 0)
    model, mixture = network(flash_attn=False), 0.1 * values(2, 2, 900).float()
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def loss(given: dict[str, Tensor]) -> Tensor:
        options = {"target": 0.5 * mixture}
        found: Tensor = torch.func.functional_call(model, given, (mixture,), options)
        return found

    gradients = torch.func.grad(loss)(parameters)
    found = torch.cat([gradient.flatten() for gradient in gradients.values()])
    expected = trained(model)
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_a_frozen_gain_and_learned_frequencies_are_respected() -> None:
    model = network()
    attention = next(part for part in model.modules() if isinstance(part, RecordedAttention))
    frequencies = attention.get_submodule(attention.positions_key).get_parameter("freqs")
    frequencies.requires_grad_()
    attention.norm.gamma.requires_grad_(False)
    mixture = 0.1 * values(1, 2, 900).float()
    model(mixture, target=0.5 * mixture).backward()
    assert attention.norm.gamma.grad is None
    assert frequencies.grad is not None and frequencies.grad.abs().max() > 0


def test_hooks_of_what_is_differentiated_again_run_once() -> None:
    norm = RecordedNorm(4)
    norm.gamma.register_hook(lambda gradient: 2 * gradient)
    loss = norm(values(3, 4).float()).square().sum()
    (found,) = torch.autograd.grad(loss, norm.gamma, create_graph=True)
    expected = 2 * 2 * rms_norm(values(3, 4).float(), torch.ones(4)).square().sum(dim=0)
    assert torch.allclose(found, expected)


def test_gains_that_stand_in_for_the_norm_s_own_get_the_gradient() -> None:
    """As fast weights of meta-learning do."""
    norm, x = RecordedNorm(4), values(3, 4).float().requires_grad_()
    fast = torch.full((4,), 3.0, requires_grad=True)
    y = torch.func.functional_call(norm, {"gamma": fast}, x)
    found = torch.autograd.grad(y.square().sum(), (x, fast), create_graph=True)
    expected = torch.autograd.grad(rms_norm(x, fast).square().sum(), (x, fast))
    assert all(map(close, found, expected))


def test_vectors_without_a_batch_and_batches_without_items() -> None:
    norm, x = RecordedNorm(4), values(4).float().requires_grad_()
    norm(x).square().sum().backward()
    assert norm.gamma.grad is not None and norm.gamma.grad.shape == (4,)
    block = network().layers[0]
    assert block(torch.zeros(0, 5, 4, 8)).shape == (0, 5, 4, 8)


def test_gradients_that_do_not_lie_in_pairs_are_copied() -> None:
    turn = torch.polar(torch.ones(3, 2), values(3, 2).float())[:, None, None]
    qkv = values(2, 3, 3, 2, 4).float().requires_grad_()
    found = HeadsGradient.apply(qkv, turn)[0]
    torch.cat([found, torch.ones(2, 3, 2, 1)], dim=-1).square().sum().backward()
    assert qkv.grad is not None
    assert close(qkv.grad[:, :, 0], 2 * qkv.detach()[:, :, 0])


def attention() -> Any:
    model = network(flash_attn=False)
    return next(part for part in model.modules() if isinstance(part, RecordedAttention))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_forward_mode() -> None:
    part, x, direction = attention(), values(2, 3, 8).float(), values(2, 3, 8, seed=1).float()
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(part(forward_ad.make_dual(x, direction))).tangent
    _, expected = torch.func.jvp(part, (x,), (direction,))
    assert found is not None
    assert close(found.detach(), expected.detach())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_the_compiler_and_the_tracer_see_plain_operations() -> None:
    model, mixture = network(), 0.1 * values(1, 2, 900).float()
    torch.compiler.reset()
    block, x = model.layers[0], values(1, 5, 4, 8).float()
    compiled = torch.compile(block, backend="eager", fullgraph=True)
    assert close(compiled(x).detach(), block(x).detach())
    error = mixture[0]
    traced = torch.jit.trace(lambda e: model.spec_error(e, 64), error, check_trace=False)
    assert "RealSpectrum" not in str(traced.graph)


def test_a_window_of_another_length_is_refused() -> None:
    model = network(multi_stft_window_fn=lambda _, device=None: torch.ones(20))
    with pytest.raises(ValueError, match="multi_stft_window_fn made 20 samples"):
        model.spec_error(torch.zeros(1, 900), 64)


# ---- in pieces


def calls(model: BSRoformer, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often transformers are called in one forward pass with gradient."""
    counted = []
    plain = Transformer.forward
    with monkeypatch.context() as patch:
        patch.setattr(Transformer, "forward", lambda self, x: counted.append(1) or plain(self, x))
        model(0.1 * values(2, 2, 900).float())
    return len(counted)


def test_with_gradient_a_few_sequences_go_through_a_transformer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network()
    whole, gradient = calls(model, monkeypatch), trained(model)
    monkeypatch.setattr(cpu_speed, "PIECE_VALUES", 60 * 8)  # about one sequence of frames
    assert whole == 2
    assert calls(model, monkeypatch) > 10
    pieces = trained(model)
    assert torch.allclose(pieces, gradient, rtol=0, atol=1e-5 * gradient.abs().max().item())


def test_what_is_dropped_or_watched_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_speed, "PIECE_VALUES", 1)
    dropping = network(ff_dropout=0.5)
    assert calls(dropping.train(), monkeypatch) == 2
    assert calls(dropping.eval(), monkeypatch) > 2
    free = calls(network(), monkeypatch)
    for kind in ("forward", "forward_pre", "full_backward", "full_backward_pre"):
        watched = network()
        transformer = watched.layers[0].get_submodule("1")
        getattr(transformer, f"register_{kind}_hook")(lambda *_: None)
        assert 2 < calls(watched, monkeypatch) < free, kind


def test_parts_that_may_look_at_other_sequences_get_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_speed, "PIECE_VALUES", 1)
    free, model = calls(network(), monkeypatch), network()
    model.layers[0].get_submodule("1").add_module("norm", nn.Hardtanh())
    assert 2 < calls(model, monkeypatch) < free
