"""What a paper package gives to the rest: a subclass of `Paper`, whose methods are its hooks.

Imports no torch. Methods import what they need in their bodies, so that ``--help`` loads none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, final

from typing_extensions import override  # in typing from Python 3.12 on

from mss_shared.recipe_sections import BaseRecipe

if TYPE_CHECKING:
    import lightning as pl
    from torch import Tensor, nn

    from mss_shared.checkpoints.checkpoint import Checkpoint
    from mss_shared.datasets import Dataset
    from mss_shared.training.random_mixes import ExampleSets

__all__ = ["Alias", "AnyPaper", "Option", "Paper", "Verb", "override"]

RecipeType = TypeVar("RecipeType", bound=BaseRecipe[Any, Any, Any])
ModelType = TypeVar("ModelType", bound="nn.Module")


@dataclass(frozen=True)
class Option:
    """A flag that only one paper has.

    Attributes:
        name: without dashes; its value reaches the paper under this name, if it was given.
        help: for ``--help``.
        type: what a word becomes; bool makes a flag without a word.
        several: whether it takes more words than one.
        choices: the legal words, if they are few.
        required: whether the command stops without it.
    """

    name: str
    help: str
    type: Callable[[str], Any] = str
    several: bool = False
    choices: tuple[str, ...] | None = None
    required: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb that only one paper has.

    Attributes:
        name: the word after the command.
        help: one line for ``--help``.
        options: its flags.
        action: called with the paper and the values of the flags on the command line, by name;
            imports what it needs in its body.
    """

    name: str
    help: str
    options: tuple[Option, ...]
    action: Callable[[AnyPaper, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Alias:
    """A flag of an earlier program for ``separate``, which acts as flags here.

    Attributes:
        name: with its dashes.
        words: what it stands for; ``{}`` in one is the flag's value.
        choices: the legal values, if they are few; a flag with choices has a value.
    """

    name: str
    words: tuple[str, ...]
    choices: tuple[str, ...] | None = None

    @property
    def has_value(self) -> bool:
        """Whether a word follows it."""
        return self.choices is not None or any("{}" in word for word in self.words)


class Paper(ABC, Generic[RecipeType, ModelType]):
    """A package's parts: ``<package>/paper.py`` holds a subclass and ``PAPER``, its instance.

    A paper must have ``name``, ``recipe_type``, ``make_model`` and ``build_training``; everything
    else has a default. A public name of a subclass that is none of these is misspelt, and a
    TypeError when the module is imported.

    Attributes:
        options: flags of ``separate`` and ``evaluate`` that reach ``join_models``.
        separate_options: such flags of ``separate`` alone, as they change what stems there are.
        demo_variants: values of ``options``; the demo scores its model with each as well.
        default_checkpoint: for ``separate`` without ``--checkpoint``.
        filename: where ``separate`` writes a stem without ``--filename``.
        checkpoint_flags: ``--checkpoint``, and what the paper's users are used to.
        verbs: its own verbs.
        aliases: flags of earlier programs that ``separate`` takes.
    """

    options: tuple[Option, ...] = ()
    separate_options: tuple[Option, ...] = ()
    demo_variants: tuple[Mapping[str, Any], ...] = ()
    default_checkpoint: str | None = None
    filename: str = "{song}/{stem}"
    checkpoint_flags: tuple[str, ...] = ("--checkpoint",)
    verbs: tuple[Verb, ...] = ()
    aliases: tuple[Alias, ...] = ()

    @override
    def __init_subclass__(cls) -> None:
        """Check the names of a paper's attributes and methods.

        Raises:
            TypeError: for a public one that `Paper` does not have.
        """
        super().__init_subclass__()
        for name in vars(cls):
            if not name.startswith("_") and not hasattr(Paper, name):
                known = ", ".join(part for part in vars(Paper) if not part.startswith("_"))
                raise TypeError(
                    f"{cls.__qualname__}.{name} is no part of a Paper: choose from {known}, or "
                    f"begin the name with an underscore"
                )

    @property
    @abstractmethod
    def name(self) -> str:
        """The import name, and the method's name on the leaderboard."""

    @property
    @abstractmethod
    def recipe_type(self) -> type[RecipeType]:
        """The paper's Recipe dataclass."""

    @property
    @final
    def command(self) -> str:
        """The console script's name."""
        return self.name.replace("_", "-")

    @abstractmethod
    def make_model(self, recipe: RecipeType) -> ModelType:
        """A freshly initialised model of the fields of ``recipe.model``.

        It maps (batch, channel, sample) to (batch, stem, channel, sample) float32 and knows its
        ``stems``, ``sample_rate`` in Hz and ``channels``.

        Raises:
            ValueError: if the recipe's numbers do not fit together.
        """

    @abstractmethod
    def build_training(self, model: ModelType, recipe: RecipeType) -> pl.LightningModule:
        """The loss, optimizer and schedule around a model.

        Raises:
            ValueError: if a word of ``recipe.training`` means nothing.
        """

    @final
    def build_model(self, recipe: RecipeType) -> ModelType:
        """``make_model``'s, which is told if its stems are interchangeable.

        Raises:
            ValueError: as ``make_model``.
        """
        model = self.make_model(recipe)
        if self.is_interchangeable(recipe):
            marked: Any = model
            marked.interchangeable = True
        return model

    def is_interchangeable(self, recipe: RecipeType) -> bool:
        """Whether a model's stems have no order, as after a permutation-invariant loss."""
        return False

    def choose_examples(
        self,
        default: ExampleSets,
        dataset: Dataset,
        recipe: RecipeType,
        model: ModelType,
        seed: int,
    ) -> ExampleSets:
        """What is drawn in training and validation, before the first step.

        Args:
            default: random mixes by ``recipe.data``; whole validation tracks in chunks.
            dataset: training and validation tracks.
            recipe: the recipe.
            model: the model that is trained.
            seed: of the draws.

        Raises:
            ValueError: if the recipe does not fit the model or the tracks.
        """
        return default

    def prepare(self, model: ModelType, dataset: Dataset, recipe: RecipeType) -> None:
        """Compute what a model needs to know of the training set, before the first step."""
        return None

    def join_models(
        self, models: Sequence[ModelType], recipe: RecipeType, flags: Mapping[str, Any]
    ) -> Any:
        """One model for all stems.

        Args:
            models: of different stems, one or more.
            recipe: the first model's.
            flags: values by name of those ``options`` that are on the command line.

        Returns:
            A model of the same interface, in evaluation mode.

        Raises:
            ValueError: if two models have the same stem, or they differ in rate or channels.
        """
        from mss_shared.separation.separator import stems_together

        return stems_together(models)

    def adapt(
        self, state: Mapping[str, Tensor], model: ModelType, file_name: str
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rename third-party weights to the model's keys.

        Args:
            state: the weights by name, without the prefixes that all names have.
            model: what they are loaded into next, strictly.
            file_name: for the lines and errors.

        Returns:
            The weights under the model's keys, and a line for the user on every change.

        Raises:
            ValueError: if they are known to belong to another model.
        """
        return dict(state), []

    def read_pickled(self, path: Path, default: Callable[[Path], Any]) -> Any:
        """What a third-party pickled file holds.

        Args:
            path: of the file.
            default: ``torch.load`` with ``weights_only=True``.

        Raises:
            ValueError: if it can't be read without executing what it holds.
        """
        return default(path)

    def open_folder(self, folder: Path, recipe_name: str | None) -> list[Checkpoint] | None:
        """The checkpoints in a folder of files that only this paper's users have.

        Args:
            folder: without ``model.safetensors``.
            recipe_name: of ``--recipe``.

        Returns:
            None if the paper has no such folders.

        Raises:
            FileNotFoundError, ValueError: if a file is missing or not as it should be.
        """
        return None

    @property
    @final
    def opens_configured(self) -> bool:
        """Whether a paper has ``open_configured``; only then there is ``--config_path``."""
        return type(self).open_configured is not Paper.open_configured

    def open_configured(self, source: str, config_path: Path) -> Checkpoint:
        """Third-party weights with the configuration file that came with them.

        Args:
            source: the weights file, or a published name.
            config_path: of ``--config_path``.

        Raises:
            FileNotFoundError, ValueError: if a file is missing, can't be read or does not fit.
        """
        raise ValueError(f"{self.name} reads no configuration files: leave --config_path out")


AnyPaper: TypeAlias = Paper[Any, Any]
