"""Separators of the published sizes: `umx`, `umxhq`, `umxl`, `umxse`.

Arguments are those of the authors' functions of these names; addresses and digests of the weights
are in the package's checkpoints.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from open_unmix.model import OpenUnmix, bandwidth_to_max_bin
from open_unmix.separator import Separator

SONG = ("vocals", "drums", "bass", "other")


@dataclass(frozen=True)
class Size:
    """Sizes that all networks of one published model share; the bandwidth is 16 kHz in all."""

    targets: tuple[str, ...] = SONG
    hidden_size: int = 512
    nb_channels: int = 2
    sample_rate: float = 44100.0
    n_fft: int = 4096
    n_hop: int = 1024


SIZES = {
    "umx": Size(),
    "umxhq": Size(),
    "umxl": Size(hidden_size=1024),
    "umxse": Size(("speech", "noise"), 256, 1, 16000.0, 1024, 512),
}
BANDWIDTH_HZ = 16000.0


def umx(
    targets: Sequence[str] | None = None,
    residual: bool = False,
    niter: int = 1,
    device: str | torch.device = "cpu",
    pretrained: bool = True,
    wiener_win_len: int | None = 300,
) -> Separator:
    """The model trained on MUSDB18, whose compressed files end at 16 kHz. Arguments: `umxhq`."""
    return _separator("umx", targets, residual, niter, device, pretrained, wiener_win_len)


def umxhq(
    targets: Sequence[str] | None = None,
    residual: bool = False,
    niter: int = 1,
    device: str | torch.device = "cpu",
    pretrained: bool = True,
    wiener_win_len: int | None = 300,
) -> Separator:
    """The model trained on MUSDB18-HQ.

    Args:
        targets: stems to estimate; all of the model's if None.
        residual: add a stem with what is left of the mixture.
        niter: iterations of the Wiener filter.
        device: to move the separator to.
        pretrained: load the published weights, downloaded on first use; False for new weights.
        wiener_win_len: window of the filter in frames; None for the whole song.

    Returns:
        A separator in evaluation mode.

    Raises:
        ValueError: for a target that the model lacks, or niter above 0 with a single stem.
        FileNotFoundError: if the weights cannot be downloaded; the message says where to put them.
    """
    return _separator("umxhq", targets, residual, niter, device, pretrained, wiener_win_len)


def umxl(
    targets: Sequence[str] | None = None,
    residual: bool = False,
    niter: int = 1,
    device: str | torch.device = "cpu",
    pretrained: bool = True,
    wiener_win_len: int | None = 300,
) -> Separator:
    """The larger model, trained on private data; non-commercial weights. Arguments: `umxhq`."""
    return _separator("umxl", targets, residual, niter, device, pretrained, wiener_win_len)


def umxse(
    targets: Sequence[str] | None = None,
    residual: bool = False,
    niter: int = 1,
    device: str | torch.device = "cpu",
    pretrained: bool = True,
    wiener_win_len: int | None = 300,
) -> Separator:
    """The speech enhancement model, 16 kHz mono. Arguments: `umxhq`."""
    return _separator("umxse", targets, residual, niter, device, pretrained, wiener_win_len)


def target_network(size: Size) -> OpenUnmix:
    """A network of a published size, with new weights."""
    return OpenUnmix(
        nb_bins=size.n_fft // 2 + 1,
        nb_channels=size.nb_channels,
        hidden_size=size.hidden_size,
        max_bin=bandwidth_to_max_bin(size.sample_rate, size.n_fft, BANDWIDTH_HZ),
        n_hop=size.n_hop,
    )


def pretrained_network(name: str, target: str) -> OpenUnmix:
    """A network with published weights, downloaded on first use and checked on every use."""
    from mss_shared.checkpoints import load_checkpoints
    from open_unmix.paper import PAPER

    [checkpoint] = load_checkpoints(PAPER, f"{name}_{target}")
    [network] = checkpoint.model.networks()
    assert isinstance(network, OpenUnmix)
    return network


def _separator(
    name: str,
    targets: Sequence[str] | None,
    residual: bool,
    niter: int,
    device: str | torch.device,
    pretrained: bool,
    wiener_win_len: int | None,
) -> Separator:
    size = SIZES[name]
    targets = size.targets if targets is None else targets
    for target in targets:
        if target not in size.targets:
            raise ValueError(
                f"{name} has no target {target!r}: choose from {', '.join(size.targets)}"
            )
    networks = {
        target: pretrained_network(name, target) if pretrained else target_network(size)
        for target in targets
    }
    separator = Separator(
        networks,
        niter=niter,
        residual=residual,
        sample_rate=size.sample_rate,
        n_fft=size.n_fft,
        n_hop=size.n_hop,
        nb_channels=size.nb_channels,
        wiener_win_len=wiener_win_len,
    )
    return separator.eval().to(device)
