"""What could differ between the trainings besides chance, piece by piece.

The same steps from the same weights on the same batches, in float64, must agree to rounding. So
must the first epochs of our fit, replayed by the authors' network in the written-out loop on the
examples that our fit draws. Which excerpts are drawn is chance; their levels are compared.
"""

from __future__ import annotations

from typing import Any

import lightning as pl
import theirs
import torch
from run import HERE, read
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mss_shared.datasets.musdb18 import decode, find_previews, get_cache
from mss_shared.datasets.opening import open_dataset
from mss_shared.recipe import load_recipe
from mss_shared.training.random_mixes import default_examples
from open_unmix.examples import WholeTracks
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe
from open_unmix.statistics import input_statistics
from open_unmix.training import Training

STEPS, DRAWS, EPOCHS = 10, 1500, 4


def main() -> None:
    """Print the largest relative differences."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = load_recipe(Recipe, HERE / "recipe.yaml").recipe
    decode(find_previews())
    dataset = open_dataset("musdb18_7s")
    drawn, songs = theirs.data_sets(recipe, get_cache(find_previews()), 0)
    encoder = theirs.make_encoder(recipe)
    mean, scale = theirs.input_statistics(drawn, encoder)
    ours = input_statistics(dataset.train, recipe.model.n_fft, recipe.model.n_hop)
    for name, a, b in zip(("mean", "deviation"), (mean, scale), ours, strict=True):
        print(f"{name} of the input: {relative(torch.from_numpy(a), b):.1e}")
    examples = default_examples(dataset, recipe.data, recipe.model.targets, 0).train
    compare_draws(drawn, examples, recipe.data.examples_per_epoch)
    networks = [theirs.make_network(recipe, mean, scale) for _ in range(2)]
    compare_fit(recipe, networks[0], encoder, examples, songs)
    network, encoder = networks[1].double(), encoder.double()
    model = PAPER.build_model(recipe)
    model.target_models[model.stems[0]].load_state_dict(network.state_dict(), strict=True)
    module = Training(model, recipe.training).double().train()
    compare_steps(network, encoder, module, drawn)
    compare_validation(network.eval(), encoder, module.eval(), songs, dataset.valid)


def compare_fit(
    recipe: Any, network: nn.Module, encoder: nn.Module, examples: Any, songs: Dataset[Any]
) -> None:
    """Replay the first epochs of our seed 0 with the authors' network."""
    values, per_epoch = recipe.training, recipe.data.examples_per_epoch
    pl.seed_everything(0, verbose=False)
    [own] = PAPER.build_model(recipe).networks()
    statistics = {key: network.state_dict()[key] for key in ("input_mean", "input_scale")}
    start = own.state_dict() | statistics
    network.load_state_dict(start, strict=True)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=values.lr, weight_decay=values.weight_decay
    )
    found = []
    for epoch in range(EPOCHS):
        indices = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        pairs = [(each["mixture"], each["stems"][0]) for each in map(examples.__getitem__, indices)]
        pl.seed_everything(epoch * 4096, verbose=False)  # as our fit does
        batches = DataLoader(pairs, values.batch, generator=torch.Generator())
        loss = theirs.train_epoch(network, encoder, optimizer, batches)
        found.append((loss, theirs.validate(network, encoder, DataLoader(songs))))
    curve = read(HERE / "curves.csv")["ours", 0][:EPOCHS]
    worst = relative(torch.tensor(found), torch.tensor(curve))
    print(f"losses of the first {EPOCHS} epochs of our fit: {worst:.1e}")


def compare_validation(
    network: nn.Module, encoder: nn.Module, module: Training, songs: Any, tracks: Any
) -> None:
    """The losses of the whole songs, as each side reads them."""
    pairs = zip(DataLoader(songs), DataLoader(WholeTracks(tracks, module.model.stems)), strict=True)
    with torch.no_grad():
        found = [
            (theirs.loss_of(network, encoder, *as_64(a)), module.loss(pack(b))) for a, b in pairs
        ]
    a, b = (torch.stack(side) for side in zip(*found, strict=True))
    print(f"validation losses of {len(found)} songs: {relative(a, b):.1e}")


def compare_steps(
    network: nn.Module, encoder: nn.Module, module: Training, drawn: Dataset[Any]
) -> None:
    """Take the same steps; both draw the same dropout."""
    config = module.config
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    [own], _ = module.configure_optimizers()
    batches = iter(DataLoader(drawn, batch_size=config.batch, shuffle=True))
    losses = []
    for step in range(STEPS):
        mixture, stem = as_64(next(batches))
        torch.manual_seed(step)
        a = theirs.loss_of(network, encoder, mixture, stem)
        torch.manual_seed(step)
        b = module.loss({"mixture": mixture, "stems": stem[:, None]})
        for loss, optim in ((a, optimizer), (b, own)):
            optim.zero_grad()
            loss.backward()
            optim.step()
        torch.manual_seed(1000 + step)  # of the next batch's augmentation
        losses.append((a.detach(), b.detach()))
    a, b = (torch.stack(side) for side in zip(*losses, strict=True))
    print(f"losses of {STEPS} steps, {a[0]:.2f} to {a[-1]:.2f}: {relative(a, b):.1e}")
    network_b = module.model.target_models[module.model.stems[0]]
    worst = max(
        relative(p, q) for p, q in zip(network.parameters(), network_b.parameters(), strict=True)
    )
    print(f"parameters after them: {worst:.1e}")


def compare_draws(drawn: Dataset[Any], examples: Dataset[Any], per_epoch: int) -> None:
    """Print the levels of mixtures and stems drawn by both sides, with their standard errors."""
    theirs_levels, our_levels = [], []
    for number in range(DRAWS):
        theirs_levels.append([level(each) for each in drawn[number % per_epoch]])
        example = examples[number]
        our_levels.append([level(example["mixture"]), level(example["stems"][0])])
    for side, levels in (("authors", theirs_levels), ("ours", our_levels)):
        table = torch.tensor(levels, dtype=torch.float64)
        error = table.std(0) / DRAWS**0.5
        for place, what in enumerate(("mixture", "stem")):
            mean, spread = table.mean(0)[place], table.std(0)[place]
            print(f"{side}, {what}: {mean:.4f} +- {error[place]:.4f}, deviation {spread:.4f}")


def level(audio: Tensor) -> float:
    """Root mean square."""
    return audio.double().square().mean().sqrt().item()


def as_64(pair: list[Tensor]) -> list[Tensor]:
    """A batch in float64."""
    return [each.double() for each in pair]


def pack(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch of ours in float64."""
    return {key: value.double() for key, value in batch.items()}


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    return ((a - b).abs().max() / a.abs().max()).item()


if __name__ == "__main__":
    main()
