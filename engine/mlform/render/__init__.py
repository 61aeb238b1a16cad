"""Diagnostics, plans, events, records → text and JSON. Pure: no terminal, no clock, no file."""

from mlform.render.style import Styled, paint

__all__ = ["Styled", "paint"]
