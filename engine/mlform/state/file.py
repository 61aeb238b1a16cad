"""A state file on this disk: what is recorded in it, read without the library that writes it.

Loading SQLAlchemy takes longer than most plans take, and most plans find nothing to write.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from mlform.diagnostics import DiagnosedError, stop
from mlform.state.codec import checked_record, seal
from mlform.state.model import Record, Snapshot, damaged
from mlform.state.sealed import CLEAR, PREFIX, Cipher, Unauthentic

NAME: Final = "default"
"""The workspace that there always is."""
SCHEMA: Final = 3
"""Version of the tables. A state with a higher one is refused."""
PATIENCE: Final = 30
"""Seconds to wait for another process's transaction; each takes milliseconds."""

_WHAT_TO_DO: Final = {
    "SQLITE_BUSY": f"Another process has been writing to it for more than {PATIENCE} s. See "
    "whether one hangs or is stopped, then run the command again.",
    "SQLITE_READONLY": "Give this user the right to write the file and its folder.",
    "SQLITE_CANTOPEN": "Give this user the right to read and write the file and its folder.",
    "SQLITE_FULL": "Make room on the disk, then run the command again.",
    "SQLITE_IOERR": "Check that the disk works and has room, then run the command again.",
    "SQLITE_CORRUPT": "The file is damaged: restore it from a backup.",
    "SQLITE_NOTADB": "The file is damaged or is no state: restore it from a backup.",
}
_OTHERWISE: Final = (
    "Check that the file is a state of this version of mlform, that it may be read and written, "
    "and that the disk has room."
)


def snapshot(file: Path, workspace: str = NAME, cipher: Cipher = CLEAR) -> Snapshot | None:
    """Return everything recorded in a file now; where nothing was ever written, nothing.

    ``None`` where the file has no such workspace: the database itself says which there are.
    """
    with explained(file):
        if not file.exists():
            return Snapshot("", 0, {}) if workspace == NAME else None
        connect = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
        with closing(connect) as database:
            database.text_factory = lenient
            database.execute("BEGIN")
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'state'"
            if database.execute(tables).fetchone() is None:
                check_blank(database.execute(TABLES).fetchone()[0])
                return Snapshot("", 0, {}) if workspace == NAME else None
            found = database.execute("SELECT max(schema_version) FROM state").fetchone()[0]
            found = check_version(found)
            state = database.execute(_STATE[found], [workspace]).fetchone()
            if state is None:
                return None
            lineage, serial, outputs, sha256, moved = state
            check_moved(moved)
            rows = database.execute(_RECORDS[found], [workspace]).fetchall()
    if seal("outputs", outputs) != sha256:
        raise damaged("The outputs are not what was written.")
    try:
        outputs = cipher.open(outputs, (lineage, "state", "outputs"))
    except Unauthentic:
        raise damaged("The outputs are not what was written.") from None
    records = [_record(cipher, lineage, *row) for row in rows]
    return Snapshot(lineage, serial, {r.address: r for r in records}, json.loads(outputs))


def _record(cipher: Cipher, lineage: str, address: str, data: bytes | None, sha256: str) -> Record:
    if data is None:
        raise damaged(f"The record of {address} is not what was written.")
    if cipher is CLEAR and not data.startswith(PREFIX.encode()):
        return checked_record(address, data, sha256)
    if seal(address, data) != sha256:
        raise damaged(f"The record of {address} is not what was written.")
    try:
        opened = cipher.open(data.decode(), (lineage, "records", "data", address))
    except Unauthentic:
        raise damaged(f"The record of {address} is not what was written.") from None
    return checked_record(address, opened, seal(address, opened))


_STATE: Final = {
    1: "SELECT lineage, serial, outputs, outputs_sha256, NULL FROM state WHERE name = ?",
    2: "SELECT lineage, serial, outputs, outputs_sha256, moved FROM state WHERE name = ?",
}
_STATE[3] = _STATE[2]
_RECORDS: Final = {
    1: "SELECT address, CAST(data AS BLOB), sha256 FROM records WHERE 'default' = ?",
    2: "SELECT address, CAST(data AS BLOB), sha256 FROM records WHERE workspace = ?",
}
_RECORDS[3] = _RECORDS[2]
"""How to read a file of each version, as it is."""


def check_moved(moved: str | None) -> None:
    """Raise ``DiagnosedError`` if what is here is the backup of a state that is elsewhere."""
    if moved is not None:
        raise stop(
            "State has moved",
            f"This state was moved to {moved}; what is here is its backup. Nothing was changed. "
            "Configure that backend, or move the state back with `mlform init -migrate-state`.",
        )


TABLES: Final = "SELECT count(*) FROM sqlite_master"


def check_blank(tables: object) -> None:
    """Raise ``DiagnosedError`` if a file without a state has other tables: it is no new one."""
    if tables:
        raise damaged("It has tables, and none that says what state it is.")


def check_version(found: object) -> int:
    """Return the version of a state. Raises ``DiagnosedError`` if it is not for us."""
    if not isinstance(found, int) or found < 1:
        raise damaged("It does not say its version.")
    if found > SCHEMA:
        raise stop(
            "State is of a newer version",
            f"The state has format {found}; this mlform knows {SCHEMA}. It was written by a newer "
            "mlform: upgrade, or use the one that wrote it.",
        )
    return found


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what the database driver raises into words."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise _unusable(file, error) from None


def _unusable(file: Path, error: BaseException) -> DiagnosedError:
    name = error_name(error)
    hint = next((t for n, t in _WHAT_TO_DO.items() if name.startswith(n)), _OTHERWISE)
    why = str(error)
    if isinstance(error, OSError):
        why = error.strerror or why
    elif isinstance(error, UnicodeDecodeError):  # the driver, quoting the file
        why = "database schema is no text"
    return stop("State cannot be used", f"{file}: {why}. Nothing was changed. {hint}")


def lenient(raw: bytes) -> str:
    """Read text even where bytes rotted: the hash beside it tells, and names the record."""
    return raw.decode(errors="replace")


def error_name(error: BaseException) -> str:
    """Return SQLite's name for an error; for one of the system, the name of its like."""
    match error:
        case PermissionError() | OSError(errno=errno.EROFS):
            return "SQLITE_CANTOPEN"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "SQLITE_FULL"
        case UnicodeDecodeError():
            return "SQLITE_CORRUPT"
        case _:
            return str(getattr(error, "sqlite_errorname", ""))
