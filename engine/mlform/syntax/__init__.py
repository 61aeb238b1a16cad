"""Text → positioned tree, and the one layout of text. Knows no block type by name.

Reading JSON is in ``mlform.syntax.json``, the layout in ``mlform.syntax.layout`` and writing HCL in
``mlform.syntax.write``, to be imported where they are needed.
"""

from mlform.syntax.parse import parse, parse_expression, parse_template

__all__ = ["parse", "parse_expression", "parse_template"]
