"""A plan as people read it: what would be done, why, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from mlform.address import Address
from mlform.lazy import dataclass, field
from mlform.plan import QUIET, Action, Estimate, Plan, Reason, Step
from mlform.render.consequences import consequences, counted
from mlform.render.demands import demand
from mlform.render.purge import purge_lines
from mlform.render.reasons import reason, reasons
from mlform.render.signs import IMPORT, LEGEND, ORDER, SIGNS
from mlform.render.style import Style, Styled
from mlform.render.times import lasting, together, totals
from mlform.render.values import value
from mlform.values import short

_SINGLY: Final = frozenset({Action.REPLACE, Action.DESTROY, Action.FORGET})
"""Actions that are never summed up: each is to be seen."""
_ALIKE: Final = 4
"""So many instances of one block with one action are shown as one."""
_LARGE: Final = 20
"""A plan that shows more than this has a line for a step with one reason."""
_NAMED: Final = 3
_OUTPUT: Final[Mapping[str, tuple[str, Style]]] = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "remove": ("-", "red"),
}


def plan(it: Plan, parallelism: int = 2) -> Styled:
    """Show every step that does something or is held, and the totals.

    ``parallelism`` is how many steps are taken to run at once.
    """
    said: Styled = []
    shown = list(_grouped(it))
    width = max((len(g.name) for g in shown), default=0)
    before = {str(s.address): s.estimate for s in it.steps if s.estimate is not None}
    lasts = max((len(g.lasting) for g in shown), default=0) if len(shown) > _LARGE else None
    for group in shown:
        said += group.told(width, before, lasts)
    if len(shown) > _LARGE:
        said.append(("", "\n"))
    for before_, after in it.moves.items():
        said += [("cyan", "  → "), ("", f"{before_} has moved to {after}: nothing is made anew\n")]
    if it.moves:
        said.append(("", "\n"))
    for address, waits in it.deferred.items():
        said += [
            ("yellow", f"? {address}"),
            ("", f"  deferred until {', '.join(waits)} is applied\n"),
        ]
    if it.deferred:
        text = "  How many there are is known once that is applied; then they are planned.\n\n"
        said.append(("dim", text))
    for note in it.notes:
        said += [("yellow", "  · "), ("", f"{note.address}: {note.text}\n")]
    if it.notes:
        said.append(("", "\n"))
    said += _outputs(it)
    said += [("yellow", f"{line}\n") for line in consequences(it)]
    recorded = it.imports or it.adoptions
    said += _totals(it, parallelism) if it.changes or recorded else _nothing(it)
    return [*said, ("dim", f"{header(it)}\n")]


def header(it: Plan) -> str:
    """Say what a plan is a function of."""
    head = f"state serial {it.serial} · spec {short(it.spec)} · observations "
    head += f"{short(it.observations)} · lock {short(it.lock)}"
    return head + (f" · as of {it.as_of}" if it.as_of else "")


@dataclass
class _Group:
    """Steps that are shown as one: instances of one block with one action, or a single step."""

    name: str
    steps: list[Step] = field(default_factory=list)

    @property
    def lasting(self) -> str:
        """How long it is expected to take."""
        return together(self.steps) if len(self.steps) > 1 else lasting(self.steps[0])

    def told(self, width: int, before: Mapping[str, Estimate], column: int | None) -> Styled:
        """Show it. With a ``column`` as wide as all durations, one reason stands behind it."""
        first, last = self.steps[0], self.lasting
        style, sign = IMPORT if _recorded(first) else SIGNS[first.action]
        many, brief = len(self.steps), column is not None
        lines = list(self._lines(before))
        beside = brief and len(lines) == 1
        padded = f"  {_word(first):<7}" if last or beside else f"  {_word(first)}"
        said: Styled = [
            (style, f"{sign} "),
            ("bold", f"{self.name:<{width}}"),
            (style, padded),
            ("bold", f"  × {many}" if many > 1 else ""),
            ("dim", f"  {last}" if last else ""),
        ]
        if column is not None and beside:
            pad = column - len(last) + (0 if last else 2)
            return [*said, ("", f"{' ' * pad}  {lines[0]}\n")]
        said.append(("", "\n"))
        said += [("", f"    {line}\n") for line in lines]
        return said if brief else [*said, ("", "\n")]

    def _lines(self, before: Mapping[str, Estimate]) -> Iterator[str]:
        """Say why: what all have in common, then what only some do."""
        told = [list(_why(s, before)) for s in self.steps]
        if len(told) == 1:
            yield from told[0]
            return
        names = [_instance(s.address) for s in self.steps]
        yield f"{', '.join(names[:_NAMED])} … {names[-1]}"
        common = [line for line in told[0] if all(line in lines for lines in told)]
        yield from common
        own = [
            f"{name} {line}"
            for name, lines in zip(names, told, strict=True)
            for line in lines
            if line not in common
        ]
        yield from own[:_NAMED]
        if len(own) > _NAMED:
            left = len(own) - _NAMED
            yield f"… and {left} more such line{'s' if left > 1 else ''} (-json has all)"


def _grouped(it: Plan) -> Iterator[_Group]:
    """Yield what is shown, in the order of the plan; a group stands where its first step does."""
    counts = Counter((s.address.config, s.action, _recorded(s)) for s in it.steps)
    groups: dict[tuple[Address, Action, bool], _Group] = {}
    found: list[_Group] = []
    for step in it.steps:
        if step.action is Action.NO_OP and not _recorded(step):
            continue
        alike = step.address.config, step.action, _recorded(step)
        if counts[alike] < _ALIKE or step.action in _SINGLY:
            found.append(_Group(str(step.address), [step]))
        elif alike in groups:
            groups[alike].steps.append(step)
        else:
            groups[alike] = _Group(str(alike[0]), [step])
            found.append(groups[alike])
    return iter(found)


def _taken_over(step: Step) -> bool:
    """Tell whether a step begins with recording what exists already."""
    return step.imported is not None and step.action is not Action.HELD


def _recorded(step: Step) -> bool:
    """Tell whether a step begins with recording what is there."""
    return _taken_over(step) or step.adopted is not None


def _word(step: Step) -> str:
    """Say what a step does."""
    if not _recorded(step):
        return step.action.value
    first = "import" if _taken_over(step) else "adopt"
    return first if step.action is Action.NO_OP else f"{first}, then {step.action.value}"


def _instance(address: Address) -> str:
    """Name an instance beside its block: by its key, or whole where modules have keys too."""
    if any(key is not None for _, key in address.module):
        return str(address)
    return str(address).removeprefix(str(address.config))


def _why(step: Step, before: Mapping[str, Estimate]) -> Iterator[str]:
    yield from _reasons(step, before)
    if step.action not in QUIET and (asked := demand(step.demand)):
        yield asked


def _reasons(step: Step, before: Mapping[str, Estimate]) -> Iterator[str]:
    if any(r.what == "new" for r in step.reasons):
        return (f"{n} = {value(step.arguments[n])}" for n in step.at)
    found: Iterator[str] = chain(reasons(step.reasons, before), purge_lines(step))
    if step.imported is not None and _taken_over(step):
        taken = Reason("imported", step.imported.id, at=step.imported.at)
        return chain([reason(taken)], found)
    return found


def _outputs(it: Plan) -> Styled:
    said: Styled = []
    for name, change in it.output_changes.items():
        sign, colour = _OUTPUT[change.action]
        after = "" if change.action == "remove" else value(it.outputs[name].value)
        before = "" if change.action == "add" else value(change.before)
        between = " → " if before and after else ""
        said += [(colour, f"{sign} output.{name}"), ("", f"  {before}{between}{after}\n")]
    return [*said, ("", "\n")] if said else said


def _nothing(it: Plan) -> Styled:
    if it.output_changes:
        return [("bold", "Outputs only. "), ("", "Applying it records them and runs nothing.\n")]
    if it.refresh == "only":
        return [("bold", "No changes. "), ("", "What was made is as it is recorded.\n")]
    if it.targets or it.excluded:
        return [("bold", "No changes "), ("", "in what is planned.\n")]
    if it.moves:
        return [("bold", "Moves only. "), ("", "Applying it records the new addresses.\n")]
    if it.held:
        return [
            ("bold", "No changes. "),
            ("", "What is held stays held until its cause is gone.\n"),
        ]
    return [("bold", "No changes. "), ("", "Everything declared is applied and up to date.\n")]


def _totals(it: Plan, parallelism: int) -> Styled:
    counts = Counter(s.action for s in it.steps)
    said: Styled = [
        ("dim", f"{SIGNS[a][1]} {a.value}: {text}\n") for a, text in LEGEND.items() if counts[a]
    ]
    listed = ", ".join(f"{counts[a]} {a.value}" for a in ORDER if counts[a])
    listed = counted(it, listed)
    unchanged = sum(s.action is Action.NO_OP and not _recorded(s) for s in it.steps)
    said += [("bold", "Plan: "), ("", f"{listed}; {unchanged} unchanged.\n")]
    return [*said, *(("", f"{line}\n") for line in totals(it, parallelism))]
