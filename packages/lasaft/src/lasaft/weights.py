"""Third-party weights: old keys renamed, the configuration recognised from keys and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from lasaft.lightning_file import read_lightning
from lasaft.model import Separator
from lasaft.recipe import Recipe
from lasaft.variants import STEMS, SYNONYMS, read_arguments
from mss_shared.checkpoints import (
    build_filled,
    find_kind,
    read_header,
    read_weights_file,
    strip_prefixes,
)
from mss_shared.names import one_line, shorten
from mss_shared.recipe import recipe_from_text
from mss_shared.small_files import read_small_text

OLD_PREFIX, PREFIX = "conditional_spec2spec.", "spec2spec."  # until 28 January 2021, and since
STRANGE = "these are not the weights of a LaSAFT network"
MOST_LAYERS = 100  # blocks, layers of a block, layers of the control block
Shapes = Mapping[str, tuple[int, ...]]
KINDS = (  # keys that tell a block's kind, from the most specific on
    ("tdfs.tdf.0.weight", "TFC_LaSAFT"),
    ("LaSAFT_bn_layer.0.weight", "TFC_LightSAFT"),
    ("tfc.H.0.0.weight:rnn.weight_ih_l0", "TFC_RNN"),
    ("tic.H.0.0.weight:rnn.weight_ih_l0", "TDC_RNN"),
    ("tdf.tdf.0.weight", "TFC_TDF"),
    ("tif.tif.0.weight", "TFC_TDF"),
    ("tif.0.weight", "TDF"),
    ("H.0.0.weight", "TFC"),
)


def adapt(
    state: Mapping[str, Tensor], model: Separator, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights under today's keys, and notes for the user on what they are.

    Args:
        state: weights of a file.
        model: that is to take them, built from a recipe.
        name: of the file, for the notes.

    Raises:
        ValueError: if the shapes tell other sizes than the recipe's.
    """
    renamed, notes = rename(state, name)
    sizes = recognise(renamed, name)
    for field, value in sizes.items():
        expected = getattr(model.config, field)
        if field not in ("bn_factor", "min_bn_units", "modulation") and value != expected:
            raise ValueError(
                f"{name} has {field} {value}, the recipe's model has {expected}: choose another "
                f"--recipe"
            )
    return renamed, [*notes, f"{name}: {describe(sizes)}"]


def read_weights(path: str | Path, **arguments: Any) -> Separator:
    """A separator with the weights of a file, in evaluation mode.

    Args:
        path: ``model.safetensors`` or a checkpoint of one of our runs, a third-party Lightning
            checkpoint, or a state dict; read without executing any code in it.
        arguments: what shapes can't tell, such as ``hop_length``. What is left out is taken from
            the recipe in the file's header or beside the run's checkpoint, else from the file's
            hyper-parameters, else from the authors' defaults.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file can't be read, its shapes belong to no network of this package, or
            nothing tells whether two input channels are complex or magnitudes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of a checkpoint")
    state, hyper, recipe = _read(path)
    if recipe is not None:
        ours = read_arguments(asdict(recipe.model), arguments)
        filled: Separator = build_filled(lambda: Separator(ours), ours, state, path)
        return filled
    state, _ = rename(state, path.name)
    sizes = recognise(state, str(path))
    settings = _unseen_settings(hyper, path)
    if sizes["input_channels"] == 2 and "spec_type" not in {**settings, **arguments}:
        raise ValueError(
            f"{path} has 2 input channels, a complex spectrogram of mono or magnitudes of stereo: "
            f"say spec_type='complex' or spec_type='magnitude'"
        )
    stems = STEMS if sizes["modulation"] else STEMS[:1]
    preset = {"stems": stems, **settings, **sizes}
    config = read_arguments(preset, arguments)

    def build() -> Separator:
        model = Separator(config)
        _check_keys(state, model, path)
        return model

    recognised: Separator = build_filled(build, config, state, path)
    return recognised


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], Recipe | None]:
    """Weights, hyper-parameters, and the recipe if the file is from one of our runs."""
    if find_kind(path) == "safetensors":
        file = read_weights_file(path)
        if "recipe" not in file.header:
            return strip_prefixes(file.state)[0], {}, None
        header = read_header("lasaft", path, file)
        return file.state, {}, recipe_from_text(Recipe, header.recipe, header.recipe_name)
    state, hyper = read_lightning(path)
    state, stripped = strip_prefixes(state)
    beside = path.with_name("recipe.yaml")
    if not stripped or not beside.is_file():
        return state, hyper, None
    # The recipe of a run of any age, as in the header of its weights.
    text = read_small_text(beside)
    return state, hyper, recipe_from_text(Recipe, text, beside.stem)


def _check_keys(state: Mapping[str, Tensor], model: Separator, path: Path) -> None:
    """Raise ValueError unless keys and shapes are those of the recognised network."""
    expected = model.state_dict()
    unmatched = set(expected) ^ set(state)
    if unmatched:
        raise ValueError(
            f"{path}: {one_line(min(unmatched))} does not fit: these are not the weights of a "
            f"network of this package"
        )
    for key, tensor in expected.items():
        if tensor.shape != state[key].shape:
            raise ValueError(
                f"{path}: {key} has the shape {tuple(state[key].shape)}, in the network recognised "
                f"it has {tuple(tensor.shape)}: pass the sizes that differ, such as min_bn_units"
            )


UNSEEN: dict[str, type] = {  # fields that shapes do not tell, but hyper-parameters may
    "hop_length": int,
    "num_frame": int,
    "spec_type": str,
    "spec_est_mode": str,
    "first_conv_activation": str,
    "last_activation": str,
    "block_activation": str,
    "gamma_activation": str,
    "beta_activation": str,
    "condition_to": str,
    "pocm_type": str,
}


def _unseen_settings(hyper: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields of ``UNSEEN`` that the hyper-parameters tell, under their old names or ours."""
    settings: dict[str, Any] = {}
    for name, value in hyper.items():
        field = SYNONYMS.get(name, name)
        if field not in UNSEEN or type(value) is not UNSEEN[field]:
            continue
        if settings.setdefault(field, value) != value:
            raise ValueError(
                f"{path} has {field} {settings[field]} and {name} {value}: say which, as "
                f"{field}=..."
            )
    return settings


def rename(state: Mapping[str, Tensor], name: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict with today's prefix, and a note if it had the old one."""
    old_keys = [key for key in state if key.startswith(OLD_PREFIX)]
    if not old_keys:
        return dict(state), []
    renamed = {re.sub(f"^{re.escape(OLD_PREFIX)}", PREFIX, key): v for key, v in state.items()}
    return renamed, [f"{name}: renamed {OLD_PREFIX} of {len(old_keys)} keys to {PREFIX}"]


def recognise(state: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    """The fields of ``ModelConfig`` that keys and shapes tell.

    PoCM and GPoCM have the same shapes, and so have a modulated encoder and decoder: GPoCM and
    decoder are assumed.

    Args:
        state: the weights.
        name: of their file, for errors.

    Raises:
        ValueError: if the weights belong to no network of this package, or to one of more than
            ``MOST_LAYERS`` in a row.
    """
    shapes = {k.removeprefix(PREFIX): tuple(v.shape) for k, v in state.items()}
    empty = next((key for key, shape in shapes.items() if 0 in shape), None)
    if empty is not None:
        raise ValueError(f"{name} has an empty {shorten(empty)}: {STRANGE}")
    sizes = _sizes(shapes, name)
    for field in ("n_blocks", "n_internal_layers", "control_n_layer"):
        if sizes.get(field, 0) > MOST_LAYERS:
            raise ValueError(f"{name} has {field} {sizes[field]}: {STRANGE}")
    return sizes


def _sizes(shapes: Shapes, name: str) -> dict[str, Any]:
    """What ``recognise`` returns, from shapes by name without ``PREFIX``."""
    try:
        first = {k.removeprefix("encoders.0."): v for k, v in shapes.items()}
        middle = {k.removeprefix("mid_block."): v for k, v in shapes.items()}
        kind, own = _kind(middle), _kind(first)
        sizes = {"n_fft": shapes["stft.stft.window"][0], **_skeleton(shapes)}
        sizes |= _block(kind, middle) | _bottleneck(kind, own, shapes) | _conditions(shapes, sizes)
        return sizes | ({} if kind == own else {"encoder_block": own})
    except (KeyError, StopIteration) as error:
        what = f"lacks {one_line(error.args[0])}" if error.args else "has no known block"
        raise ValueError(f"{name} {what}: {STRANGE}") from None
    except (ValueError, LookupError, ArithmeticError):  # other dimensions, widths of no factor
        raise ValueError(f"{name} has shapes that fit no block: {STRANGE}") from None


RECURRENT = {"TFC_RNN": "tdf_f1_to_f2.tdf", "TDC_RNN": "tif_f1_to_f2.tif"}  # their last layers


def _kind(block: Shapes) -> str:
    """The kind of the block with these keys."""
    return next(name for keys, name in KINDS if all(k in block for k in keys.split(":")))


def _count(shapes: Shapes, pattern: str) -> int:
    return len({match[1] for key in shapes if (match := re.match(pattern, key))})


def _skeleton(shapes: Shapes) -> dict[str, Any]:
    channels, inputs = shapes["first_conv.0.weight"][:2]
    levels = _count(shapes, r"encoders\.(\d+)\.")
    return {
        "n_blocks": 2 * levels + 1,
        "input_channels": inputs,
        "internal_channels": channels,
        **{
            f"{axis}_down_layers": _halved(shapes, levels, index) for index, axis in enumerate("tf")
        },
    }


def _halved(shapes: Shapes, levels: int, axis: int) -> tuple[int, ...] | None:
    """Levels that halve an axis (0 time, 1 frequency), None for all.

    Networks that resample frequency only have no such keys and get None.
    """
    kernels = [
        shapes.get(f"downsamplings.{level}.0.weight", (0, 0, 2, 2)) for level in range(levels)
    ]
    halving = tuple(level for level, kernel in enumerate(kernels) if kernel[2 + axis] == 2)
    return None if len(halving) == levels else halving


def _block(kind: str, first: Shapes) -> dict[str, Any]:
    if kind == "TDF":
        return {"block": kind, "tdf_bias": "tif.0.bias" in first}
    inside = {"TFC": "", "TFC_RNN": "tfc.", "TDC_RNN": "tic."}.get(kind, "tfc.")
    kernel = first[f"{inside}H.0.0.weight"][2:]
    sizes: dict[str, Any] = {
        "block": "TDC" if kind == "TFC" and len(kernel) == 1 else kind,
        "n_internal_layers": _count(first, rf"{inside}H\.(\d+)\."),
        "kernel_size_f": kernel[-1],
    }
    if len(kernel) == 2:
        sizes["kernel_size_t"] = kernel[0]
    if "keys" in first:
        sizes["dk"], sizes["num_tdfs"] = first["keys"]
    for prefix in ("tdfs.tdf", "LaSAFT_bn_layer", "tdf.tdf", "tif.tif", *RECURRENT.values()):
        if f"{prefix}.0.weight" in first:
            sizes["tdf_bias"] = f"{prefix}.0.bias" in first
    return sizes


def _bottleneck(kind: str, encoder_kind: str, shapes: Shapes) -> dict[str, Any]:
    """A bn_factor and min_bn_units that give the weights' bottlenecks; others may do so too."""
    inside = {
        "TFC_LaSAFT": "tdfs.tdf",
        "TFC_LightSAFT": "LaSAFT_bn_layer",
        "TFC_TDF": "tdf.tdf" if "mid_block.tdf.tdf.0.weight" in shapes else "tif.tif",
        "TDF": "tif",
        **RECURRENT,
    }.get(kind)
    if inside is None:
        return {}
    levels = _count(shapes, r"encoders\.(\d+)\.")
    blocks = [f"encoders.{level}" for level in range(levels)] + ["mid_block"]
    if kind != encoder_kind:  # the decoder's levels run the other way
        blocks = [f"decoders.{level}" for level in range(levels)[::-1]] + ["mid_block"]
    widths = [_width(kind, shapes, block, inside) for block in blocks]
    least = min(units for _, units in widths)
    if kind != "TFC_LightSAFT" and f"mid_block.{inside}.3.weight" not in shapes:
        return {"bn_factor": None} | ({"min_bn_units": least} if kind in RECURRENT else {})
    return {"bn_factor": max(1, widths[0][0] // widths[0][1]), "min_bn_units": least}


def _width(kind: str, shapes: Shapes, block: str, inside: str) -> tuple[int, int]:
    """The bins that bn_factor divides, and the units of a block's bottleneck."""
    if kind in RECURRENT:  # the GRU's weight is (three gates of units, bins)
        units, bins = shapes[f"{block}.rnn.weight_ih_l0"]
        return bins, units // 3
    units, bins = shapes[f"{block}.{inside}.0.weight"]
    sources = shapes[f"{block}.keys"][1] if f"{block}.keys" in shapes else 1
    if kind == "TFC_LightSAFT":
        return bins, units // sources
    return (bins * sources if kind == "TFC_LaSAFT" else bins), units


def _conditions(shapes: Shapes, sizes: Mapping[str, Any]) -> dict[str, Any]:
    if "embedding.weight" not in shapes:
        return {"modulation": None}
    conditions, width = shapes["embedding.weight"]
    inside = "condition_generator"
    gammas = shapes[f"{inside}.linear_gamma.0.weight"][0]
    betas = shapes[f"{inside}.linear_beta.0.weight"][0]
    block = rf"{inside}\.dense_control_block\.linear\.(\d+)\.weight"
    linears = _count({k: v for k, v in shapes.items() if len(v) == 2}, block)
    fields: dict[str, Any] = {
        "control_input_dim": conditions,
        "embedding_dim": width,
        "control_n_layer": linears + 1,
    }
    channels, blocks = sizes["internal_channels"], sizes["n_blocks"]
    if gammas == betas:
        simple = betas in (blocks, blocks // 2)
        fields |= {"modulation": "FiLM", "film_type": "simple" if simple else "complex"}
    else:
        norm = "batch_norm" if f"{inside}.linear_gamma.2.running_mean" in shapes else None
        fields |= {"modulation": "GPoCM", "pocm_norm": norm}
    modulated = betas if fields.get("film_type") == "simple" else betas // channels
    return fields | ({"condition_to": "full"} if modulated == blocks else {})


def describe(sizes: Mapping[str, Any]) -> str:
    """One line on what ``recognise`` returned."""
    conditioned = sizes["modulation"] or "no conditions"
    return (
        f"{sizes['block']}, {conditioned}, n_fft {sizes['n_fft']}, {sizes['n_blocks']} blocks, "
        f"{sizes['internal_channels']} channels"
    )
