"""``console``: what expressions are worth, against the spec, the variables and the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from mlform.commands.session import Session
from mlform.config.sources import JSON_SUFFIX, SUFFIX
from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate, functions
from mlform.lang.provided import Provided, provided_root
from mlform.lang.registry import LIVE
from mlform.lang.worth import check_names
from mlform.lazy import dataclass, field
from mlform.syntax import parse_expression
from mlform.syntax.problems import UNCLOSED_BRACKET, UNCLOSED_HEREDOC, UNCLOSED_SEQUENCE
from mlform.syntax.tree import Call
from mlform.values import Handle, Value, is_known

INPUT: Final = "<console-input>"
_OPEN: Final = frozenset({UNCLOSED_BRACKET, UNCLOSED_HEREDOC, UNCLOSED_SEQUENCE})


@dataclass
class Console:
    """Evaluates one expression after another. Changes nothing."""

    session: Session
    planned: bool = False
    """What resources would be worth after an apply counts, not what is recorded."""
    noted: Diagnostics = field(default_factory=Diagnostics)
    """What is wrong with the values that were worked out so far."""

    @cached_property
    def roots(self) -> Mapping[str, Value]:
        """What expressions can refer to. Raises ``DiagnosedError`` where the spec is wrong."""
        session = self.session
        names = (p.name for p in session.root.iterdir())
        if not any(name.endswith((SUFFIX, JSON_SUFFIX)) for name in names):
            place: dict[str, Value] = {"module": ".", "root": ".", "cwd": str(session.root)}
            provided = Provided(session.registry.providers, session.registry.functions)
            roots: dict[str, Value] = {"path": place, "mlform": {"workspace": session.workspace}}
            return {**roots, **provided_root(provided), LIVE: True}
        from mlform.refresh.scope import Scope
        from mlform.refresh.world import handle_of, pending_handle

        snapshot = session.snapshot()
        if self.planned:
            session.plan(snapshot)
            assert session.scope is not None, "planning works out what everything is worth"
            return {**session.scope.modules[()].roots, LIVE: True}
        session.know(snapshot)
        project, _ = session.configured
        scope = Scope(project, snapshot, self.noted)
        for address, resource in project.resources.items():
            record, offered = snapshot.records.get(address), resource.offer.resource
            if record is None or record.type != offered.type:
                scope.put(address, pending_handle(address, offered, {}))
            else:
                scope.put(address, handle_of(record, offered))
        return {**scope.modules[()].roots, LIVE: True}

    def goes_on(self, text: str) -> bool:
        """Tell whether a text is the beginning of an expression with something left open."""
        problems = Diagnostics()
        parse_expression(text, INPUT, problems)
        return any(d.summary in _OPEN for d in problems.errors)

    def told(self, text: str) -> str:
        """Return what an expression is worth, as text. Raises ``DiagnosedError``."""
        from mlform.render.console import console, console_type

        problems = Diagnostics()
        expr, source = parse_expression(text, INPUT, problems)
        problems.stop_on_errors()
        asked = isinstance(expr, Call) and expr.name == "type" and len(expr.arguments) == 1
        if asked and isinstance(expr, Call):
            expr = expr.arguments[0]
        value = evaluate(expr, self.roots, problems, source)
        problems.stop_on_errors()
        check_names(expr, source, self.roots, problems)
        problems.stop_on_errors()
        if not is_known(value):
            # It may be unknown for what is wrong with a value that it rests on.
            self.noted.stop_on_errors()
        return console_type(value) if asked else console(value)

    def completions(self, start: str) -> Iterator[str]:
        """Yield what a name that begins so may be."""
        before, dot, last = start.rpartition(".")
        if not dot:
            words = [f"{name}(" for name in functions()]
            words += [name for name in self.roots if name.isidentifier()]
            yield from sorted(w for w in words if w.startswith(last))
            return
        found: Value = dict(self.roots)
        for step in before.split("."):
            found = found.attributes if isinstance(found, Handle) else found
            if not isinstance(found, Mapping) or step not in found:
                return
            found = found[step]
        names = found.attributes if isinstance(found, Handle) else found
        if isinstance(names, Mapping):
            yield from sorted(f"{before}.{name}" for name in names if name.startswith(last))
