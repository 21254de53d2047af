"""The six published configurations of Moises-Light, in both architectures, as plain dictionaries.

Imports no torch, so that the command line lists presets without loading the network.
"""

from typing import Any


def _preset(architecture: str, G: int, n_bands: int, freq_dim: int, n_rope: int) -> dict[str, Any]:
    """Complete constructor arguments; lists and dictionaries are new in every call."""
    return {
        "architecture": architecture,
        "sources": ["vocals", "drums", "bass", "other"],
        "audio_channels": 2,
        "n_fft": 6144,
        "hop_size": 1024,
        "win_size": 6144,
        "freq_dim": freq_dim,
        "n_bands": n_bands,
        "G": G,
        "n_enc": 3,
        "n_dec": 1,
        "n_split_enc": 3,
        "n_split_dec": 1,
        "n_rope": n_rope,
        "bn_factor": 4 if architecture == "0.1.0" else 8,
        "edge_kernel_size": 1 if architecture == "0.1.0" else 3,
        "normalized": True,
        "use_mask": True,
        "norm_name": "BatchNorm",
        "act_name": "ReLU",
        "transformer_params": {
            "heads": 4,
            "dim_head": 32,
            "ff_mult": 2,
            "attn_dropout": 0.0,
            "proj_dropout": 0.0,
            "ff_dropout": 0.0,
            "flash_attn": True,
        },
    }


# 2048 of the 3073 bins reach 14.7 kHz at 44.1 kHz; 3072 omit only the Nyquist bin.
# A band has G / n_bands channels in the first stage.
_SIZES = {
    "paper_large": {"G": 56, "n_bands": 4, "freq_dim": 2048, "n_rope": 5},
    "paper_small": {"G": 32, "n_bands": 4, "freq_dim": 2048, "n_rope": 6},
    "fullband_large": {"G": 60, "n_bands": 6, "freq_dim": 3072, "n_rope": 5},
    "fullband_small": {"G": 36, "n_bands": 6, "freq_dim": 3072, "n_rope": 6},
    "fullband_large_wide": {"G": 84, "n_bands": 6, "freq_dim": 3072, "n_rope": 5},
    "fullband_small_wide": {"G": 48, "n_bands": 6, "freq_dim": 3072, "n_rope": 6},
}

configs: dict[str, dict[str, Any]] = {
    **{name: _preset("0.1.0", **size) for name, size in _SIZES.items()},
    **{f"{name}_v015": _preset("0.1.5", **size) for name, size in _SIZES.items()},
}
"""Constructor arguments by preset name: `MoisesLight(**configs["paper_large"])`.

Plain names are architecture 0.1.0, whose parameter counts were published first. Names ending in
`_v015` are the same sizes in the corrected architecture 0.1.5. Of recipes, plain names are 0.1.5
and names ending in `_v010` are 0.1.0.
"""
