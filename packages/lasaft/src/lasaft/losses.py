"""The authors' losses by name, of spectrogram images and of waveforms.

Framed losses cut both signals into frames and compare the frames; theirs lose a sample where the
padding is odd, these do not.
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

    Zeros for a window, less what the last hop lacks, half before and half after; every sample is
    in a frame as long as frames do not leave gaps.
    """
    zeros = max(0, window - audio.shape[-1] % hop)
    return pad(audio, (zeros // 2, zeros - zeros // 2)).unfold(-1, window, hop)


def powers(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Energies of (..., sample): of the target's share of the estimate, and of the rest."""
    share, rest = project(estimate, target)
    return share.square().sum(-1) + EPS, rest.square().sum(-1) + EPS


def project(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The estimate as a multiple of the target, and what that leaves."""
    scale = ((estimate * target).sum(-1) + EPS) / (target.square().sum(-1) + EPS)
    share = scale[..., None] * target
    return share, estimate - share


def sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean ratio of share to rest; larger is better, so no loss by itself."""
    share, rest = powers(estimate, target)
    return (share / rest).mean()


def dsr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean ratio of rest to share."""
    share, rest = powers(estimate, target)
    return (rest / share).mean()


def nsdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Minus ``sdr``."""
    return -sdr(estimate, target)


def ldsr(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean difference of the logarithms of rest and share."""
    share, rest = powers(estimate, target)
    return (rest.log() - share.log()).mean()


def sdr_like(estimate: Tensor, target: Tensor) -> Tensor:
    """Rest minus share, summed over frames, mean over items and channels."""
    share, rest = powers(estimate, target)
    return (rest - share).sum(-1).mean()


def distortion(estimate: Tensor, target: Tensor) -> Tensor:
    """Length of the rest, summed over frames, mean over items and channels."""
    return project(estimate, target)[1].norm(dim=-1).sum(-1).mean()


def ncs(estimate: Tensor, target: Tensor) -> Tensor:
    """Minus the mean cosine similarity."""
    return -cosine_similarity(estimate, target, dim=-1).mean()


def nlcs(estimate: Tensor, target: Tensor) -> Tensor:
    """Minus the mean logarithm of one plus the cosine similarity."""
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
    """A loss of images, of waveforms, or of both.

    Args:
        spec, raw: what is compared; None where it is not.
        spec_weight, raw_weight: of the two.
    """

    spec: Compare | None
    raw: Compare | None
    spec_weight: float
    raw_weight: float

    def __call__(
        self, images: tuple[Tensor, Tensor], waveforms: Callable[[], tuple[Tensor, Tensor]]
    ) -> Tensor:
        """Compare (estimate, target); waveforms are asked for only if they count."""
        total = images[0].new_zeros(())
        if self.spec is not None:
            total = total + self.spec_weight * self.spec(*images)
        if self.raw is not None:
            total = total + self.raw_weight * self.raw(*waveforms())
        return total


def find_loss(name: str, n_fft: int, hop: int, weights: tuple[float, float]) -> Loss:
    """The loss of a name.

    Args:
        name: one of ``NAMES``; with ``_44100`` frames are a second long and start every half.
        n_fft, hop: the frames of other framed losses, in samples.
        weights: of waveforms and of images in ``raw_and_spec``: l1 and mse.

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
