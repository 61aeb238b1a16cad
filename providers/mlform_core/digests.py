"""Digests of columns by their values: equal data have equal digests, however they are stored.

Chunks, record batches, row groups, codecs, dictionaries and layouts of strings do not count; nor
does the name of a time zone, as instants are kept in UTC. Values, their order, their number, their
type, and null beside empty do. NaN is one value whatever its bits, and -0.0 is 0.0. Hashed is what
lies in Arrow's buffers on a little-endian machine.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

VERSION: Final = 1
"""Counts in every digest: raise it when equal columns are hashed differently."""
_BLOCK: Final = 1 << 17
"""Values taken at once: what must be copied stays in the processor's cache."""


def column_digests(table: pa.Table) -> dict[str, str]:
    """Return the digest of each column of a table."""
    found = {}
    for field in table.schema:
        hasher = ColumnHasher(field.type)
        for chunk in table[field.name].chunks:
            hasher.add(chunk)
        found[field.name] = hasher.digest()
    return found


class ColumnHasher:
    """Hashes one column, array after array; all arrays have one type of values.

    Raises ``TypeError`` for types whose values are not scalars (lists, structs).
    """

    def __init__(self, type_: pa.DataType) -> None:
        self._type = _name(type_)
        self._rows = 0
        self._nulls, self._lengths, self._values = (hashlib.sha256() for _ in range(3))

    def add(self, array: pa.Array) -> None:
        """Take the next values."""
        if _name(array.type) != self._type:
            raise TypeError(f"the column is {self._type}, and {_name(array.type)} follows")
        for start in range(0, len(array), _BLOCK):
            self._add(_decoded(array.slice(start, _BLOCK)))

    def digest(self) -> str:
        """Return ``sha256:…`` of all values so far."""
        whole = hashlib.sha256(f"column {VERSION}\n{self._type}\n{self._rows}\n".encode())
        for part in (self._nulls, self._lengths, self._values):
            whole.update(part.digest())
        return f"sha256:{whole.hexdigest()}"

    def _add(self, array: pa.Array) -> None:
        import pyarrow.compute as pc

        rows = len(array)
        if array.null_count:
            # Where nulls are, not a bit for each value: bits of two arrays share a byte.
            places = pc.indices_nonzero(array.is_null()).to_numpy()
            self._nulls.update((places + self._rows).astype("<i8"))
            array = array.drop_null()
        self._rows += rows
        if self._type in {"string", "binary"}:
            lengths, values = _texts(array)
            self._lengths.update(lengths)
            self._values.update(values)
        elif self._type != "null":
            self._values.update(_fixed(array))


def _name(type_: pa.DataType) -> str:
    """Name the type of the values, the same for each way to lay them out."""
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return _name(type_.value_type)
    if t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_):
        return "string"
    if t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_):
        return "binary"
    if t.is_timestamp(type_) and type_.tz is not None:
        return f"timestamp[{type_.unit}, UTC]"
    if t.is_null(type_) or t.is_primitive(type_) or t.is_decimal(type_):
        return str(type_)
    raise TypeError(f"values of type {type_} have no digest")


def _decoded(array: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    t = pa.types
    if t.is_dictionary(array.type):
        return _decoded(array.dictionary_decode())
    if t.is_run_end_encoded(array.type):
        return _decoded(pc.run_end_decode(array))
    if t.is_string_view(array.type):
        return array.cast(pa.large_string())
    if t.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    return array.cast(pa.uint8()) if t.is_boolean(array.type) else array


def _texts(array: pa.Array) -> tuple[Any, Any]:
    """Return the lengths of texts, and their bytes end to end."""
    import numpy as np
    import pyarrow as pa

    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    width = np.dtype("<i8" if wide else "<i4")
    _, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return b"", b""
    at = np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize)
    return np.diff(at).astype("<i8"), b"" if data is None else memoryview(data)[at[0] : at[-1]]


def _fixed(array: pa.Array) -> Any:
    """Return the bytes of values of one width; floats in one form for each value."""
    import numpy as np
    import pyarrow as pa

    width = array.type.bit_width // 8
    data = array.buffers()[1]
    if not len(array) or data is None:
        return b""
    start = array.offset * width
    if not pa.types.is_floating(array.type):
        return memoryview(data)[start : start + len(array) * width]
    values = np.frombuffer(data, f"<f{width}", len(array), start) + np.dtype(f"<f{width}").type(0)
    missing = np.isnan(values)
    if missing.any():
        values[missing] = np.nan
    return values
