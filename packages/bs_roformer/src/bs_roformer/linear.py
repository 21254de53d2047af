"""Linear layers that run on oneDNN where that is possible.

Of the two matrix libraries in torch's CPU builds, linear layers get MKL, which on some processors
runs at half the speed of oneDNN. The operator that reaches oneDNN belongs to torch's compiler; it
knows no gradient, so training takes the ordinary path.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": nn.Identity(), "gelu": F.gelu}


class Linear(nn.Linear):
    """A linear layer, optionally with the activation after it in the same pass."""

    def forward(self, x: Tensor, activation: str = "none") -> Tensor:
        """(..., features in) -> (..., features out); activation is a key of `ACTIVATIONS`."""
        if self.runs_on_onednn(x):
            algorithm = "none" if activation == "gelu" else ""  # the exact GELU, not tanh's
            return torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, activation, [], algorithm
            )
        return ACTIVATIONS[activation](super().forward(x))

    def runs_on_onednn(self, x: Tensor) -> bool:
        """Whether nothing but the forward pass in float32 on the CPU is asked for."""
        recorded = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        return bool(
            x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not recorded
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )
