"""The published configurations and those of the music fork, as plain dictionaries.

Imports no torch. Names with "conventional" hold arguments of ``BSLocoformerStack``, those with
"tuss" of ``TussModel``, the others with "musdb18" of ``TFLocoformerMSS``, and the rest of
``TFLocoformerSeparator``: ``TFLocoformerSeparator(**configs["wsj0_2mix"])``.
"""

from typing import Any

PROMPTS = ["speech", "sfx", "sfxbg", "drums", "bass", "vocals", "other", "musicbg"]
MUSIC_PROMPTS = ["drums", "bass", "vocals", "other"]


def _single(layers: int, dim: int, hidden: int, kernel: int, **others: Any) -> dict[str, Any]:
    """Arguments for one stack of macaron-style blocks; lists are new in every call."""
    return {
        "n_layers": layers,
        "emb_dim": dim,
        "norm_type": "rmsgroupnorm",
        "num_groups": 4,
        "tf_order": "ft",
        "n_heads": 4,
        "flash_attention": False,
        "attention_dim": 128,
        "pos_enc": "rope",
        "ffn_type": ["swiglu_conv1d", "swiglu_conv1d"],
        "ffn_hidden_dim": [hidden, hidden],
        "conv1d_kernel": kernel,
        "conv1d_shift": 1,
        "dropout": 0.0,
        "eps": 1e-5,
        **others,
    }


def _speech(stems: int, layers: int, dim: int, hidden: int, kernel: int) -> dict[str, Any]:
    return {"num_spk": stems, **_single(layers, dim, hidden, kernel)}


def _music(n_fft: int, hop: int, layers: int, dim: int, hidden: int, **others: Any) -> Any:
    sizes = _single(layers, dim, hidden, 4, attention_dim=dim, flash_attention=True, dropout=0.1)
    return {"n_fft": n_fft, "hop_length": hop, "n_sources": 4, **sizes, **others}


def _blocks(dim: int, heads: int, attention_dim: int, hidden: int, frame_kernel: int) -> Any:
    """Arguments of one stack in the TUSS code, with kernels of 4 along bands."""

    def network(kernel: int) -> dict[str, Any]:
        return {"conf": {"dim_inner": hidden, "conv1d_kernel": kernel, "conv1d_shift": 1}}

    return {
        "emb_dim": dim,
        "num_groups": 8,
        "tf_order": "ft",
        "n_heads": heads,
        "flash_attention": False,
        "attention_dim": attention_dim,
        "freq_ffn_config": [network(4), network(4)],
        "frame_ffn_config": [network(frame_kernel), network(frame_kernel)],
    }


def _stack(first: tuple[int, int, int, int], second: tuple[int, int]) -> dict[str, Any]:
    """Arguments of two stacks from (blocks, D, H, A) of the first and (blocks, A) of the second."""
    layers, dim, heads, attention_dim = first
    return {
        "num_spk": 4,
        "n_first_blocks": layers,
        "config_first_block": _blocks(dim, heads, attention_dim, 384, 1),
        "n_second_blocks": second[0],
        "config_second_block": _blocks(dim, heads, second[1], 256, 4),
        "sample_rate": 48_000,
        "stft_size": 2048,
    }


def _tuss(
    prompts: list[str], first: tuple[int, int, int, int], second: tuple[int, int]
) -> dict[str, Any]:
    stack = _stack(first, second)
    return {
        "prompts": [*prompts],
        "nblocks_cross_prompt_module": stack["n_first_blocks"],
        "conf_cross_prompt_module": stack["config_first_block"],
        "nblocks_cond_tse_module": stack["n_second_blocks"],
        "conf_cond_tse_module": stack["config_second_block"],
        "sample_rate": 48_000,
        "stft_size": 2048,
        "use_sos_token": True,
    }


def _with_flash(stack: dict[str, Any]) -> dict[str, Any]:
    for block in ("config_first_block", "config_second_block"):
        stack[block]["flash_attention"] = True
    return stack


MEDIUM, LARGE = (4, 64, 4, 128), (6, 128, 8, 256)

configs: dict[str, dict[str, Any]] = {
    "wsj0_2mix": _speech(2, 6, 128, 384, 4),
    "librimix": _speech(2, 6, 128, 384, 4),
    "whamr": _speech(2, 6, 128, 192, 8),
    "whamr_small": _speech(2, 4, 96, 128, 8),
    "whamr_nope": {**_speech(2, 6, 128, 192, 8), "pos_enc": "nope"},
    "dns_ins20": _speech(1, 6, 128, 384, 4),
    "musdb18_small": _music(2048, 512, 6, 96, 384, n_heads=6),
    "musdb18": _music(4096, 1024, 8, 192, 768, n_heads=8),
    "musdb18_xlarge": _music(4096, 1024, 12, 256, 1024, n_heads=16, num_groups=8, dropout=0.15),
    "conventional_medium": _with_flash(_stack(MEDIUM, (2, 96))),
    "conventional_large": _stack(LARGE, (2, 96)),
    "tuss_medium": _tuss(PROMPTS, MEDIUM, (2, 96)),
    "tuss_large": _tuss(PROMPTS, LARGE, (3, 192)),
    "musdb18_conventional_medium": _with_flash(_stack(MEDIUM, (2, 96))),
    "musdb18_tuss_medium": _tuss(MUSIC_PROMPTS, MEDIUM, (2, 96)),
}
"""Constructor arguments by preset name."""
