"""Every block is found by searching the code for the paper's term or the authors' symbol.

No section numbers of the paper are known; its authors' code is public, and is what a docstring
cites wherever the paper says no more than the term.
"""

from typing import Any

from lasaft import blocks, conditioning, model, svs2020
from mss_shared.testing import check_terms

# term, the block whose docstring has it, the source which that docstring names
TERMS: list[tuple[str, Any, str]] = [
    ("conditioned U-Net (CUNet)", model.DenseCUNet, "Figure 1 of the paper"),
    ("condition generator", model.DenseCUNet, "paper"),
    ("several stems", model.SharingCUNet, "paper's CUNet"),
    ("inverse STFT", model.Separator, "authors' code"),
    ("STFT", model.Transform, "published weights"),
    ("Hann window", model.Window, "authors' code"),
    ("intermediate block", blocks.Block, "paper"),
    ("TFC, time-frequency convolutions", blocks.TFC, "ISMIR 2020"),
    ("DTFC", blocks.DTFC, "authors' code"),
    ("TDF, time-distributed fully-connected", blocks.TDF, "ISMIR 2020"),
    ("TFC-TDF", blocks.TFC_TDF, "ISMIR 2020"),
    ("latent sources", blocks.Attentive, "paper"),
    ("softmax(Q K^T / sqrt(d_k))", blocks.Attentive, "Attention(Q, K, V')"),
    ("latent source attentive frequency", blocks.TFC_LaSAFT, "the paper's"),
    ("|I_L|", blocks.TFC_LaSAFT, "in the paper"),
    ("d_k", blocks.TFC_LaSAFT, "in the paper"),
    ("LightSAFT", blocks.TFC_LightSAFT, "authors' code"),
    ("condition generator", conditioning.ConditionGenerator, "paper's condition generator"),
    ("omega", conditioning.ConditionGenerator, "paper's omega"),
    ("dense layers", conditioning.ControlBlock, "authors' code"),
    ("feature-wise linear modulation", conditioning.film, "paper"),
    ("point-wise convolutional modulation", conditioning.pocm, "paper"),
    ("gated point-wise convolutional modulation", conditioning.gpocm, "paper"),
    # the networks of 2020
    ("TDC, time-distributed convolutions", svs2020.TDC, "code of 2020"),
    ("TIF", svs2020.TIF, "code of 2020"),
    ("TDF network", svs2020.TDFBlock, "code of 2020"),
    ("decoder", svs2020.TDFDecoderBlock, "code of 2020"),
    ("TFC-TDF", svs2020.TFC_TIF, "code of 2020"),
    ("TFC-RNN and TDC-RNN", svs2020.Recurrent, "code of 2020"),
    ("TDF and TDC networks", svs2020.FrequencyResampling, "code of 2020"),
]


def test_the_papers_terms_lead_to_their_blocks() -> None:
    check_terms(TERMS, (blocks, conditioning, model, svs2020), blocks=22)
