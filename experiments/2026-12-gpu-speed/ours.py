"""Our five models at published size: a batch of chunks separated, and a training step."""

import copy
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import clock
import torch
from torch import Tensor, nn

from mss_shared.recipe import load_recipe
from mss_shared.training.step_memory import _detach_from_trainer, _optimizers

PACKAGES = Path(__file__).resolve().parents[2] / "packages"
LONGEST = 10.0  # seconds of a chunk, where the recipe separates longer ones or whole songs


@dataclass(frozen=True)
class Model:
    """What is measured of a recipe.

    Attributes:
        package, recipe: whose sizes are taken.
        small: the recipe that takes its place with ``--tiny``.
        chunks: of a batch that is separated.
        examples: of a training step; halved while they do not fit.
    """

    package: str
    recipe: str
    small: str
    chunks: int
    examples: int


MODELS = {
    "Moises-Light large": Model("moises_light", "paper_large", "demo", 8, 4),
    "Moises-Light small": Model("moises_light", "paper_small", "demo", 8, 4),
    "BS-RoFormer": Model("bs_roformer", "paper_bs_l6_vocals", "demo", 8, 4),
    "Mel-Band RoFormer": Model("bs_roformer", "paper_mel_l6_vocals", "demo_mel", 8, 4),
    "TF-Locoformer": Model("tflocoformer_mss", "musdb18", "demo", 4, 2),
    "BS-Locoformer": Model("tflocoformer_mss", "bs_musdb18hq", "musdb18_7s_bs", 8, 4),
    "Open-Unmix": Model("open_unmix", "umxhq_vocals", "demo", 8, 16),
    "LaSAFT-Net": Model("lasaft", "paper_gpocm_lasaft", "demo", 4, 8),
}


@cache
def built(name: str, tiny: bool) -> tuple[Any, Any, nn.Module]:
    """The paper, the recipe, and a model on the CPU with weights from seed 0."""
    wanted = MODELS[name]
    paper = importlib.import_module(f"{wanted.package}.paper").PAPER
    file = wanted.small if tiny else wanted.recipe
    path = PACKAGES / wanted.package / "recipes" / f"{file}.yaml"
    recipe = load_recipe(paper.recipe_type, path).recipe
    torch.manual_seed(0)
    return paper, recipe, paper.build_model(recipe).eval()


def chunk_seconds(recipe: Any, tiny: bool) -> float:
    longest = 1.0 if tiny else LONGEST
    return min(recipe.inference.chunk_seconds or recipe.data.chunk_seconds, longest)


def noise(*shape: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (0.1 * torch.randn(*shape, generator=generator)).to(device)


def compiled_parts(package: str, model: Any) -> Iterable[nn.Module]:
    """What ``torch.compile`` is asked to compile, so that a training step runs it."""
    if package == "lasaft":
        return [model.spec2spec]
    return model.networks() if package == "open_unmix" else [model]


def infer(name: str, precision: str, compiled: bool, device: str, tiny: bool) -> dict[str, Any]:
    """Separate a batch of chunks: one line of the table."""
    _, recipe, kept = built(name, tiny)
    model: Any = copy.deepcopy(kept).to(device)
    chunks = 1 if tiny else MODELS[name].chunks
    seconds = chunk_seconds(recipe, tiny)
    samples = round(seconds * model.sample_rate)
    mixture = noise(chunks, model.channels, samples, device=device)
    run = torch.compile(model) if compiled else model
    with torch.inference_mode(), clock.precision_of("fp32", device):
        exact = model(mixture).float().cpu()
        work = clock.gmac(lambda: model(mixture))
    clock.forget_peak(device)
    with torch.inference_mode(), clock.precision_of(precision, device):
        warm = clock.first_call(lambda: run(mixture), device)
        took = clock.middle(lambda: run(mixture), device)
        apart = clock.error(run(mixture).cpu(), exact)
    return {
        "batch": chunks,
        "seconds": seconds,
        "ms": took,
        "realtime": chunks * seconds / took * 1e3,
        "gmac": work,
        "peak_gb": clock.peak_gb(device),
        "error": apart,
        "first_s": warm,
    }


def train(name: str, precision: str, compiled: bool, device: str, tiny: bool) -> dict[str, Any]:
    """A training step with the recipe's loss and optimizer; the batch is halved until it fits."""
    examples = 2 if tiny else MODELS[name].examples
    while True:
        try:
            return _train(name, precision, compiled, device, tiny, examples)
        except torch.OutOfMemoryError:
            if examples == 1:
                raise
            examples //= 2
        clock.forget_peak(device)  # outside of the except block, which keeps the tensors alive


def _train(
    name: str, precision: str, compiled: bool, device: str, tiny: bool, examples: int
) -> dict[str, Any]:
    """As ``train``, with a batch of ``examples``."""
    paper, recipe, kept = built(name, tiny)
    package = MODELS[name].package
    step = _Step(paper, recipe, kept, device)
    batch = make_batch(package, recipe, step.model, examples, device, tiny)
    seconds = batch["mixture"].shape[-1] / step.model.sample_rate
    exact, work = _count(_Step(paper, recipe, kept, device), batch, device)
    torch.manual_seed(0)  # of dropout
    for part in compiled_parts(package, step.model) if compiled else ():
        part.compile()
    clock.forget_peak(device)
    first: list[Tensor] = []
    with clock.precision_of(precision, device):
        warm = clock.first_call(lambda: first.append(step(batch)), device)
        took = clock.middle(lambda: step(batch), device)
    return {
        "batch": examples,
        "seconds": seconds,
        "ms": took,
        "realtime": examples * seconds / took * 1e3,
        "gmac": work,
        "peak_gb": clock.peak_gb(device),
        "error": clock.error(first[0], exact),
        "first_s": warm,
    }


def _count(step: "_Step", batch: dict[str, Tensor], device: str) -> tuple[Tensor, float]:
    """The first step's loss in float32, and the multiply-accumulates of another one."""
    torch.manual_seed(0)
    with clock.precision_of("fp32", device):
        return step(batch), clock.gmac(lambda: step(batch))


class _Step:
    """Forward pass, loss, backward pass and optimizer of a copy of a model; returns the loss."""

    def __init__(self, paper: Any, recipe: Any, kept: nn.Module, device: str) -> None:
        self.module = paper.build_training(copy.deepcopy(kept), recipe).to(device).train()
        _detach_from_trainer(self.module)
        self.model: Any = self.module.model
        self.optimizers = _optimizers(self.module)

    def __call__(self, batch: dict[str, Tensor]) -> Tensor:
        loss: Tensor = self.module.training_step(batch, 0)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()


def make_batch(
    package: str, recipe: Any, model: Any, examples: int, device: str, tiny: bool
) -> dict[str, Tensor]:
    """Noise in the shapes of the paper's examples."""
    seconds = min(recipe.data.chunk_seconds, 1.0) if tiny else recipe.data.chunk_seconds
    samples = round(seconds * model.sample_rate)
    if package == "lasaft":
        shape = (examples, model.channels, model.config.window_samples)
        mixture = noise(*shape, device=device)
        condition = torch.arange(examples, device=device) % len(model.stems)
        return {"mixture": mixture, "target": 0.5 * mixture.flip(0), "condition": condition}
    stems = noise(examples, len(model.stems), model.channels, samples, device=device)
    return {"mixture": stems.sum(dim=1) + 0.1 * stems[:, 0].flip(-1), "stems": stems}


ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {"infer": infer, "train": train}
