"""A feature view beside a server: a folder from which workers make the features of requests.

It has ``transform.json`` and ``code``, as the view had them made; of each input that is joined in
time a file of SQLite, of each other one a Parquet file; and ``probe.json``: rows with the features
that they have in the table. A worker makes these before it serves, and does not serve if they come
out otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mlform.sdk import ResourceError, code
from mlform_core.bundles import BundleError, members
from mlform_core.certifying import MEMBER, TOLD
from mlform_core.folders import publish
from mlform_core.joins import Own
from mlform_core.online import Lookup, View, apart, array, join_of, keep
from mlform_core.serving import settings
from mlform_core.transforms import Function, Query, Transform

if TYPE_CHECKING:
    import pyarrow as pa

_CODE: Final = "code"
_PROBE: Final = "probe.json"
_TRIED: Final = 16
"""Rows that each worker tries; the rest is for other code to be tried on."""


def write(folder: Path, transform: bytes, tables: Mapping[str, Path], probe: bytes) -> None:
    """Write a view into a folder, whole or not at all.

    ``tables`` are what it looks up, as Parquet. Raises ``ResourceError``.
    """
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        parts = members(transform, MEMBER, "The transform")
    except BundleError as error:
        raise ResourceError("Transform is damaged", f"{error}.", argument="features") from error
    try:
        for name, data in {**parts, _PROBE: probe}.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        told = json.loads(parts[TOLD])
        for name, path in tables.items():
            if name in told["joins"]:
                _index(_database(fresh, name), path, told["joins"][name])
            else:
                shutil.copyfile(path, _parquet(fresh, name))
        publish(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def renewed(home: Path, old: str, new: str) -> str:
    """Return the digest of a view with the transform of ``old`` and the tables of ``new``.

    That is ``old`` itself where they do not look up the same.
    """
    one, two = settings.view(home, old), settings.view(home, new)
    told, other = read(one), read(two)
    if any(told[name] != other[name] for name in ("joins", "whole")):
        return old
    key = "sha256:" + hashlib.sha256(f"{told['id']} {new}".encode()).hexdigest()
    folder = settings.view(home, key)
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(one, fresh)
        for name in (*told["joins"], *told["whole"]):
            place = _database if name in told["joins"] else _parquet
            shutil.copyfile(place(two, name), place(fresh, name))
        if told["whole"]:  # what its rows were made of is no more
            (fresh / _PROBE).write_text(json.dumps({"rows": [], "environment": environment(one)}))
        publish(fresh, folder)
    return key


def read(folder: Path) -> dict[str, Any]:
    """Return what a view says of itself. Raises ``ResourceError`` if it is not there."""
    try:
        told: dict[str, Any] = json.loads((folder / TOLD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        detail = f"The copy of the feature view at {folder} cannot be read: {error}."
        raise ResourceError("Feature view not found", detail, argument="features") from error
    return told


def asked(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the columns that a request has."""
    return [spec for spec in told["raw"] if spec["name"] not in told["absent"]]


def environment(folder: Path) -> dict[str, str]:
    """Return the versions of the packages that the view was made with."""
    found: dict[str, str] = json.loads((folder / _PROBE).read_text("utf-8"))["environment"]
    return found


def opened(folder: Path, wanted: Sequence[str]) -> View:
    """Open a view for this process, which has no other, and have it make what it is tried by.

    ``wanted`` are the features that the model takes. Raises ``ResourceError``.
    """
    folder = folder.resolve()  # what follows changes the working folder
    told = read(folder)
    lookups = {name: _lookup(folder, name, join) for name, join in told["joins"].items()}
    whole = {name: _table(_parquet(folder, name)) for name in told["whole"]}
    view = View(told, _transform(folder, told), whole, lookups)
    probe = json.loads((folder / _PROBE).read_text(encoding="utf-8"))
    for row in probe["rows"][:: 1 + len(probe["rows"]) // _TRIED]:
        _try(view, row)
    view.wanted = wanted
    return view


def main() -> None:
    """Try a view on the rows of another: ``python -m mlform_core.serving.features ONE TWO NAMES``.

    Ends with 1 and a line that says where they differ in the features of these names (JSON).
    """
    one, two, names = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    probe = json.loads((two / _PROBE).read_text(encoding="utf-8"))
    told, other = read(one), read(two)
    place = two if told["whole"] == other["whole"] else one
    whole = {name: _table(_parquet(place.resolve(), name)) for name in told["whole"]}
    view = View(told, _transform(one.resolve(), told), whole, {})
    try:
        for row in probe["rows"]:
            wanted = {name: row["features"][name] for name in names}
            _try(view, {**row, "features": wanted})
    except ResourceError as error:
        sys.exit(error.detail)
    except KeyError as error:
        sys.exit(f"only one of them has {error.args[0]}")


def _transform(folder: Path, told: Mapping[str, Any]) -> Transform:
    if told["kind"] == "sql":
        return Query(told["query"], Own(told["name"]))
    place = folder / _CODE
    sys.dont_write_bytecode = True  # the folder may be read-only, and is what it was made
    os.chdir(place)  # paths in the code start from the spec's folder
    function = code.load(place, told["transform"])
    return Function(function, told["transform"], told["params"], told["dtypes"])


def _try(view: View, row: Mapping[str, Any]) -> None:
    """Make a row that is known. Raises ``ResourceError`` if it comes out otherwise."""
    joins = view.told["joins"]
    try:
        beside = {name: _row(values, joins[name]) for name, values in row["joined"].items()}
        found = view.made(view.raw(row["raw"]), beside)
    except ResourceError:
        raise
    except Exception as error:
        # The user's code may raise anything.
        detail = f"It fails on a row of its own table: {type(error).__name__}: {error}"
        raise ResourceError("Feature view fails", detail, argument="features") from error
    for name, (expected,) in row["features"].items():
        if apart(found[name][0], expected) > max(view.told["tolerance"], _ROUNDING):
            detail = (
                f'It makes {found[name][0]} of "{name}", where the table has {expected}: other '
                "versions of what it needs are installed, or its code is not what it was."
            )
            raise ResourceError("Features differ from the table", detail, argument="features")


_ROUNDING: Final = 1e-12
"""Another processor may round functions such as logarithms otherwise in the last place."""


def _row(values: Mapping[str, Any], join: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table({c["name"]: array([values[c["name"]]], c) for c in join["columns"]})


def _lookup(folder: Path, name: str, said: Mapping[str, Any]) -> Lookup:
    path = _database(folder, name)
    if not path.is_file():
        detail = f"{path} is not there, in which {name} is looked up."
        raise ResourceError("Feature view not found", detail, argument="features")
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    return Lookup(connection, join_of(said), said["columns"])


def _index(target: Path, source: Path, said: Mapping[str, Any]) -> None:
    connection = sqlite3.connect(target)
    keep(connection, _table(source).select([c["name"] for c in said["columns"]]), join_of(said))
    connection.close()


def _table(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read()


def _database(folder: Path, name: str) -> Path:
    return folder / f"lookup.{quote(name, safe='')}.db"


def _parquet(folder: Path, name: str) -> Path:
    return folder / f"input.{quote(name, safe='')}.parquet"


if __name__ == "__main__":
    main()
