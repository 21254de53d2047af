"""Published weights: older names renamed, the configuration recognised from keys and shapes."""

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
from mss_shared.checkpoints.checkpoint import fill, read_header
from mss_shared.checkpoints.third_party import read_foreign, strip_prefixes
from mss_shared.recipe import load_recipe, recipe_from_text

OLD_PREFIX, PREFIX = "conditional_spec2spec.", "spec2spec."  # until 28 January 2021, and since
KINDS = (  # what the first encoder has, from the most special to the plainest
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
    """Rename an old file's prefix and say what the weights are.

    Raises:
        ValueError: if sizes read off the shapes are not the recipe's.
    """
    renamed, notes = rename(state, name)
    sizes = recognise(renamed)
    for field, value in sizes.items():
        wanted = getattr(model.config, field)
        if field not in ("bn_factor", "min_bn_units", "modulation") and value != wanted:
            raise ValueError(
                f"{name} has {field} {value}, the recipe's model {wanted}: choose another --recipe"
            )
    return renamed, [*notes, f"{name}: {describe(sizes)}"]


def read_weights(path: str | Path, **arguments: Any) -> Separator:
    """The separator that a file's weights make, in evaluation mode.

    Args:
        path: a run's ``model.safetensors``, a Lightning checkpoint, its own or of others, or a
            state dict; opened without executing what it holds.
        arguments: what shapes can't tell, such as ``hop_length``; else the recipe in the file's
            header or beside the run's checkpoint says it, else the file's hyper-parameters, else
            the authors' defaults.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it can't be read, the shapes are no network's, or nothing says whether two
            input channels are complex or magnitudes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of a checkpoint")
    state, hyper, recipe = _read(path)
    if recipe is not None:
        return fill(Separator(read_arguments(asdict(recipe.model), arguments)), state, path)
    state, _ = rename(state, path.name)
    sizes = recognise(state)
    told = _told(hyper, path)
    if sizes["input_channels"] == 2 and "spec_type" not in {**told, **arguments}:
        raise ValueError(
            f"{path} has 2 input channels, a complex spectrogram of mono or magnitudes of stereo: "
            f"say spec_type='complex' or spec_type='magnitude'"
        )
    preset = {"stems": STEMS if sizes["modulation"] else STEMS[:1], **told, **sizes}
    model = Separator(read_arguments(preset, arguments))
    _check_keys(state, model, path)
    model.load_state_dict(state, strict=True)
    return model.eval()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], Recipe | None]:
    """Weights, hyper-parameters, and the recipe if a run of ours left one with them."""
    if path.suffix == ".safetensors":
        found = read_foreign(path)
        if "recipe" not in found.header:
            return found.state, {}, None
        header = read_header("lasaft", path, found)
        return found.state, {}, recipe_from_text(Recipe, header.recipe, header.recipe_name)
    state, hyper = read_lightning(path)
    state, stripped = strip_prefixes(state)
    beside = path.with_name("recipe.yaml")
    ours = bool(stripped) and beside.is_file()
    return state, hyper, load_recipe(Recipe, beside).recipe if ours else None


def _check_keys(state: Mapping[str, Tensor], model: Separator, path: Path) -> None:
    """Raise ValueError for what does not fit the network that was recognised."""
    wanted = model.state_dict()
    missing = set(wanted) ^ set(state)
    if missing:
        raise ValueError(f"{path}: {sorted(missing)[0]} does not fit: it is no network of LaSAFT's")
    for key, tensor in wanted.items():
        if tensor.shape != state[key].shape:
            raise ValueError(
                f"{path}: {key} has the shape {tuple(state[key].shape)}, the network recognised "
                f"{tuple(tensor.shape)}: name its sizes, such as min_bn_units"
            )


UNSEEN: dict[str, type] = {  # in a file's hyper-parameters, and in no shape
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


def _told(hyper: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What hyper-parameters say beyond the shapes, the command line's names as the fields'."""
    told: dict[str, Any] = {}
    for name, value in hyper.items():
        field = SYNONYMS.get(name, name)
        if field not in UNSEEN or type(value) is not UNSEEN[field]:
            continue
        if told.setdefault(field, value) != value:
            raise ValueError(
                f"{path} has {field} {told[field]} and {name} {value}: say which, as {field}=..."
            )
    return told


def rename(state: Mapping[str, Tensor], name: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict with the prefix of today, and a line if it was another."""
    old = [key for key in state if key.startswith(OLD_PREFIX)]
    if not old:
        return dict(state), []
    renamed = {re.sub(f"^{re.escape(OLD_PREFIX)}", PREFIX, key): v for key, v in state.items()}
    return renamed, [f"{name}: renamed {OLD_PREFIX} of {len(old)} keys to {PREFIX}"]


def recognise(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of ``ModelConfig`` that keys and shapes tell.

    PoCM has the shapes of GPoCM and conditioned encoders those of decoders; GPoCM and decoder are
    taken.

    Raises:
        ValueError: if the weights are no network's of this package.
    """
    try:
        shapes = {k.removeprefix(PREFIX): tuple(v.shape) for k, v in state.items()}
        first = {k.removeprefix("encoders.0."): v for k, v in shapes.items()}
        kind = next(name for keys, name in KINDS if all(k in first for k in keys.split(":")))
        sizes = {"n_fft": shapes["stft.stft.window"][0], **_skeleton(shapes)}
        return sizes | _block(kind, first) | _bottleneck(kind, shapes) | _conditions(shapes, sizes)
    except (KeyError, StopIteration, IndexError, ZeroDivisionError) as error:
        what = f"lack {error.args[0]}" if error.args else "have no known block"
        raise ValueError(f"the weights {what}: they are no network of LaSAFT's") from None


Shapes = Mapping[str, tuple[int, ...]]
RECURRENT = {"TFC_RNN": "tdf_f1_to_f2.tdf", "TDC_RNN": "tif_f1_to_f2.tif"}  # their last layers


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
            f"{axis}_down_layers": _halved(shapes, levels, number)
            for number, axis in enumerate("tf")
        },
    }


def _halved(shapes: Shapes, levels: int, axis: int) -> tuple[int, ...] | None:
    """Levels that halve an axis, None for all; nets that resample bins alone say nothing."""
    kernels = [
        shapes.get(f"downsamplings.{level}.0.weight", (0, 0, 2, 2)) for level in range(levels)
    ]
    found = tuple(level for level, kernel in enumerate(kernels) if kernel[2 + axis] == 2)
    return None if len(found) == levels else found


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


def _bottleneck(kind: str, shapes: Shapes) -> dict[str, Any]:
    """A factor and a least width that give the widths found; others may give them as well."""
    inside = {
        "TFC_LaSAFT": "tdfs.tdf",
        "TFC_LightSAFT": "LaSAFT_bn_layer",
        "TFC_TDF": "tdf.tdf" if "encoders.0.tdf.tdf.0.weight" in shapes else "tif.tif",
        "TDF": "tif",
        **RECURRENT,
    }.get(kind)
    if inside is None:
        return {}
    levels = _count(shapes, r"encoders\.(\d+)\.")
    places = [f"encoders.{level}" for level in range(levels)] + ["mid_block"]
    widths = [_width(kind, shapes, place, inside) for place in places]
    least = min(units for _, units in widths)
    if kind != "TFC_LightSAFT" and f"mid_block.{inside}.3.weight" not in shapes:
        return {"bn_factor": None} | ({"min_bn_units": least} if kind in RECURRENT else {})
    return {"bn_factor": max(1, widths[0][0] // widths[0][1]), "min_bn_units": least}


def _width(kind: str, shapes: Shapes, place: str, inside: str) -> tuple[int, int]:
    """Bins that a block's bottleneck divides, and its units."""
    if kind in RECURRENT:  # the GRU's: three gates, bins
        units, bins = shapes[f"{place}.rnn.weight_ih_l0"]
        return bins, units // 3
    units, bins = shapes[f"{place}.{inside}.0.weight"]
    sources = shapes[f"{place}.keys"][1] if f"{place}.keys" in shapes else 1
    if kind == "TFC_LightSAFT":
        return bins, units // sources
    return (bins * sources if kind == "TFC_LaSAFT" else bins), units


def _conditions(shapes: Shapes, sizes: Mapping[str, Any]) -> dict[str, Any]:
    if "embedding.weight" not in shapes:
        return {"modulation": None}
    conditions, width = shapes["embedding.weight"]
    inside = "condition_generator"
    factors = shapes[f"{inside}.linear_gamma.0.weight"][0]
    shifts = shapes[f"{inside}.linear_beta.0.weight"][0]
    block = rf"{inside}\.dense_control_block\.linear\.(\d+)\.weight"
    linears = _count({k: v for k, v in shapes.items() if len(v) == 2}, block)
    found: dict[str, Any] = {
        "control_input_dim": conditions,
        "embedding_dim": width,
        "control_n_layer": linears + 1,
    }
    channels, blocks = sizes["internal_channels"], sizes["n_blocks"]
    if factors == shifts:
        simple = shifts in (blocks, blocks // 2)
        found |= {"modulation": "FiLM", "film_type": "simple" if simple else "complex"}
    else:
        norm = "batch_norm" if f"{inside}.linear_gamma.2.running_mean" in shapes else None
        found |= {"modulation": "GPoCM", "pocm_norm": norm}
    modulated = shifts if found.get("film_type") == "simple" else shifts // channels
    return found | ({"condition_to": "full"} if modulated == blocks else {})


def describe(sizes: Mapping[str, Any]) -> str:
    """One line on what was recognised."""
    conditioned = sizes["modulation"] or "no conditions"
    return (
        f"{sizes['block']}, {conditioned}, n_fft {sizes['n_fft']}, {sizes['n_blocks']} blocks, "
        f"{sizes['internal_channels']} channels"
    )
