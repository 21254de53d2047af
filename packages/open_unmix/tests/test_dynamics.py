"""A hundred steps of the recipe umxhq_vocals, small, against a loop written out by hand."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from written_out import Batch, Plan, check_same_curve, our_curve, reference_curve

from mss_shared.recipe import find_recipe, load_recipe
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe
from open_unmix.training import Training


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The mean squared error of the target's magnitudes, without centring."""

    def magnitude(audio: Tensor) -> Tensor:
        window = torch.hann_window(256, dtype=audio.dtype)
        spec = torch.stft(
            audio.flatten(0, 1), 256, 64, window=window, center=False, return_complex=True
        )
        return spec.abs().unflatten(0, audio.shape[:2])

    [network] = model.networks()
    error = network(magnitude(batch["mixture"])) - magnitude(batch["stems"][:, 0])
    return error.square().mean()


def batches(count: int, seed: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        stems = 0.1 * torch.randn(2, 2, 2, 2_000, generator=generator, dtype=torch.float64)
        made.append({"mixture": stems.sum(1), "stems": stems[:, :1]})
    return made


def test_a_hundred_steps_are_those_of_the_written_out_loop() -> None:
    recipe = load_recipe(Recipe, find_recipe("open_unmix", "umxhq_vocals")).recipe
    training = replace(recipe.training, plateau_patience=0, plateau_cooldown=1)
    sizes = {"n_fft": 256, "n_hop": 64, "hidden_size": 8, "nb_layers": 1}
    recipe = replace(recipe, model=replace(recipe.model, **sizes), training=training)
    torch.manual_seed(0)
    model = PAPER.build_model(recipe).double()
    for part in model.modules():
        if isinstance(part, nn.LSTM):
            part.dropout = 0.0
    plan = Plan(
        rate=lambda step: training.lr,
        decay=training.weight_decay,
        decoupled=False,
        clip=training.clip_norm,
        ema=training.ema_decay,
        plateau=(training.plateau_factor, 0, 1),
    )
    data, checks = batches(100, 1), batches(2, 2)
    theirs = reference_curve(model, loss_of, data, checks, plan)
    check_same_curve(our_curve(Training(model, training), data, checks, plan), theirs, 100)
