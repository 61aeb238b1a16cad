"""Bytes by content, what actions gave, and digests of files outside. Knows no stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlform.artifacts.digests import FileDigests
from mlform.artifacts.store import LocalStore

__all__ = ["FileDigests", "LocalStore", "open_store"]


def open_store(description: Mapping[str, Any]) -> LocalStore:
    """Return the store that ``LocalStore.description`` described, in this process or another."""
    if description.get("url") is None:
        return LocalStore(Path(description["path"]))
    from mlform.artifacts.remote import RemoteStore  # noqa: PLC0415 - most stores are here

    url, endpoint = description["url"], description.get("endpoint_url")
    return RemoteStore(Path(description["path"]), url, endpoint)
