"""Which part each row is in: stable as data grow, because it depends on the row alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from mlform.sdk import Fields, ResourceError

if TYPE_CHECKING:
    import pyarrow as pa

Block = Literal["hour", "day", "week", "month", "quarter", "year"]
_SCALE: Final = float(1 << 64)


class HashSplit(Fields):
    """Rows go to parts by the hash of some columns: rows that agree on them stay together."""

    by: Literal["hash"]
    on: list[str] = Field(min_length=1)
    seed: int = 0
    parts: dict[str, Annotated[float, Field(gt=0, lt=1)]]

    @model_validator(mode="after")
    def _whole(self) -> HashSplit:
        _check_shares(self.parts)
        return self


class TimeSplit(Fields):
    """Whole blocks of time go to parts by the hash of the block.

    A random split of rows puts the same days into training and hold-out and overstates a model;
    blocks keep them apart.
    """

    by: Literal["time"]
    column: str
    block: Block = "week"
    seed: int = 0
    parts: dict[str, Annotated[float, Field(gt=0, lt=1)]]

    @model_validator(mode="after")
    def _whole(self) -> TimeSplit:
        _check_shares(self.parts)
        return self


class StratifiedSplit(Fields):
    """Rows go to parts by the hash of some columns, and each stratum is held to the shares.

    No rule that looks at a row alone divides each stratum exactly, and one that looks at other
    rows moves rows when some are added. So this is the hash split, under which a row never moves,
    with a check: in each stratum of at least ``min_rows``, each part has its share to within
    ``tolerance``. Where it has not, a seed is named under which it has.
    """

    by: Literal["stratified"]
    on: list[str] = Field(min_length=1)
    strata: list[str] = Field(min_length=1)
    seed: int = 0
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    min_rows: int = Field(default=200, ge=1)
    parts: dict[str, Annotated[float, Field(gt=0, lt=1)]]

    @model_validator(mode="after")
    def _whole(self) -> StratifiedSplit:
        _check_shares(self.parts)
        return self


Split = HashSplit | TimeSplit | StratifiedSplit


def dividing(split: Split) -> dict[str, Any]:
    """Return what of a split says which part a row is in."""
    said = split.model_dump(mode="json", exclude={"strata", "tolerance", "min_rows"})
    return {**said, "by": "hash"} if isinstance(split, StratifiedSplit) else said


def _check_shares(parts: Mapping[str, float]) -> None:
    total = sum(parts.values())
    if abs(total - 1) > 1e-9:
        shares = " + ".join(f"{v:g}" for v in parts.values())
        raise ValueError(f"the parts must add up to 1; {shares} = {total:g}")


def assign(table: pa.Table, split: Split) -> pa.Array:
    """Return the part of each row. Raises ``ResourceError`` where a column is missing."""
    import pyarrow as pa

    names = [split.column] if isinstance(split, TimeSplit) else list(split.on)
    missing = [n for n in names if n not in table.column_names]
    if missing:
        detail = f"There is no column {missing[0]}; there are {', '.join(table.column_names)}."
        raise ResourceError("Unknown column", detail, argument="split")
    keys = _blocks(table, split) if isinstance(split, TimeSplit) else keys_of(table, split.on)
    encoded = keys.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    shares = in_order(split.parts)
    parts = [part_of(str(key), split.seed, shares) for key in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(parts)).cast(pa.string())


def in_order(parts: Mapping[str, float]) -> dict[str, float]:
    """Return the largest part first: an object has no order, wherever it is written."""
    return dict(sorted(parts.items(), key=lambda part: (-part[1], part[0])))


def keys_of(table: pa.Table, names: Sequence[str]) -> Any:
    """Return what each row is told by as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [pc.fill_null(table[n].cast(pa.string()), "\0null") for n in names]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "\x1f")


def _blocks(table: pa.Table, split: TimeSplit) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlform_core.tables import reading_texts

    column = table[split.column]
    if not pa.types.is_timestamp(column.type):
        try:
            column = column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            detail = f"{split.column} is {column.type}; a split by time needs timestamps."
            detail += reading_texts(split.column, str(column.type))
            raise ResourceError("Not a time column", detail, argument="split") from None
    floor = pc.floor_temporal(column, unit=split.block, week_starts_monday=True)
    return pc.fill_null(pc.strftime(floor, format="%Y-%m-%dT%H"), "null")


def part_of(key: str, seed: int, parts: Mapping[str, float]) -> str:
    """Return the part of a key, which depends on it and the seed alone."""
    hashed = hashlib.blake2b(f"{seed}\x1f{key}".encode(), digest_size=8).digest()
    at = int.from_bytes(hashed, "big") / _SCALE
    edge = 0.0
    for name, share in parts.items():
        edge += share
        if at < edge:
            return name
    return list(parts)[-1]
