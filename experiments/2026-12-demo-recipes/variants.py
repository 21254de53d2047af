"""Train changed demo recipes for a part of their time, and print the SDR of validation songs.

    python variants.py              every row of VARIANTS that variants.csv does not have yet
    python variants.py bs_roformer  those of one package

One thread, the same examples for all; SDR of one-second excerpts of the validation songs, median
per stem. Each run's schedule ends with its own steps. Two processes, one of each package, may run
at a time.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import yaml
from filelock import FileLock
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import default_collate

from mss_shared.datasets import open_dataset
from mss_shared.recipe import load_recipe
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.songs import fit_songs

HERE = Path(__file__).parent
TOP = HERE.parents[1]
TABLE = HERE / "variants.csv"
RUNS = TOP / "experiments" / "runs" / "demo-recipes"
LOCK = FileLock(RUNS / "variants.lock")
STEMS = ("vocals", "drums", "bass", "other")
COLUMNS = ("package", "variant", "steps", "seconds", *STEMS, "mean")

# The demo recipes as they were before this experiment, by what was changed in them since.
BEFORE = {
    "moises_light": "model.n_bands=4 model.G=12 model.bn_factor=8 "
    "training.batch=4 training.lr=5e-3",
    "bs_roformer": "model.dim=32 model.heads=2 model.depth=2 model.stft_hop_length=882 "
    "training.batch=4",
}
SPECTRA = (
    "training.waveform_weight=0.0 training.spec_weight=1.0 training.multi_spec_weight=1.0 "
    "training.multi_n_fft=[2048,512]"
)
BANDS = "model.n_bands=16 model.G=64 model.bn_factor=4"
LONG = (
    "model.n_fft=2048 model.win_size=2048 model.hop_size=1024 model.freq_dim=512 model.bn_factor=4"
)
SHORT = (
    "model.stft_n_fft=1024 model.stft_win_length=1024 "
    "model.freqs_per_bands=[2,2,2,2,2,2,4,4,4,4,8,8,8,16,16,32,32,64,128,173]"
)
HOP = "training.batch=2 model.stft_hop_length=441"
TODAY = f"{HOP} model.depth=1 model.dim=64 model.heads=4"
FINER = (
    "model.freqs_per_bands=[2,2,2,2,2,2,2,2,2,2,2,2,4,4,4,4,4,4,4,4,8,8,8,8,8,8,16,16,16,16,"
    "32,32,32,32,64,64,128,128,172,173]"
)
MEL = "model.kind=mel model.freqs_per_bands=null model.num_bands=20 model.mask_estimator_depth=1"
# (package, name, steps, changes of the recipe before)
VARIANTS = (
    ("moises_light", "before, whole run", 600, ""),
    ("moises_light", "paper's losses of spectra", 300, SPECTRA),
    ("moises_light", "G 32", 300, "model.G=32"),
    ("moises_light", "16 bands", 300, BANDS),
    ("moises_light", "16 bands, 200 steps", 200, BANDS),
    ("moises_light", "16 bands, lr 2e-3", 200, f"{BANDS} training.lr=2e-3"),
    ("moises_light", "16 bands, lr 1.2e-2", 200, f"{BANDS} training.lr=1.2e-2"),
    ("moises_light", "16 bands, lr 2.5e-2", 200, f"{BANDS} training.lr=2.5e-2"),
    ("moises_light", "16 bands, no masks", 200, f"{BANDS} model.use_mask=false"),
    ("moises_light", "16 bands, SiLU", 200, f"{BANDS} model.act_name=SiLU"),
    ("moises_light", "16 bands, heavy stage last", 200, f"{BANDS} model.dec_heavy_at=last"),
    ("moises_light", "16 bands, lr 1.2e-2, batch 2", 400,
     f"{BANDS} training.lr=1.2e-2 training.batch=2"),
    ("moises_light", "the same, whole run", 1200, f"{BANDS} training.lr=1.2e-2 training.batch=2"),
    ("bs_roformer", "before", 200, ""),
    ("bs_roformer", "batch 2", 400, "training.batch=2"),
    ("bs_roformer", "batch 2, lr 1e-2", 400, "training.batch=2 training.lr=1e-2"),
    ("bs_roformer", "with a loss of spectra", 200,
     "model.multi_stft_resolution_loss_weight=1.0 model.multi_stft_hop_size=512 "
     "model.multi_stft_resolutions_window_sizes=[1024]"),
    ("bs_roformer", "batch 2, 64 wide", 400, "training.batch=2 model.dim=64 model.heads=4"),
    ("bs_roformer", "hop 441, batch 2", 300, HOP),
    ("bs_roformer", "hop 441, window 1024, batch 2", 360, f"{HOP} {SHORT}"),
    ("bs_roformer", "hop 245, batch 2", 170, "training.batch=2 model.stft_hop_length=245"),
    ("bs_roformer", "hop 441, depth 1, batch 2", 360, f"{HOP} model.depth=1"),
    ("bs_roformer", "today: the same, 64 wide", 270, TODAY),
    ("bs_roformer", "today, whole run", 550, TODAY),
    ("bs_roformer", "today, vocals alone", 270, f"{TODAY} model.stems=[vocals]"),
    ("bs_roformer", "today, mask MLP 4 times as wide", 270,
     f"{TODAY} model.mlp_expansion_factor=4"),
    ("bs_roformer", "today, 160 steps", 160, TODAY),
    ("bs_roformer", "today, twice the bands", 160, f"{TODAY} {FINER}"),
    ("bs_roformer", "today, mel bands", 260, f"{TODAY} {MEL}"),
    ("bs_roformer", "today, bands keep their levels", 270, f"{TODAY} levels=kept"),
    ("bs_roformer", "the same, whole run", 550, f"{TODAY} levels=kept"),
)  # fmt: skip


def changed(package: str, words: str) -> tuple[Any, Any]:
    """The package's paper and its demo recipe with these changes, each `key=YAML value`."""
    text = (TOP / "packages" / package / "recipes" / "demo.yaml").read_text()
    document = yaml.safe_load(text)
    for word in words.split():
        key, value = word.split("=", 1)
        *groups, last = key.split(".")
        place = document
        for group in groups:
            place = place[group]
        place[last] = yaml.safe_load(value)
    path = RUNS / f"{package}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    paper = import_module(f"{package}.paper").PAPER
    return paper, load_recipe(paper.recipe_type, path).recipe


def train(package: str, steps: int, words: str) -> dict[str, str]:
    """The columns of a trained variant."""
    paper, recipe = changed(package, f"{BEFORE[package]} {words.removesuffix(' levels=kept')}")
    torch.manual_seed(0)
    model = paper.build_model(recipe)
    if words.endswith(" levels=kept"):
        for features in model.band_split.to_features:
            features[0] = LevelNorm(features[0].gamma)
    songs, recipe = fit_songs(open_dataset("demo"), recipe, model)
    sets = default_examples(songs, recipe.data, model.stems, 0)
    sets = paper.choose_examples(sets, songs, recipe, model, 0)
    module = paper.build_training(model, recipe).train()
    module.log_mean = lambda *_: None
    module._trainer = SimpleNamespace(estimated_stepping_batches=steps, global_step=0)
    [optimizer], [schedule] = module.configure_optimizers()
    clip = getattr(recipe.training, "clip_norm", None)
    start = time.process_time()
    for step in range(steps):
        places = range(step * recipe.training.batch, (step + 1) * recipe.training.batch)
        examples = default_collate([sets.train[place] for place in places])
        module.training_step(examples, step).backward()
        if clip:
            clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        schedule["scheduler"].step()
    seconds = time.process_time() - start
    sdrs = median_sdrs(model.eval(), sets.valid)
    return {"seconds": f"{seconds:.0f}", **dict(zip((*model.stems, "mean"), sdrs, strict=True))}


class LevelNorm(nn.Module):
    """The norm of a band over all frames at once: not the paper's, whose bands lose their level.

    The paper's RMSNorm sets each band of each frame to one root mean square, so that no layer
    after it can tell a loud frame or band from a soft one.
    """

    def __init__(self, gamma: nn.Parameter) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, numbers of the band) -> the same."""
        scale = x.square().mean(dim=(1, 2), keepdim=True).clamp(min=1e-10).rsqrt()
        return x * scale * self.gamma


@torch.no_grad()
def median_sdrs(model: Any, examples: Sequence[dict[str, Tensor]]) -> list[str]:
    """Median SDR in dB of each stem, and their mean; silent references do not count."""
    found: list[list[float]] = [[] for _ in model.stems]
    for place in range(len(examples)):
        example = examples[place]
        estimates = model(example["mixture"][None])[0]
        for ratios, reference, estimate in zip(found, example["stems"], estimates, strict=True):
            energy = float(reference.square().sum())
            if energy > 1e-3:
                error = float((reference - estimate).square().sum())
                ratios.append(float(10 * torch.log10(torch.tensor(energy / error))))
    medians = [statistics.median(ratios) for ratios in found]
    return [f"{value:.2f}" for value in (*medians, statistics.mean(medians))]


def main() -> None:
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    RUNS.mkdir(parents=True, exist_ok=True)
    for package, name, steps, words in VARIANTS:
        with LOCK:
            known = {(line["package"], line["variant"]) for line in read_table()}
        if (package, name) in known or (wanted and package not in wanted):
            continue
        found = train(package, steps, words)
        line = {"package": package, "variant": name, "steps": str(steps), **found}
        print(line, flush=True)
        with LOCK:
            write_table([*read_table(), line])


def read_table() -> list[dict[str, str]]:
    """The rows that were made; none if there is no table."""
    return list(csv.DictReader(TABLE.open(newline=""))) if TABLE.is_file() else []


def write_table(lines: list[dict[str, str]]) -> None:
    """The table with these rows, in the order of VARIANTS."""
    order = [(package, name) for package, name, *_ in VARIANTS]
    lines.sort(key=lambda line: order.index((line["package"], line["variant"])))
    with TABLE.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


if __name__ == "__main__":
    main()
