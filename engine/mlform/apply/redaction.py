"""Keeping known secrets out of what a provider says: logs, progress, errors, and their files."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

SHOWN: Final = "(sensitive value)"
_LEAST: Final = 4
"""Shorter ones are not looked for: they stand in any text by chance."""
_MOST: Final = 16 << 20
"""Files above this size are not looked through."""


class Redactor:
    """Replaces secrets in text, however they are written: as they are, in JSON, URLs or base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {f for s in secrets if len(s) >= _LEAST for f in _forms(s)}
        longest = sorted(forms, key=lambda f: (-len(f), f))
        self._pattern = re.compile("|".join(map(re.escape, longest))) if longest else None

    def __call__(self, text: str) -> str:
        """Return a text without them."""
        return text if self._pattern is None else self._pattern.sub(SHOWN, text)

    def folder(self, path: Path) -> None:
        """Rewrite what an attempt left in its folder, where it holds any of them."""
        if self._pattern is None:
            return
        with suppress(OSError):  # somebody cleared it away
            for file in sorted(path.iterdir()):
                if file.is_file() and not file.is_symlink() and file.stat().st_size <= _MOST:
                    self._file(file)

    def _file(self, file: Path) -> None:
        before = file.read_bytes()
        after = self(before.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        if after != before:
            fresh = file.with_name(f".{file.name}.{os.getpid()}")
            fresh.write_bytes(after)
            fresh.replace(file)


def _forms(secret: str) -> Iterable[str]:
    """Give the ways in which a secret comes to stand in text."""
    yield secret
    yield from secret.splitlines() if "\n" in secret else ()
    yield repr(secret)[1:-1]
    for ascii_ in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_)[1:-1]
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    raw = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # where it begins within three bytes, which are written as four
            text = encode(b"\0" * before + raw).decode()
            whole = text[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
            if len(whole) >= 2 * _LEAST:
                yield whole
