"""The YAML files that come with public weights: read without executing their tags. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bs_roformer.config import IGNORED, ModelConfig

# Published after the training framework began to silence bin 0 by default (September 2025), by
# file name; most of these files do not say what was done. Polar positions are as new.
ZEROED = ("mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",)

# In their model section; none changes the network here.
WITHOUT_EFFECT = (
    *IGNORED,
    *("dim_t", "dim_f", "hop_length", "num_stems", "use_torch_checkpoint", "sage_attention"),
)


@dataclass(frozen=True)
class CommunityConfig:
    """What such a file says.

    Attributes:
        kind: "bs" or "mel".
        arguments: of the constructor, stems by name among them.
        chunk_samples: length of the pieces a song is cut into.
        num_overlap: how many pieces cover a sample.
        batch: pieces per pass.
        notes: what was taken to be so, or is not done, line by line.
    """

    kind: str
    arguments: dict[str, Any]
    chunk_samples: int
    num_overlap: int
    batch: int
    notes: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """The safe loader, which knows one tag more: a Python tuple is a list."""


def _construct_tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


def read_community_yaml(path: Path, weights: str = "") -> CommunityConfig:
    """Read the YAML file beside public weights.

    Args:
        path: the YAML file.
        weights: the weights' file name, for what such files leave out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a file, or names an argument that the networks lack.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give the YAML of the weights")
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no plain YAML ({_first_line(error)}): mend it") from None
    return parse_community(found, str(path), weights)


def parse_community(found: Any, name: str, weights: str = "") -> CommunityConfig:
    """The same for a loaded document; ``name`` is for error messages."""
    audio, model, training = (_section(found, key, name) for key in ("audio", "model", "training"))
    inference = _section(found, "inference", name) if "inference" in found else {}
    if "lora" in found:
        raise ValueError(
            f"{name} has a section lora: low-rank adapters are not built, merge them into the "
            f"weights and leave the section out"
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
    """Set zero_dc where the file is silent, and say what it leaves open or asks for in vain."""
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
    """Where a configuration and the shapes of the weights disagree, a sentence each."""
    sentences = []
    for key, value in recognised.items():
        stated = len(arguments["stems"]) if key == "num_stems" else arguments.get(key, value)
        stated = tuple(stated) if isinstance(stated, list) else stated
        if stated != value:
            sentences.append(
                f"{key}={stated!r} in the configuration, {value} by the weights' shapes"
            )
    return sentences


def _section(found: Any, key: str, name: str) -> dict[str, Any]:
    section = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(section, Mapping):
        raise ValueError(
            f"{name} has no section {key}: it must have audio, model and training, as the files "
            f"beside public weights do"
        )
    return dict(section)


def _stems(training: Mapping[str, Any], count: Any, name: str) -> tuple[str, ...]:
    """The one target if there is one, else all instruments."""
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


def _first_line(error: Exception) -> str:
    return (getattr(error, "problem", None) or str(error)).splitlines()[0]
