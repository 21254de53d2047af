"""Our Moises-Light against the package moises-light 0.1.5: same weights, same input.

    python moises_light_bench.py                   six settings, two threads: needs idle cores
    python moises_light_bench.py --names paper_small --seconds 1 --rounds 1       a smoke test

The package has our import name, so it is imported first from a temporary folder of its own and then
forgotten.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from turns import HEAD, compare, compare_memory, report_memory

NAMES = ("paper_large", "paper_small", "fullband_large")
BATCH_SECONDS = 2.0
RATE = 44_100
NOT_THEIRS = ("architecture", "normalize_input", "dec_heavy_at")  # arguments


def install(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
    subprocess.run([*command, "--no-deps", "moises-light==0.1.5"], check=True)


def networks(folder: str) -> dict[str, Any]:
    """Class by whose it is, and our ``configs``."""
    sys.path.insert(0, folder)
    import moises_light

    found: dict[str, Any] = {"theirs": moises_light.MoisesLight}
    sys.path.remove(folder)
    for name in [name for name in sys.modules if name.split(".")[0] == "moises_light"]:
        del sys.modules[name]
    import moises_light

    assert moises_light.MoisesLight is not found["theirs"]
    return {**found, "ours": moises_light.MoisesLight, "configs": moises_light.configs}


def build(kinds: dict[str, Any], who: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    sizes = kinds["configs"][f"{name}_v015"]
    if who == "theirs":
        sizes = {key: value for key, value in sizes.items() if key not in NOT_THEIRS}
    model: nn.Module = kinds[who](**sizes)
    return model.eval()


def noise(seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(1, 2, round(seconds * RATE), generator=generator)


def separate(model: nn.Module, seconds: float) -> Callable[[], Tensor]:
    audio = noise(seconds)

    def act() -> Tensor:
        with torch.inference_mode():
            stems: Tensor = model(audio)
        return stems

    return act


def step(model: nn.Module) -> Callable[[], Tensor]:
    """Forward and backward of the mean absolute value of a batch of one."""
    audio = noise(BATCH_SECONDS)

    def act() -> Tensor:
        model.zero_grad()
        loss: Tensor = model(audio).abs().mean()
        loss.backward()
        return loss

    return act


def action(model: nn.Module, what: str, seconds: float) -> Callable[[], Tensor]:
    return separate(model, seconds) if what == "separate" else step(model.train())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--names", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", nargs=3, help="name, what, and whose to measure alone")
    parser.add_argument("--peer", help="folder with the package")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        name, what, who = given.memory
        model = build(networks(given.peer), who, name)
        return report_memory(action(model, what, given.seconds))
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        kinds = networks(folder)
        print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
        print(HEAD)
        for name in given.names:
            theirs, ours = (build(kinds, who, name) for who in ("theirs", "ours"))
            ours.load_state_dict(theirs.state_dict())
            for what, seconds in (("separate", given.seconds), ("step", BATCH_SECONDS)):
                acts = (action(model, what, given.seconds) for model in (ours, theirs))
                compare(f"{name}, {what} of {seconds:.0f} s", *acts, given.rounds)
        rows = [(name, what, who) for name in given.names for what in ("separate", "step")
                for who in ("theirs", "ours")]  # fmt: skip
        words = ["--peer", folder, "--seconds", str(given.seconds), "--threads", str(given.threads)]
        compare_memory(__file__, rows, words)


if __name__ == "__main__":
    main()
