"""Third-party weights: find the network of a state dictionary from its keys and shapes alone.

Public files are wrapped and prefixed in several ways and do not name an architecture. What does not
follow from shapes (hop, sample rate, stem names, chunk) must come from the YAML file published
beside the weights.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bs_roformer.community import differences
from bs_roformer.mel_bands import mel_bands
from bs_roformer.model import Roformer, build
from mss_shared.checkpoints import build_filled, read_weights_file, strip_prefixes, unwrap

# Variants of these networks that do not fit them, by patterns that only their keys match.
FOREIGN = {
    r"\.segm\.|(^|\.)hyperace": "HyperACE, whose mask head has more modules",
    r"axial|refiner": "a variant with an axial refiner in the mask head",
    r"shared_\w*bias|to_qkv\.bias|to_out\.0\.bias": "a variant with biases shared by attentions",
    r"^time_mlp|\.to_ada": "a flow-matching variant",
    r"(?<!\.branch)\.(to|learned)_value_residual_mix": (
        "a network of the package BS-RoFormer 0.5 (values of the first block as in layout 1.2, "
        "without its branches)"
    ),
    r"\.lora_[AB]$": "a low-rank adapter that was not merged into its network",
}
MEL_SETTINGS = [
    (sample_rate, n_fft)
    for n_fft in (2048, 4096, 1024, 8192, 512, 256)
    for sample_rate in (44_100, 48_000, 24_000, 16_000, 32_000, 22_050)
]


@dataclass(frozen=True)
class Recognised:
    """The network of a state dictionary.

    Attributes:
        kind: "bs" or "mel".
        arguments: those of the constructor that follow from shapes.
        state: the weights under our keys, in float32.
        notes: how the file was understood, one line each.
    """

    kind: str
    arguments: dict[str, Any]
    state: dict[str, Tensor]
    notes: tuple[str, ...]


def read_weights(path: Path) -> Recognised:
    """Recognise the network of a weights file; nothing in the file is executed.

    Args:
        path: safetensors, or pickled by PyTorch.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read as plain weights, or as for ``recognise``.
    """
    foreign = read_weights_file(path)
    recognised = recognise(foreign.state)
    return replace(recognised, notes=(*foreign.notes, *recognised.notes))


def adapt(state: dict[str, Tensor], model: Any, _: str) -> tuple[dict[str, Tensor], list[str]]:
    """Rename weights to the model's keys; for ``--checkpoint FILE``.

    Returns:
        The weights, and what was done to them, one line each.

    Raises:
        ValueError: as for ``recognise``.
    """
    if model.config.layout == "paper":
        return state, []  # was trained with this package and has its keys
    recognised = recognise(state)
    return recognised.state, list(recognised.notes)


def recognise(contents: Any) -> Recognised:
    """The network that a loaded file belongs to.

    Args:
        contents: of the file: a state dictionary, wrapped or not, with or without prefixes.

    Raises:
        ValueError: if these are not weights of these networks, or those of another variant.
    """
    bare, notes = unwrap(contents)
    state, stripped = strip_prefixes(bare)
    notes += stripped
    for pattern, what in FOREIGN.items():
        foreign = [key for key in state if re.search(pattern, key)]
        if foreign:
            raise ValueError(
                f"the weights have {foreign[0]} ({len(foreign)} such keys): this is {what}, which "
                f"needs its own code"
            )
    if "band_split.to_features.0.1.weight" not in state:
        raise ValueError(
            f"none of the {len(state)} keys is band_split.to_features.0.1.weight: these are "
            f"not weights of BS-RoFormer or Mel-Band RoFormer"
        )
    kind = "bs" if "final_norm.gamma" in state else "mel"
    if kind == "mel" and not _matching(state, r"layers\.0\.\d\.norm\.gamma"):
        raise ValueError(
            "the weights have neither final_norm.gamma nor layers.0.0.norm.gamma: they are older "
            "than the layout of public weights, or of layout 'paper', whose files name their recipe"
        )
    arguments = _sizes(kind, state) | _bands(kind, state)
    notes += [_describe(kind, arguments)]
    if any(tensor.dtype != torch.float32 for tensor in state.values()):
        dtypes = sorted({str(tensor.dtype) for tensor in state.values()})
        notes.append(f"stored as {', '.join(dtypes)}, used in torch.float32")
    state = {key: tensor.float() for key, tensor in state.items()}
    return Recognised(kind, arguments, state, tuple(notes))


def load_network(
    recognised: Recognised, kind: str, arguments: Mapping[str, Any], path: Path
) -> Roformer:
    """Build the network of a configuration with recognised weights, in evaluation mode.

    Args:
        recognised: the weights.
        kind, arguments: of a recipe's model section, or of the YAML beside the weights; complete,
            with stems by name.
        path: the weights file, for error messages.

    Raises:
        ValueError: if the configuration and the shapes of the weights disagree, naming the first
            argument that does; or if a tensor is missing, unknown or of another shape.
    """
    if kind != recognised.kind:
        raise ValueError(
            f"kind={kind} in the configuration, {recognised.kind} by the weights' keys: they "
            f"belong to another recipe"
        )
    wrong = differences(arguments, recognised.arguments)
    if wrong:
        raise ValueError(f"{wrong[0]} ({len(wrong)} such): they belong to another recipe")
    settings = {**recognised.arguments, "num_stems": None, **arguments}
    try:
        filled: Roformer = build_filled(
            lambda: build(kind, **settings), settings, recognised.state, path
        )
    except ValueError as error:  # sizes agree, so the file itself may be broken
        raise ValueError(f"{error}, or the file is damaged") from None
    return filled


def _rows(state: Mapping[str, Tensor], key: str) -> int:
    """The first dimension of a tensor; an error if there is none."""
    if key not in state or state[key].ndim == 0 or len(state[key]) == 0:
        what = f"have {key} of shape {tuple(state[key].shape)}" if key in state else f"lack {key}"
        raise ValueError(
            f"the weights {what} ({len(state)} keys in all): they are damaged or incomplete, fetch "
            f"or save them again"
        )
    return len(state[key])


def _matching(state: Mapping[str, Tensor], pattern: str) -> list[re.Match[str]]:
    return [match for key in state if (match := re.fullmatch(pattern, key))]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that the pattern's group matches; 0 without a match."""
    return max((int(match.group(1)) + 1 for match in _matching(state, pattern)), default=0)


def _sizes(kind: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Depths, widths, heads, layout."""
    branches = any(".branch." in key for key in state)
    branch = r"\.branch" if branches else ""
    axes = {
        int(match.group(1)): "linear" if match.group(2) == "temperature" else "full"
        for match in _matching(
            state, rf"layers\.0\.(\d)\.layers\.0\.0{branch}\.(temperature|to_gates\.bias)"
        )
    }
    full = sorted(axis for axis, what in axes.items() if what == "full")
    if len(full) != 2 or len(axes) > 3:
        raise ValueError(
            f"the first block has attention under the numbers {sorted(axes)}: one along frames and "
            f"one along bands are needed, after at most one linear attention"
        )
    depths = {a: _count(state, rf"layers\.0\.{a}\.layers\.(\d+)\..*") for a in axes}
    part = f"layers.0.{full[0]}.layers.0.0" + (".branch" if branches else "")
    heads = _rows(state, f"{part}.to_gates.bias")
    pope = f"{part}.pope_embed.bias" in state
    sizes: dict[str, Any] = {
        "layout": "1.2" if branches else "checkpoint",
        "dim": _rows(state, "band_split.to_features.0.1.weight"),
        "depth": _count(state, r"layers\.(\d+)\..*"),
        "linear_transformer_depth": sum(depths[a] for a in axes if a not in full),
        "time_transformer_depth": depths[full[0]],
        "freq_transformer_depth": depths[full[1]],
        "heads": heads,
        "dim_head": _rows(state, f"{part}.to_qkv.weight") // 3 // heads,
        "use_pope": pope,
        "num_stems": _count(state, r"mask_estimators\.(\d+)\..*"),
    }
    if branches:
        first = f"layers.0.{full[0]}.layers.0.0"
        rows = _rows(state, f"{first}.static_beta") if f"{first}.static_beta" in state else 1
        fractions = sizes["dim"] // _rows(state, f"{first}.norm.gamma") if rows > 1 else 1
        sizes |= {"num_residual_streams": rows // fractions, "num_residual_fracs": fractions}
        # Only blocks after the first have it; with a single block it makes no difference.
        sizes["add_value_residual"] = any("value_residual_mix" in key for key in state)
    return sizes | _masks(kind, sizes["dim"], state)


def _masks(kind: str, dim: int, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Depth and width of the mask MLPs; the depth is counted as this kind's constructor does."""
    head = r"mask_estimators\.0\.to_freqs\.0\.0\.(\d+)\.weight"
    linears = len(_matching(state, head))
    sizes = {"mask_estimator_depth": linears if kind == "bs" else linears - 1}
    if linears > 1:
        hidden = _rows(state, "mask_estimators.0.to_freqs.0.0.0.weight")
        sizes["mlp_expansion_factor"] = hidden // dim
    return sizes


def _bands(kind: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Bands, channels and the size of the STFT."""
    count = _count(state, r"band_split\.to_features\.(\d+)\..*")
    widths = [_rows(state, f"band_split.to_features.{n}.0.gamma") for n in range(count)]
    return _split_bands(widths) if kind == "bs" else _mel_bands(widths)


def _split_bands(widths: list[int]) -> dict[str, Any]:
    for channels in (1, 2):  # n_fft is a power of two: n_fft / 2 + 1 bins of 2 * channels values
        half = sum(widths) // (2 * channels) - 1
        if sum(widths) % (2 * channels) == 0 and half & (half - 1) == 0 < half:
            return {
                "stereo": channels == 2,
                "freqs_per_bands": tuple(width // (2 * channels) for width in widths),
                "stft_n_fft": 2 * half,
                "stft_win_length": 2 * half,
            }
    raise ValueError(
        f"the bands hold {sum(widths)} numbers, which fits no STFT of 2**n samples with 1 or 2 "
        f"channels: pass the YAML file of the weights with --config_path"
    )


def _mel_bands(widths: list[int]) -> dict[str, Any]:
    for sample_rate, n_fft in MEL_SETTINGS:
        try:
            bands = mel_bands(sample_rate, n_fft, len(widths))
        except ValueError:
            continue
        for channels in (1, 2):
            if widths == [2 * channels * (last + 1 - first) for first, last in bands]:
                return {
                    "stereo": channels == 2,
                    "num_bands": len(widths),
                    "sample_rate": sample_rate,
                    "stft_n_fft": n_fft,
                    "stft_win_length": n_fft,
                }
    raise ValueError(
        f"{len(widths)} bands of {widths[:3]}... numbers fit no mel bands at the usual sample "
        f"rates and STFT sizes: pass the YAML file of the weights with --config_path"
    )


def _describe(kind: str, arguments: Mapping[str, Any]) -> str:
    name = {"bs": "BSRoformer", "mel": "MelBandRoformer"}[kind]
    counted = {"bs": "linear layers", "mel": "hidden layers"}[kind]
    return (
        f"{name}, layout {arguments['layout']}, dim {arguments['dim']}, depth "
        f"{arguments['depth']}, {arguments['num_stems']} stems, "
        f"{'stereo' if arguments['stereo'] else 'mono'}, mask MLPs of "
        f"{arguments['mask_estimator_depth']} {counted}"
    )
