"""``store { path = "…" }`` or ``store { url = "s3://…" }``: where artifacts lie."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from mlform.config.blocks import Reader
from mlform.diagnostics import Diagnostics
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute, Block
from mlform.values import Value

_NAMES = ("path", "url", "endpoint_url")


@dataclass(frozen=True)
class StoreSettings:
    """An artifact store that several states share."""

    path: str | None = None
    """Its folder; with ``url`` the folder of what was read of it."""
    url: str | None = None
    endpoint_url: str | None = None
    """Where the server is, if not where the cloud says."""


def store_settings(
    block: Block, settled: Callable[[Attribute], Value], diagnostics: Diagnostics
) -> StoreSettings:
    """Return what a ``store`` block says; what is wrong with it is told."""
    Reader(diagnostics).only(block, _NAMES)
    errors, found = len(diagnostics.errors), dict[str, str]()
    for name, written in block.body.attributes.items():
        if name not in _NAMES:
            continue
        value = settled(written)
        if isinstance(value, str) and value:
            found[name] = value
        elif len(diagnostics.errors) == errors:
            detail = f"`{name}` is a string, and known before anything is planned."
            diagnostics.error("Invalid argument", detail, at=written.value_span)
    given = StoreSettings(**found)
    if len(diagnostics.errors) == errors:
        _check(block, given, diagnostics)
    return given


def wrong_url(url: str) -> str:
    """Return what is wrong with the URL of a store; ``""`` where nothing is."""
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        return (
            "A URL holds no credentials: they are taken from the environment "
            "(AWS_ACCESS_KEY_ID, …) or the role of the machine."
        )
    if parts.scheme != "s3" or not parts.netloc:
        return f'"{url}" names no bucket: a store elsewhere is at "s3://BUCKET/PREFIX".'
    return ""


def _check(block: Block, given: StoreSettings, diagnostics: Diagnostics) -> None:
    attributes = block.body.attributes
    if given.path is None and given.url is None:
        detail = 'A store is in a folder (path = "…") or in a bucket (url = "s3://…").'
        diagnostics.error("Missing argument", detail, at=block.header_span)
    if given.url is not None and (wrong := wrong_url(given.url)):
        diagnostics.error("Invalid argument", wrong, at=attributes["url"].value_span)
    if given.endpoint_url is not None:
        at, parts = attributes["endpoint_url"].value_span, urlsplit(given.endpoint_url)
        if given.url is None:
            detail = "`endpoint_url` says where the server of `url` is; there is no `url`."
            diagnostics.error("Invalid argument", detail, at=at)
        elif parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
            detail = "`endpoint_url` is an address such as https://s3.example.com, without a user."
            diagnostics.error("Invalid argument", detail, at=at)
