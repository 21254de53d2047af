"""The authors' library as the Wiener filter: ``wiener="norbert"``, and the oracle of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from open_unmix.wiener import Piece, Wiener


def norbert_window(pieces: Sequence[Piece], settings: Wiener) -> Tensor:
    """Filter a window by norbert, in complex128 as the 2019 version did.

    Returns:
        (batch, stem, channel, bin, frame) complex.

    Raises:
        ValueError: if norbert is not installed.
    """
    magnitudes = torch.cat([piece[0] for piece in pieces], dim=-1)
    mixture = torch.cat([piece[1] for piece in pieces], dim=-1)
    magnitudes = magnitudes.expand(-1, -1, mixture.shape[1], -1, -1)
    found = [_one(v, x, settings) for v, x in zip(magnitudes, mixture, strict=True)]
    return torch.stack(found).to(mixture.device)


def _one(magnitudes: Tensor, mixture: Tensor, settings: Wiener) -> Tensor:
    """(stem, channel, bin, frame) and (channel, bin, frame) -> (stem, channel, bin, frame)."""
    norbert = _norbert()
    alpha = settings.alpha if settings.softmask else 1.0
    v = magnitudes.permute(3, 2, 1, 0).cpu().numpy() ** alpha
    x = mixture.permute(2, 1, 0).cpu().numpy().astype(np.complex128)  # a copy: it is divided
    if settings.residual == "magnitude":
        v = norbert.residual_model(v, x, alpha)
    y = norbert.wiener(v, x, settings.niter, use_softmask=settings.softmask, eps=settings.eps)
    return torch.from_numpy(np.asarray(y)).permute(3, 2, 1, 0)


def _norbert() -> Any:
    try:
        import norbert
    except ImportError:
        raise ValueError(
            'norbert is not installed: pip install "mss-open-unmix[norbert]", or choose '
            "--wiener torch"
        ) from None
    return norbert
