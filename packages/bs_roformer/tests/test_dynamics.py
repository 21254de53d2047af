"""A hundred steps of the recipe community_4stem, small, against a loop written out by hand."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from written_out import Batch, Plan, check_same_curve, our_curve, reference_curve

from bs_roformer.paper import PAPER
from bs_roformer.recipe import Recipe
from bs_roformer.training import Training
from mss_shared.recipe import find_recipe, load_recipe

WINDOWS = (4096, 2048, 1024, 512, 256)


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """L1 of waveforms, and of complex spectrograms of five windows, in n_fft points or more."""
    error = model(batch["mixture"]) - batch["stems"]
    loss = error.abs().mean()
    for size in WINDOWS:
        window = torch.hann_window(size, dtype=error.dtype)
        points = max(size, 512)
        spec = torch.stft(error.flatten(0, 2), points, 147, size, window, return_complex=True)
        loss = loss + spec.abs().mean()
    return loss


def batches(count: int, seed: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        stems = 0.1 * torch.randn(1, 4, 2, 2_100, generator=generator, dtype=torch.float64)
        made.append({"mixture": stems.sum(1), "stems": stems})
    return made


def test_a_hundred_steps_are_those_of_the_written_out_loop() -> None:
    recipe = load_recipe(Recipe, find_recipe("bs_roformer", "community_4stem")).recipe
    # A higher rate and no patience, so that a hundred steps are enough to see the plateau act.
    training = replace(recipe.training, lr=2e-3, plateau_patience=0)
    sizes = {"dim": 8, "depth": 1, "heads": 2, "dim_head": 4, "attn_dropout": 0.0}
    sizes |= {"ff_dropout": 0.0, "freqs_per_bands": (7, 50, 200)}
    sizes |= {"stft_n_fft": 512, "stft_win_length": 512, "stft_hop_length": 128}
    recipe = replace(recipe, model=replace(recipe.model, **sizes))
    torch.manual_seed(0)
    model = PAPER.build_model(recipe).double()
    plan = Plan(
        rate=lambda step: training.lr,
        decay=training.weight_decay,
        decoupled=True,
        clip=training.clip_norm,
        passes=2,
        ema=training.ema_decay,
        plateau=(training.lr_factor, 0, 0),
    )
    assert (recipe.training.ema_decay, plan.decay) == (0.999, 0.0)
    assert recipe.model.multi_stft_resolutions_window_sizes == WINDOWS
    data, checks = batches(100, 1), batches(1, 2)
    theirs = reference_curve(model, loss_of, data, checks, plan)
    check_same_curve(our_curve(Training(model, training), data, checks, plan), theirs, 100)
