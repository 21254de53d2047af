"""A hundred steps of the recipe paper_gpocm_lasaft, small, against a loop written out by hand."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from written_out import Batch, Plan, check_same_curve, our_curve, reference_curve

from lasaft.paper import PAPER
from lasaft.recipe import Recipe
from lasaft.training import Training
from mss_shared.recipe import find_recipe, load_recipe


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of spectrograms in training, L1 of waveforms in validation."""
    spec = model.spectrum(batch["mixture"])
    if "target" in batch:
        estimate = model.estimate(model.image(spec), batch["condition"])
        return (estimate - model.image(model.spectrum(batch["target"]))).square().mean()
    stems = batch["stems"]
    conditions = torch.arange(stems.shape[1]).repeat(len(stems))
    estimate = model.estimate(model.image(spec), conditions)
    return (model.waveform(estimate, spec) - stems.flatten(0, 1)).abs().mean()


def batches(count: int, seed: int, samples: int, checks: bool) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made: list[Batch] = []
    for _ in range(count):
        stems = 0.1 * torch.randn(3, 4, 2, samples, generator=generator, dtype=torch.float64)
        condition = torch.randint(4, (3,), generator=generator)
        target = stems[torch.arange(3), condition]
        drawn = {"stems": stems} if checks else {"target": target, "condition": condition}
        made.append({"mixture": stems.sum(1), **drawn})
    return made


def test_a_hundred_steps_are_those_of_the_written_out_loop() -> None:
    recipe = load_recipe(Recipe, find_recipe("lasaft", "paper_gpocm_lasaft")).recipe
    training = recipe.training
    assert (training.train_loss, training.val_loss) == ("spec_mse", "raw_l1")
    assert (training.optimizer, training.schedule) == ("adam", "none")
    sizes = {"n_fft": 128, "hop_length": 64, "num_frame": 16, "n_blocks": 3, "num_tdfs": 2}
    sizes |= {"internal_channels": 4, "n_internal_layers": 2, "min_bn_units": 2, "dk": 4}
    sizes |= {"embedding_dim": 4, "control_n_layer": 2}
    recipe = replace(recipe, model=replace(recipe.model, **sizes))
    torch.manual_seed(0)
    model = PAPER.build_model(recipe).double()
    plan = Plan(rate=lambda step: training.lr, decay=0.0, decoupled=False, clip=training.clip_norm)
    samples = recipe.model.window_samples
    data, checks = batches(100, 1, samples, False), batches(1, 2, samples, True)
    theirs = reference_curve(model, loss_of, data, checks, plan)
    check_same_curve(our_curve(Training(model, training), data, checks, plan), theirs, 100)
