"""The functions that every paper package has for Python users. Loads no torch until one needs it.

``Front(PAPER)`` has them; a package gives them its own name, in ``<package>/front.py``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mss_shared.checkpoints.published import read_published
from mss_shared.front.named_recipe import NamedRecipe, read_recipe
from mss_shared.front.results import Evaluated, Fitted
from mss_shared.front.words import PathLike, flag_words, parse, python_errors, recipe_words
from mss_shared.json_text import read_json_object
from mss_shared.paper import Paper
from mss_shared.recipe import shipped_recipes
from mss_shared.recipe_sections import BaseRecipe

if TYPE_CHECKING:
    from torch import nn

    from mss_shared.front.separator import LoadedSeparator
    from mss_shared.interfaces import Checkpoint

RecipeType = TypeVar("RecipeType", bound=BaseRecipe[Any, Any, Any])
ModelType = TypeVar("ModelType", bound="nn.Module")
Source = PathLike | Sequence[PathLike]


class Front(Generic[RecipeType, ModelType]):
    """A paper package from Python; every option is a flag of its command line."""

    def __init__(self, paper: Paper[RecipeType, ModelType]) -> None:
        """The functions of ``<package>/paper.py``'s ``PAPER``."""
        self.paper = paper

    def load(
        self,
        weights: Source | None,
        *,
        recipe: PathLike | None = None,
        config_path: PathLike | None = None,
        device: str = "auto",
        ensemble: str | None = None,
        tta: bool | str = False,
        shifts: int = 1,
        precision: str = "fp32",
        compile: bool = False,
        **options: Any,
    ) -> LoadedSeparator[RecipeType]:
        """Load a model that separates songs, with its recipe's settings.

        Args:
            weights: a published checkpoint's name, which is downloaded once and verified; a weights
                file; or a run folder. Several are joined: models of different stems, or an ensemble
                of equal ones. None for random weights, to develop with; name their recipe.
            recipe: of weights that do not contain theirs.
            config_path: the YAML published with third-party weights, for packages that read it.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:<number>`` or ``mps``.
            ensemble: how estimates of equal stems are combined; None for the mean.
            tta: test-time augmentation: True for all, or ``polarity`` or ``channels``.
            shifts: average over this many delays.
            precision: ``fp32`` or ``bf16``.
            compile: whether to compile the model.
            options: the paper's own flags of ``separate``, such as Open-Unmix's ``niter=0``.

        Raises:
            FileNotFoundError: if there are no such weights, or they can't be downloaded.
            ValueError: if they can't be read or do not fit, or an option is unknown.
        """
        with python_errors():
            names = _names(weights)
            if weights is not None and not names:
                raise ValueError("weights is empty: name a checkpoint, a file or a run folder")
            flags: dict[str, Any] = {} if config_path is None else {"config_path": config_path}
            flags |= {} if weights is None else {"recipe": recipe}
            flags |= {"device": device, "ensemble": ensemble, "tta": tta, "shifts": shifts}
            flags |= {"precision": precision, "compile": compile, **options}
            words = ["--checkpoint", *(names or ["random"])]
            words += flag_words(self.paper, "separate", flags)
            arguments = parse(self.paper, ["separate", *words])
            from mss_shared.checkpoints.assemble import assemble
            from mss_shared.cli.loading import open_checkpoints, options_from_flags
            from mss_shared.cli.separate import read_passes
            from mss_shared.front.separator import LoadedSeparator

            known = weights is not None
            opened = open_checkpoints(self.paper, arguments) if known else [self._random(recipe)]
            own = (*self.paper.options, *self.paper.separate_options)
            values = options_from_flags(own, arguments)
            loaded = assemble(self.paper, opened, values, read_passes(arguments).ensemble)
            if len(opened) == 1 and not values:  # joining may have built it anew
                loaded.model.recipe = opened[0].recipe
            notes = tuple(note for checkpoint in opened for note in checkpoint.notes)
            return LoadedSeparator(self.paper, loaded, words, notes)

    def fit(
        self,
        recipe: PathLike | NamedRecipe[RecipeType],
        data_root: Source,
        out: PathLike,
        *,
        seed: int | None = None,
        device: str = "auto",
        resume: bool = False,
        **changes: Any,
    ) -> Fitted:
        """Train a recipe, as the command ``fit`` does; the run records the command.

        Args:
            recipe: a shipped recipe's name, a YAML file, or what ``load_recipe`` gave.
            data_root: a data set, or several, as for ``open_dataset``.
            out: the run folder.
            seed: replaces the recipe's.
            device: as in ``load``.
            resume: go on with the run in ``out``.
            changes: values of the recipe by section, ``training={"epochs": 3}``, which make it a
                variant; and further flags of ``fit``, such as ``micro_batch=2``.

        Raises:
            FileNotFoundError, ValueError: if recipe, data or options are invalid.
            ImportError: if packages for training are not installed.
        """
        with python_errors():
            name, changed = self._name(recipe)
            overrides, flags = recipe_words(self.paper.recipe_type, changes)
            overrides = [*changed, *overrides]
            for flag in ("plan", "parent", "out"):
                if flag in flags:
                    raise ValueError(f"fit has no option {flag!r} in Python: use the command line")
            flags = {"seed": seed, "device": device, "resume": resume, **flags}
            words = ["fit", "--recipe", name, "--data_root", *_names(data_root)]
            words += ["--out", os.fspath(out), *flag_words(self.paper, "fit", flags)]
            arguments = parse(self.paper, words)
            command = shlex.join([self.paper.command, *words, *overrides])
            from mss_shared.cli import train

            train.fit(self.paper, arguments, overrides, command)
        folder = Path(out)
        return Fitted(folder, _record(folder))

    def evaluate(
        self,
        checkpoint: Source,
        data_root: PathLike,
        *,
        scores: PathLike | None = None,
        protocol: str | Sequence[str] | None = None,
        device: str = "auto",
        jobs: int = 1,
        **options: Any,
    ) -> Evaluated:
        """Score a checkpoint on the test tracks, as the command ``evaluate`` does.

        Args:
            checkpoint: as ``weights`` of ``load``; several of different stems are one model.
            data_root: a data set, as for ``open_dataset``.
            scores: the root of the score folders; None for the command's default.
            protocol: names of protocols; None for the recipe's.
            device: as in ``load``.
            jobs: scoring processes.
            options: further flags of ``evaluate``, such as ``split="valid"``.

        Raises:
            FileNotFoundError, ValueError: if checkpoint, data or options are invalid.
        """
        with python_errors():
            flags = {"scores": scores, "protocol": protocol, "device": device, "jobs": jobs}
            flags |= options
            words = ["evaluate", "--checkpoint", *_names(checkpoint)]
            words += ["--data_root", os.fspath(data_root)]
            words += flag_words(self.paper, "evaluate", flags)
            arguments = parse(self.paper, words)
            from mss_shared.cli import evaluate

            command = shlex.join([self.paper.command, *words])
            scored = evaluate.evaluate(self.paper, arguments, command)
        return Evaluated(scored.folder, _record(scored.folder), scored.summary)

    def open_pretrained(
        self, kind: type[Any], source: PathLike, *, revision: str | None = None
    ) -> Any:
        """A model of a class, as ``hub.open_pretrained``.

        Raises:
            FileNotFoundError, ImportError, ValueError: if there is none, or it is of another class.
        """
        from mss_shared.hub import open_pretrained

        with python_errors():
            return open_pretrained(self.paper, kind, os.fspath(source), revision=revision)

    def save_pretrained(self, model: Any, folder: PathLike) -> None:
        """Write a model into a folder, as ``hub.save_pretrained``.

        Raises:
            OSError, ValueError: if it can't be written.
        """
        from mss_shared.hub import save_pretrained

        if not os.fspath(folder):  # the path "" would be the current folder
            raise ValueError("the folder is empty: give one, or . for the current one")
        save_pretrained(self.paper, model, Path(folder).expanduser())

    def recipes(self) -> list[str]:
        """The names of the shipped recipes."""
        return [path.stem for path in shipped_recipes(self.paper.name)]

    def checkpoints(self) -> list[str]:
        """The names of the published checkpoints."""
        return [*read_published(self.paper.name)]

    def load_recipe(self, name: PathLike, **changes: Mapping[str, Any]) -> NamedRecipe[RecipeType]:
        """A shipped recipe by name, or a YAML file by path, with values changed by section.

        Raises:
            FileNotFoundError, ValueError: if there is no such recipe, or a value is invalid.
        """
        with python_errors():
            overrides, rest = recipe_words(self.paper.recipe_type, changes)
            if rest:
                raise ValueError(f"a recipe has no section {next(iter(rest))!r}: check its name")
            return read_recipe(self.paper, os.fspath(name), overrides)

    def _name(self, recipe: Any) -> tuple[str, tuple[str, ...]]:
        """What ``--recipe`` takes, and the words of changed values."""
        if isinstance(recipe, NamedRecipe) and recipe.paper is self.paper:
            return recipe.given, recipe.overrides
        if not isinstance(recipe, str | os.PathLike):
            of = f" of {recipe.paper.name}" if isinstance(recipe, NamedRecipe) else ""
            raise TypeError(
                f"recipe is a {type(recipe).__name__}{of}: pass what load_recipe of "
                f"{self.paper.name} gives, a recipe's name, or the path of its YAML file"
            )
        return os.fspath(recipe), ()

    def _random(self, recipe: PathLike | None) -> Checkpoint:
        """A freshly initialised model of a recipe, the same each time."""
        import torch

        from mss_shared.interfaces import Checkpoint

        if recipe is None:
            raise ValueError("weights=None is a model with random weights: name its recipe")
        loaded = self.load_recipe(recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(loaded.recipe.training.seed)
            model = self.paper.build_model(loaded.recipe).eval()
        return Checkpoint(
            model=model,
            recipe=loaded.recipe,
            recipe_name=loaded.name,
            verbatim=loaded.verbatim,
            leaf_sources=loaded.leaf_sources,
            training=None,
            notes=(f"random weights of recipe {loaded.name}: it has learned nothing",),
        )


def _names(source: Source | None) -> list[str]:
    if source is None:
        return []
    several = [source] if isinstance(source, str | os.PathLike) else source
    return [os.fspath(each) for each in several]


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    return read_json_object(path) if path.is_file() else {}
