"""The action key: equal keys, equal results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.parts import in_key
from mlform.values import digest, identity


def action_key(
    kind: str,
    type_: str,
    version: int,
    arguments: Mapping[str, Any],
    parts: Mapping[str, str],
    code: Mapping[str, str],
    environment: Mapping[str, str],
) -> str:
    """Hash all that a result depends on.

    ``arguments`` is plain data, in which a handle counts by its digest alone. ``parts`` are the
    digests of what comes from outside (of many the digest of all counts), ``code`` the closure
    digests by argument (in place of the text of that argument), ``environment`` the installed
    versions.
    """
    counted = {n: identity(v) for n, v in arguments.items() if n not in code}
    return digest(
        {
            "kind": kind,
            "type": type_,
            "version": version,
            "arguments": counted,
            "parts": in_key(parts),
            "code": dict(code),
            "environment": dict(environment),
        }
    )
