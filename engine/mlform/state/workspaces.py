"""The workspaces of a database: which there are, a new one, one that goes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, insert, select

from mlform.diagnostics import counted, stop
from mlform.lazy import dataclass
from mlform.state.database import new_workspace, no_workspace, open_database, patient
from mlform.state.file import NAME
from mlform.state.holder import Holder
from mlform.state.lease import LockedError
from mlform.state.place import Place
from mlform.state.tables import LEASES, METADATA, RECORDS, STATE


@dataclass(frozen=True)
class Standing:
    """One workspace and how much it holds."""

    name: str
    serial: int
    records: int
    lineage: str = ""


class Workspaces:
    """The workspaces that share the database of a place."""

    def __init__(self, place: Place) -> None:
        self._database: Final = open_database(place.url, NAME, place.schema)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @patient
    def all(self) -> list[Standing]:
        """Return every workspace, by name; there is always the default one."""
        with self._database.reading() as connection:
            if connection is None:
                return [Standing(NAME, 0, 0)]
            count = select(RECORDS.c.workspace, func.count()).group_by(RECORDS.c.workspace)
            records = {row[0]: int(row[1]) for row in connection.execute(count)}
            query = select(STATE.c.name, STATE.c.serial, STATE.c.lineage).order_by(STATE.c.name)
            return [
                Standing(row.name, row.serial, records.get(row.name, 0), row.lineage)
                for row in connection.execute(query)
            ]

    @patient
    def new(self, name: str) -> None:
        """Make a workspace. Raises ``DiagnosedError`` if there is one of that name."""
        with self._database.writing() as connection:
            if connection.execute(select(STATE.c.name).where(STATE.c.name == name)).first():
                detail = f'There is a workspace "{name}" already: `mlform workspace select {name}`.'
                raise stop("Workspace exists", detail)
            connection.execute(insert(STATE).values(new_workspace(name)))

    @patient
    def delete(self, name: str, *, force: bool) -> Standing:
        """Delete a workspace with all its past. Raises ``DiagnosedError`` or ``LockedError``.

        One that has records goes only by force: what they record is there, and known to nobody.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                select(STATE).where(STATE.c.name == name).with_for_update()
            ).one_or_none()
            if row is None:
                known = list(connection.execute(select(STATE.c.name)).scalars())
                raise no_workspace(name, known)
            query = select(LEASES).where(LEASES.c.workspace == name)
            for held in connection.execute(query):
                if (holder := Holder.parse(held.holder)).alive():
                    raise LockedError(holder.lease(held.fence))
            query = select(func.count()).where(RECORDS.c.workspace == name)
            records = int(connection.scalar(query) or 0)
            if records and not force:
                raise stop(
                    "Workspace is not empty",
                    f'Workspace "{name}" records {counted(records, "resource")}, which would be '
                    "there and known to nobody. Nothing was changed. Take them down first "
                    "(`mlform destroy` in that workspace), or pass -force.",
                )
            for table in METADATA.tables.values():
                connection.execute(delete(table).where(table.columns[0] == name))
        return Standing(name, row.serial, records, row.lineage)
