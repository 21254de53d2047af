"""Our networks against the package everyone uses (BS-RoFormer 0.4.1): same weights, same input.

    python bs_roformer_bench.py                  all settings, two threads: needs idle cores
    python bs_roformer_bench.py --seconds 2 --rounds 1 --depth 1      a smoke test

The package has our import name, so it is imported first from a temporary folder of its own and then
forgotten. The two take turns; printed are the median over rounds of (their seconds / our seconds),
the least seconds of each, and the largest difference of the outputs. Peak memory is that of a
process of its own for each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from turns import HEAD, compare, compare_memory, report_memory

RATE = 44_100
NAMES = ("BSRoformer", "MelBandRoformer")
BATCH_SECONDS = 2.0


def install(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
    subprocess.run([*command, "--no-deps", "BS-RoFormer==0.4.1", "beartype"], check=True)
    subprocess.run([*command, "librosa==0.11.0"], check=True)


def networks(folder: str) -> dict[str, Any]:
    """Class by (whose, name), and our ``speed_up``."""
    found = {}
    for who in ("theirs", "ours"):
        sys.path.insert(0, folder)
        if who == "ours":
            sys.path[:] = [path for path in sys.path if path != folder]
        import bs_roformer

        found |= {(who, name): getattr(bs_roformer, name) for name in NAMES}
        if who == "ours":
            from bs_roformer.cpu_speed import speed_up

            found[who, "speed_up"] = speed_up
        for name in [name for name in sys.modules if name.split(".")[0] == "bs_roformer"]:
            del sys.modules[name]
    return found


def build(kinds: dict[str, Any], who: str, name: str, depth: int) -> nn.Module:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 384, "depth": depth, "stereo": True, "num_stems": 1}
    sizes |= {"time_transformer_depth": 1, "freq_transformer_depth": 1, "stft_hop_length": 441}
    sizes |= {"attn_dropout": 0.0, "ff_dropout": 0.0}  # to compare losses
    if name == "MelBandRoformer":
        sizes["linear_transformer_depth"] = 1  # theirs if not given; ours has none then
    made = kinds[who, name](**sizes)
    assert isinstance(made, nn.Module)
    if who == "ours":
        kinds[who, "speed_up"](made)
    return made.eval()


def noise(seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(1, 2, round(seconds * RATE), generator=generator)


def separate(model: nn.Module, seconds: float) -> Callable[[], Tensor]:
    audio = noise(seconds)
    # Theirs ends at the last whole hop and drops the axis of a single stem.
    samples = audio.shape[-1] // 441 * 441
    return lambda: model(audio)[..., :samples].reshape(2, -1)


def step(model: nn.Module) -> Callable[[], Tensor]:
    """Forward and backward of a batch of one."""
    audio, target = noise(BATCH_SECONDS), 0.5 * noise(BATCH_SECONDS)
    model.train()

    def act() -> Tensor:
        model.zero_grad()
        loss: Tensor = model(audio, target=target)
        loss.backward()
        return loss

    return act


def compare_one(kinds: dict[str, Any], name: str, given: argparse.Namespace) -> None:
    theirs, ours = (build(kinds, who, name, given.depth) for who in ("theirs", "ours"))
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        what = f"{name}, separate {given.seconds:.0f} s"
        acts = (separate(model, given.seconds) for model in (ours, theirs))
        compare(what, *acts, given.rounds)
    what = f"{name}, training step of {BATCH_SECONDS:.0f} s"
    compare(what, step(ours), step(theirs), given.rounds)


def use(kinds: dict[str, Any], who: str, name: str, what: str, given: argparse.Namespace) -> None:
    """Separate or train once, and print the peak of this process."""
    model = build(kinds, who, name, given.depth)

    def act() -> None:
        if what == "separate":
            with torch.inference_mode():
                model(noise(given.seconds))
        else:
            model.train()(noise(BATCH_SECONDS), target=0.5 * noise(BATCH_SECONDS)).backward()

    report_memory(act)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", nargs=3, help="name, what, and whose to measure alone")
    parser.add_argument("--peer", help="folder with the package")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")  # the package's
    if given.memory:
        name, what, who = given.memory
        return use(networks(given.peer), who, name, what, given)
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        kinds = networks(folder)
        print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
        print(HEAD)
        for name in NAMES:
            compare_one(kinds, name, given)
        rows = list(product(NAMES, ("separate", "train"), ("theirs", "ours")))
        words = ["--peer", folder, "--seconds", str(given.seconds)]
        words += ["--threads", str(given.threads), "--depth", str(given.depth)]
        compare_memory(__file__, rows, words)


if __name__ == "__main__":
    main()
