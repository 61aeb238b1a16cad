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
from mlform.state.model import Snapshot, damaged

NAME: Final = "default"
"""The one state a database holds."""
SCHEMA: Final = 1
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


def snapshot(file: Path) -> Snapshot:
    """Return everything recorded in a file now; where nothing was ever written, nothing."""
    with explained(file):
        if not file.exists():
            return Snapshot("", 0, {})
        connect = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
        with closing(connect) as database:
            database.text_factory = lenient
            database.execute("BEGIN")
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'state'"
            if database.execute(tables).fetchone() is None:
                return Snapshot("", 0, {})
            version = "SELECT schema_version FROM state WHERE name = ?"
            found = database.execute(version, [NAME]).fetchone()
            check_version(found[0] if found else None)
            query = "SELECT lineage, serial, outputs, outputs_sha256 FROM state WHERE name = ?"
            lineage, serial, outputs, sha256 = database.execute(query, [NAME]).fetchone()
            rows = database.execute("SELECT address, data, sha256 FROM records").fetchall()
    if seal("outputs", outputs) != sha256:
        raise damaged("The outputs are not what was written.")
    records = [checked_record(*row) for row in rows]
    return Snapshot(lineage, serial, {r.address: r for r in records}, json.loads(outputs))


def check_version(found: object) -> None:
    """Raise ``DiagnosedError`` if a state of this version is not for us."""
    if not isinstance(found, int):
        raise damaged("It does not say its version.")
    if found > SCHEMA:
        raise stop(
            "State is of a newer version",
            f"The state has format {found}; this mlform knows {SCHEMA}. It was written by a newer "
            "mlform: upgrade, or use the one that wrote it.",
        )


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
