"""Every block is found by searching the code for the paper's term or the authors' symbol.

No section numbers of the paper are known; its authors' code is public, and is what a docstring
cites wherever the paper says no more than the term.
"""

from typing import Any

from mss_shared.testing import check_terms
from open_unmix import estimates, model, separator, statistics, training, wiener

# term, the block whose docstring has it, and the source or the symbols which that docstring names
TERMS: list[tuple[str, Any, str]] = [
    ("STFT", model.STFT, "authors' code"),
    ("inverse", model.ISTFT, "authors' code"),
    ("bandwidth", model.bandwidth_to_max_bin, "`bandwidth_to_max_bin` of the authors' code"),
    ("magnitude", model.ComplexNorm, "authors' code, `ComplexNorm`"),
    ("magnitude spectrogram", model.OpenUnmix, "paper"),
    ("three-layer bidirectional LSTM", model.OpenUnmix, "paper"),
    ("Input scaling", model.OpenUnmix.embed, "authors' code"),
    ("Bidirectional LSTM", model.OpenUnmix.recur, "paper"),
    ("skip connection", model.OpenUnmix.recur, "authors' code"),
    ("mask", model.OpenUnmix.mask, "paper"),
    ("one independent network per target", separator.Separator, "paper"),
    ("multichannel Wiener filter", separator.Separator, "paper"),
    ("expectation maximisation", wiener, "authors' `wiener`"),
    ("v_j", wiener, "power spectral density"),
    ("R_j", wiener.SpatialModel, "authors' code"),
    ("R_j", wiener._fit_model, "EM"),
    ("Cxx", wiener._solve_mixture, "closed form"),
    ("W_j", wiener._filter_piece, "EM"),
    ("y_j", estimates.State, "R_j"),
    ("residual", wiener.add_residual, "`residual_model` of norbert"),
    ("softmask", wiener.Wiener, "authors' code"),
    ("Input statistics", statistics, "bin"),
    ("standard deviation", statistics.input_statistics, "authors' training script"),
    ("mean squared error", training.Training, "authors' training script"),
]


def test_the_papers_terms_lead_to_its_blocks() -> None:
    check_terms(TERMS, (model, separator), blocks=5)
