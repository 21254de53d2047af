"""The contract of all paper packages, as one call for each package's tests."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import profile
from torch.utils.data import default_collate

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.evaluation.evaluate import evaluate, model_estimator
from mss_shared.interfaces import ExampleSets
from mss_shared.leaf_sources import LEAF_SOURCES as SOURCES
from mss_shared.leaf_sources import leaf_comments
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, load_recipe, shipped_recipes, to_yaml
from mss_shared.recipe_sections import DataConfig, EvaluationConfig, InferenceConfig, LoopConfig
from mss_shared.separation.overlap_add import separate
from mss_shared.testing_layers import check_gradients, check_layers_called
from mss_shared.testing_sizes import check_odd_sizes
from mss_shared.testing_weights import check_nothing_runs, check_wrapped_weights

__all__ = ["check_outside", "check_package", "imagined_examples", "make_dataset"]

ODD_SAMPLES = (1, 1_023, 30_011)

Changes = Mapping[str, Any]


def check_package(paper: AnyPaper, folder: Path, variants: Sequence[Changes] = ()) -> None:
    """Assert what every package promises, on small data generated in ``folder``.

    ``variants`` are changes to the demo recipe's training section; each gets a short fit, to cover
    what the demo recipe leaves out.

    ``<package>/paper.py`` has ``PAPER``; recipes parse and one is the demo; every value names its
    source; models keep inputs of any length at that length; gradients reach every trainable
    parameter, the same with activation checkpointing; hooks and layers of other classes act without
    gradients as with them; sizes that no model has are one sentence; a short fit reads every field
    of its recipe, and a second one of the same seed, ended halfway and resumed, writes the same
    bytes; weights load again and are scored; those in other programs' wrappings load, hostile files
    run nothing; ``--help`` of a verb works without importing torch.
    """
    assert import_module(f"{paper.name}.paper").PAPER is paper
    recipes = check_recipes(paper)
    demo = recipes["demo"]
    check_interface(paper, demo.recipe)
    check_gradients(paper, demo.recipe)
    check_layers_called(paper, demo.recipe)
    check_checkpointing(paper, demo.recipe)
    check_step_memory(paper, demo.recipe, folder)
    assert check_odd_sizes(paper, demo.recipe)
    check_short_fits(paper, demo, folder, variants)
    check_wrapped_weights(paper, demo.recipe, folder)
    check_nothing_runs(lambda path: read_weights_file(path, paper.read_pickled), folder)
    check_help(paper)


def check_terms(
    terms: Sequence[tuple[str, Any, str]], modules: Sequence[ModuleType], blocks: int
) -> None:
    """Assert that a search for a paper's terms leads to its blocks.

    Args:
        terms: a term of the paper or a symbol of the authors, the class, function or module whose
            docstring has it, and the source, section, figure or equation that is named there.
        modules: the model's code; every network layer that they define stands in ``terms``.
        blocks: how many such layers there are.
    """
    for term, block, source in terms:
        text = " ".join((inspect.getdoc(block) or "").split())
        assert term.lower() in text.lower(), f"{term} is not in the docstring of {block}"
        assert source in text, f"{source} is not in the docstring of {block}"
    layers = {
        item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, torch.nn.Module)
        and item.__module__ == module.__name__
    }
    assert len(layers) == blocks
    missing = layers - {block for _, block, _ in terms}
    assert not missing, f"no term leads to {missing}"


def check_recipes(paper: AnyPaper) -> dict[str, LoadedRecipe[Any]]:
    """Every shipped recipe parses and names the source of every value."""
    paths = shipped_recipes(paper.name)
    assert "demo" in {path.stem for path in paths}, f"{paper.name} ships no demo recipe"
    loaded = {}
    for path in paths:
        recipe = load_recipe(paper.recipe_type, path)
        comments = leaf_comments(path.read_text(encoding="utf-8"))
        assert len(comments) == _count_leaves(recipe.recipe), f"{path.name}: one value per line"
        for name, comment in comments.items():
            assert comment.split(" ")[0].rstrip(":,") in SOURCES, (
                f"{path.name}: {name} has no source"
            )
        loaded[path.stem] = recipe
    return loaded


def check_interface(paper: AnyPaper, recipe: Any) -> None:
    """(batch, channel, sample) -> (batch, stem, channel, sample) at odd lengths, all finite."""
    model = paper.build_model(recipe).eval()
    assert model.stems and model.sample_rate > 0 and model.channels > 0
    for samples in ODD_SAMPLES:
        with torch.no_grad():
            estimate = model(torch.randn(2, model.channels, samples))
        assert estimate.shape == (2, len(model.stems), model.channels, samples)
        assert estimate.dtype == torch.float32 and bool(estimate.isfinite().all())


def check_checkpointing(paper: AnyPaper, recipe: Any) -> None:
    """Activation checkpointing keeps less for gradients and changes none, nor any statistics;
    gradients can be computed twice.
    """
    plain, again = (_one_pass(paper, recipe, enabled) for enabled in (False, True))
    for name, value in plain.values.items():
        assert torch.equal(value, again.values[name]), f"activation checkpointing changes {name}"
    assert again.kept < plain.kept, "activation checkpointing keeps all activations"


@dataclasses.dataclass(frozen=True)
class _Pass:
    """The loss, gradients and buffers after one pass, and the bytes kept for its gradients."""

    values: dict[str, torch.Tensor]
    kept: int


def check_step_memory(paper: AnyPaper, recipe: Any, folder: Path) -> None:
    """The memory of a step is computed within a third of what torch's profiler finds."""
    from mss_shared.training.step_memory import estimate_step

    model = paper.build_model(recipe)
    sets = imagined_examples(paper, recipe, model)
    found = estimate_step(paper, recipe, sets, 2)
    batch = default_collate([sets.train[0]] * 2)
    module: Any = paper.build_training(model, recipe).train()
    with patch.object(module, "log_mean"), profile(profile_memory=True) as profiler:
        module.training_step(batch, 0).backward()
    trace = folder / "trace.json"
    profiler.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    measured = max(accumulate(e["args"]["Bytes"] for e in changes))
    assert measured > 1e5
    # Gradients are in both; weights, the batch and the optimizer's state are older than the trace.
    older = found.state - _bytes(p for p in model.parameters() if p.grad is not None)
    computed = found.peak - older + _bytes(batch.values())
    assert 0.67 < computed / measured < 1.33, f"{computed} bytes computed, {measured} measured"


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def imagined_examples(paper: AnyPaper, recipe: Any, model: Any) -> ExampleSets:
    """A paper's examples of songs that are on no disk."""
    from mss_shared.training.imagined import imagined_songs
    from mss_shared.training.random_mixes import default_examples

    songs = imagined_songs(recipe.data.stems, model.sample_rate, model.channels)
    sets = default_examples(songs, recipe.data, model.stems, 0)
    return paper.choose_examples(sets, songs, recipe, model, 0)


def _one_pass(paper: AnyPaper, recipe: Any, checkpointing: bool) -> _Pass:
    torch.manual_seed(0)
    model = paper.build_model(recipe)
    module: Any = paper.build_training(model, recipe).train()
    model.activation_checkpointing = checkpointing
    sets = imagined_examples(paper, recipe, model)
    batch = default_collate([sets.train[0], sets.train[1]])
    for name, value in batch.items():
        if value.is_floating_point():
            batch[name] = torch.randn(value.shape)
    kept: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with patch.object(module, "log_mean"), saved_tensors_hooks(count, lambda tensor: tensor):
        loss = module.training_step(batch, 0)
    trained = [p for p in model.parameters() if p.requires_grad]
    torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)  # also twice
    loss.backward()
    values = {"the loss": loss.detach(), **dict(model.named_buffers())}
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert gradients
    return _Pass({**values, **gradients}, sum(kept.values()))


def check_short_fits(
    paper: AnyPaper, demo: LoadedRecipe[Any], folder: Path, variants: Sequence[Changes]
) -> None:
    """A short fit reads the whole recipe, one resumed halfway equals it; it can be scored."""
    from mss_shared.training.fit import Machine, fit

    root = make_dataset(folder / "data", demo.recipe.data.stems, _format(paper, demo.recipe))
    dataset = open_dataset(root)
    short = _shorten(demo)
    with recorded_reads() as reads:
        fit(paper, short, dataset, folder / "first", Machine(device="cpu"))
        _fit_in_two(paper, short, dataset, folder / "second")
        for index, changes in enumerate(variants):
            variant = _change(short, training=changes)
            fit(paper, variant, dataset, folder / f"variant-{index}", Machine(device="cpu"))
        checkpoint = load_checkpoint(paper, str(folder / "first"))
        model = checkpoint.model
        estimator = model_estimator(paper.name, [checkpoint], model, checkpoint.recipe.inference)
        protocols = checkpoint.recipe.evaluation.protocols
        evaluate(estimator, dataset, protocols, folder / "scores", "short")
    unread = _fields(short.recipe) - reads
    assert not unread, f"no code reads {sorted(unread)}"
    first, second = ((folder / name / "metrics.csv").read_bytes() for name in ("first", "second"))
    assert first == second, "a fit and one of the same seed that was resumed differ"
    mixture = torch.from_numpy(dataset.test[0].read_mixture())
    estimate = separate(model, mixture, checkpoint.recipe.inference)
    assert estimate.shape == (len(model.stems), *mixture.shape)


def _fit_in_two(paper: AnyPaper, short: LoadedRecipe[Any], dataset: Dataset, out: Path) -> None:
    """A fit that is interrupted at the start of its second epoch, and then resumed."""
    from mss_shared.training.fit import Machine, fit
    from mss_shared.training.restoring import CheckedRestore

    def interrupt(_: Any, trainer: Any, __: Any) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with patch.object(CheckedRestore, "on_train_epoch_start", interrupt):
        try:
            fit(paper, short, dataset, out, Machine(device="cpu"))
        except KeyboardInterrupt:
            assert (out / "last.ckpt").is_file()
    assert not (out / "run.json").exists(), "the fit was not interrupted"
    fit(paper, short, dataset, out, Machine(device="cpu"), resume=True)


def check_help(paper: AnyPaper) -> None:
    """``python -m <package> --help`` and that of every verb import neither torch nor numpy."""
    paper_verbs = [verb.name for verb in paper.verbs]
    code = (
        f"import runpy, sys; from mss_shared.cli.main import VERBS\n"
        f"for words in [], *([verb] for verb in (*VERBS, *{paper_verbs})):\n"
        f"    sys.argv = [{paper.command!r}, *words, '--help']\n"
        f"    try: runpy.run_module({paper.name!r}, run_name='__main__')\n"
        f"    except SystemExit as end: assert end.code in (0, None), words\n"
        f"    slow = {{'torch', 'numpy'}} & {{*sys.modules}}\n"
        f"    assert not slow, f'{{slow}} was imported for {{words}}'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout and "evaluate" in done.stdout
    for verb in ("demo", "evaluate", "separate", *paper_verbs):
        assert f"usage: {paper.command} {verb}" in done.stdout, verb


def make_dataset(
    root: Path,
    stems: tuple[str, ...],
    audio_format: tuple[int, int] = (44_100, 2),
    *,
    train: int = 3,
    test: int = 1,
    seconds: float = 3.0,
) -> Path:
    """Write a small data set of tones in noise; ``audio_format`` is (sample rate, channels)."""
    rate, channels = audio_format
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            for index, stem in enumerate(stems):
                tone = 0.1 * np.sin(2 * np.pi * (110.0 * (index + 1) + 7.0 * number) * time)
                noise = 0.02 * rng.standard_normal((channels, len(time)))
                path = root / split / f"{split}-{number}" / f"{stem}.wav"
                audio.write(path, (tone + noise).astype(np.float32), rate)
    return root


@contextmanager
def recorded_reads() -> Iterator[set[tuple[str, str]]]:
    """Collect (class, field) of every recipe field that is read, except to copy or compare it."""
    reads: set[tuple[str, str]] = set()
    plain = object.__getattribute__

    def recording(self: Any, name: str) -> Any:
        cls = type(self)
        if dataclasses.is_dataclass(cls) and name in {f.name for f in dataclasses.fields(cls)}:
            caller = sys._getframe(1).f_code
            if not caller.co_filename.endswith("dataclasses.py") and caller.co_name != "__eq__":
                reads.add((cls.__name__, name))
        return plain(self, name)

    with ExitStack() as patches:
        for section in (DataConfig, LoopConfig, InferenceConfig, EvaluationConfig):
            patches.enter_context(patch.object(section, "__getattribute__", recording, create=True))
        yield reads


def _format(paper: AnyPaper, recipe: Any) -> tuple[int, int]:
    model = paper.build_model(recipe)
    return model.sample_rate, model.channels


def _shorten(demo: LoadedRecipe[Any]) -> LoadedRecipe[Any]:
    """Two epochs of one step, with settings in which every shared field has an effect."""
    probabilities: dict[str, Any] = {
        f.name: 0.5 for f in dataclasses.fields(DataConfig) if f.name.endswith("_prob")
    }
    probabilities |= {"mixup_prob": (0.5,)}
    return _change(
        demo,
        data={**probabilities, "examples_per_epoch": demo.recipe.training.batch},
        training={"epochs": 2, "ema_decay": 0.5, "early_stop_epochs": 5, "clip_norm": 1.0},
    )


def _change(loaded: LoadedRecipe[Any], **sections: Changes) -> LoadedRecipe[Any]:
    """The recipe with some fields of its sections replaced, no longer verbatim."""
    changed = {
        name: dataclasses.replace(getattr(loaded.recipe, name), **changes)
        for name, changes in sections.items()
    }
    recipe = dataclasses.replace(loaded.recipe, **changed)
    return dataclasses.replace(loaded, recipe=recipe, text=to_yaml(recipe), verbatim=False)


def _fields(recipe: Any) -> set[tuple[str, str]]:
    """(class, field) of the shared sections; those of the model are passed as keywords and read."""
    sections = (recipe.data, recipe.training, recipe.inference, recipe.evaluation)
    return {
        (type(section).__name__, field.name)
        for section in sections
        for field in dataclasses.fields(section)
    }


def _count_leaves(value: Any) -> int:
    if dataclasses.is_dataclass(value):
        return sum(_count_leaves(getattr(value, f.name)) for f in dataclasses.fields(value))
    return 1


def check_outside(paper: AnyPaper, folder: Path, *more: Sequence[str]) -> None:
    """The installed package works by its command, outside the repository, in an empty folder.

    Args:
        paper: its PAPER.
        folder: the working directory; ``run`` and ``demo_run`` are left there.
        more: commands of its own, run afterwards; SONG is replaced by a wav file.

    Raises:
        subprocess.CalledProcessError: if a command fails.
        AssertionError: if a command leaves no score folder.
    """
    short = ["--recipe.training.epochs", "1", "--recipe.data.examples_per_epoch", "8"]
    for words in (
        ["--help"],
        ["fit", "--help"],
        ["fit", "--recipe", "demo", "--data_root", "demo:tiny", "--out", "run", *short],
        ["evaluate", "--checkpoint", "run", "--data_root", "demo:tiny", "--scores", "scores"],
        ["demo", "--data_root", "demo:tiny", "--out", "demo_run", "--dev_mode"],
        *more,
    ):
        songs = sorted(str(path) for path in folder.glob("demo_run/stems/*/vocals.wav"))
        filled = [songs[0] if word == "SONG" else word for word in words]
        print(paper.command, *filled, flush=True)
        subprocess.run([paper.command, *filled], check=True, cwd=folder)
    assert (folder / "run" / "model.safetensors").is_file()
    for scores in ("scores", "demo_run/scores"):
        assert list((folder / scores).glob(f"*/{paper.name}/*/run.json")), scores
