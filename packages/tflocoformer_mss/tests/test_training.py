"""Every training option acts."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from mss_shared.datasets import open_dataset
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe, shipped_recipes, to_yaml
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit
from mss_shared.training.random_mixes import default_examples
from tflocoformer_mss.blocks import Block
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe, StepDecay
from tflocoformer_mss.training import Training, cuda_flags, set_cuda_flags

TINY = {"n_layers": 1, "emb_dim": 4, "attention_dim": 4, "ffn_hidden_dim": (4, 4)}
TINY |= {"n_heads": 1, "n_fft": 512, "hop_length": 256}
BASE = {"epochs": 1, "warmup_steps": 0, "plateau_factor": 0.5}
STEMS = ("vocals", "drums", "bass", "other")
MUSIC = {"musdb18_small", "musdb18_small_nope", "musdb18", "musdb18_xlarge"}
MUSIC |= {"bs_musdb18hq", "bs_musdb18hq_sfc", "tuss_musdb18hq", "tuss_medium", "tuss_large"}
QUIET: dict[str, Any] = {
    "max_epochs": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def recipe(**training: Any) -> LoadedRecipe[Recipe]:
    """The demo's at a width for tests, with changes of its training section."""
    loaded = load_recipe(Recipe, find_recipe("tflocoformer_mss", "demo"))
    found = loaded.recipe
    changed = replace(
        found,
        data=replace(found.data, chunk_seconds=0.1, examples_per_epoch=4),
        model=replace(found.model, **TINY),
        training=replace(found.training, **{**BASE, **training}),
    )
    return replace(loaded, recipe=changed, text=to_yaml(changed), verbatim=False)


def narrow(found: Recipe, **model: Any) -> Recipe:
    """A shipped recipe, narrow and shallow, with all else as it is."""
    small = {"n_layers": 1, "emb_dim": 8, "attention_dim": 16, "num_groups": 2, "n_heads": 2}
    sizes = {"n_fft": 128, "hop_length": 32} if found.model.kind == "tf" else {"n_fft": 512}
    small |= {"hop_length": 256, **sizes}
    small |= {"ffn_hidden_dim": (4,) * len(found.model.ffn_hidden_dim)}
    if found.model.n_second_layers:
        small |= {"n_second_layers": 1, "second_attention_dim": 16, "second_ffn_hidden_dim": (4, 4)}
    return replace(found, model=replace(found.model, **{**small, **model}))


def training(**changes: Any) -> Training:
    found = recipe(**changes).recipe
    torch.manual_seed(0)
    return Training(PAPER.build_model(found), found.training)


def batch(size: int = 4, samples: int = 2_000) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    stems = 0.1 * torch.randn(size, 4, 2, samples, generator=generator)
    return {"mixture": stems.sum(1), "stems": stems}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, seconds=0.5)
    return open_dataset(str(root))


def trained(folder: Path, songs: Any, micro_batch: int | None = None, **changes: Any) -> Any:
    """Weights, and the rows of metrics.csv."""
    machine = Machine(device="cpu", micro_batch=micro_batch)
    fit(PAPER, recipe(**changes), songs, folder, machine)
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        return load_file(folder / "model.safetensors"), [*csv.DictReader(file)]


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max((one[key] - other[key]).abs().max().item() for key in one)


# ---- learning rates


def rates(module: Training, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rate of each optimizer step, as the loop would make them."""
    trainer = SimpleNamespace(estimated_stepping_batches=steps, global_step=0)
    monkeypatch.setattr(Training, "trainer", trainer)
    found: list[float] = []
    monkeypatch.setattr(
        pl.LightningModule,
        "optimizer_step",
        lambda _s, _e, _b, optimizer, *_: found.append(optimizer.param_groups[0]["lr"]),
    )
    made = module.configure_optimizers()
    [optimizer], [schedule] = made if isinstance(made, tuple) else ([made], [{}])
    for step in range(steps):
        trainer.global_step = step
        module.optimizer_step(0, step, optimizer)
        optimizer.step()
        if schedule.get("interval") == "step":
            schedule["scheduler"].step()
    return found


def test_the_warm_up_rises_linearly_to_the_full_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training(schedule="plateau", lr=1.0, warmup_steps=4, warmup_start_lr=0.2)
    assert rates(module, 6, monkeypatch) == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_without_a_warm_up_the_first_step_has_the_full_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rates(training(schedule="plateau", lr=1.0), 2, monkeypatch) == [1.0, 1.0]


def test_the_cosine_ends_at_zero_and_may_follow_a_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = training(schedule="cosine", lr=1.0, warmup_steps=1, warmup_start_lr=0.0)
    found = rates(module, 4, monkeypatch)
    assert found == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466], abs=1e-6)


def test_steps_lower_the_rate_between_two_steps_and_may_follow_a_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decay = StepDecay(from_step=4, to_step=8, every_steps=2, factor=0.5)
    module = training(schedule="steps", step_decay=decay, lr=1.0, warmup_steps=2)
    found = rates(module, 11, monkeypatch)
    assert found == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_steps_need_their_values_and_other_schedules_refuse_them() -> None:
    with pytest.raises(ValueError, match="schedule is steps and training.step_decay null"):
        training(schedule="steps")
    decay = StepDecay(0, 8, 2, 0.5)
    with pytest.raises(ValueError, match="schedule is plateau and training.step_decay is given"):
        training(schedule="plateau", step_decay=decay)
    with pytest.raises(ValueError, match="every 0 steps from 9 to 8: give at least 1"):
        StepDecay(9, 8, 0, 0.5)


def plateau(losses: list[float], **changes: Any) -> list[float]:
    """The rate after each epoch's loss."""
    module = training(schedule="plateau", lr=1.0, **changes)
    [optimizer], [schedule] = module.configure_optimizers()
    assert schedule["monitor"] == "val/loss"
    found = []
    for loss in losses:
        schedule["scheduler"].step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_a_plateau_lowers_the_rate_after_its_patience_and_rests_after_that() -> None:
    assert plateau([1.0] * 5, plateau_patience=1) == [1.0, 1.0, 0.5, 0.5, 0.25]
    cooled = plateau([1.0] * 7, plateau_patience=1, plateau_cooldown=2)
    assert cooled == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_a_plateau_goes_no_lower_than_its_least_rate() -> None:
    assert plateau([1.0] * 4, plateau_min_lr=0.4) == [1.0, 0.5, 0.4, 0.4]


def test_epochs_that_are_held_make_no_plateau() -> None:
    assert plateau([1.0] * 5, plateau_hold_epochs=3) == [1.0, 1.0, 1.0, 1.0, 0.5]


def test_the_count_of_held_epochs_is_kept_in_a_checkpoint() -> None:
    module = training(schedule="plateau", lr=1.0, plateau_hold_epochs=2)
    _, [first] = module.configure_optimizers()
    first["scheduler"].step(1.0)
    [optimizer], [second] = module.configure_optimizers()
    second["scheduler"].load_state_dict(first["scheduler"].state_dict())
    for _ in range(3):
        second["scheduler"].step(1.0)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_an_unknown_schedule_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="'linear': choose plateau, cosine or steps"):
        training(schedule="linear")


# ---- the optimizer


def test_the_optimizers_numbers_are_the_recipes() -> None:
    changes = {"lr": 0.125, "weight_decay": 0.25, "betas": (0.5, 0.75), "adam_eps": 0.1}
    module = training(schedule="plateau", fused=False, **changes)
    [optimizer], _ = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    names = {"adam_eps": "eps"}
    assert {key: optimizer.defaults[names.get(key, key)] for key in changes} == changes
    assert optimizer.defaults["fused"] is False
    fused = training(schedule="plateau", fused=True)
    assert fused.configure_optimizers()[0][0].defaults["fused"] is True


@pytest.mark.parametrize(
    "change",
    [{"betas": (0.5, 0.6)}, {"weight_decay": 10.0}, {"adam_eps": 0.1}, {"clip_norm": 1e-6}],
)
def test_a_changed_number_changes_the_weights(
    change: dict[str, Any], songs: Any, tmp_path: Path
) -> None:
    """In two steps, as the first of AdamW knows no betas."""
    plain, _ = trained(tmp_path / "plain", songs, epochs=2, schedule="plateau")
    changed, _ = trained(tmp_path / "changed", songs, epochs=2, schedule="plateau", **change)
    assert distance(plain, changed) > 1e-5


def test_the_fused_update_is_the_plain_one(songs: Any, tmp_path: Path) -> None:
    weights = [trained(tmp_path / str(fused), songs, fused=fused)[0] for fused in (True, False)]
    assert distance(*weights) < 1e-6


def test_accumulated_passes_make_the_step_of_the_whole_batch(songs: Any, tmp_path: Path) -> None:
    """Four examples at once, or one at a time: none is dropped."""
    changes = {"si_sdr_weight": 1.0, "spectral_weight": 0.1, "adam_eps": 1e-3}
    whole, rows = trained(tmp_path / "whole", songs, **changes)
    parts, parted = trained(tmp_path / "parts", songs, micro_batch=1, **changes)
    assert rows[-1]["step"] == parted[-1]["step"] == "1"
    assert distance(whole, parts) < 1e-4
    untrained = PAPER.build_model(recipe().recipe).state_dict()
    assert distance(whole, untrained) > 1e-3


# ---- memory, precision, the process


@pytest.mark.parametrize("wanted", [False, True])
def test_gradient_checkpointing_computes_the_paths_again(wanted: bool) -> None:
    module = training(gradient_checkpointing=wanted).train()
    calls: list[str] = []
    for part in module.model.modules():
        if isinstance(part, Block):
            part.freq_path.attn.qkv.register_forward_hook(lambda *_: calls.append("qkv"))
    module.log_mean = lambda *_: None  # type: ignore[method-assign]
    module.training_step(batch(), 0).backward()
    assert len(calls) == (2 if wanted else 1)


@pytest.fixture
def flags() -> Iterator[None]:
    before = cuda_flags()
    set_cuda_flags(False, False, False)
    yield
    set_cuda_flags(*before)


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("benchmark", [False, True])
def test_tf32_and_trying_kernels_are_switched_for_the_fit_alone(
    tf32: bool, benchmark: bool, flags: None, songs: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    seen = []
    plain = Training.training_step

    def step(self: Training, *given: Any) -> Tensor:
        seen.append(cuda_flags())
        return plain(self, *given)

    monkeypatch.setattr(Training, "training_step", step)
    trained(tmp_path / "run", songs, tf32=tf32, cudnn_benchmark=benchmark)
    assert seen == [(tf32, tf32, benchmark)]
    assert cuda_flags() == (False, False, False)
    assert not torch.backends.cudnn.deterministic


def loader() -> DataLoader[Any]:
    return DataLoader([{k: v[0] for k, v in batch(1).items()}], batch_size=1)  # type: ignore[arg-type]


# Of Lightning 2.6 beside torch 2.13.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning")
@pytest.mark.parametrize(
    ("precision", "inside"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_half_precision_is_on_in_training_and_in_validation(
    precision: Any, inside: torch.dtype
) -> None:
    module = training(schedule="plateau")
    seen: dict[bool, torch.dtype] = {}
    [block] = module.model.blocks()
    block.freq_path.attn.qkv.register_forward_hook(
        lambda layer, _, out: seen.update({layer.training: out.dtype})
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=precision,
        **QUIET,
    )
    trainer.fit(module, loader(), loader())
    assert seen == {True: inside, False: inside}


@pytest.fixture
def norms(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of all gradients after each optimizer step, which leaves them as it took them."""
    found: list[float] = []
    plain = Training.optimizer_step

    def step(self: Training, *given: Any) -> None:
        plain(self, *given)
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        found.append(torch.stack([g.norm() for g in gradients]).norm().item())

    monkeypatch.setattr(Training, "optimizer_step", step)
    return found


HALVED = [path for path in shipped_recipes("tflocoformer_mss") if path.stem in MUSIC]


@pytest.mark.parametrize("path", HALVED, ids=lambda path: path.stem)
def test_a_music_recipe_takes_its_clipped_step_in_half_precision(
    path: Path, songs: Any, norms: list[float], tmp_path: Path, monkeypatch: Any
) -> None:
    """With the precision, clipping and optimizer that a GPU gets, and a bound that acts."""
    monkeypatch.setattr("mss_shared.training.trainer._precision", lambda wanted, _: wanted)
    loaded = load_recipe(Recipe, path)
    loop = loaded.recipe.training
    assert (loop.precision, loop.clip_norm) == ("bf16-mixed", 5.0)
    found = replace(
        narrow(loaded.recipe, sample_rate=44_100),
        data=replace(loaded.recipe.data, chunk_seconds=0.05, examples_per_epoch=1),
        training=replace(loop, batch=1, epochs=1, validate_every_epochs=1, clip_norm=1e-3),
    )
    changed = replace(loaded, recipe=found, text=to_yaml(found), verbatim=False)
    fit(PAPER, changed, songs, tmp_path / "run", Machine(device="cpu"))
    assert norms == pytest.approx([1e-3], rel=1e-2)


def test_the_music_recipes_train_in_half_precision_and_one_is_fused() -> None:
    assert len(HALVED) == len(MUSIC) == 9
    fused = [path.stem for path in HALVED if load_recipe(Recipe, path).recipe.training.fused]
    assert fused == ["musdb18_xlarge"]


@pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning")
@pytest.mark.parametrize("fused", [False, True])
def test_scaled_gradients_of_float16_are_clipped_at_their_true_norm(
    fused: bool, norms: list[float]
) -> None:
    module = training(schedule="plateau", fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    trainer = pl.Trainer(
        accelerator="cpu",
        plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
        gradient_clip_val=1e-3,
        **QUIET,
    )
    trainer.fit(module, loader(), loader())
    assert norms == pytest.approx([1e-3], rel=1e-2)


def test_training_stops_early_where_the_validation_loss_stays(songs: Any, tmp_path: Path) -> None:
    still = {"lr": 1e-12, "weight_decay": 0.0, "epochs": 9, "keep": "best"}
    _, rows = trained(tmp_path / "stopped", songs, early_stop_epochs=2, **still)
    assert 3 <= len(rows) < 9
    assert (tmp_path / "stopped" / "best.ckpt").is_file()


def test_validation_takes_no_test_song(songs: Any, tmp_path: Path) -> None:
    held = {track.name for track in songs.valid}
    assert held and not held & {track.name for track in songs.test}
    trained(tmp_path / "run", songs)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert not set(record["training"]["tracks"]) & {track.name for track in songs.test}
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


# ---- the loss


@pytest.mark.parametrize("term", ["si_sdr", "l1", "l2", "spectral", "snr", "tfd"])
def test_each_weight_scales_its_term(term: str) -> None:
    off = {f"{name}_weight": 0.0 for name in ("l1",)}
    one = training(**{**off, f"{term}_weight": 1.0}).losses(batch())[0]
    two = training(**{**off, f"{term}_weight": 2.0}).losses(batch())[0]
    assert two.item() == pytest.approx(2.0 * one.item(), rel=1e-5)


@pytest.mark.parametrize("path", shipped_recipes("tflocoformer_mss"), ids=lambda path: path.stem)
def test_every_recipes_model_and_loss_make_a_step(path: Path) -> None:
    """Narrow and shallow, with all else as the recipe has it."""
    found = load_recipe(Recipe, path).recipe
    torch.manual_seed(0)
    network = PAPER.build_model(narrow(found))
    module = Training(network.train(), found.training)
    stems = 0.1 * torch.randn(2, len(network.stems), network.channels, 2_500)
    stems[0, 0] = 0.0  # a silent stem is among them
    total, parts = module.losses({"mixture": stems.sum(1), "stems": stems})
    total.backward()
    assert total.isfinite() and parts
    trained = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    # Several devices wait for the gradient of every parameter that is trained.
    assert trained and all(g is not None and g.isfinite().all() for g in trained.values())
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    unasked = set(found.model.prompts) - set(found.model.stems)
    assert frozen == {f"separator.prompts.{name}" for name in unasked}


def test_permuting_reaches_the_loss() -> None:
    given = batch()
    swapped = {**given, "stems": given["stems"].flip(1)}
    module = training(permute=True)
    assert module.losses(given)[0].item() == pytest.approx(module.losses(swapped)[0].item())
    module = training(permute=False)
    assert module.losses(given)[0].item() != pytest.approx(module.losses(swapped)[0].item())


# ---- the data


def test_gains_of_the_prompted_recipes_are_even_in_decibels(songs: Any) -> None:
    found = load_recipe(Recipe, find_recipe("tflocoformer_mss", "tuss_musdb18hq")).recipe
    data = replace(found.data, chunk_seconds=0.05)
    model: Any = SimpleNamespace(stems=data.stems)
    mixes = []
    for range_db in (data.gain_range_db, (0.0, 0.0)):
        each = replace(found, data=replace(data, gain_range_db=range_db))
        default = default_examples(songs, each.data, model.stems, 0)
        mixes.append(PAPER.choose_examples(default, songs, each, model, 0).train)
    gains = []
    for number in range(60):
        after, before = (each[number]["stems"] for each in mixes)
        power = after.square().sum(dim=(1, 2)) / before.square().sum(dim=(1, 2))
        gains += (10 * power.log10()).tolist()
        assert torch.equal(mixes[0][number]["mixture"], after.sum(dim=0))
    assert len(gains) == 240
    assert -10.0 <= min(gains) < -9.5 and -0.5 < max(gains) <= 1e-4
    assert abs(sum(gains) / 240 + 5.0) < 0.6  # of factors from 0.316 to 1, the mean is -4.1 dB


def test_without_gains_in_decibels_the_examples_are_the_default(songs: Any) -> None:
    found = recipe().recipe
    default = default_examples(songs, found.data, found.data.stems, 0)
    assert PAPER.choose_examples(default, songs, found, None, 0) is default  # type: ignore[arg-type]
