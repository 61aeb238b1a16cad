"""``gate "data"``: whether data are as they must be for what rests on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from pydantic import field_validator

from mlform.sdk import Arguments, Artifact, Context, Decision, Metadata, Resource, Stored
from mlform_core.expect import Expectations, merged, problems
from mlform_core.gate_verdicts import (
    NO_IMPORT,
    OnFail,
    Verdict,
    forgotten,
    kept,
    told,
)
from mlform_core.naming import TableHandle
from mlform_core.partitions import facts_at


class DataArguments(Arguments):
    """Which table, and what must hold of it: what a dataset takes as ``expect``."""

    data: TableHandle
    expect: Decision[Expectations]
    on_fail: Decision[OnFail] = "block"
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("expect")
    @classmethod
    def _something(cls, value: Expectations) -> Expectations:
        if value == Expectations():
            raise ValueError("expects nothing: write rows_min, null_rate_max, range, in_set, …")
        return value


StoredData: TypeAlias = Stored[DataArguments, Verdict]


class Data(Resource[DataArguments, Verdict], kind="gate", type="data", reusable=True):
    """Holds a table to expectations. Broken ones fail the gate, where in a dataset they stop it.

    Judged from the statistics that are kept of each partition: no data are read again.
    """

    imports = NO_IMPORT

    def apply(self, ctx: Context, new: DataArguments, old: StoredData | None) -> Verdict:
        """Judge. Broken expectations are a result."""
        tables = new.data.attributes["partitions"]
        facts = {n: facts_at(ctx, Artifact.model_validate(t)) for n, t in tables.items()}
        profile = merged({n: f["statistics"] for n, f in facts.items()})
        broken = problems(new.expect, profile)
        asked = new.expect.model_dump(mode="json", exclude_defaults=True)
        count = sum(len(v) if isinstance(v, Collection) else 1 for v in asked.values())
        passed, summary = told(broken, new.on_fail, count)
        evidence: Mapping[str, object] = {
            "data": {"address": new.data.address, "digest": new.data.digest},
            "broken": dict(enumerate(broken, 1)),
            "expected": asked,
            "columns": profile["columns"],
        }
        return Verdict(**kept(ctx, evidence, passed=passed, summary=summary))

    def destroy(self, ctx: Context, old: StoredData) -> str:
        return forgotten(ctx)
