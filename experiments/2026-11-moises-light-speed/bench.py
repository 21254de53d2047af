"""What memory order and rotation of moises_light.model gain against writing them plainly.

    python bench.py              all settings on one thread, in seconds of processor time
    python bench.py --threads 2  in seconds of wall time: needs a machine with nothing else to do

Each choice is undone alone and together with the others, on the same weights and input. The
variants take turns in one process; printed are the median over rounds of (seconds undone / seconds
as it is), the least seconds of either, and the largest difference of the outputs over their peak.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from moises_light import MoisesLight, configs, model, transformer

DEMO = {
    "architecture": "0.1.5",
    "sources": ["vocals", "drums", "bass", "other"],
    "n_fft": 1024,
    "hop_size": 512,
    "win_size": 1024,
    "freq_dim": 512,
    "n_bands": 4,
    "G": 12,
    "n_enc": 2,
    "n_dec": 1,
    "n_split_enc": 1,
    "n_split_dec": 1,
    "n_rope": 1,
}
# name: arguments, batch, seconds of audio, whether to train
SETTINGS: dict[str, tuple[dict[str, Any], int, float, bool]] = {
    "demo": (DEMO, 4, 1.0, True),
    "demo_inference": (DEMO, 4, 1.0, False),
    "paper_large_v015": (configs["paper_large_v015"], 1, 6.0, False),
    "paper_large": (configs["paper_large"], 1, 6.0, False),
    "fullband_small_v015": (configs["fullband_small_v015"], 1, 6.0, False),
}


def rows(x: Tensor) -> Tensor:
    return x.contiguous()


def library_rotation(self: transformer.Attention, x: Tensor) -> Tensor:
    return self.rotary_embed.rotate_queries_or_keys(x)


PLAIN: dict[str, list[tuple[Any, str, Callable[..., Any]]]] = {
    "channels last": [(model, "lay_out", rows)],
    "rotation as a complex product": [
        (transformer.Attention, "rotate", library_rotation),
        (transformer.Attention, "is_as_made", lambda _: False),  # called as it is written
    ],
}
PLAIN["both"] = [patch for patches in PLAIN.values() for patch in patches]


@contextmanager
def undone(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, attribute, plain in PLAIN.get(name, []):
            stack.callback(setattr, owner, attribute, getattr(owner, attribute))
            setattr(owner, attribute, plain)
        yield


def timed(network: MoisesLight, mixture: Tensor, train: bool) -> tuple[float, Tensor]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    with torch.set_grad_enabled(train):
        output = network(mixture)
        if train:
            network.zero_grad()
            F.l1_loss(output, torch.zeros_like(output)).backward()
    return clock() - start, output.detach()


def compare(setting: str, rounds: int) -> None:
    arguments, batch, seconds, train = SETTINGS[setting]
    torch.manual_seed(0)
    network = MoisesLight(**arguments).train(train)
    mixture = 0.1 * torch.randn(batch, 2, round(seconds * 44_100))
    spent: dict[str, list[float]] = {name: [] for name in ("as it is", *PLAIN)}
    outputs: dict[str, Tensor] = {}
    for _ in range(rounds + 1):
        for name, times in spent.items():
            with undone(name):
                elapsed, outputs[name] = timed(network, mixture, train)
            times.append(elapsed)
    peak = outputs["as it is"].abs().max()
    ours = spent["as it is"][1:]  # the first round warms up
    for name in PLAIN:
        theirs = spent[name][1:]
        ratio = median(a / b for a, b in zip(theirs, ours, strict=True))
        apart = ((outputs[name] - outputs["as it is"]).abs().max() / peak).item()
        print(
            f"| {setting} | {name} | {ratio:.2f} | {min(theirs):.3f} | {min(ours):.3f} "
            f"| {apart:.0e} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("settings", nargs="*", default="all", choices=[*SETTINGS, "all"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| setting | undone | ratio | least s, undone | least s, as is | largest difference |")
    print("|---|---|---|---|---|---|")
    for setting in SETTINGS if "all" in given.settings else given.settings:
        compare(setting, given.rounds)


if __name__ == "__main__":
    main()
