"""Metrics, one module per family; each takes numpy arrays or torch tensors and knows no file.

None loads torch: `mss_shared.metrics.arrays` says how a formula serves both.
"""
