"""Our Separator against the authors' (openunmix 1.3.0): same weights, same input, one process.

    python open_unmix_bench.py                   all settings, two threads: needs idle cores
    python open_unmix_bench.py --seconds 6 --rounds 1 --threads 1     a smoke test

The authors' package is installed without its dependencies into a temporary folder and leaves with
it; torchaudio, which it imports and does not need here, is an empty module. The two take turns;
printed are the median over rounds of (their seconds / our seconds), the least seconds of each, and
the largest difference of the outputs. Peak memory is that of a process of its own for each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from turns import HEAD, compare, compare_memory, report_memory

from open_unmix import OpenUnmix, Separator

STEMS = ("vocals", "drums", "bass", "other")
SIZES = {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 512, "max_bin": 1487}
RATE = 44_100
LONG_SECONDS = 600.0
Separate = Callable[[Tensor], Tensor]


def install(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
    subprocess.run([*command, "openunmix==1.3.0"], check=True)


def peer(folder: str) -> Any:
    """The authors' module of networks and separator."""
    sys.path.append(folder)
    sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))
    import openunmix.model

    return openunmix.model


def networks(folder: str) -> dict[str, tuple[Any, Any]]:
    """Network and separator of either."""
    module = peer(folder)
    return {"ours": (OpenUnmix, Separator), "theirs": (module.OpenUnmix, module.Separator)}


def build(network: Any, separator: Any, niter: int) -> nn.Module:
    torch.manual_seed(0)
    networks = {stem: network(**SIZES) for stem in STEMS}
    made = separator(target_models=networks, niter=niter, n_fft=4096, n_hop=1024, nb_channels=2)
    assert isinstance(made, nn.Module)
    return made.eval()


def noise(seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(1, 2, round(seconds * RATE), generator=generator)


def compare_inference(module: Any, niter: int, seconds: float, rounds: int) -> None:
    theirs = build(module.OpenUnmix, module.Separator, niter)
    ours = build(OpenUnmix, Separator, niter)
    ours.load_state_dict(theirs.state_dict())
    audio = noise(seconds)
    with torch.inference_mode():
        name = f"separate {seconds:.0f} s, niter {niter}"
        compare(name, lambda: ours(audio), lambda: theirs(audio), rounds)


def step(network: Any) -> Callable[[], Tensor]:
    """One network, batch 4 of 6 s, forward and backward; dropout off, to compare losses."""
    mixture, target = torch.rand(2, 4, 2, 2049, 255, generator=torch.Generator().manual_seed(1))
    network.train().lstm.dropout = 0.0

    def act() -> Tensor:
        network.zero_grad()
        loss = nn.functional.mse_loss(network(mixture), target)
        loss.backward()
        return loss

    return act


def compare_training(module: Any, rounds: int) -> None:
    torch.manual_seed(0)
    ours, theirs = (kind(**SIZES) for kind in (OpenUnmix, module.OpenUnmix))
    ours.load_state_dict(theirs.state_dict())
    compare("training step, 4 x 6 s", step(ours), step(theirs), rounds)


def use_memory(what: str, who: str, folder: str) -> None:
    """Separate, so many seconds with niter 1, or train, once; print this process's peak."""
    module = peer(folder) if who == "theirs" else None
    kinds = (OpenUnmix, Separator) if module is None else (module.OpenUnmix, module.Separator)
    if what == "step":
        return report_memory(step(kinds[0](**SIZES)))
    separator, audio = build(*kinds, niter=1), noise(float(what.removesuffix(" s")))
    with torch.inference_mode():
        report_memory(lambda: separator(audio))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", nargs=2, help="what and whose to measure alone")
    parser.add_argument("--peer", help="folder with the authors' package")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        return use_memory(*given.memory, given.peer)
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        module = peer(folder)
        print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
        print(HEAD)
        for niter in (1, 0):
            compare_inference(module, niter, given.seconds, given.rounds)
        compare_training(module, given.rounds)
        song = f"{given.seconds:g} s"
        rows = [(song, "theirs"), (song, "ours"), ("step", "theirs"), ("step", "ours")]
        rows += [(f"{LONG_SECONDS:g} s", "ours")] if given.seconds >= 60 else []
        compare_memory(__file__, rows, ["--peer", folder, "--threads", str(given.threads)])


if __name__ == "__main__":
    main()
