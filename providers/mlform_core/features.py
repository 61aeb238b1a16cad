"""``feature_view "python"``: a user's function over data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ConfigDict, Field

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Code,
    Context,
    Handle,
    Metadata,
    Resource,
    ResourceError,
    Stored,
    Volatile,
    code,
)

if TYPE_CHECKING:
    import pandas as pd


class PythonArguments(Arguments):
    """What the function is, and what it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Handle = Field(alias="from")
    inputs: dict[str, Handle] = Field(default_factory=dict)
    """More tables, passed by name."""
    transform: Code
    """``"path.py:function"``, called as ``function(frame, **inputs, **params)``."""
    params: dict[str, Any] = Field(default_factory=dict)
    entities: list[str] = Field(default_factory=list)
    timestamp: str | None = None
    features: dict[str, str] = Field(default_factory=dict)
    """Contract of the result: column → type."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""


class PythonAttributes(Attributes):
    """The table the function gave."""

    partitions: dict[str, Artifact]
    columns: dict[str, str]
    rows: int
    splits: dict[str, int]
    time: str | None
    key: list[str]
    profile: Volatile[dict[str, Any]]


StoredView: TypeAlias = Stored[PythonArguments, PythonAttributes]


class Python(
    Resource[PythonArguments, PythonAttributes], kind="feature_view", type="python", reusable=True
):
    """Features made by a Python function.

    The rows of the result are rows of ``from``, told by their index: a row stays in the part its
    dataset put it in, whatever the function does.
    """

    preload = ("pandas", "pyarrow.parquet", "pyarrow.compute")

    def apply(self, ctx: Context, new: PythonArguments, old: StoredView | None) -> PythonAttributes:
        """Call the function on whole tables; keep what it gives."""
        from mlform_core.expect import merged, statistics
        from mlform_core.tables import SPLIT, canonical, check_schema, encode, from_frame, types_of

        function = code.load(ctx.root, new.transform)
        ctx.progress(0, 3, "reading")
        frame, parts = _read(ctx, new.from_)
        others = {name: _read(ctx, handle)[0] for name, handle in new.inputs.items()}
        ctx.progress(1, 3, new.transform)
        made = _checked(function(frame, **others, **new.params), frame, new.transform)
        ctx.progress(2, 3, "writing")
        table = canonical(from_frame(made.assign(**{SPLIT: parts.loc[made.index].to_numpy()})))
        columns = types_of(table)
        check_schema(columns, new.features, "features")
        artifact = ctx.artifacts.put_bytes(encode(table), "application/vnd.apache.parquet")
        counts = parts.loc[made.index].value_counts().to_dict()
        part_names = new.from_.attributes.get("splits") or {}
        time = new.timestamp or new.from_.attributes.get("time")
        return PythonAttributes(
            partitions={"all": artifact},
            columns=columns,
            rows=len(made),
            splits={name: int(counts.get(name, 0)) for name in part_names},
            time=time if time in columns else None,
            key=new.entities,
            profile=merged({"all": statistics(table.drop_columns([SPLIT]))}),
        )

    def distributions(self, new: PythonArguments) -> tuple[str, ...]:
        """Name what reads and writes the tables; the code's own imports count by its closure."""
        return ("pandas", "pyarrow")


def _read(ctx: Context, handle: Handle) -> tuple[pd.DataFrame, pd.Series[Any]]:
    from mlform_core.tables import SPLIT, read_table

    if "partitions" not in handle.attributes:
        detail = f"{handle.address} is no table. Write a whole dataset or feature view."
        raise ResourceError("Not a table", detail, argument="from")
    frame = read_table(ctx, handle, [*handle.attributes["columns"], SPLIT])
    return frame.drop(columns=[SPLIT]), frame[SPLIT]


def _checked(made: Any, given: pd.DataFrame, transform: str) -> pd.DataFrame:
    """Hold the function to its contract. Raises ``ResourceError``."""
    import pandas as pd

    if not isinstance(made, pd.DataFrame):
        detail = f"{transform} returned {type(made).__name__}, not a pandas DataFrame."
        raise ResourceError("Not a table", detail, argument="transform")
    if not made.index.isin(given.index).all() or not made.index.is_unique:
        detail = (
            f"{transform} returned rows whose index is not that of its first argument. The index "
            "says which row of the dataset a row is, and so which part it is in: keep it (after a "
            "merge: `.set_axis(frame.index)`, or join on columns with `frame.join`)."
        )
        raise ResourceError("Rows lost their identity", detail, argument="transform")
    if not all(isinstance(name, str) for name in made.columns) or not made.columns.is_unique:
        detail = (
            f"{transform} returned columns {list(made.columns)}: names must be text and unique."
        )
        raise ResourceError("Invalid columns", detail, argument="transform")
    return made
