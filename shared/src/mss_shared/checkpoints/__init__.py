"""Weights in and out: our own files, published ones by name, third-party ones."""
