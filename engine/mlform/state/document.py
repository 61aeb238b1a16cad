"""A whole state as one text: what ``state pull`` writes and ``state push`` takes back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlform.diagnostics import stop
from mlform.lazy import dataclass
from mlform.state.codec import parse_record, record_data, seal, text
from mlform.state.model import Realisation, Snapshot
from mlform.state.sealed import CLEAR, Cipher, Unauthentic, encrypted
from mlform.values import with_marks

FORMAT: Final = 2
"""Version of the document. Raised when an older mlform could not read it rightly."""
_OPEN: Final = 1
"""The version of one in which nothing is encrypted."""
_KEYS: Final = frozenset({"format", "lineage", "serial", "outputs", "records", "results", "sha256"})


@dataclass(frozen=True)
class Document:
    """A state at one serial, and the results that the recorded keys have selected."""

    snapshot: Snapshot
    results: Sequence[Realisation]
    whole: bool = True
    """Whether it is what was written, to the last character that counts."""


def dump(snapshot: Snapshot, results: Sequence[Realisation], cipher: Cipher = CLEAR) -> str:
    """Write a state. Equal states are equal texts, but for the version that writes.

    What stands for sensitive values can be guessed at: where the state is encrypted, so is that.
    """
    about, lineage = _about(snapshot.lineage), snapshot.lineage
    data = {
        "format": _OPEN,
        "lineage": snapshot.lineage,
        "serial": snapshot.serial,
        "outputs": dict(snapshot.outputs),
        "records": [record_data(snapshot.records[a]) for a in sorted(snapshot.records)],
        "results": [dict(vars(r)) for r in sorted(results, key=lambda r: r.key)],
    }
    if cipher.active:
        sealed = with_marks(data, lambda mark: cipher.mark(mark, about, lineage))
        data = data if sealed == data else {**sealed, "format": FORMAT}
    written = {**data, "sha256": seal(text(data))}
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"


def parse(written: str, name: str, cipher: Cipher = CLEAR) -> Document:
    """Read a state back. Raises ``DiagnosedError`` where the text is none, or of a newer format."""
    try:
        data = json.loads(written)
        format_ = data["format"]
        known = isinstance(data, Mapping) and data.keys() == _KEYS
    except (ValueError, KeyError, TypeError):
        known, format_ = False, FORMAT
    if format_ not in {_OPEN, FORMAT}:
        detail = f"{name} has format {format_!r}; this mlform reads up to {FORMAT}."
        raise stop("Invalid state document", f"{detail} Nothing was changed.")
    if not known:
        detail = f"{name} is no whole document that `mlform state pull` wrote."
        raise stop("Invalid state document", f"{detail} Nothing was changed.")
    try:
        return _document(data, cipher)
    except Unauthentic:
        detail = f"What is encrypted in {name} is not what was written, or stood elsewhere."
        raise stop("Invalid state document", f"{detail} Nothing was changed.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = "something in it is not of the type that it should be"
        if isinstance(error, KeyError):
            why = f"a record has no {error}"
        elif isinstance(error, ValueError):
            why = str(error)
        detail = f"{name} is damaged: {why}. Pull it again. Nothing was changed."
        raise stop("Invalid state document", detail) from None


def _document(written: Mapping[str, Any], cipher: Cipher) -> Document:
    whole = seal(text({n: v for n, v in written.items() if n != "sha256"})) == written["sha256"]
    about = _about(str(written["lineage"]))
    data = with_marks(written, lambda mark: cipher.open(mark, about) if encrypted(mark) else mark)
    records = [parse_record(r) for r in data["records"]]
    by_address = {r.address: r for r in records}
    if len(by_address) != len(records):
        raise ValueError("two records have one address")
    serial, outputs = data["serial"], data["outputs"]
    if not isinstance(serial, int) or serial < 0:
        raise ValueError(f"{serial!r} is no serial")
    if any(set(o) != {"value", "sensitive"} for o in outputs.values()):
        raise ValueError("an output is not what it should be")
    results = [Realisation(**r) for r in data["results"]]
    snapshot = Snapshot(str(data["lineage"]), serial, by_address, outputs)
    return Document(snapshot, results, whole)


def _about(lineage: str) -> tuple[object, ...]:
    return (lineage, "document")
