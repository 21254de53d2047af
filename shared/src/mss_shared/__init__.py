"""Data, measurement and machinery shared by the paper packages; see README.md for the modules."""

__version__ = "0.1.0"
