"""The smallest paper package: the shared library's tests drive the whole machinery with it."""

__all__: list[str] = []
