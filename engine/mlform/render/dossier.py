"""A dossier as one web page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Final

from mlform.render.audit import sections
from mlform.state.dossier import Dossier

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
pre { font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
h2 { margin: 1.5rem 0 0; border-bottom: 1px solid #8886 }
p { color: #666 }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } }
"""


def page(it: Dossier) -> str:
    """Return a dossier as an HTML document without any reference to anything outside it."""
    at = "" if it.fold.at is None else f", {it.fold.at:%Y-%m-%d %H:%M:%S} UTC"
    where = f"State {escape(it.lineage)} at serial {it.fold.serial}{at}."
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>Dossier: {escape(it.address)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(it.address)}</h1>",
        f"<p>{where} README.txt says how to check what dossier.json has of it.</p>",
    ]
    for title, lines in sections(it):
        text = "\n".join(lines) or "none"
        parts.append(f"<h2>{escape(title)}</h2>\n<pre>{escape(text)}</pre>")
    return "\n".join([*parts, "</body>\n</html>\n"])
