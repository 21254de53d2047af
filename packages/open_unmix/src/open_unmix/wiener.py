"""Multichannel Wiener filter by expectation maximisation, as fast as the memory it touches allows.

A window of frames is what statistics are estimated over. It is read as pieces, short runs of
frames, once per iteration, so that a window may be a whole song. The algorithm is the authors'
(norbert and its torch version): an estimate has the magnitude of its network and the phase of the
mixture; spatial covariances R_j(bin) come from the estimates, and every frame is filtered by
v_j R_j (sum_j v_j R_j)^-1. Real and imaginary parts are kept apart, which a CPU likes better.

Axis letters: b batch, s stem, c d channel, f bin, t frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

EPS = 1e-10  # of the authors' torch version; norbert takes the machine epsilon of float64
NORBERT_EPS = torch.finfo(torch.float64).eps
SCALE = 10.0  # above this largest magnitude the mixture counts as scaled down to it

Piece = tuple[Tensor, Tensor]  # magnitudes (b s c f t) and complex mixture (b c f t)
Pieces = Callable[[], Iterable[Piece]]
Planes = tuple[Tensor, Tensor]  # real and imaginary part


@dataclass(frozen=True)
class Wiener:
    """How estimates are filtered.

    Attributes:
        niter: iterations; 0 leaves the first estimates as they are.
        softmask: first estimates share the mixture out by ratio, instead of taking magnitudes as
            they come.
        alpha: exponent of the magnitudes in that ratio; unused without softmask.
        residual: add what the estimates leave of the mixture as one more stem: None, ``signal``
            (mixture minus estimates) or ``magnitude`` (the 2019 version: magnitudes are first
            scaled per channel and bin to fit the mixture's).
        eps: kept away from divisions by zero.
    """

    niter: int = 1
    softmask: bool = False
    alpha: float = 1.0
    residual: str | None = None
    eps: float = EPS


def wiener(magnitudes: Tensor, mixture: Tensor, settings: Wiener) -> Tensor:
    """Filter one window.

    Args:
        magnitudes: (batch, stem, channel, bin, frame) real; one channel serves all of the mixture.
        mixture: (batch, channel, bin, frame) complex; not changed.
        settings: iterations and the rest.

    Returns:
        (batch, stem, channel, bin, frame) complex, a residual as the last stem.

    Raises:
        ValueError: for one stem and niter above 0: a filter needs something to leave out.
    """
    return next(filter_window(lambda: [(magnitudes, mixture)], settings))


def filter_window(pieces: Pieces, settings: Wiener) -> Iterator[Tensor]:
    """Filter a window that is read piece by piece.

    Args:
        pieces: gives the window's pieces anew at every call; a list of them is called for once.
        settings: iterations and the rest.

    Yields:
        (batch, stem, channel, bin, frame) complex for each piece.
    """
    begin = _beginning(pieces, settings)
    found = pieces()
    kept = [begin(*piece) for piece in found] if isinstance(found, list) else None

    def states() -> Iterable[State]:
        return (begin(*piece) for piece in pieces()) if kept is None else kept

    models: list[Spatial] = []
    for _ in range(settings.niter):
        models.append(_fit((_advance(s, models) for s in states()), models, settings.eps))
    for state in states():
        yield torch.complex(*_advance(state, models).planes())


class State(Protocol):
    """Estimates of a piece, and the second moments that the filter is fitted to."""

    mixture: Tensor
    level: Tensor  # magnitudes of the mixture

    def planes(self) -> Planes:
        """(b s c f t) twice."""

    def power(self) -> Tensor:
        """Squared magnitudes (b s c f t)."""

    def cross(self, c: int, d: int) -> Planes:
        """Estimate of channel c times the conjugate of channel d's, (b s f t) twice."""


class FirstEstimates:
    """Magnitudes with the mixture's phase: most of the arithmetic stays real.

    Where the mixture is exactly zero its phase is zero, as a true arctangent has it.
    """

    def __init__(self, amplitudes: Tensor, mixture: Tensor, level: Tensor) -> None:
        self.amplitudes, self.mixture, self.level = amplitudes, mixture, level
        silent = level == 0
        level = torch.where(silent, 1.0, level)
        self.phase = (torch.where(silent, 1.0, mixture.real / level), mixture.imag / level)

    def planes(self) -> Planes:
        """(b s c f t) twice."""
        real, imaginary = self.phase
        return self.amplitudes * real[:, None], self.amplitudes * imaginary[:, None]

    def power(self) -> Tensor:
        """(b s c f t)."""
        return self.amplitudes.square()

    def cross(self, c: int, d: int) -> Planes:
        """(b s f t) twice."""
        real, imaginary = self.phase
        product = self.amplitudes[:, :, c] * self.amplitudes[:, :, d]
        turn = real[:, c] * real[:, d] + imaginary[:, c] * imaginary[:, d]
        twist = imaginary[:, c] * real[:, d] - real[:, c] * imaginary[:, d]
        return product * turn[:, None], product * twist[:, None]


class FilteredEstimates:
    """What an iteration made of the mixture."""

    def __init__(self, real: Tensor, imaginary: Tensor, before: State) -> None:
        self.real, self.imaginary = real, imaginary
        self.mixture, self.level = before.mixture, before.level

    def planes(self) -> Planes:
        """(b s c f t) twice."""
        return self.real, self.imaginary

    def power(self) -> Tensor:
        """(b s c f t)."""
        return self.real.square() + self.imaginary.square()

    def cross(self, c: int, d: int) -> Planes:
        """(b s f t) twice."""
        a, b = self.real[:, :, c], self.imaginary[:, :, c]
        e, f = self.real[:, :, d], self.imaginary[:, :, d]
        return a * e + b * f, b * e - a * f


@dataclass(frozen=True)
class Spatial:
    """Covariances R_j of one iteration.

    Attributes:
        real, imaginary: (batch, stem, channel, channel, bin).
        floor: (batch, 1, 1) what the mixture's covariance gets on its diagonal.
        scale: (batch,) of the window, squared.
    """

    real: Tensor
    imaginary: Tensor
    floor: Tensor
    scale: Tensor


def _beginning(pieces: Pieces, settings: Wiener) -> Callable[[Tensor, Tensor], State]:
    """What makes a piece's first estimates; the 2019 residual needs a look at all pieces first."""
    gain = _residual_gain(pieces(), settings) if settings.residual == "magnitude" else None

    def begin(magnitudes: Tensor, mixture: Tensor) -> State:
        magnitudes = _raised(magnitudes, settings)
        level = mixture.abs()
        if gain is not None:
            magnitudes = add_residual(magnitudes, level, gain, settings)
        if settings.niter and magnitudes.shape[1] + (settings.residual == "signal") < 2:
            raise ValueError(
                f"one stem and niter={settings.niter}: a Wiener filter needs a second stem, set "
                f"niter=0, or residual"
            )
        if settings.softmask:
            magnitudes = level[:, None] * (
                magnitudes / (settings.eps + magnitudes.sum(dim=1, keepdim=True))
            )
        if settings.residual == "signal":
            rest = level - magnitudes.sum(dim=1)
            whole = magnitudes.expand(-1, -1, mixture.shape[1], -1, -1)
            magnitudes = torch.cat([whole, rest[:, None]], dim=1)
        whole = magnitudes.expand(-1, -1, mixture.shape[1], -1, -1)
        return FirstEstimates(whole, mixture, level)

    return begin


def _raised(values: Tensor, settings: Wiener) -> Tensor:
    """To the power of alpha, which only ratios know."""
    return values**settings.alpha if settings.softmask and settings.alpha != 1.0 else values


def _advance(state: State, models: list[Spatial]) -> State:
    """Filter a piece's first estimates by the models of all iterations so far, in turn."""
    for model in models:
        state = _filter(state, model)
    return state


def _fit(states: Iterable[State], earlier: list[Spatial], eps: float) -> Spatial:
    """Spatial covariances of a window: sums over its frames.

    Dividing mixture and estimates by a number, as the authors do before they iterate, is the same
    as multiplying both constants by its square; so nothing is divided here.
    """
    sums: list[Tensor] = []
    peak: Tensor | None = None
    for state in states:
        found = _moments(state)
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        if not earlier:
            highest = state.level.amax(dim=(1, 2, 3))
            peak = highest if peak is None else torch.maximum(peak, highest)
    real, imaginary = sums
    scale = earlier[0].scale if peak is None else (peak / SCALE).clamp(min=1.0).square()
    channels = real.shape[2]
    volume = torch.diagonal(real, dim1=2, dim2=3).sum(dim=-1) / channels  # (b s f)
    weight = 1.0 / (eps * scale[:, None, None] + volume)[:, :, None, None]
    floor = (math.sqrt(eps) * scale)[:, None, None]
    return Spatial(real * weight, imaginary * weight, floor, scale)


def _moments(state: State) -> list[Tensor]:
    """Sums over frames of y y^H: real and imaginary part, each (b s c d f)."""
    power = state.power().sum(dim=-1)  # (b s c f)
    real = torch.diag_embed(power.transpose(2, 3)).permute(0, 1, 3, 4, 2).contiguous()
    imaginary = torch.zeros_like(real)
    channels = real.shape[2]
    for c in range(channels):
        for d in range(c + 1, channels):
            turn, twist = (part.sum(dim=-1) for part in state.cross(c, d))
            real[:, :, c, d] = real[:, :, d, c] = turn
            imaginary[:, :, c, d], imaginary[:, :, d, c] = twist, -twist
    return [real, imaginary]


def _filter(state: State, model: Spatial) -> State:
    """y_j = v_j R_j C^-1 x, where C is the floor plus the sum of all v_j R_j."""
    volume = state.power().mean(dim=2)  # (b s f t)
    white = _whiten(volume, model, state.mixture)
    channels = state.mixture.shape[1]
    stems = []
    for s in range(volume.shape[1]):
        real, imaginary = model.real[:, s, ..., None], model.imaginary[:, s, ..., None]
        parts = [_row(real[:, c], imaginary[:, c], white) for c in range(channels)]
        stems.append([_stack(plane) * volume[:, s, None] for plane in zip(*parts, strict=True)])
    real, imaginary = (_stack(plane) for plane in zip(*stems, strict=True))
    return FilteredEstimates(real, imaginary, state)


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Stacked along a new axis 1, with the bins of a frame beside each other in memory."""
    return torch.stack([part.transpose(-1, -2) for part in parts], dim=1).transpose(-1, -2)


def _row(real: Tensor, imaginary: Tensor, white: Planes) -> Planes:
    """One row of R_j (b d f 1) times the whitened mixture (b d f t): (b f t) twice."""
    u, w = white
    up, over = real[:, 0] * u[:, 0], real[:, 0] * w[:, 0]
    for d in range(real.shape[1]):
        if d:
            up = torch.addcmul(up, real[:, d], u[:, d])
            over = torch.addcmul(over, real[:, d], w[:, d])
        up = torch.addcmul(up, imaginary[:, d], w[:, d], value=-1)
        over = torch.addcmul(over, imaginary[:, d], u[:, d])
    return up, over


def _whiten(volume: Tensor, model: Spatial, mixture: Tensor) -> Planes:
    """C^-1 x, (b c f t) twice: in closed form for one and two channels."""
    channels = mixture.shape[1]
    if channels > 2:
        return _solve(volume, model, mixture)
    level = _mix(volume, model.real[:, :, 0, 0])
    if channels == 1:
        level = (level + model.floor)[:, None]
        return mixture.real / level, mixture.imag / level
    other = _mix(volume, model.real[:, :, 1, 1])
    turn, twist = _mix(volume, model.real[:, :, 0, 1]), _mix(volume, model.imaginary[:, :, 0, 1])
    return _eliminate(level, other, (turn, twist), model.floor, mixture)


def _eliminate(level: Tensor, other: Tensor, cross: Planes, floor: Tensor, x: Tensor) -> Planes:
    """(floor I + [[level, cross], [cross*, other]])^-1 x by Gaussian elimination.

    Of two equal channels the sum is singular and the floor below its rounding. An adjugate over
    the determinant then divides by zero; here both pivots stay at least as large as the floor.
    """
    turn, twist = cross
    lost = (level * other - turn.square() - twist.square()).clamp(min=0.0)
    first = 1.0 / (level + floor)
    second = 1.0 / (floor + (lost + floor * other) * first)
    turn, twist = turn * first, twist * first
    (u, v), (w, z) = x.real.unbind(1), x.imag.unbind(1)
    v = (v - turn * u - twist * w) * second
    z = (z - turn * w + twist * u) * second
    u = u * first - turn * v + twist * z
    w = w * first - turn * z - twist * v
    return _stack([u, v]), _stack([w, z])


def _mix(volume: Tensor, weights: Tensor) -> Tensor:
    """The sum over stems of (b s f t) times (b s f): (b f t)."""
    total = volume[:, 0] * weights[:, 0, :, None]
    for s in range(1, volume.shape[1]):
        total = torch.addcmul(total, volume[:, s], weights[:, s, :, None])
    return total


def _solve(volume: Tensor, model: Spatial, mixture: Tensor) -> Planes:
    """C^-1 x for any number of channels, by factorising every bin of every frame."""
    covariance = torch.einsum("bsft,bscdf->bftcd", volume.to(mixture.dtype), _complex(model))
    floor = model.floor[..., None, None] * torch.eye(mixture.shape[1], device=mixture.device)
    white = torch.linalg.solve(covariance + floor, mixture.permute(0, 2, 3, 1))
    return white.real.permute(0, 3, 1, 2), white.imag.permute(0, 3, 1, 2)


def _complex(model: Spatial) -> Tensor:
    return torch.complex(model.real, model.imaginary)


def _residual_gain(pieces: Iterable[Piece], settings: Wiener) -> Tensor:
    """How much the magnitudes must be scaled to fit the mixture's best, (b c f)."""
    above: Tensor | float = 0.0
    below: Tensor | float = 0.0
    eps = 0.0
    for magnitudes, mixture in pieces:
        magnitudes = _raised(magnitudes, settings)
        whole, level, eps = _whole_and_level(magnitudes, mixture.abs(), settings)
        above = above + (level * whole).sum(dim=-1)
        below = below + whole.square().sum(dim=-1)
    assert isinstance(above, Tensor)
    return above / (eps + below)


def add_residual(magnitudes: Tensor, level: Tensor, gain: Tensor, settings: Wiener) -> Tensor:
    """The 2019 residual: magnitudes scaled by ``gain``, and what the mixture has left as a stem.

    What is left is taken from the magnitudes before they are scaled, as the library did it.
    """
    whole, level, _ = _whole_and_level(magnitudes, level, settings)
    rest = (level - whole).clamp(min=0.0)
    return torch.cat([magnitudes * gain[:, None, ..., None], rest[:, None]], dim=1)


def _whole_and_level(
    magnitudes: Tensor, level: Tensor, settings: Wiener
) -> tuple[Tensor, Tensor, float]:
    """The stems' sum, the mixture's magnitude to the power of the stems', and the epsilon."""
    eps = torch.finfo(magnitudes.dtype).eps
    return magnitudes.sum(dim=1), _raised(level, settings).clamp(min=eps), eps
