"""Text → positioned tree, and the one layout of text. Knows no block type by name."""

from mlform.syntax.parse import parse, parse_expression

__all__ = ["parse", "parse_expression"]
