"""Both trainings from the same weights on the same batches, in float64: do they agree to rounding?

What is left to differ between the curves is then chance: initial weights, dropout, and which
excerpts are drawn.
"""

from __future__ import annotations

from pathlib import Path

import theirs
import torch
from torch.utils.data import DataLoader

from mss_shared.datasets.musdb18 import decode, find_previews, get_cache
from mss_shared.datasets.opening import open_dataset
from mss_shared.recipe import load_recipe
from open_unmix.examples import WholeTracks
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe
from open_unmix.statistics import input_statistics
from open_unmix.training import Training

STEPS = 10


def main() -> None:
    """Print the largest relative differences."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = load_recipe(Recipe, Path(__file__).parent / "recipe.yaml").recipe
    [stem] = recipe.model.targets
    decode(find_previews())
    dataset = open_dataset("musdb18_7s")
    drawn, songs = theirs.data_sets(recipe, get_cache(find_previews()), 0)
    encoder = theirs.make_encoder(recipe)
    mean, scale = theirs.input_statistics(drawn, encoder)
    ours = input_statistics(dataset.train, recipe.model.n_fft, recipe.model.n_hop)
    for name, a, b in zip(("mean", "deviation"), (mean, scale), ours, strict=True):
        print(f"{name} of the input: {relative(torch.from_numpy(a), b):.1e}")
    drawn, songs = theirs.data_sets(recipe, get_cache(find_previews()), 0)
    network, encoder = theirs.make_network(recipe, mean, scale).double(), encoder.double()
    model = PAPER.build_model(recipe)
    model.target_models[stem].load_state_dict(network.state_dict(), strict=True)
    module = Training(model, recipe.training).double().train()
    compare_steps(network, encoder, module, drawn)
    network.eval(), module.eval()
    pairs = zip(DataLoader(songs), DataLoader(WholeTracks(dataset.valid, [stem])), strict=True)
    with torch.no_grad():
        found = [
            (theirs.loss_of(network, encoder, *as_64(a)), module.loss(pack(b))) for a, b in pairs
        ]
    a, b = (torch.stack(side) for side in zip(*found, strict=True))
    print(f"validation losses of {len(found)} songs: {relative(a.sort()[0], b.sort()[0]):.1e}")


def compare_steps(network, encoder, module, drawn) -> None:
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


def as_64(pair):
    """A batch in float64."""
    return [each.double() for each in pair]


def pack(batch):
    """A batch of ours in float64."""
    return {key: value.double() for key, value in batch.items()}


def relative(a, b) -> float:
    """The largest difference as a share of the largest value."""
    return ((a - b).abs().max() / a.abs().max()).item()


if __name__ == "__main__":
    main()
