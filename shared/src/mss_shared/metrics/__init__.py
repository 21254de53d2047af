"""Metrics, one module per family; each is a function on arrays or tensors and knows no file."""
