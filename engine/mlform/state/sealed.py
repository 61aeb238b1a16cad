"""What stands in the database encrypted, and how it is known. Loads no cryptography."""

from __future__ import annotations

from typing import Final, Protocol

from mlform.diagnostics import stop

PREFIX: Final = "mlf1."
"""What encrypted text begins with; no JSON does."""
_NOTHING: Final = frozenset({"{}", ""})


class Unauthentic(Exception):  # noqa: N818 - no error by itself: whoever reads says what it is
    """Encrypted text that was altered, or that stood somewhere else."""


class Cipher(Protocol):
    """Encrypts and decrypts text.

    ``about`` says where it stands: what was encrypted in one place cannot be read in another.
    """

    @property
    def active(self) -> bool:
        """Whether what is written from now on is encrypted."""
        ...

    def seal(self, text: str, about: tuple[object, ...], lineage: str) -> str:
        """Return the text as it is to be written; ``lineage`` is of the state that writes it."""
        ...

    def mark(self, text: str, about: tuple[object, ...], lineage: str) -> str:
        """Return the text as ``seal`` does, the same each time: equal texts can be told as such."""
        ...

    def open(self, text: str, about: tuple[object, ...]) -> str:
        """Return what was written. Raises ``Unauthentic``, or ``DiagnosedError`` without a key."""
        ...


class Clear:
    """No encryption: what is encrypted cannot be read."""

    active = False

    def seal(
        self,
        text: str,
        about: tuple[object, ...],
        lineage: str,
    ) -> str:
        """Return the text as it is."""
        return text

    mark = seal

    def open(self, text: str, about: tuple[object, ...]) -> str:
        """Return the text, if it is not encrypted."""
        if encrypted(text):
            raise stop(
                "State is encrypted",
                "The spec does not say how to decrypt it. Add the block to the root module: "
                "mlform { encryption { passphrase = var.passphrase } }, with the passphrase or key "
                "command it was encrypted with.",
            )
        return text


CLEAR: Final[Cipher] = Clear()


def encrypted(text: object) -> bool:
    """Tell whether text is encrypted."""
    return isinstance(text, str) and text.startswith(PREFIX)


def in_clear(text: str) -> bool:
    """Tell whether text is neither encrypted nor nothing."""
    return not encrypted(text) and text not in _NOTHING
