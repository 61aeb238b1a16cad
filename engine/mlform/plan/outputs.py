"""Which outputs a plan records anew."""

from __future__ import annotations

from collections.abc import Mapping

from mlform.plan.model import Deferred, Output, OutputChange
from mlform.state.model import Snapshot


def changed_outputs(outputs: Mapping[str, Output], snapshot: Snapshot) -> dict[str, OutputChange]:
    """Return which outputs come out different from what is recorded, whatever else happens."""
    found: dict[str, OutputChange] = {}
    for name, output in outputs.items():
        recorded = snapshot.outputs.get(name)
        if isinstance(output.value, Deferred):
            continue
        if recorded is None:
            found[name] = OutputChange("add")
        elif recorded != {"value": output.value, "sensitive": output.sensitive}:
            found[name] = OutputChange("change", recorded["value"])
    for name in snapshot.outputs.keys() - outputs.keys():
        found[name] = OutputChange("remove", snapshot.outputs[name]["value"])
    return dict(sorted(found.items()))
