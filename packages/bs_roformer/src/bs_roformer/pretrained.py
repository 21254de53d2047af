"""`from_pretrained` and `save_pretrained`, in the layout of model hubs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self


class Pretrained:
    """A mix-in of the networks: weights and settings from and to a folder.

    Source: config.json and model.safetensors, as model hubs have them.
    """

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """Keep the arguments of the constructor, which make the same network again."""
        self = super().__new__(cls)
        self.__dict__["_arguments"] = (list(positional), named)
        return self

    def constructor_arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that the network was built with: without names, and by name."""
        positional, named = self.__dict__["_arguments"]
        return positional, named

    @classmethod
    def construct(cls, positional: Sequence[Any], named: Mapping[str, Any]) -> Self:
        """A network with new weights, from `constructor_arguments`."""
        return cls(*positional, **named)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str | None = None) -> Self:
        """A network with its weights, in evaluation mode on the CPU.

        Args:
            source: a folder with config.json and model.safetensors, a run folder, a weights file,
                the name of a published checkpoint, or `user/name` on the hub.
            revision: on the hub: branch, tag or commit.

        Raises:
            FileNotFoundError, ImportError: if there is none, or it can't be fetched.
            ValueError: if it is of another class, or invalid.
        """
        from bs_roformer.front import open_pretrained

        network: Self = open_pretrained(cls, source, revision=revision)
        return network

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors into a folder.

        Raises:
            ValueError: if the network was built from something else than plain values.
            OSError: if they can't be written.
        """
        from bs_roformer.front import save_pretrained

        save_pretrained(self, folder)
