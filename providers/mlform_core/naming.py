"""Whether what is named of a table is there, as far as it is known what that has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, ValidationInfo

from mlform.sdk import Handle, did_you_mean

_MOST: Final = 20


def table_of(value: Handle) -> Handle:
    """Return the handle of a table. Raises ``ValueError`` on that of anything else."""
    if value.attribute is not None or value.kind not in {"dataset", "feature_view"}:
        raise ValueError("must be a dataset or a feature_view, as in data = dataset.loans")
    return value


TableHandle: TypeAlias = Annotated[Handle, AfterValidator(table_of)]


def known(table: Handle, what: str) -> Collection[str] | None:
    """Return the ``columns`` or ``splits`` of a table by name; ``None`` if they are not known."""
    found = table.attributes.get(what, table.foretold.get(what))
    return found if isinstance(found, Mapping | list) else None


def absent(table: Handle, columns: Iterable[str], why: str = "") -> str:
    """Say which columns a table has not, as far as it is known what it has; ``""`` if none."""
    there = known(table, "columns")
    if there is None:
        return ""
    missing = [name for name in dict.fromkeys(columns) if name not in there]
    later = [name for name in missing if name in table.behind.get("columns", ())]
    said = [
        f'{table.address} has no column "{name}"{why and f", {why}"}.'
        + ("" if name in later else did_you_mean(name, there))
        for name in missing
    ]
    if later:
        said.append(
            f"This is the version that .mlform.lock.hcl pins; at the source there is "
            f"{', '.join(later)} by now. `mlform update {table.address}` takes what is there."
        )
    elif said:
        said.append(f"It has {_listed(there)}.")
    return "\n".join(said)


def no_part(table: Handle, part: str) -> str:
    """Say that a table has no such part, if that is known; ``""`` otherwise."""
    there = known(table, "splits")
    if there is None or part in there:
        return ""
    if not there:
        return (
            f'{table.address} is not split, so that it has no part "{part}". Give its dataset a '
            "split, or write split = null to take all rows."
        )
    rows = there if isinstance(there, Mapping) else {}
    listed = [f"{name} ({rows[name]:,} rows)" if name in rows else name for name in there]
    hint = did_you_mean(part, there)
    return f'{table.address} has no part "{part}".{hint} It has {", ".join(listed)}.'


def refuse(problem: str) -> None:
    """Raise ``ValueError`` if there is a problem."""
    if problem:
        raise ValueError(problem)


def _of_data(value: str | None, info: ValidationInfo) -> str | None:
    data: Any = info.data.get("data")
    if value is not None and data is not None:
        refuse(no_part(data, value))
    return value


PartOfData: TypeAlias = Annotated[str | None, AfterValidator(_of_data)]
"""An argument that names a part of the table in the argument ``data`` before it; null: all rows."""


def _listed(names: Collection[str]) -> str:
    first = ", ".join(list(names)[:_MOST])
    return first if len(names) <= _MOST else f"{first} and {len(names) - _MOST} more"
