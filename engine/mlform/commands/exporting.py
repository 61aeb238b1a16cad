"""``audit -export``: a dossier as one archive that can be checked without mlform."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.state.lineage import artifacts
from mlform.state.model import Entry

if TYPE_CHECKING:
    from mlform.state.dossier import Dossier

_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of every file inside: equal dossiers are equal bytes."""
_EVIDENCE: Final = frozenset({"gate"})
_README: Final = """\
Dossier of {address}, from state {lineage} at serial {serial}.

dossier.json    everything, for machines
dossier.html    the same, to read
journal.jsonl   the journal of the state up to that moment, an entry a line, oldest first
artifacts/      the evidence of gates, by sha256{lacking}
manifest.json   the sha256 of each file
verify.py       checks all this with Python alone: python verify.py

What verify.py checks: each file against manifest.json; each artifact against its name; each
entry of the journal against the one before (sha256 over the hash before it and its columns; the
first follows the lineage of the state); and every record in dossier.json against the journal
entry that wrote it. The last hash of the journal is {head}.
Compare it with one that was kept elsewhere (`mlform audit verify` prints it): the chain shows
what was changed inside it, and only a hash from outside shows that it is the chain that was.
"""


def export(session: Session, it: Dossier, data: Mapping[str, Any], page: str, file: Path) -> None:
    """Write a dossier to a new file. Raises ``DiagnosedError`` where there is one already."""
    if file.exists():
        raise stop("File exists", f"{file} exists already. Name a new file, or move that one away.")
    evidence = sorted(
        {
            str(a["digest"])
            for made in it.chain
            if made.version.kind in _EVIDENCE
            for a in artifacts(made.version.record["attributes"])
        }
    )
    there = [d for d in evidence if d in session.artifacts]
    gone = "".join(
        f"\n                missing from the store: {d}" for d in set(evidence) - set(there)
    )
    readme = _README.format(
        address=it.address,
        lineage=it.lineage,
        serial=it.fold.serial,
        lacking=gone,
        head=it.entries[-1].sha256 if it.entries else "–",
    )
    verify = files("mlform.commands").joinpath("verify_dossier.py").read_text(encoding="utf-8")
    content: dict[str, bytes] = {
        "README.txt": readme.encode(),
        "dossier.json": (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode(),
        "dossier.html": page.encode(),
        "journal.jsonl": "".join(map(_line, it.entries)).encode(),
        "verify.py": verify.encode(),
    }
    content |= {f"artifacts/{d.removeprefix('sha256:')}": session.artifacts.read(d) for d in there}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())}
    content["manifest.json"] = (json.dumps(sums, indent=1) + "\n").encode()
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, kept in content.items():
                archive.writestr(zipfile.ZipInfo(name, _DATE), kept, zipfile.ZIP_DEFLATED)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _line(entry: Entry) -> str:
    """Write an entry with its columns as the chain has them."""
    data = {
        "sequence": entry.sequence,
        "serial": entry.serial,
        "run": entry.run,
        "at": entry.at.isoformat(),
        "operation": entry.operation,
        "address": entry.address,
        "detail": dict(entry.detail),
        "sha256": entry.sha256,
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"
