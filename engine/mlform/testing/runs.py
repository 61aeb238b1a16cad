"""Carry out the runs of one file, in order, on a state that they share."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias

from mlform.commands.applying import Applied, apply
from mlform.commands.options import PlanOptions
from mlform.config import Given
from mlform.config.conditions import judge
from mlform.config.providers import provider_names
from mlform.config.stead import full_name, renamed
from mlform.diagnostics import DiagnosedError, Diagnostic, Diagnostics, Severity, did_you_mean
from mlform.lang import evaluate
from mlform.lang.worth import worth
from mlform.lazy import dataclass, field
from mlform.refresh.scope import Scope
from mlform.refresh.world import handle_of
from mlform.render.console import console
from mlform.render.plan import plan as shown
from mlform.render.style import paint
from mlform.syntax.tree import Attribute, Block
from mlform.testing.files import Run, TestFile
from mlform.testing.mocks import MockedRegistry
from mlform.testing.trial import Trial
from mlform.values import Value, plain


class Status(StrEnum):
    """How a run ended."""

    PASS = "pass"  # noqa: S105 - how a test ended
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"


@dataclass(frozen=True)
class Outcome:
    """What came of one run, or (``run`` empty) of taking down what a file's runs had made."""

    file: str
    run: str
    status: Status
    seconds: float = 0.0
    problems: tuple[Diagnostic, ...] = ()
    plan: str = ""
    """The plan as text, where it was asked for."""


_CONDITIONS: Final = frozenset(
    {"Invalid variable value", "Precondition failed", "Postcondition failed", "Check failed"}
)
_JUDGED: Final = _CONDITIONS | {
    "Test assertion failed",
    "Missing expected failure",
    "Unknown condition",
    "Invalid condition",
}
"""What makes a test fail; whatever else goes wrong is an error, after which nothing is sure."""

Reporter: TypeAlias = Callable[[Outcome], None]


def run_file(
    root: Path, file: TestFile, given: Given, report: Reporter, *, verbose: bool = False
) -> list[Outcome]:
    """Carry out a file's runs; after an error the others are skipped. Takes down what was made."""
    with tempfile.TemporaryDirectory(prefix="mlform-test-") as folder:
        runner = _Runner(root, file, given, Path(folder), verbose)
        outcomes = []
        for outcome in runner.outcomes():
            outcomes.append(outcome)
            report(outcome)
        return outcomes


@dataclass
class _Runner:
    root: Path
    file: TestFile
    given: Given
    folder: Path
    verbose: bool
    results: dict[str, Value] = field(default_factory=dict)
    """Run → its outputs."""
    trials: dict[str, Trial] = field(default_factory=dict)
    """State key → the last trial that applied to that state."""

    def outcomes(self) -> Iterator[Outcome]:
        broken = False
        try:
            for run in self.file.runs:
                if broken:
                    yield Outcome(self.file.name, run.name, Status.SKIP)
                    continue
                outcome = self._outcome(run)
                broken = outcome.status is Status.ERROR
                yield outcome
        finally:
            left = list(self._taken_down())
        yield from left

    def _outcome(self, run: Run) -> Outcome:
        began = time.monotonic()
        try:
            problems, plan = self._carried_out(run)
            status = _status(problems)
        except DiagnosedError as error:
            problems, plan, status = list(error.diagnostics), "", Status.ERROR
        seconds = time.monotonic() - began
        return Outcome(self.file.name, run.name, status, seconds, tuple(problems), plan)

    def _carried_out(self, run: Run) -> tuple[list[Diagnostic], str]:
        trial = self._trial(run)
        options = PlanOptions(targets=run.targets, refresh=run.refresh, replace=run.replace)
        failures: list[Diagnostic] = []
        applied: Applied | None = None
        try:
            if run.apply:
                self.trials.pop(run.state or run.module, None)
                self.trials[run.state or run.module] = trial
                applied = apply(trial, lambda _plan: True, lambda _event: None, options)
                plan = applied.plan
                failures += _failures(applied)
                if applied.outcome is not None and applied.outcome.interrupted:
                    raise KeyboardInterrupt
            else:
                plan = trial.plan(trial.snapshot(), options)
        except DiagnosedError as error:
            if not run.expected:
                raise
            return self._unexpected(run, list(error.diagnostics)), ""
        warned = [d for d in trial.diagnostics if d.summary == "Check failed"]
        problems = self._unexpected(run, failures + warned)
        if applied is None or (applied.outcome and applied.outcome.complete):
            problems += self._asserts(run, trial)
        return problems, self._shown(plan)

    def _shown(self, plan: Any) -> str:
        if not self.verbose:
            return ""
        return paint(shown(plan), colour=False)

    def _trial(self, run: Run) -> Trial:
        diagnostics = Diagnostics()
        values = {**self.file.variables, **run.variables}
        scope: dict[str, Value] = {"run": dict(self.results)}
        known: dict[str, Value] = {}
        for name, attribute in values.items():
            seen = {**scope, "var": dict(known)}
            known[name] = evaluate(attribute.expr, seen, diagnostics, attribute.source)
        overrides = {**self.file.mocks.overrides, **run.overrides}
        registry = MockedRegistry(
            mocked=self.file.mocks.providers,
            defaults={k: _data(a, diagnostics) for k, a in self.file.mocks.defaults.items()},
            overrides={k: _data(a, diagnostics) for k, a in overrides.items()},
        )
        diagnostics.stop_on_errors()
        state = run.state or run.module
        place = self.folder / hashlib.sha256(state.encode()).hexdigest()[:16]
        place.mkdir(exist_ok=True)
        return Trial(
            root=self.root / run.module if run.module else self.root,
            given=Given(
                self.given.items,
                self.given.environment,
                known,
                providers=self._providers(run),
                modules={} if run.module else {**self.file.mocks.modules, **run.modules},
            ),
            registry=registry,
            folder=place,
            test_texts={self.file.name: self.file.text},
        )

    def _providers(self, run: Run) -> Sequence[Block]:
        """Return the provider blocks of the file that count in a run, under their names there."""
        if run.providers is None:
            return () if run.module else self.file.providers
        diagnostics = Diagnostics()
        here = {full_name(block): block for block in self.file.providers}
        found: list[Block] = []
        for inside, name in provider_names(run.providers, diagnostics).items():
            if name in here:
                found.append(renamed(here[name], inside))
            elif name != inside or name not in self.file.mocks.providers:
                detail = (
                    f'This file has no provider block "{name}".{did_you_mean(name, here)} '
                    f"It has {', '.join(here) or 'none'}."
                )
                diagnostics.error("Unknown provider", detail, at=run.providers.value_span)
        diagnostics.stop_on_errors()
        return found

    def _asserts(self, run: Run, trial: Trial) -> list[Diagnostic]:
        """Judge the asserts of a run, and keep its outputs for those after it."""
        project, _ = trial.configured
        scope = trial.scope
        if run.apply or scope is None:
            trial.know(trial.snapshot())
            project, _ = trial.configured
            scope = _recorded(trial)
        outputs = {n: scope.value(o.value) for n, o in project.outputs.items()}
        self.results[run.name] = outputs
        roots = {**scope.modules[()].roots, "output": outputs, "run": dict(self.results)}
        found = Diagnostics()
        for rule in run.rules:
            before = len(found.errors)
            verdict = judge(rule, roots, found)
            if len(found.errors) > before:
                continue
            at = rule.condition.value_span
            if verdict.holds is None:
                detail = "The condition rests on what is known only after apply. " + _mend(run)
                found.error("Unknown condition", detail, at=at)
            elif not verdict.holds:
                written = rule.condition
                seen = worth(written.expr, written.source, roots, lambda v: console(v, 2))
                found.error("Test assertion failed", f"{verdict.message}{seen}", at=at)
        return list(found)

    def _unexpected(self, run: Run, failures: list[Diagnostic]) -> list[Diagnostic]:
        """Return the failures that were not expected, and those that were and did not come."""
        missing = Diagnostics()
        met: set[str] = set()
        left = []
        for failure in failures:
            about = next((e for e in run.expected if failure.address == e), None)
            if failure.summary not in _CONDITIONS:
                about = None
            if about is None:
                left.append(failure)
            else:
                met.add(about)
        if any(address.startswith("var.") for address in met):
            left = []  # a value that is refused makes everything after it an echo
        for address in run.expected:
            if address not in met:
                detail = f"{address} was expected to fail, and did not."
                missing.error("Missing expected failure", detail, at=run.span)
        kept = [d for d in left if d.severity is Severity.ERROR or not run.expected]
        return [*kept, *missing]

    def _taken_down(self) -> Iterator[Outcome]:
        for trial in reversed(list(self.trials.values())):
            began = time.monotonic()
            try:
                done = apply(
                    trial, lambda _plan: True, lambda _event: None, PlanOptions(destroy=True)
                )
            except DiagnosedError as error:
                problems = tuple(error.diagnostics)
            else:
                problems = tuple(_failures(done))
            if any(p.severity is Severity.ERROR for p in problems):
                seconds = time.monotonic() - began
                yield Outcome(self.file.name, "", Status.ERROR, seconds, problems)


def _status(problems: list[Diagnostic]) -> Status:
    errors = [p for p in problems if p.severity is Severity.ERROR]
    if not errors:
        return Status.PASS
    return Status.FAIL if all(p.summary in _JUDGED for p in errors) else Status.ERROR


def _data(attribute: Attribute | None, diagnostics: Diagnostics) -> Mapping[str, Any]:
    if attribute is None:
        return {}
    value = evaluate(attribute.expr, {}, diagnostics, attribute.source)
    if not isinstance(value, Mapping):
        detail = "Mocked attributes are an object: { NAME = VALUE }."
        diagnostics.error("Invalid mock", detail, at=attribute.value_span)
        return {}
    found: dict[str, Any] = plain(value, reveal=True)
    return found


def _recorded(trial: Trial) -> Scope:
    """Return what everything is worth after an apply."""
    snapshot = trial.snapshot()
    project, _ = trial.configured
    scope = Scope(project, snapshot, Diagnostics())
    for address, resource in project.resources.items():
        if (record := snapshot.records.get(address)) is not None:
            scope.put(address, handle_of(record, resource.offer.resource))
    return scope


def _failures(applied: Applied) -> list[Diagnostic]:
    """Return what went wrong in an apply as problems, by address."""
    outcome = applied.outcome
    if outcome is None:
        return []
    found = [
        Diagnostic(Severity.ERROR, f.summary, f.detail, address=str(f.address))
        for f in outcome.failures
    ]
    for summary, detail, _ in outcome.warnings:
        severity = Severity.WARNING if summary == "Check failed" else Severity.ERROR
        about = detail.partition(": ")[0]
        found.append(Diagnostic(severity, summary, detail, address=about))
    return found


def _mend(run: Run) -> str:
    return "Apply in this run, or ask for what is known." if not run.apply else "It was never made."
