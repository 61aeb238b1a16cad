"""A feature view beside a server: a folder from which workers make the features of requests.

It has ``transform.json`` and ``code``, as the view had them made; of each input that is joined in
time a file of SQLite, of each other one a Parquet file; and ``probe.json``: rows with the features
that they have in the table. A worker makes these before it serves, and does not serve if they come
out otherwise.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mlform.sdk import ResourceError, code
from mlform_core.bundles import BundleError, members
from mlform_core.folders import publish
from mlform_core.joins import Own
from mlform_core.online import (
    MEMBER,
    TOLD,
    Lookup,
    Spec,
    View,
    apart,
    array,
    join_of,
    keep,
    taken,
)
from mlform_core.serving import settings
from mlform_core.transforms import Function, Query, Transform

if TYPE_CHECKING:
    import pyarrow as pa

_CODE: Final = "code"
_PROBE: Final = "probe.json"
_FROM: Final = "from"
"""The folder, in that of a view, of the view that its rows are of; the code of both is in one."""
_TRIED: Final = 16
"""Rows that each worker tries; the rest is for other code to be tried on."""


@dataclass(frozen=True)
class Level:
    """What a view has in the store: its transform, what it looks up (as Parquet), its probe."""

    transform: bytes
    tables: Mapping[str, Path]
    probe: bytes


def write(folder: Path, levels: Sequence[Level]) -> None:
    """Write a view into a folder, whole or not at all; after it the views that its rows are of.

    Raises ``ResourceError``.
    """
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        # Of two files of one name that of the outer view is as new, and does the same for both.
        for depth, level in reversed([*enumerate(levels)]):
            _written(fresh, fresh.joinpath(*[_FROM] * depth), level)
        publish(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _written(top: Path, place: Path, level: Level) -> None:
    try:
        parts = members(level.transform, MEMBER, "The transform")
    except BundleError as error:
        raise ResourceError("Transform is damaged", f"{error}.", argument="features") from error
    told = json.loads(parts[TOLD])
    files = {(top / name if name != TOLD else place / name): data for name, data in parts.items()}
    for path, data in {**files, place / _PROBE: level.probe}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, path in level.tables.items():
        if name in told["joins"]:
            _index(_database(place, name), path, told["joins"][name])
        else:
            shutil.copyfile(path, _parquet(place, name))


def places(folder: Path) -> list[Path]:
    """Return the folder of a view, and after it those of the views that its rows are of."""
    found = [folder]
    while (found[-1] / _FROM / TOLD).is_file():
        found.append(found[-1] / _FROM)
    return found


def renewed(home: Path, old: str, new: str) -> str:
    """Return the digest of a view with the transform of ``old`` and the tables of ``new``.

    That is ``old`` itself where they do not look up the same.
    """
    one, two = settings.view(home, old), settings.view(home, new)
    levels = [*itertools.zip_longest(places(one), places(two))]
    if not all(a and b and _alike(read(a), read(b)) for a, b in levels):
        return old
    key = "sha256:" + hashlib.sha256(f"{read(one)['id']} {new}".encode()).hexdigest()
    folder = settings.view(home, key)
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(one, fresh)
        for place, source in zip(places(fresh), places(two), strict=True):
            _retabled(place, source)
        publish(fresh, folder)
    return key


def _alike(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Tell whether two views look up the same."""
    return all(one[name] == two[name] for name in ("joins", "whole"))


def _retabled(place: Path, source: Path) -> None:
    """Give a view the tables of another."""
    told = read(place)
    for name in (*told["joins"], *told["whole"]):
        path = _database if name in told["joins"] else _parquet
        shutil.copyfile(path(source, name), path(place, name))
    if told["whole"]:  # what its rows were made of is no more
        probe = {"rows": [], "environment": environment(place)}
        (place / _PROBE).write_text(json.dumps(probe))


def read(folder: Path) -> dict[str, Any]:
    """Return what a view says of itself. Raises ``ResourceError`` if it is not there."""
    try:
        told: dict[str, Any] = json.loads((folder / TOLD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        detail = f"The copy of the feature view at {folder} cannot be read: {error}."
        raise ResourceError("Feature view not found", detail, argument="features") from error
    return told


def request(folder: Path) -> tuple[list[Spec], str]:
    """Return the columns that a request has; and that of its time, which is now where it has none.

    The latter "" where nothing is looked up by it.
    """
    every = [read(place) for place in places(folder)]
    time = every[-1]["time"] if any(told["joins"] for told in every) else ""
    return taken(every[-1]), time or ""


def environment(folder: Path) -> dict[str, str]:
    """Return the versions of the packages that the view was made with."""
    found: dict[str, str] = json.loads((folder / _PROBE).read_text("utf-8"))["environment"]
    return found


def opened(folder: Path, wanted: Sequence[str]) -> View:
    """Open a view for this process, which has no other, and have it make what it is tried by.

    ``wanted`` are the features that the model takes. Raises ``ResourceError``.
    """
    view: View | None = None
    for place in reversed(places(folder.resolve())):  # what follows changes the working folder
        below, told = view, read(place)
        if below is not None:
            below.wanted = [spec["name"] for spec in taken(told)]
        lookups = {name: _lookup(place, name, join) for name, join in told["joins"].items()}
        whole = {name: _table(_parquet(place, name)) for name in told["whole"]}
        view = View(told, _transform(folder.resolve(), told), whole, lookups, below)
        probe = json.loads((place / _PROBE).read_text(encoding="utf-8"))
        for row in probe["rows"][:: 1 + len(probe["rows"]) // _TRIED]:
            _try(view, row)
    assert view is not None, "a folder is at least one place"
    view.wanted = wanted
    return view


def main() -> None:
    """Try a view on the rows of another: ``python -m mlform_core.serving.features ONE TWO NAMES``.

    Ends with 1 and a line that says where they differ in the features of these names (JSON).
    """
    one, two, names = (
        Path(sys.argv[1]).resolve(),
        Path(sys.argv[2]).resolve(),
        json.loads(sys.argv[3]),
    )
    levels = places(one), places(two)
    if len(levels[0]) != len(levels[1]):
        sys.exit("its rows are those of another view")
    for mine, theirs in zip(*levels, strict=True):
        try:
            names = _tried(one, mine, theirs, names)
        except ResourceError as error:
            sys.exit(error.detail)
        except KeyError as error:
            sys.exit(f"only one of them has {error.args[0]}")


def _tried(top: Path, mine: Path, theirs: Path, names: Sequence[str]) -> list[str]:
    """Try a view on the rows of another; return the columns that it takes of them."""
    probe = json.loads((theirs / _PROBE).read_text(encoding="utf-8"))
    told, other = read(mine), read(theirs)
    place = theirs if told["whole"] == other["whole"] else mine
    whole = {name: _table(_parquet(place, name)) for name in told["whole"]}
    view = View(told, _transform(top, told), whole, {})
    for row in probe["rows"]:
        _try(view, {**row, "features": {name: row["features"][name] for name in names}})
    return [spec["name"] for spec in taken(told)]


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
