"""That a view makes of one request what it made of all: tried when it is made, or it fails.

Rows of the table go the way of a request, shuffled and in blocks, then each alone with what was
known at its time, and must come out as they are in the table. What did is kept for deployments:
``transform`` (``transform.json``, the code), ``lookups`` (tables), ``probe`` (rows with their
features, by which every server tries itself).
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mlform.sdk import Facets, ResourceError
from mlform_core.bundles import pack
from mlform_core.joins import ROW, Join, Tables, numbered
from mlform_core.making import Making, Whole
from mlform_core.online import (
    CODE,
    TOLD,
    Columns,
    LeftOutError,
    Lookup,
    View,
    apart,
    array,
    finite,
    keep,
    plain,
    specs,
)
from mlform_core.tables import LOOKUPS, TRANSFORM
from mlform_core.transforms import WITHOUT_MISSING, Transform
from mlform_core.views import Online, ViewAttributes, levels

if TYPE_CHECKING:
    import pyarrow as pa

Dtypes: TypeAlias = Mapping[str, Mapping[str, str]]
"""The types that columns have in pandas, by table; that of ``from`` is called ""."""
MEDIA_TYPE: Final = "application/vnd.mlform.transform"
_GROUPS: Final = 4
"""Partitions that are looked at, where each is made by itself."""
_BLOCK: Final = 512
_ALONE: Final = 24
_VALUE: Final = 60
_ROUNDING: Final = 1e-9
"""Numbers nearer than this may be apart by rounding."""


@dataclass(frozen=True)
class _Sample:
    """Rows of the table that are tried: where they are, and what they are there."""

    partition: str
    """That they are from, "" for the whole table."""
    whole: Whole
    places: list[int]
    columns: dict[str, list[Any]]
    expected: dict[int, dict[str, Any]]
    """The features of each place that is in the view."""


@dataclass(frozen=True)
class Kind:
    """What a view of some kind is made by.

    ``told`` says so; ``transform`` makes it for the types that columns have in pandas, and
    ``dtypes`` says which these were. ``files`` are its code, relative to the spec's folder.
    """

    told: Mapping[str, Any]
    transform: Callable[[Dtypes], Transform]
    dtypes: Callable[[], Dtypes] = dict
    files: Sequence[str] = ()


def certified(making: Making, made: ViewAttributes, kind: Kind) -> ViewAttributes:
    """Return a view with what serves it. Raises ``ResourceError`` if it is not row by row."""
    online = making.new.online
    assert online is not None, "it is asked for"
    _comparable(making)
    samples = list(_samples(making, online))
    dtypes = kind.dtypes()
    below = making.beneath
    absent = [*online.absent, *(n for n in samples[0].columns if n in below.get("unserved", ()))]
    told: dict[str, Any] = {
        **kind.told,
        **({"from": below["id"]} if below else {}),
        "format": 1,
        "name": making.own.name,
        "time": making.own.time,
        "raw": _raw(samples, typed=bool(dtypes)),
        "absent": {name: online.stand_in.get(name) for name in absent},
        "joins": _joins(making),
        "whole": sorted(making.inputs.keys() - making.own.joins.keys()),
        "dtypes": dtypes,
        "tolerance": online.tolerance,
        "served": list(made.columns),
    }
    _standing(told)
    with _history(making, samples[0].whole.raw) as history:
        trial = _Trial(making, told, kind.transform(dtypes), history)
        for sample in samples:
            trial.blocks(sample)
        rows = [row for sample in samples for row in trial.alone(sample)]
        tables = {name: making.inputs[name] for name in told["whole"]}
        if history is not None:
            joins = making.own.joins.items()
            tables |= {name: finite(history.latest(name, join)) for name, join in joins}
    return _kept(making, made, trial.told, tables, rows, kind.files)


def _samples(making: Making, online: Online) -> Iterator[_Sample]:
    """Yield the rows that are tried: some of the table, or of some partitions of it."""
    there = list(making.new.from_.attributes["partitions"])
    groups = [[name] for name in there] if making.new.by == "partition" else [there]
    step = max(1, len(groups) // _GROUPS)
    chosen = groups[::-1][::step][:_GROUPS]
    chance = random.Random(0)  # noqa: S311 - the same rows each time, on purpose
    for group in chosen:
        whole = making.whole(group)
        every = range(whole.raw.num_rows)
        places = chance.sample(every, min(len(every), max(1, online.rows // len(chosen))))
        taken = whole.raw.take(places)
        columns = {n: plain(taken[n]) for n in taken.column_names}
        at = {row: place for place, row in enumerate(whole.made.rows.to_pylist())}
        kept = [place for place in places if place in at]
        features = whole.made.table.take([at[place] for place in kept])
        values = {n: plain(features[n]) for n in features.column_names}
        expected = {p: {n: v[i] for n, v in values.items()} for i, p in enumerate(kept)}
        partition = group[0] if making.new.by == "partition" else ""
        yield _Sample(partition, whole, places, columns, expected)


class _Trial:
    """Sends rows the way of a request, and compares."""

    def __init__(
        self, making: Making, told: dict[str, Any], run: Transform, history: Tables | None
    ) -> None:
        assert making.new.online is not None, "it is asked for"
        self.making, self.told, self.online = making, told, making.new.online
        self._run, self._history = run, history
        self._whole = {name: making.inputs[name] for name in told["whole"]}
        self.view = self._view({})

    @property
    def served(self) -> list[str]:
        """The features that do not hang on a column that no request has."""
        found: list[str] = self.told["served"]
        return found

    def _view(self, lookups: Mapping[str, Lookup]) -> View:
        return View(self.told, self._run, self._whole, lookups)

    def blocks(self, sample: _Sample) -> None:
        """Try rows in blocks, among others than in the table."""
        order = [i for i, place in enumerate(sample.places) if place in sample.expected]
        for start in range(0, len(order), _BLOCK):
            block = order[start : start + _BLOCK]
            columns = _at(sample.columns, block)
            raw = self.view.raw(columns)
            found = self._made(raw, self._joined(raw))
            self._compare(sample, block, found, "among other rows")
            if self.told["absent"]:
                asked = self.view.raw(self._asked(columns))
                stands = self._made(asked, self._joined(asked))
                here = [n for n in self.served if not self._moved(found[n], stands[n])]
                self.told["served"] = here

    def alone(self, sample: _Sample) -> Iterator[dict[str, Any]]:
        """Try rows one by one, with what was known at the time; yield them as a probe has them."""
        kept = [i for i, place in enumerate(sample.places) if place in sample.expected][:_ALONE]
        every = self.view.raw(self._asked(_at(sample.columns, kept)))
        with self._narrowed(every) as history:
            for i in kept:
                columns = self._asked(_at(sample.columns, [i]))
                raw = self.view.raw(columns)
                beside, _ = self._view(self._lookups(raw, history)).looked_up(raw)
                found = self._made(raw, beside)
                self._compare(sample, [i], found, "alone")
                if (known := _known(columns, beside, found)) is not None:
                    yield known

    def _narrowed(self, raw: pa.Table) -> AbstractContextManager[Tables | None]:
        """Lend what is joined in time of the keys of some rows: it may have millions of others."""
        return nullcontext() if self._history is None else self._history.narrowed(numbered(raw))

    def _asked(self, columns: Columns) -> dict[str, Sequence[Any]]:
        """Return of rows what a request has of them."""
        return {n: v for n, v in columns.items() if n not in self.told["absent"]}

    def _lookups(self, raw: pa.Table, history: Tables | None) -> dict[str, Lookup]:
        """Return what a deployment would look up at the time of a row."""
        import pyarrow as pa

        if history is None:
            return {}
        own = self.making.own
        until = numbered(raw)[str(own.time)].cast(pa.int64())[0].as_py() or 0
        return {
            name: lookup(history.latest(name, join, until), join)
            for name, join in own.joins.items()
        }

    def _joined(self, raw: pa.Table) -> Mapping[str, pa.Table]:
        if self._history is None:
            return {}
        self._history.put(self.making.own.name, numbered(raw))
        return {n: self._history.table(n).drop_columns([ROW]) for n in self.making.own.joins}

    def _made(self, raw: pa.Table, beside: Mapping[str, pa.Table]) -> dict[str, list[Any]]:
        try:
            return self.view.made(raw, beside)
        except LeftOutError as error:
            why = " with what stands in for absent columns" if self.told["absent"] else ""
            raise _not_so(f"{error}, which is in the table{why}") from None
        except ResourceError:
            raise
        except Exception as error:
            detail = f"{type(error).__name__}: {error}, with {raw.num_rows:,} rows of the table."
            raise ResourceError("Fails at request time", detail, argument="online") from error

    def _moved(self, found: Sequence[Any], stands: Sequence[Any]) -> bool:
        limit = self.online.tolerance
        return any(apart(s, f) > limit for f, s in zip(found, stands, strict=True))

    def _compare(
        self, sample: _Sample, block: Sequence[int], found: Mapping[str, Sequence[Any]], how: str
    ) -> None:
        for name in self.served:
            for one, i in zip(found[name], block, strict=True):
                place = sample.places[i]
                expected = sample.expected[place][name]
                if (far := apart(one, expected)) > self.online.tolerance:
                    where = self._row(sample, i)
                    rounding = f". If that is rounding, write tolerance = {_ROUNDING:g} in online"
                    raise _not_so(
                        f'"{name}" of {where} is {_short(expected)} in the table, and '
                        f"{_short(one)} where the row is made {how}"
                        f"{rounding if far < _ROUNDING else ''}"
                    )

    def _row(self, sample: _Sample, i: int) -> str:
        """Name a row: its place, and what it is known by."""
        new = self.making.new
        named = [*new.entities, *new.from_.attributes.get("key", []), *([self.making.own.time])]
        known = [n for n in dict.fromkeys(named) if n in sample.columns]
        said = ", ".join(f"{n} = {_short(sample.columns[n][i])}" for n in known)
        part = f", partition {sample.partition}" if sample.partition else ""
        place = f"row {sample.places[i]:,} of {new.from_.address}{part}"
        return f"{place} ({said})" if said else place


def _known(
    columns: Columns, beside: Mapping[str, pa.Table], found: Columns
) -> dict[str, Any] | None:
    """Return a row as a probe has it; ``None`` for an infinite number, which JSON cannot say."""
    joined = {n: {c: plain(t[c])[0] for c in t.column_names} for n, t in beside.items()}
    values = [*columns.values(), *found.values(), *(v.values() for v in joined.values())]
    if math.inf in map(_size, itertools.chain(*values)):
        return None
    return {"raw": columns, "joined": joined, "features": found}


def _size(value: Any) -> float:
    return abs(value) if isinstance(value, float) else 0.0


def _standing(told: Mapping[str, Any]) -> None:
    """Refuse what stands in for a column and is not of its type."""
    types = {spec["name"]: spec for spec in told["raw"]}
    for name, value in told["absent"].items():
        try:
            array([value], types[name])
        except ValueError as error:
            detail = f"{error}. That is what stands in for it at request time."
            raise ResourceError("Wrong stand-in", detail, argument="online") from None


def _not_so(said: str) -> ResourceError:
    detail = (
        f"{said[0].upper()}{said[1:]}. A view that is online makes each row of that row alone, of "
        "inputs joined as_of and of whole inputs. What looks at other rows (sums, ranks, means "
        "over the table) belongs into a dataset or view of its own, joined as_of; without online "
        "the view is as it was."
    )
    return ResourceError("Not the same at request time", detail, argument="online")


def lookup(latest: pa.Table, join: Join, path: str = ":memory:") -> Lookup:
    """Return a lookup of the newest rows of a table, made in a file or in memory."""
    connection = sqlite3.connect(path)
    keep(connection, latest, join)
    return Lookup(connection, join, specs(latest))


def _at(columns: Columns, places: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [values[i] for i in places] for name, values in columns.items()}


def _comparable(making: Making) -> None:
    """Refuse keys that are texts in one table and numbers in the other."""
    for name, join in making.own.joins.items():
        here, there = making.new.from_.attributes["columns"], making.new.inputs[name].attributes
        for key in join.on:
            one, two = here[key], there["columns"][key]
            if {one, two} - {"int64", "float64", "bool"} and one != two:
                detail = f"{key} is {one} in {making.new.from_.address} and {two} in {name}."
                raise ResourceError("Keys of two types", detail, argument="as_of")


def _raw(samples: Sequence[_Sample], *, typed: bool) -> list[dict[str, Any]]:
    """Return the columns of ``from``.

    ``required`` are those whose type in pandas (``typed``) has no room for a missing value.
    """
    found = specs(samples[0].whole.raw)
    for spec in found:
        never = not any(sample.whole.raw[spec["name"]].null_count for sample in samples)
        spec["required"] = typed and never and spec["type"] in WITHOUT_MISSING
    return found


def _joins(making: Making) -> dict[str, Any]:
    found = {}
    for name, join in making.own.joins.items():
        columns = specs(numbered(making.inputs[name]).select(list(join.columns)))
        found[name] = {
            "on": list(join.on),
            "time": join.time,
            "age": join.age,
            "columns": columns,
        }
    return found


@contextmanager
def _history(making: Making, raw: pa.Table) -> Iterator[Tables | None]:
    """Lend the tables that are joined in time, whole; ``None`` where there are none."""
    own = making.own
    if not own.joins:
        yield None
        return
    tables = {own.name: raw.slice(0, 0), **{name: making.inputs[name] for name in own.joins}}
    with Tables(own, {name: numbered(table) for name, table in tables.items()}) as history:
        yield history


def _kept(
    making: Making,
    made: ViewAttributes,
    told: Mapping[str, Any],
    looked_up: Mapping[str, pa.Table],
    rows: Sequence[Mapping[str, Any]],
    files: Sequence[str],
) -> ViewAttributes:
    """Put what serves the view into the store."""
    from mlform_core.digests import column_digests
    from mlform_core.tables import canonical, encode

    ctx = making.ctx
    tables = {name: canonical(table) for name, table in looked_up.items()}
    identity = Facets.of({}, {"it": told}).digests["it"]
    looked: dict[str, Any] = {n: column_digests(t) for n, t in tables.items()}
    below = levels(making.new.from_)
    if below:
        looked[""] = making.new.from_.attributes["facets"]["digests"][LOOKUPS]
    said = {TRANSFORM: identity, LOOKUPS: looked}
    code = {f"{CODE}{file}": (ctx.root / file).read_bytes() for file in dict.fromkeys(files)}
    bundle = pack({TOLD: _json({**told, "id": identity}), **code})
    transform = ctx.artifacts.put_bytes(bundle, MEDIA_TYPE)
    probe = {"rows": list(rows), "environment": dict(ctx.receipt.get("environment") or {})}
    digests = {**made.facets.digests, **Facets.of({}, said).digests}
    return made.model_copy(
        update={
            "transform": transform.model_copy(update={"about": {"id": identity}}),
            "lookups": {n: ctx.artifacts.put_bytes(encode(t)) for n, t in tables.items()},
            "probe": ctx.artifacts.put_bytes(_json(probe), "application/json"),
            "beneath": below,
            "facets": made.facets.model_copy(update={"digests": digests}),
        }
    )


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, allow_nan=False).encode()


def _short(value: Any) -> str:
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}…"
