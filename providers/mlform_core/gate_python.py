"""``gate "python"``: a check of the project's own."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from mlform.sdk import (
    Arguments,
    Code,
    Context,
    Decision,
    Handle,
    Inputs,
    Looking,
    Metadata,
    Operational,
    Resource,
    ResourceError,
    Stored,
    Volatile,
    code,
)
from mlform_core.gate import model_of
from mlform_core.gate_rules import Limit
from mlform_core.gate_verdicts import (
    NO_IMPORT,
    OnFail,
    Verdict,
    forgotten,
    kept,
    told,
)
from mlform_core.naming import PartOfData, TableHandle, absent, refuse
from mlform_core.tables import SPLIT


class PythonArguments(Arguments):
    """What measures, what it is given, and what its numbers must be.

    ``check`` is called as ``check(model, frame, **params)``: ``model.predict(frame)`` gives
    probabilities or values, ``frame`` has the rows of ``split``. Without ``candidate`` it is
    called as ``check(frame, **params)``; without ``data``, as ``check(model, **params)``. It
    returns numbers by name; ``require`` bounds them, and a changed bound calls nothing.
    """

    check: Code
    candidate: Handle | None = None
    data: TableHandle | None = None
    split: PartOfData = None
    columns: list[str] | None = None
    """Columns of ``data`` that it takes; all where none are named."""
    params: dict[str, Any] = Field(default_factory=dict)
    include: list[str] = Field(default_factory=list)
    require: Decision[dict[str, Limit]] = Field(min_length=1)
    on_fail: Decision[OnFail] = "block"
    allow_pickle: Operational[bool] = False
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("columns")
    @classmethod
    def _there(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if info.data.get("data") is not None:
            refuse(absent(info.data["data"], value or ()))
        return value

    @field_validator("require")
    @classmethod
    def _bounded(cls, value: dict[str, Limit]) -> dict[str, Limit]:
        if open_ := [n for n, limit in value.items() if limit.min is None and limit.max is None]:
            raise ValueError(f"{', '.join(open_)}: give min, max, or both")
        return value


class PythonVerdict(Verdict):
    """The verdict, on whom, and the numbers it rests on."""

    candidate: str | None = None
    """The digest of the model that was judged."""
    metrics: Volatile[dict[str, float]] = Field(default_factory=dict)


StoredPython: TypeAlias = Stored[PythonArguments, PythonVerdict]


class Python(Resource[PythonArguments, PythonVerdict], kind="gate", type="python", reusable=True):
    """Calls a function of the project's own, and holds the numbers it returns to bounds."""

    preload = ("numpy", "pandas", "pyarrow.parquet")
    imports = NO_IMPORT

    def inputs(self, ctx: Looking, new: PythonArguments) -> Inputs:
        """Look at the files that the code reads."""
        return Inputs(code.included(ctx, new.include))

    def uses(self, new: PythonArguments) -> Mapping[str, Collection[str]]:
        """Take the columns that are named."""
        if new.data is None or new.columns is None:
            return {}
        return {new.data.address: {*new.columns, SPLIT}}

    def distributions(self, new: PythonArguments) -> tuple[str, ...]:
        """Name what reads tables and models."""
        return ("numpy", "pandas", "pyarrow", "scikit-learn", "skops")

    def apply(self, ctx: Context, new: PythonArguments, old: StoredPython | None) -> PythonVerdict:
        """Measure, unless only the bounds are others, and judge."""
        if ctx.doing == "decide" and old is not None:
            metrics = old.attributes.metrics
        else:
            code.check_included(ctx, new.include, ctx.inputs.parts)
            metrics = _measured(ctx, new)
        broken = _broken(new, metrics)
        passed, summary = told(broken, new.on_fail, len(new.require))
        candidate = None if new.candidate is None else model_of(new.candidate, "candidate").digest
        evidence = {
            "check": {"code": new.check, "candidate": candidate},
            "metrics": metrics,
            "required": {n: limit.model_dump(mode="json") for n, limit in new.require.items()},
        }
        verdict = kept(ctx, evidence, passed=passed, summary=summary)
        return PythonVerdict(**verdict, candidate=candidate, metrics=metrics)

    def destroy(self, ctx: Context, old: StoredPython) -> str:
        return forgotten(ctx)


def _measured(ctx: Context, new: PythonArguments) -> dict[str, float]:
    from mlform_core.models import load
    from mlform_core.tables import read_table

    given: list[Any] = []
    if new.candidate is not None:
        path = ctx.artifacts.path(model_of(new.candidate, "candidate").digest)
        given.append(load(path, allow_pickle=new.allow_pickle))
    if new.data is not None:
        columns = new.columns if new.columns is not None else list(new.data.attributes["columns"])
        given.append(read_table(ctx, new.data, columns, new.split))
    made = code.load(ctx.root, new.check)(*given, **new.params)
    if not isinstance(made, Mapping):
        detail = f"{new.check} returned {type(made).__name__}, not numbers by name."
        raise ResourceError("Not numbers", detail, argument="check")
    return {str(name): _number(new, str(name), value) for name, value in made.items()}


def _number(new: PythonArguments, name: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        detail = f"{new.check} returned {name} = {json.dumps(value, default=repr)}: no number."
        raise ResourceError("Not numbers", detail, argument="check")
    return found


def _broken(new: PythonArguments, metrics: Mapping[str, float]) -> list[str]:
    missing = [name for name in new.require if name not in metrics]
    if missing:
        there = ", ".join(metrics) or "nothing"
        detail = f"{new.check} returned no {', '.join(missing)}; it returned {there}."
        raise ResourceError("Metric not returned", detail, argument="require")
    found = []
    for name, limit in new.require.items():
        value = metrics[name]
        if limit.min is not None and value < limit.min:
            found.append(f"{name} {value:.6g} < min {limit.min:g}")
        if limit.max is not None and value > limit.max:
            found.append(f"{name} {value:.6g} > max {limit.max:g}")
    return found
