"""From the request log and late labels to windows of rows that have both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mlform.sdk import Artifact, Context, ResourceError, counted, did_you_mean, seconds
from mlform_core.gate_rules import metrics_of
from mlform_core.models import told
from mlform_core.monitoring import log_folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlform_core.monitoring import Seen
    from mlform_core.performance import PerformanceArguments, PerformanceAttributes

    Hashes = npt.NDArray[np.uint64]

Key: TypeAlias = tuple[str, ...]
ID: Final = "id"
MOST_AHEAD: Final = 500
"""Windows that are judged before one that waits."""
MOST_USED: Final = 1_000_000
"""Rows that are remembered as used."""
LOGGED: Final = {"multiclass": ("accuracy", "macro_f1")}
"""Of these tasks the log has no probabilities."""


@dataclass
class Part:
    """What one model answered in a window, row by row."""

    keys: list[Key | None] = field(default_factory=list)
    predictions: list[Any] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Of slices and groups, where they are inputs."""
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    """Those of the model that estimates rest on."""

    def where(self, rows: Sequence[int]) -> Part:
        """Return some of the rows."""

        def some(values: Sequence[Any]) -> list[Any]:
            return [values[at] for at in rows]

        columns, inputs = ({n: some(v) for n, v in d.items()} for d in (self.columns, self.inputs))
        return Part(some(self.keys), some(self.predictions), columns, inputs)


@dataclass
class Span:
    """A window: requests that follow each other, by the digest of who answered."""

    parts: dict[str, Part] = field(default_factory=dict)
    rows: int = 0
    first: float = 0.0
    last: float = 0.0
    number: int = 0
    """Its place among all windows."""
    late: bool = False
    """Whether later ones were judged before it."""
    labels: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    """Of the rows that have one: the label, and the columns of slices that come with it."""

    def labelled(self) -> int:
        """Count the rows that have a label."""
        return sum(k in self.labels for part in self.parts.values() for k in part.keys)


def known_model(ctx: Context, digest: str) -> dict[str, Any]:
    """Return what a model says of itself. Raises ``ResourceError``."""
    try:
        return told(ctx.artifacts.path(digest))[0]
    except (KeyError, ValueError):
        detail = f"The model {digest} is not in the artifact store any more."
        raise ResourceError("Model not found", detail, argument="target") from None


def check(ctx: Context, rules: PerformanceArguments, serves: str) -> None:
    """Raise ``ResourceError`` for what cannot be measured of the model that serves."""
    meta = known_model(ctx, serves)
    task = str(meta["task"])
    known = LOGGED.get(task, metrics_of(task))
    named = [*rules.metrics(), *([] if rules.slices is None else rules.slices.metrics())]
    for name in named:
        if name not in known:
            raise _unknown_metric(name, task, known)
    if rules.estimates and task == "multiclass":
        detail = (
            "Without labels the performance of a model is estimated from its probabilities of two "
            "classes, or from the errors of its numbers; this is a multiclass model. "
            "Write labels = dataset.NAME."
        )
        raise ResourceError("Performance cannot be estimated", detail, argument="labels")
    if rules.estimates and task == "regression" and rules.data is None:
        detail = (
            "Without labels the performance of a regression is estimated from how large its errors "
            "were on the rows that the gate held out: write data and split as the gate has them."
        )
        raise ResourceError("Performance cannot be estimated", detail, argument="data")
    if rules.fairness is not None and task != "binary":
        detail = f"Fairness is measured on yes/no decisions; this is a {task} model."
        raise ResourceError("Fairness not defined for the task", detail, argument="fairness")
    inputs = {f["name"] for f in meta["features"]} - set(rules.target.attributes["redacted"])
    asked = set(rules.target.attributes.get("asked") or ())
    logged = inputs | asked | set(rules.target.attributes.get("keys") or ())
    _check_labels(rules, str(rules.label or meta["target"]), logged)
    beside = set() if rules.labels is None else set(rules.labels.attributes["columns"])
    for name in rules.columns():
        if name not in logged | beside:
            where = "the request log has" if rules.labels is None else "log and labels have"
            detail = f"{where} no column {name}.{did_you_mean(name, logged | beside)}"
            raise ResourceError("Unknown column", detail[0].upper() + detail[1:], argument="slices")


def _check_labels(rules: PerformanceArguments, label: str, logged: set[str]) -> None:
    if rules.labels is None:
        return
    there: Mapping[str, str] = rules.labels.attributes["columns"]
    for name, argument in ((label, "label"), *((k, "key") for k in rules.key)):
        if name not in there:
            detail = f"{rules.labels.address} has no column {name}.{did_you_mean(name, there)}"
            raise ResourceError("Unknown column", detail, argument=argument)
    for name in rules.key:
        if name != ID and name not in logged:
            detail = (
                f"The request log has no {name}: it is no input of the model, and no key. Write "
                f'log = {{ keys = ["{name}"] }} in {rules.target.address}, and send it along.'
            )
            raise ResourceError("Key not logged", detail, argument="key")
        if there[name] not in {"string", "int64"}:
            detail = f"{name} is {there[name]}: keys are texts or whole numbers."
            raise ResourceError("Not a key", detail, argument="key")


class Reader:
    """Reads windows off the log, each once, when it has come to its labels.

    After ``spans`` is exhausted: ``mark`` is the cursor to begin at next time, before which
    ``judged`` windows are, ``ahead`` the windows beyond that were judged, ``missing`` how many
    labels windows that are over still lack.
    """

    def __init__(
        self,
        ctx: Context,
        rules: PerformanceArguments,
        seen: PerformanceAttributes,
        now: float,
    ) -> None:
        import numpy as np

        self.rules, self.mark, self.now = rules, seen.watermark, now
        self.folder = log_folder(ctx, rules.target)
        self.ctx, self._used, used = ctx, seen.used, seen.used
        self.judged, self.ahead = seen.judged, list[dict[str, Any]]()
        losses = {m: known["losses"] for m, known in seen.released.items() if "losses" in known}
        self._inputs = {model: it["about"]["inputs"] for model, it in losses.items()}
        self._known = {_text(it["begin"]): it for it in seen.ahead}
        self._done = {int(it["number"]) for it in seen.ahead}
        self._waiting: Hashes = np.empty(0, dtype=np.uint64)
        self.missing = self.waiting = self.open = self.damaged = self.again = 0
        self.labels = _labels(ctx, rules)
        held = b"" if used is None else ctx.artifacts.read(used.digest)
        self._before: Hashes = np.frombuffer(held, dtype=np.uint64)
        self._fresh: list[Hashes] = []

    def spans(self) -> Iterator[Span]:
        """Yield each window that can be judged, in their order.

        One that waits for its labels holds up no later one, unless too many were judged already.
        """
        from mlform_core.serving.log import forgotten

        if forgotten(self.folder, self.mark):
            self.ctx.log("part of the request log went before labels came: keep more of it")
        number, begin, furthest = self.judged, self.mark, max(self._done, default=-1)
        for span, cursor in self._over():
            if isinstance(span, int):  # judged before
                number = max(number, span)
                self._past({"number": number, "begin": begin, "end": cursor})
            else:
                self._labelled(span)
                have = span.labelled()
                full = self.waiting > 0 and len(self.ahead) >= MOST_AHEAD
                if full or not self._ready(span, have):
                    self.waiting += 1
                    self.missing += span.rows - have
                    self._hold(span)
                else:
                    self._use(span)
                    span.number, span.late = number, number < furthest
                    self._past({"number": number, "begin": begin, "end": cursor})
                    yield span
            number, begin = number + 1, cursor

    def _past(self, window: dict[str, Any]) -> None:
        """Note that a window is judged: behind the mark, or ahead of one that waits."""
        self._done.add(window["number"])
        if self.waiting:
            self.ahead.append(window)
        else:
            self.mark, self.judged = window["end"], window["number"] + 1

    def apart(self, before: Seen, after: Seen) -> bool:
        """Tell whether any window between two is still to be judged."""
        if "number" not in before or "number" not in after:
            return False
        between = range(max(before["number"] + 1, self.judged), after["number"])
        return any(number not in self._done for number in between)

    def _ready(self, span: Span, have: int) -> bool:
        if self.rules.labels is None or have >= self.rules.window.enough * span.rows:
            return True
        return self.now - span.last >= seconds(self.rules.window.wait)

    def _over(self) -> Iterator[tuple[Span | int, dict[str, Any]]]:
        """Yield windows to which nothing is added any more, with the cursor after each.

        Of one that was judged, whatever windows were then, its number.
        """
        from mlform_core.serving.log import entries

        window = self.rules.window
        every = None if window.every is None else seconds(window.every)
        span, last, known = Span(), self.mark, None
        for entry, cursor in entries(self.folder, self.mark):
            if known is None and (known := self._known.get(_text(last))) and span.rows and last:
                yield span, dict(last)
                span = Span()
            if known is not None:
                last = cursor
                if cursor == known["end"]:
                    yield int(known["number"]), cursor
                    known = None
                continue
            self.damaged += entry is None
            if entry is not None and "e" not in entry and entry.get("r") != "shadow":
                if every and span.rows and entry["t"] // every > span.first // every:
                    yield span, dict(last or cursor)
                    span = Span()
                self._take(span, entry)
            last = cursor
            if window.rows is not None and span.rows >= window.rows:
                yield span, cursor
                span = Span()
        if every and span.rows and last is not None and self.now // every > span.first // every:
            yield span, dict(last)
        else:
            self.open = span.rows

    def _take(self, span: Span, entry: Mapping[str, Any]) -> None:
        rows = len(entry["p"])
        if not span.rows:
            span.first = entry["t"]
        span.last = entry["t"]
        span.rows += rows
        part = span.parts.setdefault(entry["d"], Part())
        part.predictions += entry["p"]
        part.keys += self._keys(entry, rows)
        for name in self.rules.columns():
            given = next(_said(entry, name, "i", "k", "raw"), [None] * rows)
            part.columns.setdefault(name, []).extend(given)
        for name in self._inputs.get(entry["d"], ()) if self.rules.estimates else ():
            part.inputs.setdefault(name, []).extend(entry["i"].get(name) or [None] * rows)

    def _keys(self, entry: Mapping[str, Any], rows: int) -> list[Key | None]:
        columns = []
        for name in self.rules.key:
            values = next(_said(entry, name, "k", "i", "raw"), None)
            if values is None and name == ID and rows == 1:
                values = [entry.get("id")]
            columns.append(values or [None] * rows)
        return [
            None if None in found else tuple(map(str, found))
            for found in zip(*columns, strict=True)
        ]

    def _labelled(self, span: Span) -> None:
        """Give a window its labels: a row that was asked for twice is the first that was."""
        import numpy as np

        for part in span.parts.values():
            for place, key in enumerate(part.keys):
                if key is None or key not in self.labels:
                    continue
                if key in span.labels:
                    part.keys[place] = None
                    self.again += 1
                else:
                    span.labels[key] = self.labels[key]
        if (len(self._before) or len(self._waiting)) and span.labels:
            old = np.isin(_hashes(span.labels), np.concatenate([self._before, self._waiting]))
            for key, was in zip(list(span.labels), old.tolist(), strict=True):
                if was:
                    del span.labels[key]
                    self.again += 1

    def _hold(self, span: Span) -> None:
        """Keep the rows of a window that waits for itself: it asked for them first."""
        import numpy as np

        if self.rules.labels is not None:
            keys = {k: None for part in span.parts.values() for k in part.keys if k is not None}
            self._waiting = np.concatenate([self._waiting, _hashes(keys)])

    def _use(self, span: Span) -> None:
        import numpy as np

        if span.labels:
            self._fresh.append(_hashes(span.labels))
            self._before = np.concatenate([self._before, self._fresh[-1]])[-MOST_USED:]

    def kept(self) -> Artifact | None:
        """Return the rows whose labels were used, as they are kept."""
        return (
            self._used if not self._fresh else self.ctx.artifacts.put_bytes(self._before.tobytes())
        )

    def tell(self, ctx: Context) -> None:
        """Say what is not judged yet, and why."""
        window = self.rules.window
        if self.damaged:
            ctx.log(f"left out: {counted(self.damaged, 'damaged line')} of the request log")
        if self.again:
            ctx.log(f"asked for before: {counted(self.again, 'row')}; a label is used once")
        if self.waiting:
            ctx.log(
                f"waiting for labels: {counted(self.waiting, 'window')}; {self.missing:,} rows "
                f"have none yet (judged with {window.enough:.0%} of them, or after {window.wait})"
            )
        if self.ahead:
            ctx.log(f"judged before one that waits: {counted(len(self.ahead), 'later window')}")
        if self.open and not self.waiting:
            of = f" of {window.rows:,}" if window.rows else ""
            ctx.log(f"{self.open:,}{of} rows in the window that is open")


def _text(cursor: Mapping[str, Any] | None) -> str:
    return json.dumps(cursor, sort_keys=True)


def _said(entry: Mapping[str, Any], name: str, *places: str) -> Iterator[list[Any]]:
    """Yield the values of a name in an entry of the log, from the first of the places on."""
    return (found for place in places if (found := entry.get(place, {}).get(name)))


def _hashes(keys: Mapping[Key, Any]) -> Hashes:
    import numpy as np

    digests = (hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _labels(ctx: Context, rules: PerformanceArguments) -> dict[Key, Mapping[str, Any]]:
    """Read the labels there are by key; of several with one key the last counts."""
    from mlform_core.tables import read_arrow

    if rules.labels is None:
        return {}
    there: Mapping[str, str] = rules.labels.attributes["columns"]
    label = rules.label or str(known_model(ctx, deployed_digest(rules))["target"])
    beside = [n for n in rules.columns() if n in there]
    table = read_arrow(ctx, rules.labels, list(dict.fromkeys([*rules.key, label, *beside])))
    keys = zip(*(table[name].to_pylist() for name in rules.key), strict=True)
    values = table[label].to_pylist()
    more = {name: table[name].to_pylist() for name in beside}
    found: dict[Key, Mapping[str, Any]] = {}
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is not None and None not in key:
            extra = {name: column[place] for name, column in more.items()}
            found[tuple(map(str, key))] = {"": value, **extra}
    return found


def deployed_digest(rules: PerformanceArguments) -> str:
    """Return the digest of the model that a monitor's target answers with."""
    return str(rules.target.attributes["answers"])


def _unknown_metric(name: str, task: str, known: Sequence[str]) -> ResourceError:
    """Return the refusal of a metric that is not defined for what a model does."""
    detail = (
        f"{name} is not defined for what the log has of a {task} model."
        f"{did_you_mean(name, known)} Defined: {', '.join(known)}."
    )
    return ResourceError("Metric not defined for the task", detail, argument="require")
