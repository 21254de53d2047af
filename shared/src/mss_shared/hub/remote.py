"""Fetching from and pushing to the Hugging Face Hub, with the extra ``mss-shared[hub]``."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mss_shared.names import one_line

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def is_repository(text: str) -> bool:
    """Whether a text has the form of a repository's name, ``user/name``."""
    return bool(_REPOSITORY.fullmatch(text))


def fetch(repository: str, revision: str | None = None) -> Path:
    """The folder with a repository's config.json and model.safetensors, downloaded if necessary.

    No other file of the repository is fetched.

    Args:
        repository: ``user/name``.
        revision: branch, tag or commit; None for the main branch.

    Raises:
        FileNotFoundError: if they can't be fetched.
        ModuleNotFoundError: without huggingface_hub.
    """
    hub = _library(f"there is no folder {repository}, and to fetch it from the hub")
    try:
        config, _ = (
            Path(hub.hf_hub_download(repo_id=repository, filename=name, revision=revision))
            for name in (CONFIG, WEIGHTS)
        )
    except Exception as error:  # whatever its transport raises
        raise FileNotFoundError(
            f"{repository} can't be fetched from the hub ({type(error).__name__}: "
            f"{one_line(str(error))}): check its name and the network, or name a folder"
        ) from None
    return config.parent


def push(folder: Path, repository: str, *, private: bool = True) -> str:
    """Upload a folder to a repository, which is created if it does not exist; return its address.

    Args:
        folder: as ``write_card`` writes it.
        repository: ``user/name``.
        private: whether a new repository is private.

    Raises:
        ModuleNotFoundError: without huggingface_hub.
        ValueError: if the name is invalid, or the hub refuses.
    """
    if not is_repository(repository):
        raise ValueError(f"{repository!r} names no repository: write it as user/name")
    hub = _library(f"to push to {repository}")
    try:
        api = hub.HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(folder_path=str(folder), repo_id=repository))
    except Exception as error:
        raise ValueError(
            f"{folder} can't be pushed to {repository} ({type(error).__name__}: "
            f"{one_line(str(error))}): log in with hf auth login, and check the name"
        ) from None


def _library(why: str) -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError:
        raise ModuleNotFoundError(
            f'{why}, huggingface_hub is needed: pip install "mss-shared[hub]"'
        ) from None
