"""What a paper package provides: a subclass of `Paper`, whose methods are its hooks.

Imports no torch: methods import what they need in their bodies, so that ``--help`` stays fast.
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

    from mss_shared.datasets import Dataset
    from mss_shared.interfaces import Checkpoint, ExampleSets

__all__ = ["Alias", "AnyPaper", "Option", "Paper", "Verb", "override"]

RecipeType = TypeVar("RecipeType", bound=BaseRecipe[Any, Any, Any])
ModelType = TypeVar("ModelType", bound="nn.Module")


@dataclass(frozen=True)
class Option:
    """A flag that only one paper has.

    Attributes:
        name: without dashes; if it is on the command line, its value has this name.
        help: for ``--help``.
        type: converts the word after it; bool makes a flag without one.
        several: whether it takes more than one word.
        choices: the legal words; None for any.
        required: whether it must be on the command line.
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
    """A flag of another program that ``separate`` accepts and replaces by flags of ours.

    Attributes:
        name: with its dashes.
        words: what replaces it, with ``{}`` for its value; empty if it has no effect here.
        choices: the legal values; None for any. A flag with choices has a value.
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
    else has a default. Any other public name in a subclass is taken for a misspelling: it raises
    TypeError when the module is imported.

    Attributes:
        options: flags of ``separate`` and ``evaluate`` that reach ``join_models``.
        separate_options: more of them for ``separate`` only, as they change which stems exist.
        demo_variants: values of ``options``; the demo also scores its model with each.
        default_checkpoint: for ``separate`` without ``--checkpoint``.
        filename: the default of ``separate --filename``.
        checkpoint_flags: ``--checkpoint``, and the names that the paper's own program uses.
        verbs: verbs that only this paper has.
        aliases: flags of other programs that ``separate`` accepts.
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
            TypeError: for a public name that `Paper` does not have.
        """
        super().__init_subclass__()
        for name in vars(cls):
            if not name.startswith("_") and not hasattr(Paper, name):
                known = ", ".join(part for part in vars(Paper) if not part.startswith("_"))
                raise TypeError(
                    f"{cls.__qualname__}.{name} is not part of Paper: choose from {known}, or "
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
        """Build a model from ``recipe.model``, freshly initialised.

        It maps (batch, channel, sample) to (batch, stem, channel, sample) float32 and has the
        attributes ``stems``, ``sample_rate`` in Hz and ``channels``.

        Raises:
            ValueError: if the recipe's values contradict each other.
        """

    @abstractmethod
    def build_training(self, model: ModelType, recipe: RecipeType) -> pl.LightningModule:
        """The loss, optimizer and schedule around a model: a ``TrainingModule``.

        Raises:
            ValueError: if a value of ``recipe.training`` is unknown.
        """

    @final
    def build_model(self, recipe: RecipeType) -> ModelType:
        """Call ``make_model``, and mark the model with its recipe, for ``save_pretrained``.

        A model whose stems are interchangeable is marked as such.

        Raises:
            ValueError: as ``make_model``.
        """
        model = self.make_model(recipe)
        marked: Any = model
        marked.recipe = recipe
        if self.is_interchangeable(recipe):
            marked.interchangeable = True
        return model

    def is_interchangeable(self, recipe: RecipeType) -> bool:
        """Whether stems are interchangeable (permutation-invariant outputs), as after PIT."""
        return False

    def choose_examples(
        self,
        default: ExampleSets,
        dataset: Dataset,
        recipe: RecipeType,
        model: ModelType,
        seed: int,
    ) -> ExampleSets:
        """The examples of training and validation; called before the first step.

        Args:
            default: random mixes as ``recipe.data`` says; whole validation tracks in chunks.
            dataset: training and validation tracks.
            recipe: the recipe.
            model: the model to train.
            seed: for the random draws.

        Raises:
            ValueError: if the recipe does not fit the model or the tracks.
        """
        return default

    def prepare(self, model: ModelType, dataset: Dataset, recipe: RecipeType) -> None:
        """Set up a model from the training set, such as its statistics, before the first step."""
        return None

    def join_models(
        self, models: Sequence[ModelType], recipe: RecipeType, flags: Mapping[str, Any]
    ) -> Any:
        """Join models into one for all their stems.

        Args:
            models: of different stems, one or more.
            recipe: the first model's.
            flags: values of those ``options`` that are on the command line, by name.

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
            state: the weights by name, without prefixes that all names share.
            model: the model that they are then loaded into, strictly.
            file_name: for notes and errors.

        Returns:
            The weights under the model's keys, and a note for the user on every change.

        Raises:
            ValueError: if they are recognised as those of another model.
        """
        return dict(state), []

    def read_pickled(self, path: Path, default: Callable[[Path], Any]) -> Any:
        """Read a third-party pickled file.

        Args:
            path: of the file.
            default: the default reader, ``checkpoints.read_pickled_file``.

        Raises:
            ValueError: if it can't be read without executing code.
        """
        return default(path)

    def open_folder(self, folder: Path, recipe_name: str | None) -> list[Checkpoint] | None:
        """Load the checkpoints of a folder in a layout that only this paper has.

        Args:
            folder: one without ``model.safetensors``.
            recipe_name: the value of ``--recipe``.

        Returns:
            None if the paper has no such layout.

        Raises:
            FileNotFoundError, ValueError: if a file is missing or invalid.
        """
        return None

    @property
    @final
    def opens_configured(self) -> bool:
        """Whether a paper has ``open_configured`` and thus ``--config_path``."""
        return type(self).open_configured is not Paper.open_configured

    def open_configured(self, source: str, config_path: Path) -> Checkpoint:
        """Load third-party weights with the configuration file published with them.

        Args:
            source: the weights file, or a published name.
            config_path: the value of ``--config_path``.

        Raises:
            FileNotFoundError, ValueError: if a file is missing, can't be read or does not fit.
        """
        raise ValueError(f"{self.name} reads no configuration files: leave out --config_path")


AnyPaper: TypeAlias = Paper[Any, Any]
