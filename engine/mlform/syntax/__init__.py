"""Text → positioned tree, and the one layout of text. Knows no block type by name."""
