"""A REST interface of an engine: JSON both ways, and which refusals mean what."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlform.execute.engine import RefusedError, UnreachableError

PATIENCE: Final = 30.0
"""Seconds that an answer may take."""
_DENIED: Final = frozenset({401, 403})


class AnswerError(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def missing(self) -> bool:
        """Whether there is no such thing."""
        return self.code == http.client.NOT_FOUND


@dataclass(frozen=True)
class Rest:
    """One server. ``token`` and ``trust`` are asked each time: files of both are exchanged."""

    address: str
    token: Callable[[], str]
    hint: str
    """What to do where it does not let us in."""
    away: Container[int]
    """Codes that say that nobody is there just now."""
    said: Callable[[str], str]
    """What the body of an answer that is an error says."""
    trust: Callable[[], ssl.SSLContext | None] | None = None
    """Whose certificates; without it those that the machine trusts."""

    def call(
        self, method: str, path: str, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the JSON of an answer. Raises what ``text`` does."""
        try:
            found: dict[str, Any] = json.loads(self.text(method, path, given) or "{}")
        except ValueError as error:
            raise UnreachableError(f"{self.address} did not answer with JSON: {error}.") from None
        return found

    def text(self, method: str, path: str, given: Mapping[str, Any] | None = None) -> str:
        """Return an answer. Raises UnreachableError, RefusedError and AnswerError."""
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        if token := self.token():
            headers["Authorization"] = f"Bearer {token}"
        data = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked with the settings
            f"{self.address}{path}", data, headers, method=method
        )
        trusted = None if self.trust is None else self.trust()
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                request, timeout=PATIENCE, context=trusted
            ) as answer:
                return str(answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            raise self._refusal(error.code, error.read().decode(errors="replace")) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.address}: {error}.") from None

    def _refusal(self, code: int, text: str) -> Exception:
        said = self.said(text).strip() or f"HTTP {code}"
        if code in _DENIED:
            return RefusedError(
                f"{self.address} does not let us do that ({code}): {said}. {self.hint}"
            )
        if code in self.away:
            return UnreachableError(f"{self.address} answers {code}: {said}.")
        return AnswerError(code, said)
