"""The record of a training, as weights files and run folders have it: its types."""

from __future__ import annotations

from typing import Any


def describes_training(training: Any) -> bool:
    """Whether the fields of ``describe_training`` have its types, as far as they are there."""
    if not isinstance(training, dict) or type(training.get("seed")) is not int:
        return False
    texts = [training.get("dataset"), training.get("fingerprint")]
    lists = [training.get("tracks"), training.get("validation")]
    for content in (training.get("content"), training.get("validation_content")):
        if content is not None:
            if not isinstance(content, dict):
                return False
            lists += content.values()
    for names in lists:
        if names is not None:
            if not isinstance(names, list):
                return False
            texts += names
    steps = training.get("steps")
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and (steps is None or type(steps) is int)
        and isinstance(training.get("extra_data", False), bool)
        and abs(training["seed"]) < 2**63
    )
