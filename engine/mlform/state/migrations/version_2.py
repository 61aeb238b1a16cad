"""Version 2: several workspaces in one database, leases that expire, states that moved.

Written out, and not taken from today's tables: those go on changing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String, Text, inspect

_TABLES: Final[dict[str, Sequence[Column[object]]]] = {
    "records": (
        Column("address", String, primary_key=True),
        Column("data", Text, nullable=False),
        Column("sha256", String, nullable=False),
    ),
    "journal": (
        Column("sequence", Integer, primary_key=True, autoincrement=False),
        Column("serial", BigInteger, nullable=False),
        Column("run", String, nullable=False),
        Column("at", String, nullable=False),
        Column("operation", String, nullable=False),
        Column("address", String),
        Column("detail", Text, nullable=False),
        Column("sha256", String, nullable=False),
    ),
    "history": (
        Column("serial", BigInteger, primary_key=True, autoincrement=False),
        Column("address", String, nullable=False),
        Column("action", String, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("rows", BigInteger),
        Column("changed", Boolean),
        Column("expected", Float),
        Column("most", Float),
    ),
    "realisations": (
        Column("key", String, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("digest", String, nullable=False),
        Column("attributes", Text, nullable=False),
        Column("receipt", Text, nullable=False),
        Column("sha256", String, nullable=False),
    ),
    "alarms": (
        Column("id", String, primary_key=True),
        Column("monitor", String, nullable=False),
        Column("at", String, nullable=False),
        Column("payload", Text, nullable=False),
        Column("sha256", String, nullable=False),
    ),
    "consumed": (
        Column("alarm", String, primary_key=True),
        Column("trigger", String, primary_key=True),
        Column("outcome", Text, nullable=False),
    ),
}
_INDEXES: Final = {
    "journal": ("journal_of_address", ["address", "operation", "sequence"]),
    "history": ("history_of_address", ["address", "serial"]),
}


def upgrade(op: Operations) -> None:
    """Say of every row whose it is: the one workspace's there was."""
    there = inspect(op.get_bind()).get_table_names()
    for name, columns in _TABLES.items():
        present = name in there  # the first versions kept no history
        if present:
            if name in _INDEXES:
                op.drop_index(_INDEXES[name][0], name)
            op.rename_table(name, f"{name}_1")
        workspace = Column("workspace", String, primary_key=True)
        op.create_table(name, workspace, *columns)
        if present:
            names = ", ".join(f'"{column.name}"' for column in columns)
            op.execute(
                f'INSERT INTO "{name}" (workspace, {names}) '  # noqa: S608 - names of our own
                f"SELECT 'default', {names} FROM \"{name}_1\""
            )
            op.drop_table(f"{name}_1")
        if name in _INDEXES:
            index, indexed = _INDEXES[name]
            op.create_index(index, name, ["workspace", *indexed])
    for column in (Column("expires", Float), Column("work", Text), Column("moved", Text)):
        op.add_column("state", column)
    op.execute("UPDATE state SET schema_version = 2")
