"""Third-party weights, and the options of `separate` that need the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mss_shared.separation import stems_together
from tflocoformer_mss.model import WaveformModel

PREFIX = "separator."


def adapt(
    state: Mapping[str, Tensor], model: WaveformModel, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename weights to the model's keys.

    ESPnet's files have the prefix `separator.`; those of the stand-alone code and of the music fork
    do not. Other mismatches are left for strict loading to reject.

    Args:
        state: the weights.
        model: to load them into.
        name: of the file, for the note.

    Returns:
        The renamed weights, and notes for the user.
    """
    without_prefix = {key.removeprefix(PREFIX) for key in model.state_dict()}
    if not set(state) & without_prefix:
        return dict(state), []
    named = {PREFIX + key: value for key, value in state.items()}
    return named, [f"{name}: {len(named)} tensors without prefix, read as {PREFIX}*"]


def join(models: Sequence[Any], recipe: Any, flags: Mapping[str, Any]) -> Any:
    """Join models of single stems to one; `--prompts` are set on a single prompted model.

    Args:
        models: as the checkpoints hold them.
        recipe: of the first model.
        flags: of the command line, values by name.

    Raises:
        ValueError: if prompts come with several models or a model without prompts.
    """
    if "prompts" in flags:
        if len(models) != 1:
            raise ValueError(f"--prompts with {len(models)} checkpoints: pass a single one")
        models[0].set_prompts(flags["prompts"])
    return stems_together(models)
