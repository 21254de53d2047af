"""Metrics, one module per family, on numpy arrays or torch tensors; none reads a file.

None loads torch: `mss_shared.metrics.arrays` says how one formula serves both kinds.
"""
