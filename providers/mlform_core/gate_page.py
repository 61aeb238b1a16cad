"""The evidence of a gate as a page to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from mlform_core.pictures import Plot, figure, forest, page, table

_SIGNS: Final = {"pass": "✓", "fail": "✗", "warn": "!", "waived": "~", "skipped": "–"}
_MOST: Final = 60
"""Slices that are drawn; all are in the table."""


def gate_page(address: str, evidence: Mapping[str, Any]) -> str:
    """Return the page of one verdict: the checks, the metrics, the curves, slices and groups."""
    passed = evidence["passed"]
    verdict = "passed" if passed else "failed"
    data = evidence["data"]
    part = f", part {data['split']}" if data["split"] else ""
    about = (
        f"<p class=dim>{evidence['rows']:,} labelled rows of {escape(data['address'])}"
        f"{escape(part)}; {escape(evidence['task'])}, target {escape(evidence['target'])}.<br>"
        f"{_uses(evidence.get('held_out'))}"
        f"Candidate {_short(evidence['candidate'])}, baseline {_short(evidence['baseline'])}.</p>"
    )
    body = [
        f"<h1>{escape(address)}: <span class={'pass' if passed else 'fail'}>{verdict}</span></h1>",
        about,
        "<h2>Checks</h2>",
        _checks(evidence["checks"]),
        "<h2>Metrics</h2>",
        _metrics(evidence["metrics"]),
        *_pictures(evidence),
        *_slices(evidence),
        *_searched(evidence.get("search")),
        *_fairness(evidence["fairness"]),
        *_disturbed(evidence.get("robustness")),
        *_costs(evidence.get("costs")),
    ]
    return page(f"{address}: {verdict}", body)


def _uses(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    many = f"{found['uses']:,} candidates have" if found["uses"] > 1 else "One candidate has"
    gates = escape(", ".join(found["gates"][:5]))
    return f"{many} been judged on these rows so far, by {gates}.<br>"


def _short(digest: str | None) -> str:
    return (
        "none" if digest is None else f"<code>{escape(digest.removeprefix('sha256:')[:12])}</code>"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"<span class={c['outcome']}>{_SIGNS[c['outcome']]} {c['outcome']}</span>",
            escape(c["message"]),
            f"{c['support']:,}",
        ]
        for c in sorted(checks, key=lambda c: c["outcome"] != "fail")
    ]
    return table(["outcome", "check", "rows"], rows, numbers=[2])


def _metrics(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    rows = [
        [escape(name), _number(found["candidate"]), _number(found.get("baseline"))]
        for name, found in metrics.items()
    ]
    return table(["metric", "candidate", "baseline"], rows, numbers=[1, 2])


def _pictures(evidence: Mapping[str, Any]) -> list[str]:
    ours, theirs = evidence["curves"]["candidate"], evidence["curves"]["baseline"] or {}
    drawn = [
        *_rates(ours, theirs),
        *_probabilities(ours, theirs),
        *_residuals(ours, theirs),
        *_confused(ours, evidence["classes"]),
    ]
    if not drawn:
        return []
    both = "Blue is the candidate, orange the baseline." if theirs else ""
    return [
        "<h2>Pictures</h2>",
        f"<p class=dim>{both}</p>",
        f"<div class=pictures>{''.join(drawn)}</div>",
    ]


def _rates(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    made = []
    for name, labels, said, guide in (
        ("roc", ("false positive rate", "true positive rate"), "ROC", [[0, 0], [1, 1]]),
        ("precision_recall", ("recall", "precision"), "Precision over recall", None),
    ):
        if name in ours:
            plot = Plot((0, 1), (0, 1), labels, said)
            if guide is not None:
                plot.line(guide, "guide")
            if name in theirs:
                plot.line(theirs[name], "two")
            made.append(figure(plot.line(ours[name]).svg(), said))
    return made


def _probabilities(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    if "calibration" not in ours:
        return []
    plot = Plot((0, 1), (0, 1), ("mean prediction", "share of yes"), "Calibration")
    plot.line([[0, 0], [1, 1]], "guide")
    if "calibration" in theirs:
        plot.ranges(theirs["calibration"], "two")
    said = "Calibration: tenths of the rows by prediction, with Wilson's 95 % bounds"
    made = [figure(plot.ranges(ours["calibration"]).svg(), said)]
    counts = ours["scores"]
    edges = [i / len(counts["no"]) for i in range(len(counts["no"]) + 1)]
    most = max([*counts["no"], *counts["yes"], 1])
    bars = Plot((0, 1), (0, most), ("prediction", "rows"), "Predictions")
    bars.bars(edges, counts["no"]).bars(edges, counts["yes"], "two")
    return [
        *made,
        figure(bars.svg(), "Predictions of the candidate; orange: rows whose label is yes"),
    ]


def _residuals(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    if "predicted" not in ours:
        return []
    rows = [*ours["predicted"], *theirs.get("predicted", ())]
    ends = min(min(r["mean"], r["low"]) for r in rows), max(max(r["mean"], r["high"]) for r in rows)
    plot = Plot(ends, ends, ("mean prediction", "mean of the target"), "Predicted and true")
    plot.line([[ends[0], ends[0]], [ends[1], ends[1]]], "guide")
    if "predicted" in theirs:
        plot.ranges(theirs["predicted"], "two")
    said = "Twentieths of the rows by prediction: mean of the target, with its 10 % and 90 % points"
    made = [figure(plot.ranges(ours["predicted"]).svg(), said)]
    edges, counts = ours["residuals"]["edges"], ours["residuals"]["counts"]
    bars = Plot((edges[0], edges[-1]), (0, max([*counts, 1])), ("residual", "rows"), "Residuals")
    bars.bars(edges, counts)
    return [*made, figure(bars.svg(), "Target minus prediction, without the outermost percent")]


def _confused(ours: Mapping[str, Any], classes: Sequence[Any]) -> list[str]:
    if "confusion" not in ours:
        return []
    names = [escape(str(c)) for c in classes]
    rows = []
    for name, counts in zip(names, ours["confusion"], strict=True):
        whole = sum(counts) or 1
        rows.append([name, *(f"{n:,} <span class=dim>{n / whole:.0%}</span>" for n in counts)])
    made = table(
        ["true, down; decided, across", *map(str, classes)], rows, range(1, len(names) + 1)
    )
    return [f"<div>{made}</div>"]


def _slices(evidence: Mapping[str, Any]) -> list[str]:
    checks = [c for c in evidence["checks"] if c["check"] == "slice" and c["low"] is not None]
    if not evidence["slices"]:
        return []
    made = ["<h2>Slices</h2>"]
    compared = [c for c in checks if c["gain"] is not None]
    by_metric = dict.fromkeys(c["metric"] for c in compared)
    for metric in by_metric:
        drawn = [
            {
                "name": c["slice"],
                "estimate": c["gain"],
                "low": c["low"],
                "high": c["high"],
                "bad": c["outcome"] in {"fail", "warn", "waived"},
                "limit": -c["threshold"],
            }
            for c in compared
            if c["metric"] == metric and c["high"] is not None
        ][:_MOST]
        said = f"Gain in {metric} over the baseline, one-sided bounds; the tick is what may be lost"
        made.append(figure(forest(drawn), said))
    names = list(dict.fromkeys(m for s in evidence["slices"] for m in s["metrics"]))
    rows = [
        [
            escape(s["slice"]),
            f"{s['rows']:,}",
            *(_both(s["metrics"].get(m, {})) for m in names),
        ]
        for s in evidence["slices"]
    ]
    return [*made, table(["slice", "rows", *names], rows, range(1, len(names) + 2))]


def _both(found: Mapping[str, float | None]) -> str:
    ours, theirs = _number(found.get("candidate")), _number(found.get("baseline"))
    return f"{ours} <span class=dim>({theirs})</span>" if theirs else ours


def _searched(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    made = ["<h2>Weak slices</h2>"]
    for key, said in (
        ("lost", f"Where the candidate lost {found['loss']} against the baseline"),
        ("weakest", f"Where its {found['loss']} is above the {_number(found['overall'])} of all"),
    ):
        if key in found:
            rows = [
                [escape(s["slice"]), f"{s['rows']:,}", _number(s["mean"]), f"{s['p']:.2g}"]
                for s in found[key]
            ]
            made.append(f"<p>{escape(said)}, with evidence among {found['tried']:,} slices:</p>")
            head = ["slice", "rows", "mean", "p"]
            made.append(table(head, rows, range(1, 4)) if rows else "<p>None.</p>")
    return made


def _disturbed(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [
        [escape(how), f"{it['amount']:g}", escape(metric), _number(lost)]
        for how, it in found.items()
        for metric, lost in it.get("loses", {it.get("refused", ""): None}).items()
    ]
    return ["<h2>Robustness</h2>", table(["inputs", "amount", "metric", "loses"], rows, [1, 3])]


def _costs(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [[escape(n), _number(v)] for n, v in found.items() if n != "machine"]
    said = f"<p class=dim>Measured on {escape(found['machine'])}, one row after the other.</p>"
    return ["<h2>Costs</h2>", said, table(["", ""], rows, [1])]


def _fairness(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [
        [
            escape(name) + ("" if g["counted"] else " <span class=dim>(too few rows)</span>"),
            f"{int(g['rows']):,}",
            _number(g["selection_rate"]),
            _number(g["true_positive_rate"]),
            _number(g["false_positive_rate"]),
        ]
        for name, g in found["groups"].items()
    ]
    head = [
        found["attribute"],
        "rows",
        "selection rate",
        "true positive rate",
        "false positive rate",
    ]
    said = ", ".join(f"{n} {_number(v)}" for n, v in found.get("measures", {}).items())
    return ["<h2>Fairness</h2>", table(head, rows, range(1, 5)), f"<p>{escape(said)}</p>"]
