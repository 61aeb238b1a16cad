"""From the request log to windows, and from windows to a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Artifact, Context, Handle, ResourceError
from mlform_core.models import told
from mlform_core.monitoring import short

if TYPE_CHECKING:
    import pandas as pd

    from mlform_core.monitor import Check, Checks, Joint
    from mlform_core.monitor_page import Series

PREDICTION: Final = "prediction"
TOGETHER: Final = "all inputs"


@dataclass(frozen=True)
class Reference:
    """What a model was trained on: the types of its inputs, and a profile of each column."""

    features: Mapping[str, str]
    profiles: Mapping[str, Any]
    sample: pd.DataFrame | None = None
    """Rows of it, where they are kept."""

    @property
    def together(self) -> list[str]:
        """The inputs that are looked at together: all but times."""
        return [n for n, kind in self.features.items() if kind != "timestamp"]


def kept(ctx: Context, data: Handle, split: str | None, known: Reference) -> Artifact:
    """Keep rows of the reference. Raises ``ResourceError`` where the table has not its columns."""
    from mlform_core import drift_joint
    from mlform_core.gate_measure import Rows

    rows = Rows(data, split)
    rows.check()
    rows.has(known.together, "data", "which the model needs")
    return drift_joint.sample(ctx, data, split, known.together)


def reference(
    ctx: Context, digest: str, without: Collection[str] = (), sample: Artifact | None = None
) -> Reference:
    """Read the reference out of a model's bundle, less what is not logged. ``ResourceError``."""
    try:
        meta, profiles = told(ctx.artifacts.path(digest))
    except (KeyError, ValueError):
        detail = f"The model {digest} that serves has no reference in the artifact store."
        raise ResourceError("No reference", detail, argument="target") from None
    types = {f["name"]: f["type"] for f in meta["features"] if f["name"] not in without}
    rows = None
    if sample is not None:
        import pandas as pd

        rows = pd.read_parquet(ctx.artifacts.path(sample.digest))
    return Reference(types, profiles, rows)


@dataclass
class Window:
    """Requests that one model answered, and how many rows it refused in between."""

    answered: list[Mapping[str, Any]] = field(default_factory=list)
    rows: int = 0
    refused: int = 0
    why: str = ""
    """Of the last refusal."""
    first: float = 0.0
    last: float = 0.0

    def take(self, entry: Mapping[str, Any]) -> None:
        """Add one entry of the log."""
        if not self.answered and not self.refused:
            self.first = entry["t"]
        self.last = entry["t"]
        if "e" in entry:
            self.refused, self.why = self.refused + int(entry["n"]), str(entry["e"])
        else:
            self.answered.append(entry)
            self.rows += len(entry["p"])


@dataclass
class Cutter:
    """Cuts a log into whole windows of ``rows`` rows answered by ``digest``.

    After ``windows`` is exhausted: ``mark`` is the cursor to begin at next time, ``open`` the
    window that is not yet whole, ``foreign`` and ``damaged`` count entries left out.
    """

    folder: Path
    digest: str
    rows: int
    mark: Mapping[str, Any] | None
    open: Window = field(default_factory=Window)
    foreign: int = 0
    damaged: int = 0

    def windows(self) -> Iterator[Window]:
        """Yield each whole window; refusals alone make one too, so that they are seen."""
        from mlform_core.serving.log import entries

        for entry, cursor in entries(self.folder, self.mark):
            if entry is None:
                self.damaged += 1
            elif entry.get("d") != self.digest:
                self.foreign += 1
            else:
                self.open.take(entry)
            if max(self.open.rows, self.open.refused) >= self.rows:
                whole, self.open = self.open, Window()
                self.mark = cursor
                yield whole
            elif not self.open.answered and not self.open.refused:
                self.mark = cursor


def measure(window: Window, known: Reference, checks: Checks) -> list[dict[str, Any]]:
    """Return the statistics of every column that is checked, as plain data."""
    from mlform_core.drift import shift

    if not window.rows:
        return []
    frame = _frame(window.answered, known)
    found: list[dict[str, Any]] = []
    for check, rule, names in chosen(known, checks):
        for name in names:
            seen = asdict(shift(known.profiles[name], name, frame[name], rule.method))
            found.append({"check": check, **{n: short(v) for n, v in seen.items()}})
    if checks.multivariate is not None and known.sample is not None:
        from mlform_core.drift_joint import apart

        names = [n for n in known.together if n in known.sample]
        told = apart(known.sample[names], frame[names], known.profiles)
        said = {"value": short(told.auc), "p": short(told.p), "rows": window.rows}
        one = {"check": "multivariate", "column": TOGETHER, "method": "classifier", **said}
        found.append({**one, "columns": list(told.columns)})
    return found


def shapes(window: Window, known: Reference, checks: Checks) -> list[dict[str, Any]]:
    """Return the shares of rows by bin, of the reference and of a window, column by column."""
    from mlform_core import drift, profiles

    if not window.rows:
        return []
    frame = _frame(window.answered, known)
    found = []
    for _, _, names in chosen(known, checks):
        for name in names:
            before = known.profiles[name]
            now = profiles.column(frame[name], before)
            sides = drift.bins(before, now)
            shares = [[short(float(n)) for n in side / max(side.sum(), 1)] for side in sides]
            called = drift.bin_names(before, now)
            found.append({"name": name, "bins": called, "before": shares[0], "now": shares[1]})
    return found


def series(windows: Sequence[Mapping[str, Any]], checks: Checks) -> list[Series]:
    """Return how far each column had moved, over the windows; those that moved furthest first."""
    from mlform_core.monitor_page import Series

    rules = _rules(checks)
    found: dict[tuple[str, str], list[float | None]] = {}
    for place, window in enumerate(windows):
        for one in window["statistics"]:
            rule = rules[one["check"]]
            if rule is not None and rule.method == one["method"]:
                key = one["check"], one["column"]
                found.setdefault(key, [None] * len(windows))[place] = one["value"]
    made = []
    for (check, name), values in found.items():
        rule = rules[check]
        assert rule is not None, "only what is checked is drawn"
        made.append(Series(f"{name} ({rule.method})", values, [rule.alarm]))
    return sorted(made, key=lambda s: -max(v or 0 for v in s.numbers) / s.limits[0])


def chosen(known: Reference, checks: Checks) -> Iterator[tuple[str, Check, list[str]]]:
    """Yield what is checked and in which columns. Raises ``ResourceError``.

    Inputs are all of the model's but times, which move by their nature, unless columns are named.
    """
    if checks.inputs is not None:
        names = checks.inputs.columns
        if names is None:
            names = [n for n, kind in known.features.items() if kind != "timestamp"]
        if unknown := [n for n in names if n not in known.features]:
            detail = (
                f"The model has no input {', '.join(unknown)}; it has {', '.join(known.features)}."
            )
            raise ResourceError("Unknown column", detail, argument="checks")
        yield "inputs", checks.inputs, names
    if checks.predictions is not None:
        yield "predictions", checks.predictions, [PREDICTION]


def _rules(checks: Checks) -> dict[str, Check | Joint | None]:
    return {
        "inputs": checks.inputs,
        "predictions": checks.predictions,
        "multivariate": checks.multivariate,
    }


def judge(
    statistics: Sequence[Mapping[str, Any]], checks: Checks, chance: float
) -> list[dict[str, Any]]:
    """Return the columns that moved, worst first: not by chance, and surely by more than matters.

    ``chance``: that of any false finding in the window (Holm). What they moved by at least is
    beyond the limit; the value is where no bound was measured (all inputs together, whose area has
    a small error; windows remembered from before there were bounds).
    """
    from mlform_core.holm import holm

    rules = _rules(checks)
    counted = []
    for found in statistics:
        rule = rules[found["check"]]
        if rule is not None and rule.method == found["method"]:
            counted.append((found, rule.alarm))
    adjusted = holm([found["p"] for found, _ in counted])
    findings = [
        {**found, "threshold": alarm, "p_adjusted": short(p)}
        for (found, alarm), p in zip(counted, adjusted, strict=True)
        if found.get("low", found["value"]) > alarm and p < chance
    ]
    return sorted(findings, key=lambda f: (-f["value"] / f["threshold"], f["column"]))


def incidents(window: Window, known: Reference) -> list[dict[str, Any]]:
    """Return how the data of a window are broken, rather than moved."""
    found: list[dict[str, Any]] = []
    if window.refused > window.rows:
        share = short(window.refused / (window.refused + window.rows))
        schema = {"check": "schema", "column": None, "value": share, "threshold": 0.5}
        found.append({**schema, "why": window.why})
    if not window.rows:
        return found
    for name in known.features:
        before = known.profiles.get(name, {"missing": 1, "rows": 1})
        values = (v for entry in window.answered for v in entry["i"].get(name, ()))
        if before["missing"] * 2 < before["rows"] and all(v is None for v in values):
            missing = {"value": 1.0, "threshold": 1.0, "sign": "≥", "method": "missing"}
            found.append({"check": "missing", "column": name, **missing})
    return found


def describe(broken: Sequence[Mapping[str, Any]], moved: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence what was found."""
    if broken:
        columns = [str(f["column"]) for f in broken if f["check"] == "missing"]
        said = [
            f"{f['value']:.0%} of rows were refused: {f['why']}"
            for f in broken
            if f["check"] == "schema"
        ]
        if columns:
            said.append(f"no values at all in {', '.join(columns)}")
        return "; ".join(said)
    worst = ", ".join(f"{f['column']} ({f['method']} {f['value']:.2f})" for f in moved[:3])
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"drift in {worst}{more}"


def _frame(answered: Sequence[Mapping[str, Any]], known: Reference) -> pd.DataFrame:
    """Return logged rows in the types that profiles were made of."""
    import pandas as pd

    columns = {}
    for name, kind in known.features.items():
        values = [v for entry in answered for v in entry["i"][name]]
        if kind == "bool":
            values = [None if v is None else bool(v) for v in values]
        columns[name] = pd.Series(values, dtype=object)
    predicted = [p for entry in answered for p in entry["p"]]
    columns[PREDICTION] = pd.Series(predicted, dtype=object)
    return pd.DataFrame(columns)
