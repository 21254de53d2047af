"""Our LaSAFT-Net against the authors' structure written out: same weights, same input.

    python lasaft_bench.py                       published sizes, two threads: needs idle cores
    python lasaft_bench.py --channels 4 --song 12 --rounds 1        a smoke test

Four stems of one window in one call against four passes; a training step of two windows; a song
from file to files. The two take turns; printed are the median over rounds of (their seconds / our
seconds), the least seconds of each, and the largest difference, of outputs as a share of their
peak. The song takes one turn each, and its first and last 4 s are not compared: our command gives
the model silence around the song, for which it has two windows more at either end. Peak memory is
that of a process of its own for each, of a shorter song.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import lasaft_structure as structure
import soundfile
import torch
from torch import Tensor
from turns import HEAD, compare, compare_memory, report_memory

from lasaft import Separator
from lasaft.paper import PAPER
from lasaft.variants import VARIANTS
from mss_shared.heap import keep_freed_memory
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation import Delivery
from mss_shared.separation import separate_file as separate_our_file

NAMES = (
    "CUNET_TFC_FiLM",
    "CUNET_TFC_GPoCM",
    "CUNET_TFC_FiLM_TDF",
    "CUNET_TFC_GPoCM_TDF",
    "CUNET_TFC_FiLM_LaSAFT",
    "CUNET_TFC_GPoCM_LaSAFT",
    "CUNET_TFC_GPoCM_LightSAFT",
)
STEPPED = ("CUNET_TFC_GPoCM", "CUNET_TFC_GPoCM_LaSAFT", "CUNET_TFC_GPoCM_LightSAFT")
PUBLISHED = "CUNET_TFC_GPoCM_LaSAFT"
WHATS = ("window", "step", "song")
BATCH = 2
END_SECONDS = 4.0  # ours gives the windows at the ends of a song silence around it
RATE = 44_100
Act = Callable[[], Tensor]


def build(name: str, channels: int) -> Separator:
    torch.manual_seed(0)
    model = VARIANTS[name](internal_channels=channels).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # to compare losses
    return model


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def stems_of_window(model: Separator, who: str) -> Act:
    """Four stems of the samples that a window keeps."""
    audio = noise(1, 2, model.config.useful_samples)

    def act() -> Tensor:
        if who == "ours":
            found = model(audio)[0]
        else:
            stems = range(len(model.stems))
            found = torch.stack([structure.separate_stem(model, audio[0], s) for s in stems])
        return found / found.abs().max()

    return torch.inference_mode()(act)


def step(model: Separator, who: str) -> Act:
    """Forward and backward of the squared error of the spectrogram, one stem for each window."""
    model.train()
    mixture, target = (noise(BATCH, 2, model.config.window_samples) for _ in range(2))
    conditions = torch.arange(BATCH)

    def act() -> Tensor:
        model.zero_grad()
        image = model.image(model.spectrum(mixture))
        network = model.spec2spec
        if who == "ours":
            estimate = network(image, conditions)
        else:
            estimate = structure.network(network, image, conditions)
        loss = torch.nn.functional.mse_loss(estimate, model.image(model.spectrum(target)))
        loss.backward()
        return loss

    return act


def separating_song(
    model: Separator, who: str, seconds: float, folder: Path
) -> Callable[[], object]:
    """From file to files in a folder of either's name."""
    song, out = folder / "song.wav", folder / who
    soundfile.write(song, noise(round(seconds * RATE), 2).numpy(), RATE, subtype="FLOAT")
    inference = load_recipe(PAPER.recipe_type, find_recipe("lasaft", "paper_gpocm_lasaft"))
    out.mkdir(exist_ok=True)

    def act() -> None:
        if who == "ours":
            keep_freed_memory()  # as our command does; theirs has had its turn
            separate_our_file(model, song, out, inference.recipe.inference, Delivery())
        else:
            structure.separate_file(model, song, out)

    return torch.inference_mode()(act)


def separated_song(model: Separator, who: str, seconds: float, folder: Path) -> Act:
    """The stems that were written, read back, without their ends, as a share of their peak."""
    separate, end = separating_song(model, who, seconds, folder), round(END_SECONDS * RATE)

    def act() -> Tensor:
        separate()
        files = [next((folder / who).rglob(f"{stem}.wav")) for stem in model.stems]
        stems = torch.stack([torch.from_numpy(soundfile.read(f)[0][end:-end]) for f in files])
        return stems / stems.abs().max()

    return act


def action(model: Separator, what: str, who: str, seconds: float, folder: Path) -> Act:
    if what == "song":
        return separated_song(model, who, seconds, folder)
    return step(model, who) if what == "step" else stems_of_window(model, who)


def compare_all(given: argparse.Namespace, folder: Path) -> None:
    names = {"window": given.names, "step": STEPPED, "song": (PUBLISHED,)}
    told = {"window": "four stems of one window", "step": f"training step of {BATCH} windows"}
    told["song"] = f"{given.song:g} s from file to files"
    for what in WHATS:
        for name in names[what]:
            ours, theirs = (
                action(build(name, given.channels), what, who, given.song, folder)
                for who in ("ours", "theirs")
            )
            rounds = 0 if what == "song" else given.rounds
            compare(f"{name}, {told[what]}", ours, theirs, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--song", type=float, default=45.0, help="seconds of the song")
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--names", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--memory", nargs=3, help="name, what, and whose to measure alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            name, what, who = given.memory
            model = build(name, given.channels)
            if what == "song":  # without reading it back
                return report_memory(separating_song(model, who, given.song, Path(folder)))
            return report_memory(action(model, what, who, given.song, Path(folder)))
        print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
        print(HEAD)
        compare_all(given, Path(folder))
    words = ["--channels", str(given.channels), "--threads", str(given.threads)]
    words += ["--song", str(max(given.song / 3, 12.0))]
    compare_memory(__file__, list(product((PUBLISHED,), WHATS, ("theirs", "ours"))), words)


if __name__ == "__main__":
    main()
