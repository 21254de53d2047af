"""The authors' losses by name, between spectrogram images or waveforms.

Framed losses cut both signals into frames and compare these. The authors' code loses a sample where
the padding is odd; this one does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cosine_similarity, l1_loss, mse_loss, pad

EPS = 1e-8
SECOND = 44_100

Compare = Callable[[Tensor, Tensor], Tensor]


def split_frames(audio: Tensor, window: int, hop: int) -> Tensor:
    """(item, channel, sample) -> (item, channel, frame, window), zeros added on both sides.

    There are window - sample % hop zeros, half before and half after the signal. Every sample is
    in a frame unless hop > window.
    """
    zeros = max(0, window - audio.shape[-1] % hop)
    return pad(audio, (zeros // 2, zeros - zeros // 2)).unfold(-1, window, hop)


def powers(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Energies of the two parts of ``project``: (..., sample) -> twice (...), never zero."""
    share, rest = project(estimate, target)
    return share.square().sum(-1) + EPS, rest.square().sum(-1) + EPS


def project(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The estimate's share along the target, and the rest of it; shapes as the arguments'."""
    scale = ((estimate * target).sum(-1) + EPS) / (target.square().sum(-1) + EPS)
    share = scale[..., None] * target
    return share, estimate - share


def sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean ratio of the energies of share and rest. Larger is better: not a loss by itself."""
    share, rest = powers(estimate, target)
    return (share / rest).mean()


def dsr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean ratio of the energies of rest and share."""
    share, rest = powers(estimate, target)
    return (rest / share).mean()


def nsdr(estimate: Tensor, target: Tensor) -> Tensor:
    """``sdr`` with its sign changed."""
    return -sdr(estimate, target)


def ldsr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean difference of the log energies of rest and share."""
    share, rest = powers(estimate, target)
    return (rest.log() - share.log()).mean()


def sdr_like(estimate: Tensor, target: Tensor) -> Tensor:
    """Energy of rest minus energy of share, summed over frames, mean over items and channels."""
    share, rest = powers(estimate, target)
    return (rest - share).sum(-1).mean()


def distortion(estimate: Tensor, target: Tensor) -> Tensor:
    """Norm of the rest, summed over frames, mean over items and channels."""
    return project(estimate, target)[1].norm(dim=-1).sum(-1).mean()


def ncs(estimate: Tensor, target: Tensor) -> Tensor:
    """Negative mean cosine similarity."""
    return -cosine_similarity(estimate, target, dim=-1).mean()


def nlcs(estimate: Tensor, target: Tensor) -> Tensor:
    """Negative mean logarithm of one plus the cosine similarity."""
    return -(cosine_similarity(estimate, target, dim=-1) + 1 + EPS).log().mean()


PLAIN: dict[str, Compare] = {"l1": l1_loss, "l2": mse_loss, "mse": mse_loss}
FRAMED: dict[str, Compare] = {
    "sdr": sdr,
    "dsr": dsr,
    "nsdr": nsdr,
    "ldsr": ldsr,
    "sdr_like": sdr_like,
    "distortion": distortion,
    "ncs": ncs,
    "nlcs": nlcs,
}
NAMES = (
    *(f"{domain}_{name}" for domain in ("spec", "raw") for name in PLAIN),
    "raw_and_spec",
    *(f"{name}{tail}" for name in FRAMED for tail in ("", "_44100")),
)


@dataclass(frozen=True)
class Loss:
    """A loss between images, between waveforms, or both.

    Args:
        spec, raw: how images and how waveforms are compared; None if they are not.
        spec_weight, raw_weight: weights of the two.
    """

    spec: Compare | None
    raw: Compare | None
    spec_weight: float
    raw_weight: float

    def __call__(
        self, images: tuple[Tensor, Tensor], waveforms: Callable[[], tuple[Tensor, Tensor]]
    ) -> Tensor:
        """The loss of two pairs (estimate, target); waveforms are computed only if they count."""
        total = images[0].new_zeros(())
        if self.spec is not None:
            total = total + self.spec_weight * self.spec(*images)
        if self.raw is not None:
            total = total + self.raw_weight * self.raw(*waveforms())
        return total


def find_loss(name: str, n_fft: int, hop: int, weights: tuple[float, float]) -> Loss:
    """The loss called ``name``.

    Args:
        name: one of ``NAMES``; with ``_44100`` a frame is a second long and starts every half
            second.
        n_fft, hop: length and hop of the other framed losses' frames, in samples.
        weights: of the l1 of waveforms and the mse of images in ``raw_and_spec``.

    Raises:
        ValueError: if there is no such loss.
    """
    if name not in NAMES:
        raise ValueError(f"there is no loss {name!r}: choose from {', '.join(NAMES)}")
    if name == "raw_and_spec":
        return Loss(mse_loss, l1_loss, weights[1], weights[0])
    if plain := re.fullmatch("(spec|raw)_(.*)", name):
        compare = PLAIN[plain[2]]
        spec, raw = (compare, None) if plain[1] == "spec" else (None, compare)
        return Loss(spec, raw, 1.0, 1.0)
    kind = name.removesuffix("_44100")
    sizes = (n_fft, hop) if kind == name else (SECOND, SECOND // 2)
    return Loss(None, _framed(FRAMED[kind], *sizes), 1.0, 1.0)


def _framed(compare: Compare, window: int, hop: int) -> Compare:
    def on_frames(estimate: Tensor, target: Tensor) -> Tensor:
        return compare(split_frames(estimate, window, hop), split_frames(target, window, hop))

    return on_frames
