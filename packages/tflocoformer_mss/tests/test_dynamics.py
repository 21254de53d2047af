"""A hundred batches of the recipe bs_musdb18hq_sfc, small, against a loop written out by hand."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from written_out import Batch, Plan, check_same_curve, our_curve, reference_curve

from mss_shared.recipe import find_recipe, load_recipe
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe, StepDecay
from tflocoformer_mss.training import Training


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The negative SNR, saturating at 30 dB; a tenth of the level of a silent stem's estimate."""
    estimate, stems = model(batch["mixture"]).double(), batch["stems"].double()
    losses = []
    for guess, stem, whole in zip(
        estimate.flatten(0, 1),
        stems.flatten(0, 1),
        stems.sum(1).repeat_interleave(stems.shape[1], 0),
        strict=True,
    ):
        energy, noise = stem.square().sum(), (guess - stem).square().sum()
        if energy > 0.0:
            ratio = (noise + 1e-3 * energy + 1e-7) / (energy + 1e-7)
            losses.append(10.0 * ratio.log10())
        else:
            quiet = guess.square().sum() + 1e-3 * whole.square().sum() + 1e-7
            losses.append(0.1 * 10.0 * quiet.log10())
    return torch.stack(losses).mean()


def batches(count: int, seed: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for index in range(count):
        stems = 0.1 * torch.randn(1, 4, 2, 3_000, generator=generator)
        if index % 3 == 0:
            stems[:, index % 4] = 0.0
        made.append({"mixture": stems.sum(1), "stems": stems})
    return made


def test_fifty_steps_of_two_batches_are_those_of_the_written_out_loop() -> None:
    """In float32, in which the transform computes whatever the weights' precision."""
    recipe = load_recipe(Recipe, find_recipe("tflocoformer_mss", "bs_musdb18hq_sfc")).recipe
    decay = StepDecay(from_step=20, to_step=40, every_steps=5, factor=0.5)
    # Steps and norms at which the schedule and the clipping act within a hundred batches.
    training = replace(recipe.training, warmup_steps=10, step_decay=decay, clip_norm=0.1)
    sizes = {"n_fft": 512, "hop_length": 256, "n_layers": 1, "emb_dim": 8, "attention_dim": 8}
    sizes |= {"n_heads": 2, "num_groups": 2, "ffn_hidden_dim": (4, 4), "conv1d_kernel": 2}
    recipe = replace(recipe, model=replace(recipe.model, **sizes, dropout=0.0))
    torch.manual_seed(0)
    model = PAPER.build_model(recipe)

    def rate(step: int) -> float:
        """The warm-up, then a half every five steps between the 20th and the 40th."""
        if step < 10:
            return 1e-3 * (step + 1) / 10
        return 1e-3 if step < 20 else 1e-3 * 0.5 ** ((min(step, 40) - 20) // 5)

    assert (training.lr, training.weight_decay, recipe.training.clip_norm) == (1e-3, 0.01, 5.0)
    plan = Plan(rate, decay=0.01, decoupled=True, clip=0.1, passes=2, ema=0.999)
    data, checks = batches(100, 1), batches(1, 2)
    theirs = reference_curve(model, loss_of, data, checks, plan)
    check_same_curve(our_curve(Training(model, training), data, checks, plan), theirs, 100)
