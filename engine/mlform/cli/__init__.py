"""Flags in, text out. Decides nothing."""

from mlform.cli.main import main

__all__ = ["main"]
