"""Every block is found by searching the model code for the paper's term.

No section numbers are known (only the abstract was read first-hand), so a docstring names the
source instead: the paper, a network it builds on, or the package that filled in what it leaves out.
"""

from typing import Any

from moises_light import model, transformer
from moises_light.training import Training, spec_error
from mss_shared.testing import check_terms

# term, the block whose docstring has it, the source which that docstring names
TERMS: list[tuple[str, Any, str]] = [
    ("band split", model.SplitModule, "paper, band split by group convolution"),
    ("TDF", model.TDF, "TDF of DTTNet"),
    ("Split-and-Merge", model.SplitAndMerge, "paper, Split-and-Merge"),
    ("N_split", model.SplitAndMerge, "paper"),
    ("downsampling", model.TimeDownsample, "package moises-light"),
    ("upsampling", model.TimeUpsample, "package moises-light"),
    ("RMSNorm", transformer.RMSNorm, "BS-RoFormer"),
    ("RoPE", transformer.Attention, "BS-RoFormer"),
    ("self-attention", transformer.Attention, "BS-RoFormer"),
    ("feed-forward", transformer.FeedForward, "BS-RoFormer"),
    ("RoPE transformer", transformer.Transformer, "paper, RoPE transformer"),
    ("Dual-path", model.DualPath, "paper"),
    ("Bottleneck", model.Bottleneck, "paper"),
    ("N_RoPE", model.Bottleneck, "paper"),
    ("U-Net", model.MoisesLight, "paper"),
    ("asymmetric encoder and decoder", model.MoisesLight, "paper"),
    ("N_band", model.MoisesLight, "paper"),
    ("N_enc", model.MoisesLight._build_encoder, "paper"),
    ("N_dec", model.MoisesLight._build_decoder, "paper"),
    ("STFT", model.MoisesLight.stft, "paper"),
    ("multi-resolution MAE", Training, "paper"),
    ("complex-spectrogram MAE", spec_error, "paper"),
]


def test_the_papers_terms_lead_to_its_blocks() -> None:
    check_terms(TERMS, (model, transformer), blocks=12)
