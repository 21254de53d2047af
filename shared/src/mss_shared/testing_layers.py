"""What a package promises of its models' layers: gradients reach them, and they are called."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.paper import AnyPaper

_SAMPLES = 20_011
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.BatchNorm1d,
           nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.LSTM)  # fmt: skip


def check_gradients(paper: AnyPaper, recipe: Any) -> None:
    """Every trainable parameter gets a nonzero gradient."""
    model = paper.build_model(recipe).train()
    samples = round(recipe.data.chunk_seconds * model.sample_rate)
    model(torch.randn(2, model.channels, samples)).square().mean().backward()
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    assert named
    dead = [name for name, p in named if p.grad is None or not p.grad.any()]
    assert not dead, f"no gradient reaches {dead}"


def check_layers_called(paper: AnyPaper, recipe: Any) -> None:
    """Without gradients, hooks and layers of other classes act as they do with them.

    Every layer with weights is called where it has a hook, as often either way.
    """
    torch.manual_seed(0)
    model = paper.build_model(recipe).eval()
    mixture = 0.1 * torch.randn(1, model.channels, _SAMPLES)
    calls: Counter[str] = Counter()
    hooks = [
        part.register_forward_hook(lambda *_, name=name: calls.update([name]))
        for name, part in model.named_modules()
    ]
    model(mixture)
    with_gradients = dict(calls)
    layers = {name: part for name, part in model.named_modules() if isinstance(part, _LAYERS)}
    left = sorted(layers.keys() - with_gradients.keys())
    assert not left, f"hooks of {left} are never called"
    calls.clear()
    with torch.inference_mode():
        plain = model(mixture)
    fewer = sorted(n for n, count in with_gradients.items() if calls[n] != count)
    assert not fewer, f"without gradients, hooks of {fewer} are called another number of times"
    for hook in hooks:
        hook.remove()
    for part in layers.values():
        if not isinstance(part, nn.LSTM):
            _make_louder(part)
    with torch.inference_mode():
        found = model(mixture)
    expected = model(mixture).detach()
    assert not torch.equal(found, plain)
    apart = float((found - expected).abs().max() / expected.abs().max())
    assert apart < 1e-3, f"layers of other classes are passed over: outputs differ by {apart:.0e}"


def _make_louder(layer: nn.Module) -> None:
    """Give a layer a class of its own, as adapters do, whose output is louder by a tenth."""
    kind: Any = type(layer)

    def forward(self: Any, x: Tensor) -> Tensor:
        louder: Tensor = 1.1 * kind.forward(self, x)
        return louder

    layer.__class__ = type("Louder", (kind,), {"forward": forward})
