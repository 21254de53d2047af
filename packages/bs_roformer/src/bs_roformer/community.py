"""The YAML files published beside public weights, read without executing them. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bs_roformer.config import IGNORED, ModelConfig
from mss_shared.yaml_text import PlainLoader, parse_yaml, read_text

# Weights by file name that are newer than September 2025, when the training framework began to
# silence bin 0 by default. Most YAML files do not state it. Networks with PoPE are as new.
ZEROED = ("mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",)

# Keys of the model section that do not change the network here.
WITHOUT_EFFECT = (
    *IGNORED,
    *("dim_t", "dim_f", "hop_length", "num_stems", "use_torch_checkpoint", "sage_attention"),
)


@dataclass(frozen=True)
class CommunityConfig:
    """The contents of such a file.

    Attributes:
        kind: "bs" or "mel".
        arguments: those of the constructor, with stems by name.
        chunk_samples: length of the chunks a song is cut into.
        num_overlap: how many chunks cover a sample.
        batch: chunks per forward pass.
        notes: what was assumed and what has no effect, one line each.
    """

    kind: str
    arguments: dict[str, Any]
    chunk_samples: int
    num_overlap: int
    batch: int
    notes: tuple[str, ...]


class _Loader(PlainLoader):
    """The plain loader with one more tag: a Python tuple, which becomes a list."""


def _construct_tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


def read_community_yaml(path: Path, weights: str = "") -> CommunityConfig:
    """Read the YAML file beside public weights.

    Args:
        path: the YAML file.
        weights: the weights' file name, to decide what the YAML file leaves out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a file, or has an argument that the networks lack.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the YAML of the weights")
    document = parse_yaml(read_text(path), str(path), _Loader)
    return parse_community(document, str(path), weights)


def parse_community(document: Any, name: str, weights: str = "") -> CommunityConfig:
    """Like `read_community_yaml`, for a loaded document.

    Args:
        document: the contents of the YAML file.
        name: of the file, for error messages.
        weights: as in `read_community_yaml`.

    Raises:
        ValueError: as in `read_community_yaml`.
    """
    audio, model, training = (
        _section(document, key, name) for key in ("audio", "model", "training")
    )
    inference = _section(document, "inference", name) if "inference" in document else {}
    if "lora" in document:
        raise ValueError(
            f"{name} has a section lora: low-rank adapters are not supported: merge them into "
            f"the weights and remove the section"
        )
    unknown = sorted(set(model) - set(ModelConfig.__dataclass_fields__) - set(WITHOUT_EFFECT))
    if unknown:
        raise ValueError(
            f"{name} has model.{unknown[0]}, which the networks lack: it belongs to another variant"
        )
    arguments = {key: value for key, value in model.items() if key not in WITHOUT_EFFECT}
    arguments["stems"] = _stems(training, model.get("num_stems", 1), name)
    notes = _complete(arguments, inference, weights)
    arguments["match_input_audio_length"] = True  # a song keeps its length
    arguments.setdefault("sample_rate", audio.get("sample_rate", 44_100))
    return CommunityConfig(
        "mel" if "num_bands" in model else "bs",
        arguments,
        chunk_samples=_number({**audio, **inference}, "chunk_size", name),
        num_overlap=_number({"num_overlap": 2, **inference}, "num_overlap", name),
        batch=_number({"batch_size": 1, **inference}, "batch_size", name),
        notes=notes,
    )


def _complete(
    arguments: dict[str, Any], inference: Mapping[str, Any], weights: str
) -> tuple[str, ...]:
    """Set zero_dc where the file does not state it; notes on this and on what has no effect."""
    notes = []
    if "zero_dc" not in arguments:
        arguments["zero_dc"] = bool(arguments.get("use_pope")) or weights in ZEROED
        done = "silenced" if arguments["zero_dc"] else "kept"
        notes.append(
            f"no zero_dc in the YAML: bin 0 is {done}, judging by the age of the weights; set "
            f"model.zero_dc there if that is wrong"
        )
    if inference.get("normalize"):
        notes.append("inference.normalize has no effect: the mixture keeps its mean and level")
    return tuple(notes)


def differences(arguments: Mapping[str, Any], recognised: Mapping[str, Any]) -> list[str]:
    """Sentences on where a configuration contradicts the shapes of its weights.

    Args:
        arguments: the configuration.
        recognised: the arguments that follow from the weights.
    """
    sentences = []
    for key, value in recognised.items():
        stated = len(arguments["stems"]) if key == "num_stems" else arguments.get(key, value)
        stated = tuple(stated) if isinstance(stated, list) else stated
        if stated != value:
            sentences.append(
                f"{key}={stated!r} in the configuration, {value} by the weights' shapes"
            )
    return sentences


def _section(document: Any, key: str, name: str) -> dict[str, Any]:
    section = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(section, Mapping):
        raise ValueError(
            f"{name} has no section {key}: it must have audio, model and training, like the files "
            f"published beside public weights"
        )
    return dict(section)


def _stems(training: Mapping[str, Any], count: Any, name: str) -> tuple[str, ...]:
    """The target instrument if there is one, else all instruments."""
    target, instruments = training.get("target_instrument"), training.get("instruments")
    if target is not None:
        return (str(target),)
    if not isinstance(instruments, list) or len(instruments) != count:
        raise ValueError(
            f"{name} lists the instruments {instruments} for num_stems={count}: there must be one "
            f"name per stem, or a target_instrument"
        )
    return tuple(map(str, instruments))


def _number(section: Mapping[str, Any], key: str, name: str) -> int:
    value = section.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} has {key}={value!r}: it must be a positive whole number")
    return value
