"""What a paper package hands to the shared command line. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


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
        action: ``module:callable``, called with (paper, the values of the flags given).
    """

    name: str
    help: str
    options: tuple[Option, ...]
    action: str


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


@dataclass(frozen=True)
class Paper:
    """A package's parts; what needs torch by name, so that ``--help`` loads none.

    Attributes:
        name: the import name, and the method's name on the leaderboard.
        recipe: the Recipe dataclass.
        model: ``module:callable`` that takes the fields of ``recipe.model`` as keywords.
        training: ``module:class`` of the LightningModule, called with (model, recipe.training).
        examples: ``module:class`` of the training data, in the place of ``fit_data.Examples``.
        prepare: ``module:callable`` for what is computed from the training set before the first
            step, called with (model, dataset, recipe); None for nothing.
        join: ``module:callable`` that makes one model of several of different stems, called with
            (models, the first one's recipe, the values of ``options`` that were given).
        options: flags of ``separate`` and ``evaluate`` that reach ``join``.
        separate_options: such flags of ``separate`` alone, as they change what stems there are.
        demo_variants: values of ``options``; the demo scores its model with each as well.
        adapt: ``module:callable`` that renames published weights to the model's keys, called with
            (state dict, model, file name) and returning the state dict and a line for the user on
            every change; None if they load as they are.
        interchangeable: whether, by its recipe, a model's stems have no order of their own, as
            speakers after a permutation-invariant loss.
        read: ``module:callable`` that opens others' pickled files in the place of ``torch.load``,
            called with (path) and returning what they hold; None for ``weights_only=True``.
        open_folder: ``module:callable`` for folders of files that only this paper's users have,
            called with (folder, recipe name or None) and returning a list of ``Checkpoint``.
        open_configured: ``module:callable`` for weights with a configuration of others beside them,
            called with (weights file, configuration file) and returning a ``Checkpoint``; the
            flag ``--config_path`` is there if it is.
        default_checkpoint: for ``separate`` without ``--checkpoint``.
        filename: where ``separate`` writes a stem without ``--filename``.
        checkpoint_flags: ``--checkpoint``, and what the paper's users are used to.
        verbs: its own verbs.
        aliases: flags of earlier programs that ``separate`` takes.
    """

    name: str
    recipe: type[Any]
    model: str
    training: str
    examples: str = "mss_shared.training.data:Examples"
    prepare: str | None = None
    join: str = "mss_shared.separation.separator:stems_together"
    options: tuple[Option, ...] = ()
    separate_options: tuple[Option, ...] = ()
    demo_variants: tuple[Mapping[str, Any], ...] = ()
    adapt: str | None = None
    interchangeable: Callable[[Any], bool] = lambda recipe: False
    read: str | None = None
    open_folder: str | None = None
    open_configured: str | None = None
    default_checkpoint: str | None = None
    filename: str = "{song}/{stem}"
    checkpoint_flags: tuple[str, ...] = ("--checkpoint",)
    verbs: tuple[Verb, ...] = ()
    aliases: tuple[Alias, ...] = ()

    @property
    def command(self) -> str:
        """The console script's name."""
        return self.name.replace("_", "-")

    def build_model(self, recipe: Any) -> Any:
        """A freshly initialised model; ValueError if the recipe's numbers do not fit together."""
        model = find(self.model)(**dataclasses.asdict(recipe.model))
        if self.interchangeable(recipe):
            model.interchangeable = True
        return model

    def build_training(self, model: Any, recipe: Any) -> Any:
        """The LightningModule around a model."""
        return find(self.training)(model, recipe.training)

    def join_models(self, models: Sequence[Any], recipe: Any, given: Mapping[str, Any]) -> Any:
        """One model for all stems, in evaluation mode."""
        return find(self.join)(models, recipe, given)


def find(where: str) -> Any:
    """The object of ``module:name``."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
