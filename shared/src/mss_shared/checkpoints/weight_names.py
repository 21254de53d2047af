"""The names of weights in other people's files: prefixes, averages and losses beside the model.

The one place that knows what wrappers of a model, torch.compile and training code leave in names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

# Sections and first parts of names that hold a moving average of the weights.
AVERAGES = (
    *("ema_state_dict", "state_dict_ema", "ema_model_state_dict", "model_ema_state_dict"),
    *(
        "ema_model",
        "model_ema",
        "ema",
        "ema_state",
        "ema_weights",
        "params_ema",
        "ema_params",
        "ema_net",
    ),
    *("averaged_model", "averaged_state_dict", "swa_model", "swa_state_dict"),
    *("generator_ema", "ema_generator", "g_ema"),
)
# What wrappers put into a name, first or in its middle where a part of the model was wrapped.
INNER = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module")
# What training code puts before all names.
FIRST = (
    *("model", "net", "network", "generator", "online_model", "pl_module", "_forward_module"),
    *("compiled_model", "wrapped_model"),
)
PREFIXES = (*INNER, *FIRST, *AVERAGES)
# First parts of names that belong to training, not to the model.
TRAINING = re.compile(
    r"_?(\w*loss(es)?(_?fn|_?func(tion)?)?|criteri(on|a|ons)|(multi|mr)_?(res\w*|stft\w*|scale\w*)"
    r"|\w*metrics?|(multi_?)?discriminators?\w*|optimizers?|perceptual\w*)",
    re.IGNORECASE,
)
COUNTERS = ("n_averaged", "num_updates", "initted", "step")  # of moving averages, not weights

State = dict[str, Tensor]


def strip_prefixes(
    state: Mapping[str, Tensor], wanted: Collection[str] = ()
) -> tuple[State, list[str]]:
    """Rename weights as the bare model does, as far as that follows from their names.

    Wrappers' parts come off everywhere, prefixes where every name has them, weights of losses and
    discriminators are left out, and of a moving average beside raw weights the average is taken.

    Args:
        state: the weights by name.
        wanted: the model's names, which are never changed; none if the model is unknown.

    Returns:
        The renamed weights, and what was done, one line each.

    Raises:
        ValueError: if two different tensors get the same name.
    """
    names = _Names(frozenset(wanted))
    bare, notes = dict(state), list[str]()
    while True:
        for step in (_strip_common, _drop_inner, _take_average, _drop_training):
            bare, said = step(bare, names)
            notes += said
            if said:
                break
        else:
            return bare, notes


class _Names:
    """The names of the model's weights, their first parts and all their parts."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.firsts = {name.partition(".")[0] for name in wanted}
        self.parts = {part for name in wanted for part in name.split(".")}


def _strip_common(state: State, names: _Names) -> tuple[State, list[str]]:
    """Remove a prefix that every name has, unless some names are already among ``wanted``."""
    first = {name.partition(".")[0] for name in state}
    if len(first) != 1 or not first <= set(PREFIXES) or not names.wanted.isdisjoint(state):
        return state, []
    [prefix] = first
    if not all("." in name for name in state):
        return state, []
    note = f"removed the prefix '{prefix}.' from every key"
    return {name.partition(".")[2]: tensor for name, tensor in state.items()}, [note]


def _drop_inner(state: State, names: _Names) -> tuple[State, list[str]]:
    """Remove wrappers' parts from the middle of names, unless the model has such parts."""
    wrappers = {part for part in INNER if part not in names.parts}
    found = {part for name in state for part in name.split(".")[:-1] if part in wrappers}
    if not found:
        return state, []
    bare: State = {}
    for name, tensor in state.items():
        *path, last = name.split(".")
        short = ".".join([*(part for part in path if part not in found), last])
        if short in bare and not _same(bare[short], tensor):
            raise ValueError(
                f"the weights have two different tensors {short} once {name} is unwrapped: save "
                f"the state dict of one model alone"
            )
        bare[short] = tensor
    count = sum(not found.isdisjoint(name.split(".")[:-1]) for name in state)
    what = ", ".join(f"'{part}.'" for part in sorted(found))
    return bare, [f"removed {what} inside {count} keys"]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _take_average(state: State, names: _Names) -> tuple[State, list[str]]:
    """The moving average of weights that are there twice, completed with what it lacks."""
    first = next(
        (part for part in AVERAGES if part not in names.firsts and _under(state, part)), None
    )
    if first is None:
        return state, []
    average, notes = strip_prefixes(_under(state, first), names.wanted)
    others = {name: tensor for name, tensor in state.items() if not name.startswith(f"{first}.")}
    raw, _ = strip_prefixes(others, names.wanted)
    undotted = {name.replace(".", ""): name for name in raw}
    if not average.keys() <= raw.keys() and average.keys() <= undotted.keys():
        average = {undotted[name]: tensor for name, tensor in average.items()}
    note = f"took the moving average '{first}.' of {len(average)} tensors, left out the raw weights"
    if not average.keys() <= raw.keys():
        return average, [note, *notes]
    lacking = len(raw) - len(average)
    said = [f"took {lacking} tensors that it lacks from the raw weights"] if lacking else []
    return {**raw, **average}, [note, *notes, *said]


def _under(state: State, first: str) -> State:
    """The weights under a first part of names, without it."""
    prefix = f"{first}."
    return {k.removeprefix(prefix): tensor for k, tensor in state.items() if k.startswith(prefix)}


def _drop_training(state: State, names: _Names) -> tuple[State, list[str]]:
    """Leave out what belongs to losses and discriminators, if anything else is there."""
    heads = {name.partition(".")[0] for name in state if "." in name} - names.firsts
    dropped = {head for head in heads if TRAINING.fullmatch(head)}
    kept = {name: t for name, t in state.items() if name.partition(".")[0] not in dropped}
    if not dropped or not kept:
        return state, []
    count = len(state) - len(kept)
    return kept, [f"left out {count} tensors of training, under {', '.join(sorted(dropped))}"]
