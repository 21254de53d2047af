"""Multichannel Wiener filter, fitted by expectation maximisation (EM).

The algorithm and its symbols are those of the authors' `wiener` (versions 1.1 and later) and of
norbert (version 1.0.0):

    y_j(f, t)  estimate of stem j, at first its network's magnitude with the mixture's phase
    v_j(f, t)  power spectral density: |y_j|^2, averaged over channels
    R_j(f)     spatial covariance: sum_t y_j y_j^H / (eps + sum_t v_j)
    Cxx(f, t)  covariance of the mixture: sqrt(eps) I + sum_j v_j R_j
    W_j(f, t)  gain: v_j R_j Cxx^-1, and the next y_j is W_j x

A window is the frames that share one R_j: few enough for a stem to keep its position in the stereo
image, enough to estimate R_j from. The authors' windows of 300 frames also bound the memory of EM,
which a whole song exhausted. Here a window is read in pieces, short runs of frames, once per
iteration; only the R_j are kept between iterations, so that a window can be a whole song.

Real and imaginary parts are separate tensors: most factors are real, and a product with a complex
tensor would move twice the memory.

Axis letters: b batch, s stem, c d channel, f bin, t frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from open_unmix.estimates import FilteredEstimates, FirstEstimates, Planes, State

EPS = 1e-10  # of the authors' torch version
NORBERT_EPS = torch.finfo(torch.float64).eps  # of norbert, which filters in float64
SCALE = 10.0  # the authors scale louder mixtures down to this largest magnitude

# Magnitudes (b s c f t), the complex mixture and its magnitudes, each (b c f t).
Piece = tuple[Tensor, Tensor, Tensor]
Pieces = Callable[[], Iterable[Piece]]


@dataclass(frozen=True)
class Wiener:
    """Settings of the Wiener filter.

    Attributes:
        niter: EM iterations; 0 returns the first estimates.
        softmask: take ratio masks of the mixture as first estimates, instead of the networks'
            magnitudes.
        alpha: exponent of the magnitudes in those ratios; unused without softmask.
        residual: None, or how to add one more stem for what the estimates leave of the mixture:
            ``signal`` (mixture minus estimates) or ``magnitude`` (version 1.0.0: the magnitudes are
            first scaled per channel and bin to fit the mixture's).
        eps: regularises R_j and Cxx, which would be 0/0 and singular in silence.

    Source: arguments of `wiener` and `residual_model` of the authors' code.
    """

    niter: int = 1
    softmask: bool = False
    alpha: float = 1.0
    residual: str | None = None
    eps: float = EPS


def wiener(magnitudes: Tensor, mixture: Tensor, settings: Wiener) -> Tensor:
    """Filter one window.

    Args:
        magnitudes: (batch, stem, channel, bin, frame) real; a single channel is used for all
            channels of the mixture.
        mixture: (batch, channel, bin, frame) complex; not modified.
        settings: of the filter.

    Returns:
        (batch, stem, channel, bin, frame) complex; a residual is the last stem.

    Raises:
        ValueError: for one stem and niter above 0: there is no other stem to separate it from.

    Source: `wiener` of the authors' code.
    """
    return next(filter_window(lambda: [(magnitudes, mixture, mixture.abs())], settings))


def filter_window(pieces: Pieces, settings: Wiener) -> Iterator[Tensor]:
    """Filter a window that is read piece by piece.

    Args:
        pieces: returns the window's pieces, at every call. It may return a list if the window is
            small enough to stay in memory, otherwise a generator that computes them again.
        settings: of the filter.

    Yields:
        (batch, stem, channel, bin, frame) complex for each piece.

    Raises:
        ValueError: as `wiener` does.
    """
    estimate = _first_estimator(pieces, settings)
    window = pieces()
    in_memory = [estimate(*piece) for piece in window] if isinstance(window, list) else None

    def first_estimates() -> Iterable[State]:
        if in_memory is not None:
            return in_memory
        return (estimate(*piece) for piece in pieces())

    # Each iteration filters the first estimates again with all models so far. niter is small, and
    # keeping the filtered stems of a whole song would need too much memory.
    models: list[SpatialModel] = []
    for _ in range(settings.niter):
        states = (_apply_models(state, models) for state in first_estimates())
        models.append(_fit_model(states, models, settings.eps))
    for state in first_estimates():
        yield torch.complex(*_apply_models(state, models).planes())


@dataclass(frozen=True)
class SpatialModel:
    """Spatial covariances R_j of one iteration, and the regularisation that goes with them.

    Attributes:
        real, imaginary: R_j, (batch, stem, channel, channel, bin).
        floor: (batch, 1, 1), what is added to the diagonal of Cxx.
        scale: (batch,), square of the factor by which the authors divide the window.

    Source: R_j of the authors' code.
    """

    real: Tensor
    imaginary: Tensor
    floor: Tensor
    scale: Tensor


def _first_estimator(pieces: Pieces, settings: Wiener) -> Callable[..., State]:
    """The function from a piece to its first estimates.

    The residual of version 1.0.0 needs a gain from all pieces, which is computed here once.
    """
    gain = _residual_gain(pieces(), settings) if settings.residual == "magnitude" else None

    def estimate(magnitudes: Tensor, mixture: Tensor, level: Tensor) -> State:
        magnitudes = _raise_to_alpha(magnitudes, settings)
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
        amplitudes = magnitudes.expand(-1, -1, mixture.shape[1], -1, -1)
        if settings.residual == "signal":
            # x - sum_j y_j. All have the phase of x, so amplitudes can be subtracted. The result is
            # negative where the networks overshoot, and must not be clamped.
            remainder = level - magnitudes.sum(dim=1)
            amplitudes = torch.cat([amplitudes, remainder[:, None]], dim=1)
        return FirstEstimates(amplitudes, mixture, level)

    return estimate


def _raise_to_alpha(values: Tensor, settings: Wiener) -> Tensor:
    """Magnitudes to the power of alpha for ratio masks; unchanged without softmask.

    Without a ratio there is nothing to bring powers back to the unit of the mixture.
    """
    return values**settings.alpha if settings.softmask and settings.alpha != 1.0 else values


def _apply_models(state: State, models: list[SpatialModel]) -> State:
    """Filter a piece's first estimates with the models of all iterations so far, in order."""
    for model in models:
        state = _filter_piece(state, model)
    return state


def _fit_model(states: Iterable[State], earlier: list[SpatialModel], eps: float) -> SpatialModel:
    """R_j from sums over all frames of a window (EM).

    The authors divide mixture and estimates by a factor m before they iterate and multiply the
    result by m, because their constants are absolute and would vanish in a loud window. That is the
    same as multiplying eps and sqrt(eps) by m^2, which takes no pass over the window.
    """
    sums: list[Tensor] = []
    peak: Tensor | None = None
    for state in states:
        moments = _sum_moments(state)
        sums = [a + b for a, b in zip(sums, moments, strict=True)] if sums else moments
        if not earlier:  # m depends on the mixture only: later iterations take it from the first
            piece_peak = state.level.amax(dim=(1, 2, 3))
            peak = piece_peak if peak is None else torch.maximum(peak, piece_peak)
    real, imaginary = sums
    scale = earlier[0].scale if peak is None else (peak / SCALE).clamp(min=1.0).square()
    channels = real.shape[2]
    # Channels' mean of the diagonal: v_j summed over frames, (b s f).
    total_psd = torch.diagonal(real, dim1=2, dim2=3).sum(dim=-1) / channels
    # eps, because a stem that is silent all through the window would give 0 / 0.
    weight = 1.0 / (eps * scale[:, None, None] + total_psd)[:, :, None, None]
    # sqrt(eps), because Cxx is zero where all estimates are, and singular where they are mono.
    floor = (math.sqrt(eps) * scale)[:, None, None]
    return SpatialModel(real * weight, imaginary * weight, floor, scale)


def _sum_moments(state: State) -> list[Tensor]:
    """Sums over frames of y_j y_j^H: real and imaginary part, each (b s c d f).

    The matrix is Hermitian: only one triangle is computed.
    """
    power = state.power().sum(dim=-1)  # (b s c f)
    real = torch.diag_embed(power.transpose(2, 3)).permute(0, 1, 3, 4, 2).contiguous()
    imaginary = torch.zeros_like(real)
    channels = real.shape[2]
    for c in range(channels):
        for d in range(c + 1, channels):
            cross_real, cross_imaginary = (part.sum(dim=-1) for part in state.cross(c, d))
            real[:, :, c, d] = real[:, :, d, c] = cross_real
            imaginary[:, :, c, d], imaginary[:, :, d, c] = cross_imaginary, -cross_imaginary
    return [real, imaginary]


def _filter_piece(state: State, model: SpatialModel) -> State:
    """Next estimates (EM): y_j = W_j x with the gain W_j = v_j R_j Cxx^-1.

    Cxx^-1 x is the same for all stems and is computed once; W_j itself is never formed.
    """
    psd = state.power().mean(dim=2)  # v_j, (b s f t)
    solved = _solve_mixture(psd, model, state.mixture)
    channels = state.mixture.shape[1]
    stems = []
    for s in range(psd.shape[1]):
        real, imaginary = model.real[:, s, ..., None], model.imaginary[:, s, ..., None]
        rows = [_multiply_row(real[:, c], imaginary[:, c], solved) for c in range(channels)]
        stems.append([_stack(plane) * psd[:, s, None] for plane in zip(*rows, strict=True)])
    real, imaginary = (_stack(plane) for plane in zip(*stems, strict=True))
    return FilteredEstimates(real, imaginary, state)


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Stack (b ... f t) along a new axis 1.

    The copy keeps the bins of a frame adjacent, as torch.stft leaves them and the inverse FFT reads
    them; a plain stack would make adjacent frames contiguous.
    """
    return torch.stack([part.transpose(-1, -2) for part in parts], dim=1).transpose(-1, -2)


def _multiply_row(real: Tensor, imaginary: Tensor, vector: Planes) -> Planes:
    """One row of R_j (b d f 1) times a vector (b d f t): (b f t), real and imaginary part.

    addcmul adds a product in one pass over memory, without a tensor for the product.
    """
    vector_real, vector_imaginary = vector
    out_real = real[:, 0] * vector_real[:, 0]
    out_imaginary = real[:, 0] * vector_imaginary[:, 0]
    for d in range(real.shape[1]):
        if d:
            out_real = torch.addcmul(out_real, real[:, d], vector_real[:, d])
            out_imaginary = torch.addcmul(out_imaginary, real[:, d], vector_imaginary[:, d])
        out_real = torch.addcmul(out_real, imaginary[:, d], vector_imaginary[:, d], value=-1)
        out_imaginary = torch.addcmul(out_imaginary, imaginary[:, d], vector_real[:, d])
    return out_real, out_imaginary


def _solve_mixture(psd: Tensor, model: SpatialModel, mixture: Tensor) -> Planes:
    """Cxx^-1 x, each part (b c f t); in closed form for one and two channels.

    Elementwise arithmetic over whole planes is much faster than a batched solver, which factorises
    a tiny matrix for every bin and frame.
    """
    channels = mixture.shape[1]
    if channels > 2:
        return _solve_any(psd, model, mixture)
    left = _weighted_sum(psd, model.real[:, :, 0, 0])
    if channels == 1:
        left = (left + model.floor)[:, None]
        return mixture.real / left, mixture.imag / left
    right = _weighted_sum(psd, model.real[:, :, 1, 1])
    cross_real = _weighted_sum(psd, model.real[:, :, 0, 1])
    cross_imaginary = _weighted_sum(psd, model.imaginary[:, :, 0, 1])
    return _solve_stereo(left, right, (cross_real, cross_imaginary), model.floor, mixture)


def _solve_stereo(left: Tensor, right: Tensor, cross: Planes, floor: Tensor, x: Tensor) -> Planes:
    """(floor I + [[left, cross], [cross*, right]])^-1 x by Gaussian elimination.

    Why not the adjugate over the determinant, as the authors do: for channels that differ in level
    alone the sum of v_j R_j is singular. In float32 the floor is lost when it is added to a large
    diagonal, so the determinant comes out as zero or as rounding noise of either sign. Here the
    floor is added after the cancellation, and both pivots are at least as large as it.
    """
    cross_real, cross_imaginary = cross
    # The determinant without floor. That of a covariance is not negative: anything below is noise.
    determinant = (left * right - cross_real.square() - cross_imaginary.square()).clamp(min=0.0)
    inverse_pivot = 1.0 / (left + floor)
    # Second pivot: right + floor - |cross|^2 / (left + floor), rearranged to cancel nothing.
    inverse_pivot2 = 1.0 / (floor + (determinant + floor * right) * inverse_pivot)
    cross_real, cross_imaginary = cross_real * inverse_pivot, cross_imaginary * inverse_pivot
    (u, v), (w, z) = x.real.unbind(1), x.imag.unbind(1)  # left u + iw, right v + iz
    # Forward elimination of the right channel, then back substitution into the left.
    v = (v - cross_real * u - cross_imaginary * w) * inverse_pivot2
    z = (z - cross_real * w + cross_imaginary * u) * inverse_pivot2
    u = u * inverse_pivot - cross_real * v + cross_imaginary * z
    w = w * inverse_pivot - cross_real * z - cross_imaginary * v
    return _stack([u, v]), _stack([w, z])


def _weighted_sum(psd: Tensor, weights: Tensor) -> Tensor:
    """Sum over stems of v_j (b s f t) times one entry of R_j (b s f): (b f t)."""
    total = psd[:, 0] * weights[:, 0, :, None]
    for s in range(1, psd.shape[1]):
        total = torch.addcmul(total, psd[:, s], weights[:, s, :, None])
    return total


def _solve_any(psd: Tensor, model: SpatialModel, mixture: Tensor) -> Planes:
    """Cxx^-1 x for any number of channels, by factorising Cxx in every bin and frame."""
    covariances = torch.complex(model.real, model.imaginary)
    mixture_covariance = torch.einsum("bsft,bscdf->bftcd", psd.to(mixture.dtype), covariances)
    floor = model.floor[..., None, None] * torch.eye(mixture.shape[1], device=mixture.device)
    solved = torch.linalg.solve(mixture_covariance + floor, mixture.permute(0, 2, 3, 1))
    return solved.real.permute(0, 3, 1, 2), solved.imag.permute(0, 3, 1, 2)


def _residual_gain(pieces: Iterable[Piece], settings: Wiener) -> Tensor:
    """Least-squares gain from the sum of the magnitudes to those of the mixture, (b c f)."""
    numerator: Tensor | float = 0.0
    denominator: Tensor | float = 0.0
    eps = 0.0
    for magnitudes, _, level in pieces:
        magnitudes = _raise_to_alpha(magnitudes, settings)
        total, level, eps = _total_and_level(magnitudes, level, settings)
        numerator = numerator + (level * total).sum(dim=-1)
        denominator = denominator + total.square().sum(dim=-1)
    assert isinstance(numerator, Tensor)
    return numerator / (eps + denominator)


def add_residual(magnitudes: Tensor, level: Tensor, gain: Tensor, settings: Wiener) -> Tensor:
    """Append the residual of version 1.0.0 as a stem, and scale the other stems by ``gain``.

    Args:
        magnitudes: (batch, stem, channel, bin, frame).
        level: (batch, channel, bin, frame) magnitudes of the mixture.
        gain: (batch, channel, bin).
        settings: of the filter.

    Returns:
        (batch, stem + 1, channel, bin, frame).

    Source: `residual_model` of norbert, which subtracts the magnitudes as they were before scaling.
        That looks like an oversight but is what the published scores were made with.
    """
    total, level, _ = _total_and_level(magnitudes, level, settings)
    remainder = (level - total).clamp(min=0.0)
    return torch.cat([magnitudes * gain[:, None, ..., None], remainder[:, None]], dim=1)


def _total_and_level(
    magnitudes: Tensor, level: Tensor, settings: Wiener
) -> tuple[Tensor, Tensor, float]:
    """Sum of the stems, magnitude of the mixture to the same power, and norbert's eps for both.

    The eps is that of the magnitudes' precision, whatever `settings.eps` is: norbert's.
    """
    eps = torch.finfo(magnitudes.dtype).eps
    return magnitudes.sum(dim=1), _raise_to_alpha(level, settings).clamp(min=eps), eps
