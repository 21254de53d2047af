"""Published weights: older names renamed, the configuration recognised from keys and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lasaft.lightning_file import read_lightning
from lasaft.model import Separator
from lasaft.variants import STEMS, read_arguments

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
        path: a Lightning checkpoint or a state dict, opened without executing what it holds.
        arguments: what shapes can't tell, such as ``hop_length``; else the file's
            hyper-parameters say it, else the authors' defaults.

    Raises:
        ValueError: if it can't be read, or the shapes are no network's.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the path of a checkpoint")
    state, hyper = read_lightning(path)
    state, _ = rename(state, path.name)
    sizes = recognise(state)
    told = {k: hyper[k] for k in UNSEEN if k in hyper and _fits(hyper[k], UNSEEN[k])}
    preset = {"stems": STEMS if sizes["modulation"] else STEMS[:1], **told, **sizes}
    model = Separator(read_arguments(preset, arguments))
    missing = set(model.state_dict()) ^ set(state)
    if missing:
        raise ValueError(f"{path}: {sorted(missing)[0]} does not fit: it is no network of LaSAFT's")
    model.load_state_dict(state, strict=True)
    return model.eval()


UNSEEN: dict[str, type] = {  # in a file's hyper-parameters, and in no shape
    "hop_length": int,
    "num_frame": int,
    "spec_type": str,
    "spec_est_mode": str,
    "first_conv_activation": str,
    "last_activation": str,
    "condition_to": str,
    "pocm_type": str,
}


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind


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
    for prefix in ("tdfs.tdf", "LaSAFT_bn_layer", "tdf.tdf", "tif.tif"):
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
    }.get(kind)
    if inside is None:
        return {}
    levels = _count(shapes, r"encoders\.(\d+)\.")
    places = [f"encoders.{level}" for level in range(levels)] + ["mid_block"]
    if kind != "TFC_LightSAFT" and f"mid_block.{inside}.3.weight" not in shapes:
        return {"bn_factor": None}
    widths = []
    for place in places:
        units, bins = shapes[f"{place}.{inside}.0.weight"]
        sources = shapes[f"{place}.keys"][1] if f"{place}.keys" in shapes else 1
        whole = bins * sources if kind == "TFC_LaSAFT" else bins
        widths.append((whole, units // sources if kind == "TFC_LightSAFT" else units))
    return {"bn_factor": widths[0][0] // widths[0][1], "min_bn_units": min(u for _, u in widths)}


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
