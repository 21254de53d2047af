"""Every block is found by searching the code for the papers' terms.

The full text of the papers was not read, so a docstring cites no section numbers: it names the
paper where that has the term, and the authors' code or the music fork for everything else.
"""

from typing import Any

from mss_shared.testing import check_terms
from tflocoformer_mss import bands, blocks, config, losses, model, unified

# term, the block whose docstring has it, the source which that docstring names
TERMS: list[tuple[str, Any, str]] = [
    # TF-Locoformer
    ("TF-Locoformer", model.TFLocoformerSeparator, "paper, TF-Locoformer"),
    ("encoder, stack of TF blocks, decoder", model.TFLocoformerSeparator, "authors' code"),
    ("global layer norm (gLN)", model.TFLocoformerSeparator, "authors' code"),
    ("complex spectral mapping", model.TFLocoformerSeparator, "authors' code"),
    ("TF-Locoformer block", blocks.Block, "paper, TF-domain dual-path block"),
    ("frequency modeling", blocks.Block, "paper"),
    ("temporal modeling", blocks.Block, "paper"),
    ("macaron-style", blocks.Path, "paper, macaron-style FFNs"),
    ("1/2", blocks.Path, "authors' code"),
    ("RMSGroupNorm", blocks.RMSGroupNorm, "paper, RMSGroupNorm"),
    ("ConvSwiGLU", blocks.ConvSwiGLU, "paper, ConvSwiGLU"),
    ("FFN", blocks.ConvSiLU, "authors' code in ESPnet"),
    ("multi-head self-attention", blocks.Attention, "paper, MHSA"),
    ("NoPE", blocks.Attention, "EUSIPCO 2025"),
    ("RoPE", blocks.Rotary, "paper, RoPE"),
    ("STFT", model.Transform, "authors' code"),
    ("permutation invariant training (PIT)", losses.combine, "TERMS"),
    ("SI-SDR", losses.si_sdr_loss, "music fork"),
    ("multi-resolution L1", losses.tfd_loss, "`mr_l1_tfd` of the authors' DNS recipe"),
    # BS-Locoformer and TUSS
    ("BS-Locoformer", model.BSLocoformerSeparator, "paper (TUSS)"),
    ("band-split encoder", bands.BandSplit, "paper (TUSS)"),
    ("band-wise decoder", bands.BandSplit, "authors' code"),
    ("bins of each band", config.band_sizes, "authors' code, release 1.1.0"),
    ("conventional model", unified.BSLocoformerStack, "paper (TUSS), conventional model"),
    ("learnable prompts", unified.TussModel, "paper (TUSS)"),
    ("SOS", unified.TussModel, "paper (TUSS)"),
    ("cross-prompt module", unified.TussModel, "paper (TUSS)"),
    ("target sound extraction (TSE)", unified.TussModel, "paper (TUSS)"),
    ("thresholded SNR", losses.snr_loss, "paper (TUSS)"),
    ("SNR with zero references", losses.silent_stem_loss, "paper (TUSS)"),
    # around them
    ("TF-Locoformer for music", model.TFLocoformerMSS, "music fork"),
    ("separators", model.WaveformModel, "ESPnet"),
]


def test_the_papers_terms_lead_to_their_blocks() -> None:
    check_terms(TERMS, (bands, blocks, model, unified), blocks=14)
