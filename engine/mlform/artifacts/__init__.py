"""Bytes by content, what actions gave, and digests of files outside. Knows no stage."""

from mlform.artifacts.digests import FileDigests
from mlform.artifacts.store import LocalStore

__all__ = ["FileDigests", "LocalStore"]
