"""The papers' configurations and those of public weights, as plain dictionaries.

Imports no torch. ``BSRoformer(**configs["paper_bs_l6"])``; names with "mel" are for
``MelBandRoformer``.
"""

from typing import Any

FOUR_STEMS = ["drums", "bass", "other", "vocals"]  # the order of the public four-stem weights


def _preset(stems: list[str], **sizes: Any) -> dict[str, Any]:
    """Shared arguments and those of one preset; every call returns new lists."""
    shared = {
        "stereo": True,
        "sample_rate": 44_100,
        "time_transformer_depth": 1,
        "freq_transformer_depth": 1,
        "linear_transformer_depth": 0,
        "heads": 8,
        "attn_dropout": 0.1,
        "ff_dropout": 0.1,
        "stft_n_fft": 2048,
        "stft_hop_length": 441,
        "stft_win_length": 2048,
        "mask_estimator_depth": 2,
        "mlp_expansion_factor": 4,
    }
    return {"stems": [*stems], **shared, **sizes}


def _paper(depth: int, **sizes: Any) -> dict[str, Any]:
    # The paper does not state 8 heads of 48, but they give its parameter counts.
    return _preset(["vocals"], layout="paper", dim=384, depth=depth, dim_head=48, **sizes)


def _public(stems: list[str], dim: int, depth: int, **sizes: Any) -> dict[str, Any]:
    return _preset(stems, layout="checkpoint", dim=dim, depth=depth, dim_head=64, **sizes)


def _public_mel(stems: list[str], dim: int, depth: int, **sizes: Any) -> dict[str, Any]:
    return _public(stems, dim, depth, num_bands=60, mask_estimator_depth=2, **sizes)


NO_DROPOUT = {"attn_dropout": 0.0, "ff_dropout": 0.0}

configs: dict[str, dict[str, Any]] = {
    **{f"paper_bs_l{depth}": _paper(depth) for depth in (6, 9, 12)},
    **{
        f"paper_mel_l{depth}": _paper(depth, num_bands=60, mask_estimator_depth=1)
        for depth in (6, 12)
    },
    "zfturbo_4stem": _public(FOUR_STEMS, 384, 8, mlp_expansion_factor=2),
    "viperx_vocals": _public(["vocals"], 512, 12),
    "viperx_other": _public(["other"], 384, 12, stft_hop_length=512),
    "viperx_mel_vocals": _public_mel(["vocals"], 384, 12),
    "kim_mel_vocals": _public_mel(["vocals"], 384, 6, **NO_DROPOUT),
}
"""Constructor arguments by preset name."""
