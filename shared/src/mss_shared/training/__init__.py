"""The training loop and its data; the only place that imports Lightning."""
