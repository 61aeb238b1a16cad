"""Text → positioned tree, and the one layout of text. Knows no block type by name.

Writing HCL is in ``mlform.syntax.write``, to be imported where it is needed.
"""

from mlform.syntax.json import parse_json
from mlform.syntax.layout import layout
from mlform.syntax.parse import parse, parse_expression, parse_template
from mlform.syntax.write import write_blocks

__all__ = ["layout", "parse", "parse_expression", "parse_json", "parse_template", "write_blocks"]
