"""Four stems in one call against four calls of one stem each: same weights, same output.

    python lasaft_bench.py                       published sizes, two threads: needs idle cores
    python lasaft_bench.py --seconds 1 --rounds 1 --channels 4        a smoke test

The two take turns; printed are the median over rounds of (seconds of the others / seconds of the
one call), the least seconds of each, and the largest difference of the outputs as a share of the
peak.
"unshared" is one call too, that gives the network each window four times.
"""

import argparse
import os
from collections.abc import Callable

import torch
from torch import Tensor
from turns import HEAD, compare

from lasaft import Separator
from lasaft.variants import VARIANTS

NAMES = (
    "CUNET_TFC_FiLM",
    "CUNET_TFC_GPoCM",
    "CUNET_TFC_FiLM_TDF",
    "CUNET_TFC_GPoCM_TDF",
    "CUNET_TFC_FiLM_LaSAFT",
    "CUNET_TFC_GPoCM_LaSAFT",
    "CUNET_TFC_GPoCM_LightSAFT",
)
RATE = 44_100


def build(name: str, channels: int) -> Separator:
    torch.manual_seed(0)
    return VARIANTS[name](internal_channels=channels).eval()


def four_passes(model: Separator, song: Tensor) -> Callable[[], Tensor]:
    return lambda: torch.stack([model.separate_track(song[0], stem) for stem in model.stems])[None]


class Unshared(torch.nn.Module):
    """The network, given every item as often as it has conditions."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        repeated = image.repeat_interleave(len(condition) // len(image), dim=0)
        estimate: Tensor = self.network(repeated, condition)
        return estimate


def unshared(name: str, channels: int, song: Tensor) -> Callable[[], Tensor]:
    model = build(name, channels)
    model.spec2spec = Unshared(model.spec2spec)  # type: ignore[assignment]
    return lambda: model(song)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--names", nargs="+", choices=NAMES, default=NAMES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
    print(HEAD)
    samples = round(given.seconds * RATE)
    song = 0.1 * torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(1))
    for name in given.names:
        model = build(name, given.channels)
        with torch.inference_mode():
            peak = model(song).abs().max()

            def one_call(model: Separator = model, peak: Tensor = peak) -> Tensor:
                return model(song) / peak

            for what, other in (
                ("four passes", four_passes(model, song)),
                ("unshared", unshared(name, given.channels, song)),
            ):
                compare(
                    f"{name}, {given.seconds:.0f} s, {what}",
                    one_call,
                    lambda other=other, peak=peak: other() / peak,
                    given.rounds,
                )


if __name__ == "__main__":
    main()
