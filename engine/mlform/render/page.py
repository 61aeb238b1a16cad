"""A plan as one web page that needs nothing else: the graph to look at, every step, the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from mlform.plan import Action, Deferred, Estimate, Plan, Step
from mlform.render.consequences import consequences, counted
from mlform.render.document import shown
from mlform.render.layout import HEIGHT, WIDTH, Layout, Point, layout
from mlform.render.purge import purge_lines
from mlform.render.reasons import reason_lines
from mlform.render.signs import LEGEND, ORDER, SIGNS
from mlform.render.times import lasting, totals
from mlform.render.values import value

_NAMES: Final = {
    Action.MAYBE: "maybe",
    Action.NO_OP: "noop",
}
"""Actions whose name is none for a class."""
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
_LABEL: Final = 21
"""So many letters of a name fit into a node."""
_MOST_DRAWN: Final = 2000
"""With more steps, only those that do something and what they take are drawn."""
_QUIET_SHOWN: Final = 40
"""Up to so many steps, the graph shows those with nothing to do as well."""


def page(it: Plan, parallelism: int = 2) -> str:
    """Return a plan as an HTML document without any reference to anything outside it."""
    ids = {str(s.address): f"s{n}" for n, s in enumerate(it.steps)}
    resources = files("mlform.render")
    style = resources.joinpath("page.css").read_text(encoding="utf-8")
    script = resources.joinpath("page.js").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f'<title>Plan: {escape(_headline(it))}</title>\n<link rel="icon" href="data:,">',
            f"<style>\n{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#steps">Go to the list of steps</a>',
            _header(it, parallelism),
            "<main>",
            _graph(it, ids),
            _list(it, ids),
            "</main>",
            f"<script>\n{script}</script>\n</body>\n</html>\n",
        ]
    )


def _headline(it: Plan) -> str:
    counts = Counter(s.action for s in it.steps)
    listed = ", ".join(f"{counts[a]} {a.value}" for a in ORDER if counts[a])
    listed = counted(it, listed)
    if not listed:
        only = "outputs" if it.output_changes else "moves"
        return "no changes" if it.empty else f"{only} only"
    return f"{listed}; {counts[Action.NO_OP]} unchanged"


def _header(it: Plan, parallelism: int) -> str:
    counts = Counter(s.action for s in it.steps)
    chips = "".join(
        f'<button type="button" class="chip a-{_name(a)}" data-action="{_name(a)}" '
        f'aria-pressed="true" title="{escape(LEGEND.get(a, "Show or fade these steps"))}">'
        f'<span class="sign" aria-hidden="true">{escape(SIGNS[a][1].strip() or "·")}</span>'
        f"<b>{counts[a]}</b> {escape('unchanged' if a is Action.NO_OP else a.value)}</button>"
        for a in [*ORDER, Action.NO_OP]
        if counts[a]
    )
    times = "".join(f"<p>{escape(line)}</p>" for line in totals(it, parallelism))
    if it.empty and not it.held:
        times = "<p>No changes: everything declared is applied and up to date.</p>"
    inputs = {
        "spec": it.spec,
        "state": f"serial {it.serial} of {it.lineage or '(new)'}",
        "observations": it.observations,
        "as of": it.as_of or "–",
        "lock": it.lock,
    }
    terms = "".join(
        f'<div><dt>{escape(n)}</dt><dd title="{escape(v)}">{escape(_digest(v))}</dd></div>'
        for n, v in inputs.items()
    )
    return (
        f'<header>\n<div class="top"><h1>Plan</h1><div class="chips" role="group" '
        f'aria-label="Filter by action">{chips}</div><label class="find">Find '
        '<input type="search" id="find" placeholder="address" autocomplete="off"></label></div>\n'
        f'<div class="times">{times}</div>\n'
        f'<dl class="inputs" aria-label="What this plan is a function of">{terms}</dl>\n</header>'
    )


def _digest(text: str) -> str:
    return text.removeprefix("sha256:")[:12] if text.startswith("sha256:") else text


def _name(action: Action) -> str:
    return _NAMES.get(action, action.value)


def _graph(it: Plan, ids: Mapping[str, str]) -> str:
    steps = {str(s.address): s for s in it.steps}
    busy = [s for s in it.steps if s.action is not Action.NO_OP]
    near = {str(a) for s in busy for a in s.refers_to} | {str(s.address) for s in busy}
    some = [n for n in steps if n in near]
    drawings = [("all", "Everything", list(steps))]
    if busy and len(some) < len(steps):
        drawings.insert(0, ("some", "What changes, and what it takes", some))
        if len(steps) <= _QUIET_SHOWN:
            drawings.reverse()
        elif len(steps) > _MOST_DRAWN:
            drawings.pop()
    switch = "".join(
        f'<button type="button" data-view="{key}" aria-pressed="{str(not n).lower()}">{said}'
        "</button>"
        for n, (key, said, _) in enumerate(drawings)
    )
    if len(drawings) == 1:
        switch = ""
    tools = (
        f'<div class="tools"><div role="group" aria-label="Which steps">{switch}</div>'
        '<div role="group" aria-label="Zoom"><button type="button" data-zoom="in" '
        'aria-label="Zoom in">+</button><button type="button" data-zoom="out" '
        'aria-label="Zoom out">−</button><button type="button" data-zoom="fit">Fit</button>'
        "</div></div>"
    )
    svgs = "".join(
        _svg(key, [steps[n] for n in names], ids, hidden=n > 0)
        for n, (key, _, names) in enumerate(drawings)
    )
    if not steps:
        svgs = '<p class="nothing">There is nothing to draw.</p>'
    return (
        f'<section class="graph" aria-label="Graph of steps">{tools}{svgs}'
        '<p class="help">Drag or arrow keys move, wheel or + and − zoom, 0 fits. '
        "A click on a step shows why.</p></section>"
    )


def _svg(key: str, steps: Sequence[Step], ids: Mapping[str, str], *, hidden: bool) -> str:
    names = [str(s.address) for s in steps]
    edges = [(str(a), str(s.address)) for s in steps for a in s.refers_to]
    found = layout(names, edges)
    pad = 24
    box = f"{-pad} {-pad} {found.width + 2 * pad:.0f} {found.height + 2 * pad:.0f}"
    return (
        f'<svg data-view="{key}" viewBox="{box}" role="group" tabindex="0" '
        f'aria-label="{len(steps)} steps"{" hidden" if hidden else ""}>'
        f"<g>{''.join(_edges(found, ids))}{''.join(_node(s, found, ids) for s in steps)}</g></svg>"
    )


def _edges(found: Layout, ids: Mapping[str, str]) -> Iterator[str]:
    for (a, b), points in found.edges.items():
        yield f'<path class="edge" data-from="{ids[a]}" data-to="{ids[b]}" d="{_curve(points)}"/>'


def _curve(points: Sequence[Point]) -> str:
    """Return a path through points, level at each of them."""
    x, y = points[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for end, height in points[1:]:
        if height == y:
            parts.append(f"H{end:.1f}")
        else:
            half = (end - x) / 2
            parts.append(
                f"C{x + half:.1f} {y:.1f} {end - half:.1f} {height:.1f} {end:.1f} {height:.1f}"
            )
        x, y = end, height
    return "".join(parts)


def _node(step: Step, found: Layout, ids: Mapping[str, str]) -> str:
    address, name = str(step.address), _name(step.action)
    x, y = found.nodes[address]
    label = address.removeprefix(f"{step.address.spot}{step.address.kind}.")
    above = f"{step.address.spot}{step.address.kind}"
    shows = "" if step.action is Action.NO_OP else step.action.value
    time = lasting(step)
    said = f"{address}: {step.action.value}{', ' + time if time else ''}"
    return (
        f'<a class="node a-{name}" href="#{ids[address]}" data-step="{ids[address]}" '
        f'aria-label="{escape(said)}" transform="translate({x:.1f} {y:.1f})">'
        f"<title>{escape(said)}</title>"
        f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="8"/>'
        f'<path class="bar" d="M8 0H6A6 6 0 0 0 0 6V{HEIGHT - 6:.0f}A6 6 0 0 0 6 {HEIGHT:.0f}H8Z"/>'
        f'<text class="kind" x="18" y="19">{escape(_cut(above, 20))}</text>'
        f'<text class="act" x="{WIDTH - 10:.0f}" y="19">{escape(shows)}</text>'
        f'<text class="name" x="18" y="39">{escape(_cut(label, _LABEL))}</text></a>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def _list(it: Plan, ids: Mapping[str, str]) -> str:
    before = {str(s.address): s.estimate for s in it.steps if s.estimate is not None}
    busy = [s for s in it.steps if s.action is not Action.NO_OP]
    quiet = [s for s in it.steps if s.action is Action.NO_OP]
    parts = [_step(s, ids, before) for s in busy]
    taken = [f"{s.address} from {s.imported.id}" for s in it.imports if s.imported]
    parts += [_extra("Imported", taken)]
    parts += [_extra("Adopted as found", [str(s.address) for s in it.adoptions])]
    parts += [_extra("Left out", list(consequences(it)))]
    parts += [_extra("Moved", [f"{a} is {b} now" for a, b in it.moves.items()])]
    waits = [f"{a} until {', '.join(w)} is applied" for a, w in it.deferred.items()]
    parts += [_extra("Deferred", waits)]
    parts += [_extra("Beside", [f"{n.address}: {n.text}" for n in it.notes])]
    parts += [_extra("Outputs", [_output(n, o.value, o.sensitive) for n, o in it.outputs.items()])]
    if quiet:
        inner = "".join(_step(s, ids, before) for s in quiet)
        parts.append(
            f'<details class="quiet"><summary>{len(quiet)} unchanged</summary>{inner}</details>'
        )
    return (
        '<section class="steps" id="steps" tabindex="-1" aria-label="Steps"><h2>Steps</h2>'
        f"{''.join(parts)}</section>"
    )


def _output(name: str, data: Any, sensitive: bool) -> str:  # noqa: FBT001 - as an output has it
    return f"{name} = {'(sensitive value)' if sensitive else value(data)}"


def _extra(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="extra"><h3>{title}</h3><ul>{items}</ul></div>'


def _step(step: Step, ids: Mapping[str, str], before: Mapping[str, Estimate]) -> str:
    address, name, time = str(step.address), _name(step.action), lasting(step)
    told = [*reason_lines(step.reasons, before), *purge_lines(step)]
    lines = [escape(line) for line in told]
    why = "".join(f"<li>{line}</li>" for line in lines)
    first = f'<span class="first">{lines[0]}</span>' if lines else ""
    more = f' <span class="more">+{len(lines) - 1}</span>' if len(lines) > 1 else ""
    sign = SIGNS[step.action][1].strip() or "·"
    needs = ", ".join(
        f'<a href="#{ids[str(a)]}">{escape(str(a))}</a>' for a in step.refers_to if str(a) in ids
    )
    return (
        f'<details class="step a-{name}" id="{ids[address]}" data-address="{escape(address)}">'
        f'<summary><span class="sign" aria-hidden="true">{escape(sign)}</span>'
        f'<span class="address">{escape(address)}</span>'
        f'<span class="act">{escape(step.action.value)}</span>'
        f'<span class="time">{escape(time)}</span>{first}{more}</summary>'
        f'<div class="inside">{f"<ul class=why>{why}</ul>" if why else ""}'
        f"{_arguments(step)}{_facts(step, needs)}</div></details>"
    )


def _facts(step: Step, needs: str) -> str:
    it = step.estimate
    found = {
        "type": escape(f"{step.type} ({step.provider})" if step.type else step.provider),
        "takes from": needs,
        "rows": f"{step.rows:,}" if step.rows is not None else "",
        "key": f'<span title="{step.key}">{_digest(step.key)}</span>' if step.key else "",
        "estimate": f"from {it.runs} earlier run{'s' if it.runs != 1 else ''}"
        if it is not None and it.runs
        else "never done before"
        if it is not None
        else "",
        "protected": "prevent_destroy" if step.protected else "",
    }
    rows = "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in found.items() if v)
    return f'<dl class="facts">{rows}</dl>'


def _arguments(step: Step) -> str:
    """Show arguments before and after: those that differ, and the others folded away."""
    removed = step.action in {Action.DESTROY, Action.FORGET}
    before: Mapping[str, Any] = step.recorded or {}
    names = list(dict.fromkeys([*step.at, *sorted({*before, *step.arguments})]))
    new = step.recorded is None
    changed: list[str] = []
    same: list[str] = []
    for name in names:
        old, now = before.get(name), step.arguments.get(name)
        if old is None and now is None:
            continue
        differs = not removed and (isinstance(now, Deferred) or shown(old) != shown(now))
        where = f' <span class="at">{escape(step.at[name])}</span>' if name in step.at else ""
        left = "" if new or not differs or old is None else f"<del>{escape(value(old))}</del>"
        right = escape(value(old if removed else now)) if removed or now is not None else ""
        right = f"<ins>{right}</ins>" if left and right else right
        row = (
            f'<tr><th scope="row">{escape(name)}{where}</th>'
            f"<td>{left}{' ' if left else ''}{right}</td></tr>"
        )
        (changed if differs and (name in step.at or not new) else same).append(row)
    parts = []
    if changed:
        parts.append(f"<table><tbody>{''.join(changed)}</tbody></table>")
    if same:
        what = "arguments" if not changed else "other arguments"
        parts.append(
            f"<details><summary>{len(same)} {what}</summary>"
            f"<table><tbody>{''.join(same)}</tbody></table></details>"
        )
    return "".join(parts)
