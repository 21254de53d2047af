"""`from_pretrained` and `save_pretrained`, in the layout of model hubs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from lasaft.config import ModelConfig


class Pretrained:
    """A mix-in of the networks: weights and settings from and to a folder.

    Source: config.json and model.safetensors, as model hubs have them.
    """

    config: ModelConfig

    def constructor_arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The fields of the configuration, by name."""
        return [], asdict(self.config)

    @classmethod
    def construct(cls, positional: Sequence[Any], named: Mapping[str, Any]) -> Self:
        """A network with new weights, from `constructor_arguments`."""
        from lasaft.variants import read_arguments

        if positional:
            raise ValueError(f"there are {len(positional)} arguments without names: name them")
        return cls(read_arguments({}, dict(named)))  # type: ignore[call-arg]

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
        from lasaft.front import open_pretrained

        network: Self = open_pretrained(cls, source, revision=revision)
        return network

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors into a folder.

        Raises:
            ValueError: if the network was built from something else than plain values.
            OSError: if they can't be written.
        """
        from lasaft.front import save_pretrained

        save_pretrained(self, folder)
