"""The tables of the state."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

STATE = Table(
    "state",
    METADATA,
    Column("name", String, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("lineage", String, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("holder", Text),
    Column("outputs", Text, nullable=False),
    Column("outputs_sha256", String, nullable=False),
)
RECORDS = Table(
    "records",
    METADATA,
    Column("address", String, primary_key=True),
    Column("data", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
JOURNAL = Table(
    "journal",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False),
    Column("run", String, nullable=False),
    Column("at", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("address", String),
    Column("detail", Text, nullable=False),
    Column("sha256", String, nullable=False),
    Index("journal_of_address", "address", "operation", "sequence"),
)
HISTORY = Table(
    "history",
    METADATA,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("address", String, nullable=False),
    Column("action", String, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("rows", BigInteger),
    Column("changed", Boolean),
    Column("expected", Float),
    Column("most", Float),
    Index("history_of_address", "address", "serial"),
)
"""What each step that called a provider took: an index of the journal, narrow enough to plan by."""
REALISATIONS = Table(
    "realisations",
    METADATA,
    Column("key", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
ALARMS = Table(
    "alarms",
    METADATA,
    Column("id", String, primary_key=True),
    Column("monitor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
CONSUMED = Table(
    "consumed",
    METADATA,
    Column("alarm", String, primary_key=True),
    Column("trigger", String, primary_key=True),
    Column("outcome", Text, nullable=False),
)
