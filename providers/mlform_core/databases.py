"""Reading databases through SQLAlchemy: connected to read only, and nothing said of passwords."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from mlform.sdk import ResourceError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import URL, Connection

CHUNK: Final = 50_000
"""Rows that are fetched at once."""
_STEPS: Final = 10_000
"""Instructions of SQLite from one look at the clock to the next."""
_FEWEST: Final = 4
"""Characters from which a part of a URL is hidden wherever it is said."""


def parsed(text: str, root: Path) -> URL:
    """Return a URL; a SQLite file relative to ``root`` is meant from there, and only to be read.

    Raises ``ResourceError``, which does not show it.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        detail = (
            "It is not of the form dialect://user:password@host/database, such as "
            "postgresql://reader@db.example.org/sales or sqlite:///data/sales.db."
        )
        raise ResourceError("Invalid database URL", detail, argument="url") from None
    if url.drivername in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        file = root / (url.database or "")
        if not file.is_file():
            detail = f"There is no file {url.database or '(none named)'} under the spec's folder."
            raise ResourceError("No such database", detail, argument="url")
        place = f"file:{quote(str(file.absolute()))}"
        return url.set(database=place, query={**url.query, "mode": "ro", "uri": "true"})
    return url


def place_of(url: URL, root: Path) -> str:
    """Return a name for where a database is, without who asks: what tells two of them apart.

    A SQLite file is named from ``root``: the same spec elsewhere reads the same place.
    """
    database = url.database or ""
    if url.get_backend_name() == "sqlite":
        database = os.path.relpath(unquote(database.removeprefix("file:")), root)
    where = json.dumps([url.get_backend_name(), url.host, url.port, database])
    return sha256(where.encode()).hexdigest()[:16]


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """Connect to read one consistent state. Raises ``ResourceError`` on all that goes wrong."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(url, poolclass=NullPool)
    except NoSuchModuleError:
        detail = f"SQLAlchemy knows no {url.drivername}: install its dialect."
        raise ResourceError("Unknown database", detail, argument="url") from None
    except ImportError as error:
        more = ' (pip install "mlform[postgres]")' if url.get_backend_name() == "postgresql" else ""
        detail = f"The package {error.name} is needed to reach {url.get_backend_name()}{more}."
        raise ResourceError("Package is not installed", detail, argument="url") from None
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield connection
            connection.rollback()
    except DBAPIError as error:
        said = _hidden(" ".join(str(error.orig).split()), url)
        kind = type(error.orig).__name__
        away = error.connection_invalidated or kind in {"OperationalError", "InterfaceError"}
        lost = away and engine.dialect.name != "sqlite"
        hint = "Check that it runs and can be reached." if lost else "Mend the query or the table."
        raise ResourceError(
            "Database cannot be read", f"{kind}: {said.rstrip('.')}. {hint}", transient=lost
        ) from None
    except SQLAlchemyError as error:
        said = _hidden(" ".join(str(error).split()), url)
        raise ResourceError("Database cannot be read", f"{type(error).__name__}: {said}") from None
    finally:
        engine.dispose()


@contextmanager
def limited(connection: Connection, limit: float) -> Iterator[bool]:
    """Have the statements of a block end after ``limit`` seconds, with a ``DBAPIError``.

    Gives false, and limits nothing, where it is not known how a database does that.
    """
    import sqlalchemy as sa

    match connection.dialect.name:
        case "postgresql":
            connection.execute(sa.text(f"SET LOCAL statement_timeout = {round(limit * 1000)}"))
            yield True
        case "sqlite":
            driver: Any = connection.connection.driver_connection
            until = time.monotonic() + limit
            driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            try:
                yield True
            finally:
                driver.set_progress_handler(None, 0)
        case _:
            yield False


def _hidden(said: str, url: URL) -> str:
    """Replace what a URL holds that is nobody's business, as it is and as URLs write it."""
    values = [str(url.password or ""), *(str(v) for v in url.query.values())]
    for value in values:
        if len(value) >= _FEWEST and value != "true":
            for text in (value, quote(value, safe="")):
                said = said.replace(text, "(sensitive value)")
    return said


def source_of(table: str | None, query: str | None) -> Any:
    """Return what to select from: a table, of a schema where it has one, or a query."""
    import sqlalchemy as sa

    if table is not None:
        schema, _, name = table.rpartition(".")
        return sa.table(name, schema=schema or None)
    return sa.text(f"({_plain_text(str(query))}\n) mlform_source")


def statement(query: str) -> Any:
    """Return a query to execute as it is written."""
    import sqlalchemy as sa

    return sa.text(_plain_text(query))


def _plain_text(query: str) -> str:
    """Return a query in which a colon before a word is no parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", query.strip().rstrip(";"))


def written(value: Any) -> Any:
    """Return a value of a database as JSON can hold it, with its type where that is not plain."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return {"datetime": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case Decimal():
            return {"decimal": str(value)}
        case bytes() | memoryview():
            return {"bytes": bytes(value).hex()}
        case _:
            return {"text": str(value)}


def read_back(value: Any) -> Any:
    """Return the value that ``written`` wrote."""
    if not isinstance(value, Mapping):
        return value
    [(kind, text)] = value.items()
    how: Mapping[str, Any] = {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "decimal": Decimal,
        "bytes": bytes.fromhex,
        "text": str,
    }
    return how[kind](text)


def fetch(connection: Connection, statement: Any) -> pa.Table:
    """Run a statement and return all its rows, fetched and converted ``CHUNK`` by ``CHUNK``."""
    import pyarrow as pa

    streaming = connection.execution_options(stream_results=True, yield_per=CHUNK)
    with streaming.execute(statement) as result:
        names = list(result.keys())
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            detail = f'The column "{twice}" stands twice in it: give one of them another name.'
            raise ResourceError("Invalid columns", detail, argument="query")
        tables = [_chunk(names, rows) for rows in result.partitions(CHUNK)]
    if not tables:
        return pa.table({name: pa.nulls(0) for name in names})
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        detail = f"A column has values of several types: {error} Cast it in a query."
        raise ResourceError("Mixed column", detail, argument="query") from None


def _chunk(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    columns = {}
    for place, name in enumerate(names):
        values = [_plain(row[place]) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowTypeError, pa.ArrowInvalid, OverflowError) as error:
            if any(isinstance(v, float) for v in values) and not any(
                isinstance(v, str) for v in values
            ):
                columns[name] = pa.array([None if v is None else float(v) for v in values])
                continue
            detail = f'The column "{name}" cannot be taken: {error}. Cast it in a query.'
            raise ResourceError("Mixed column", detail, argument="query") from None
    return pa.table(columns)


def _plain(value: Any) -> Any:
    """Return a value as a table can hold it: numbers, text, truth, moments in UTC."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return float(value)
        case datetime():
            return value if value.tzinfo is None else value.astimezone(UTC)
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
        case bytes() | memoryview():
            return bytes(value).hex()
        case dict() | list():
            return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
        case _:
            return str(value)
