"""Every block is found by searching the code for the papers' term, or for that of the package.

Only BS-RoFormer's own text was read in full, and the terms are not tied to its sections; what the
papers lack is in third-party code, and its docstrings name the package BS-RoFormer.
"""

from typing import Any

from bs_roformer import (
    hyper_connections,
    linear_attention,
    mel_bands,
    model,
    pope,
    rope,
    transformer,
    value_residual,
)
from bs_roformer.model import Roformer
from mss_shared.testing import check_terms

# term, the block whose docstring has it, the source which that docstring names
TERMS: list[tuple[str, Any, str]] = [
    ("BS-RoFormer", model.BSRoformer, "paper: Lu et al. 2023"),
    ("Mel-Band RoFormer", model.MelBandRoformer, "paper: Wang et al. 2023"),
    ("mel bands overlap", model.MelBandRoformer, "paper"),
    ("scale", mel_bands.mel_bands, "Mel-Band RoFormer, sec. 3"),
    ("STFT, band split, blocks, masks", Roformer, "papers' figure"),
    ("Band-split module", model.BandSplit, "paper"),
    ("Multi-band mask estimation module", model.MaskEstimator, "paper"),
    ("complex ideal ratio mask", Roformer.mask_spec, "paper's complex ideal ratio mask"),
    ("L1 of the waveform", Roformer.loss, "paper's loss"),
    ("RoPE Transformer block", transformer.Block, "paper"),
    ("inner-band", transformer.Block, "paper"),
    ("inter-band", transformer.Block, "paper"),
    ("RoPE Transformer", transformer.Transformer, "paper"),
    ("Multi-head self-attention", transformer.Attention, "paper"),
    ("Feed-forward", transformer.FeedForward, "public weights"),
    ("RMSNorm", transformer.RMSNorm, "paper"),
    ("RoPE", rope.RotaryEmbedding, "Su et al. 2021"),
    ("Rotary Position Embedding", rope, "arXiv:2104.09864"),
    ("position embedding", rope.SharedEmbedding, "public weights"),
    # not in the papers
    ("PoPE", pope.PolarEmbedding, "package BS-RoFormer"),
    ("linear attention", linear_attention.LinearAttention, "package BS-RoFormer"),
    ("features of a head", linear_attention.FeatureAttention, "package BS-RoFormer"),
    ("first block's values", value_residual.ValueMix, "package BS-RoFormer"),
    ("value residual", value_residual.ValueResidualAttention, "package BS-RoFormer"),
    ("value residual", value_residual.ValueResidualLinearAttention, "package BS-RoFormer"),
    ("branch", hyper_connections.Branch, "package BS-RoFormer"),
    ("Hyper-connections", hyper_connections.HyperConnection, "package BS-RoFormer"),
    ("fractions", hyper_connections.FractionConnection, "package BS-RoFormer"),
    ("RMSNorm", hyper_connections.StreamNorm, "package BS-RoFormer"),
    ("value residuals", hyper_connections.BranchedTransformer, "package BS-RoFormer"),
    ("values", hyper_connections.BranchedBlock, "package BS-RoFormer"),
]
MODULES = (
    hyper_connections,
    linear_attention,
    model,
    pope,
    rope,
    transformer,
    value_residual,
)


def test_the_papers_terms_lead_to_their_blocks() -> None:
    check_terms(TERMS, MODULES, blocks=24)
