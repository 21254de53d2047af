"""Whether weights fit a model, found out before the model takes memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from mss_shared.names import one_line, shorten

Result = TypeVar("Result")

LARGEST_SIZE = 2**20  # of any integer of a model's settings; shipped models have up to 48,000
_PER_TENSOR = 10  # modules, parameters and buffers; shipped models have up to 2.6
_MARGIN = 1000
# What Python and torch raise for settings of no model.
_MISFITS = (RuntimeError, MemoryError, ArithmeticError, TypeError, LookupError)


def build_filled(
    build: Callable[[], Any], settings: Any, state: Mapping[str, Tensor], path: Path
) -> Any:
    """Build a model by settings from a file and load the file's weights strictly.

    It is built on the meta device first, so that settings that do not belong to the weights end in
    an error before they take memory; not a model that computes with values while it is built.

    Args:
        build: builds the model.
        settings: the dataclass of the model's settings, or a mapping.
        state: name -> tensor.
        path: of the file, for errors.

    Returns:
        The model in evaluation mode.

    Raises:
        ValueError: if the settings build no model, or one of other names or shapes.
    """
    _check_sizes(settings, path)
    _try(lambda: check_fit(build(), state, path), len(state), path)
    return fill(build(), state, path)


def outline(build: Callable[[], Any], settings: Any, content: Any, path: Path) -> Any:
    """A model of settings from a file, for its names and shapes: it takes no memory.

    One that computes with values while it is built has values, and has as few layers as this file.

    Args:
        build: builds the model.
        settings: the dataclass of the model's settings, or a mapping.
        content: all that the file holds.
        path: of the file, for errors.

    Raises:
        ValueError: if the settings build no model.
    """
    _check_sizes(settings, path)
    return _try(build, _count_tensors(content), path)


def _try(attempt: Callable[[], Result], tensors: int, path: Path) -> Result:
    """Build a model on the meta device; with values if it computes with them meanwhile.

    Args:
        attempt: builds it.
        tensors: how many the file has, which bounds how many layers are built.
        path: of the file, which every error names.
    """
    most = _MARGIN + _PER_TENSOR * tensors
    for device in (torch.device("meta"), nullcontext()):
        try:
            with device, bounded(most):
                return attempt()
        except ValueError as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"the model settings of {path}: {error}") from None
        except _MISFITS as error:
            if isinstance(device, nullcontext) or not computes_with_values(error):
                raise _no_model(path, error) from None
    raise AssertionError("the last attempt returns or raises")


def _count_tensors(content: Any) -> int:
    if isinstance(content, Mapping):
        return sum(map(_count_tensors, content.values()))
    return int(isinstance(content, Tensor))


def computes_with_values(error: BaseException) -> bool:
    """Whether an error on the meta device is only that its tensors have no values.

    Messages of torch then name the device: of tensors that are read, or combined with others.
    """
    return isinstance(error, RuntimeError | TypeError) and "meta" in str(error).lower()


def _no_model(path: Path, error: BaseException) -> ValueError:
    return ValueError(
        f"the model settings of {path} build no model ({one_line(str(error))}): they are damaged, "
        f"or belong to other weights"
    )


def fill(model: Any, state: Mapping[str, Tensor], path: Path) -> Any:
    """Load weights strictly; a ValueError says in one sentence what does not fit."""
    stems = list(getattr(model, "stems", ()))
    if len(set(stems)) < len(stems):
        raise ValueError(f"{path} gives a stem twice ({shorten(', '.join(stems))}): rename one")
    check_fit(model, state, path)
    model.load_state_dict(state, strict=True)
    return model.eval()


def check_fit(model: Any, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise ValueError, in one sentence, unless names, shapes and kinds of numbers are a model's.

    Args:
        model: on any device.
        state: name -> tensor.
        path: of the file, for errors.
    """
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    shapes = [key for key in wanted if key in state and wanted[key].shape != state[key].shape]
    for what, keys in (("lacks", missing), ("has the unknown key", unknown)):
        if keys:
            raise ValueError(
                f"{path} {what} {keys[0]} ({len(keys)} such keys of {len(wanted)}): it belongs to "
                f"another model or recipe"
            )
    if shapes:
        ours, theirs = tuple(wanted[shapes[0]].shape), tuple(state[shapes[0]].shape)
        raise ValueError(
            f"{path} has {shapes[0]} of shape {theirs}, the recipe's model {ours}: it belongs to "
            f"another recipe"
        )
    unreal = [key for key in wanted if state[key].is_complex() and not wanted[key].is_complex()]
    if unreal:
        raise ValueError(
            f"{path} has complex numbers in {unreal[0]}, the recipe's model real ones: it belongs "
            f"to another model"
        )


def _check_sizes(settings: Any, path: Path) -> None:
    size = absurd_size(settings)
    if size is not None:
        raise ValueError(
            f"the model settings of {path} have a size of {shorten(size)}: they are damaged, or "
            f"belong to other weights"
        )


def absurd_size(settings: Any) -> int | float | None:
    """A size that no model has, by which lists and tables would grow; None if there is none."""
    level = [settings]
    while level:
        item = level.pop()
        if dataclasses.is_dataclass(item):
            item = vars(item)
        if isinstance(item, Mapping):
            level += item.values()
        elif isinstance(item, list | tuple):
            level += item
        elif isinstance(item, int | float) and abs(item) > LARGEST_SIZE:
            return item
    return None


class TooManyParts(RuntimeError):
    """A model has more parts than it could have."""


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """End the building of a model of more parts: modules, parameters and buffers.

    Raises:
        TooManyParts: once there are more.
    """
    left = most

    def count(module: nn.Module, name: str, part: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooManyParts(f"it has more than {most} modules and tensors")

    handles = [
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
        hooks.register_module_module_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
