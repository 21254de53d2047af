"""The Wiener filter of norbert, the authors' library: ``wiener="norbert"``.

Slower than wiener.py, and the reference it is tested against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from open_unmix.wiener import Piece, Wiener


def norbert_window(pieces: Sequence[Piece], settings: Wiener) -> Tensor:
    """Filter a window with norbert, in complex128 as version 1.0.0 of the authors' code does.

    Args:
        pieces: magnitudes (batch, stem, channel, bin, frame) and mixture (batch, channel, bin,
            frame) complex, in order; they are concatenated, since norbert has no other interface.
        settings: of the filter.

    Returns:
        (batch, stem, channel, bin, frame) complex.

    Raises:
        ValueError: if norbert is not installed.
    """
    magnitudes = torch.cat([piece[0] for piece in pieces], dim=-1)
    mixture = torch.cat([piece[1] for piece in pieces], dim=-1)
    magnitudes = magnitudes.expand(-1, -1, mixture.shape[1], -1, -1)
    estimates = [_filter_item(v, x, settings) for v, x in zip(magnitudes, mixture, strict=True)]
    return torch.stack(estimates).to(mixture.device)


def _filter_item(magnitudes: Tensor, mixture: Tensor, settings: Wiener) -> Tensor:
    """(stem, channel, bin, frame) and (channel, bin, frame) -> (stem, channel, bin, frame)."""
    norbert = _import_norbert()
    alpha = settings.alpha if settings.softmask else 1.0
    v = magnitudes.permute(3, 2, 1, 0).cpu().numpy() ** alpha
    x = (
        mixture.permute(2, 1, 0).cpu().numpy().astype(np.complex128)
    )  # a copy: norbert scales it in place
    if settings.residual == "magnitude":
        v = norbert.residual_model(v, x, alpha)
    y = norbert.wiener(v, x, settings.niter, use_softmask=settings.softmask, eps=settings.eps)
    return torch.from_numpy(np.asarray(y)).permute(3, 2, 1, 0)


def _import_norbert() -> Any:
    """The norbert module, or ValueError that says how to install it."""
    try:
        import norbert
    except ImportError:
        raise ValueError(
            'norbert is not installed: pip install "mss-open-unmix[norbert]", or choose '
            "--wiener torch"
        ) from None
    return norbert
