"""The published networks by name, with the keyword arguments of the authors' code.

``CUNET_TFC_GPoCM_LaSAFT(n_fft=4096)`` returns a ``Separator`` with the defaults of the authors'
legacy release and one change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lasaft.config import ModelConfig, read_layers
from lasaft.model import Separator

STEMS = ("vocals", "drums", "bass", "other")  # the order of the conditions everywhere
DEFAULTS: dict[str, Any] = {
    "stems": STEMS,
    "sample_rate": 44_100,
    "n_fft": 2048,
    "hop_length": 1024,
    "num_frame": 128,
    "window_overlap": 0.5,
    "spec_type": "complex",
    "spec_est_mode": "mapping",
    "encoder_block": None,
    "n_blocks": 7,
    "input_channels": 4,
    "internal_channels": 24,
    "first_conv_activation": "relu",
    "last_activation": "identity",
    "t_down_layers": None,
    "f_down_layers": None,
    "n_internal_layers": 5,
    "kernel_size_t": 3,
    "kernel_size_f": 3,
    "block_activation": "relu",
    "bn_factor": 16,
    "min_bn_units": 16,
    "tdf_bias": False,
    "num_tdfs": 6,
    "dk": 32,
    "control_vector_type": "embedding",
    "control_input_dim": 4,
    "embedding_dim": 32,
    "condition_to": "decoder",
    "control_n_layer": 4,
    "control_type": "dense",
    "film_type": "complex",
    "gamma_activation": "identity",
    "beta_activation": "identity",
    "pocm_type": "matmul",
    "pocm_norm": "batch_norm",
}
# The old command line had a name per block for what is one field here.
SYNONYMS = {
    "tfc_activation": "block_activation",
    "tdf_activation": "block_activation",
    "tdc_activation": "block_activation",
    "tfc_tdf_activation": "block_activation",
    "tfc_tdf_bias": "tdf_bias",
    "bias": "tdf_bias",
}


def build(**values: Any) -> Separator:
    """A separator from the fields of ``ModelConfig``, freshly initialised."""
    return Separator(ModelConfig(**values))


def read_arguments(preset: dict[str, Any], arguments: dict[str, Any]) -> ModelConfig:
    """The configuration of a preset with changes.

    Args:
        preset: fields of ``ModelConfig``; the rest are ``DEFAULTS``, and 2 input channels for
            magnitudes.
        arguments: changes to it, by the fields' names or those of the old command line.

    Raises:
        ValueError: if an argument is unknown.
    """
    changes = {SYNONYMS.get(name, name): value for name, value in arguments.items()}
    unknown = sorted(set(changes) - set(ModelConfig.__dataclass_fields__))
    if unknown:
        raise ValueError(
            f"there is no argument {unknown[0]}: choose from "
            f"{', '.join([*ModelConfig.__dataclass_fields__, *SYNONYMS])}"
        )
    explicit = {**preset, **changes}
    if explicit.get("spec_type") == "magnitude":
        explicit = {"input_channels": 2, **explicit}
    values = {**DEFAULTS, **explicit}
    values["stems"] = tuple(values["stems"])
    for name in ("t_down_layers", "f_down_layers"):
        values[name] = read_layers(values[name])
    return ModelConfig(**values)


def _variant(name: str, **preset: Any) -> Callable[..., Separator]:
    def construct(**arguments: Any) -> Separator:
        return Separator(read_arguments(preset, arguments))

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = (
        f"A freshly initialised {name}; keyword arguments change its preset.\n\n"
        f"Raises ValueError if an argument is unknown or the values do not fit together."
    )
    return construct


def _cunet(modulation: str, block: str) -> dict[str, Any]:
    return {"modulation": modulation, "block": block}


def _alone(block: str) -> dict[str, Any]:
    """A U-Net of 2020, for one stem and without conditions."""
    return {"modulation": None, "block": block, "stems": STEMS[:1]}


_LASAFT = _cunet("GPoCM", "TFC_LaSAFT")
_LIGHT = _cunet("GPoCM", "TFC_LightSAFT")
_MDX = {
    **_LIGHT,
    "internal_channels": 16,
    "num_tdfs": 16,
    "dk": 64,
    "embedding_dim": 64,
    "num_frame": 256,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CUNET_TFC_FiLM": _cunet("FiLM", "TFC"),
    "CUNET_TFC_FiLM_TDF": _cunet("FiLM", "TFC_TDF"),
    "CUNET_TFC_FiLM_LaSAFT": _cunet("FiLM", "TFC_LaSAFT"),
    "CUNET_TFC_PoCM": _cunet("PoCM", "TFC"),
    "CUNET_TFC_PoCM_TDF": _cunet("PoCM", "TFC_TDF"),
    "CUNET_TFC_PoCM_LaSAFT": _cunet("PoCM", "TFC_LaSAFT"),
    "CUNET_TFC_GPoCM": _cunet("GPoCM", "TFC"),
    "CUNET_TFC_GPoCM_TDF": _cunet("GPoCM", "TFC_TDF"),
    "CUNET_TFC_GPoCM_LaSAFT": _LASAFT,
    "CUNET_TFC_GPoCM_LightSAFT": _LIGHT,
    "lasaft_net": _LASAFT,
    "lightsaft_net": _LIGHT,
    "lasaft_net_large": {**_LASAFT, "n_fft": 4096, "n_blocks": 9, "embedding_dim": 64},
    "lightsaft_small_2020": {**_MDX, "n_blocks": 9},
    "lightsaft_mdx_7blocks": {**_MDX, "num_frame": 128},
    "lightsaft_mdx_medium": {**_MDX, "n_blocks": 11, "control_n_layer": 6},
    "lightsaft_paper": {**_MDX, "num_frame": 128, "dk": 24},
    "lightsaft_advanced": {
        **{**_MDX, "num_frame": 128, "dk": 24, "embedding_dim": 32},
        "encoder_block": "TFC_TDF",
    },
    "Dense_CUNet_TFC_FiLM": _cunet("FiLM", "TFC"),  # names of the old README
    "Dense_CUNet_TFC_GPoCM": _cunet("GPoCM", "TFC"),
    "tfc_net": _alone("TFC"),
    "tdc_net": _alone("TDC"),
    "tdf_net": _alone("TDF"),
    "tfc_tdf_net": _alone("TFC_TDF"),
    "tfc_rnn_net": _alone("TFC_RNN"),
    "tdc_rnn_net": _alone("TDC_RNN"),
}

VARIANTS = {name: _variant(name, **preset) for name, preset in PRESETS.items()}
