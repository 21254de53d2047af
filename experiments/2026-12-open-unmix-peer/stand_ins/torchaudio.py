"""Stands in for torchaudio, which openunmix imports and this experiment calls nowhere."""
