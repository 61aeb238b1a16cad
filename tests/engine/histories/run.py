"""Carrying a history out in this process, checking after every round what must hold."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import pbkdf2_hmac
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from tests.engine.histories.model import Round, write
from tests.engine.world import Inline

from mlform.address import Address
from mlform.apply import Event, Finished
from mlform.commands.applying import Applied, apply
from mlform.commands.options import PlanOptions
from mlform.commands.reapplying import update
from mlform.commands.session import Session
from mlform.commands.tainting import taint
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.execute import Message, Result, Task
from mlform.plan import Plan, dump, parse
from mlform.registry import Registry
from mlform.state.model import Snapshot
from mlform.state.store import SqlStore

_MODULE = re.compile(r"(module\.\w+\.?)+")
TARGET = "tests.engine.histories.provider:Strange"
_WRITES = {"intent", "failed", "put", "move", "forget", "put_outputs", "realise", "select"}


class Killed(BaseException):
    """The process died."""


class Mortal:
    """A store whose process dies at one of its writes."""

    def __init__(self, store: Any, at: int) -> None:
        self._store, self._left, self._guard = store, at, threading.Lock()
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in _WRITES:
            return method

        def write(*args: Any, **kwargs: Any) -> Any:
            with self._guard:
                if self.dead:
                    raise Killed
                self._left -= 2
                self.dead = self._left in {-1, 0}
                if self._left == -1:
                    raise Killed
            found = method(*args, **kwargs)
            if self.dead:
                raise Killed
            return found

        return write


@dataclass
class Weathered(Inline):
    """Inline, with what may befall a step."""

    round: Round = field(default_factory=lambda: Round(()))

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        name = Address.parse(task.context["address"]).name
        if name == self.round.stop:
            stop.set()
            return Result(cancelled=True)
        if task.method == "apply" and name in self.round.fail:
            self.calls.append((task.context["address"], task.method))
            return Result(error=None, lost="It was told to fail.")
        found = super().run(task, on_message, stop)
        return Result(lost="The worker vanished.") if name in self.round.lost else found


@dataclass(frozen=True)
class Planned:
    """One plan that was carried out, and all that came of it."""

    plan: Plan
    before: Snapshot
    after: Snapshot
    events: tuple[Event, ...]
    calls: tuple[tuple[str, str], ...]

    @property
    def finished(self) -> list[Finished]:
        return [e for e in self.events if isinstance(e, Finished)]


@dataclass(frozen=True)
class Done:
    """What came of a round: the plans carried out; ``killed`` or refused."""

    plans: tuple[Planned, ...]
    applied: Applied | None
    killed: bool = False
    refused: str = ""

    @property
    def whole(self) -> bool:
        """Whether all that was declared was applied, or held."""
        if self.applied is None or self.applied.outcome is None:
            return False
        plan, outcome = self.applied.plan, self.applied.outcome
        partly = plan.targets or plan.excluded or undecided(plan, outcome.held)
        return outcome.complete and not partly


def undecided(plan: Plan, held: Iterable[Address]) -> set[str]:
    """Return what is deferred for any other reason than that it waits for what is held."""
    resources = {a: [w for w in on if not _MODULE.fullmatch(w)] for a, on in plan.deferred.items()}
    waits = {a: {Address.parse(w).config for w in on} for a, on in resources.items()}
    stuck = {a.config for a in held}
    while more := {a for a, on in waits.items() if on & stuck}:
        stuck |= {Address.parse(a).config for a in more}
        waits = {a: on for a, on in waits.items() if a not in more}
    return set(waits)


def _quick(text: bytes, *, salt: bytes, dklen: int, **_cost: int) -> bytes:
    """Hash as scrypt does, at no cost: it took a sixth of each history."""
    return pbkdf2_hmac("sha256", text, salt, 1, dklen)


@dataclass
class Place:
    """The folder of one history."""

    root: Path
    package: int = 1
    secret: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.store = SqlStore(f"sqlite:///{self.root}/.mlform/state.db")

    @contextmanager
    def lent(self, executor: Inline) -> Iterator[None]:
        """Put the executor, the packages, no git and a quick hash in the place of the real ones."""

        def environment(names: Any, _lock: Any = None) -> dict[str, str]:
            return {name: str(self.package) for name in names}

        # Functions: a stand-in of `mock` is dear, and made anew for each run.
        def local(*_given: Any, **_named: Any) -> Inline:
            return executor

        def worked(_root: Path) -> dict[str, Any]:
            return self.provenance

        def tainted(_root: Path) -> dict[str, Any]:
            return {"by": "someone"}

        with (
            mock.patch("mlform.execute.LocalExecutor", local),
            mock.patch("mlform.commands.working.provenance", worked),
            mock.patch("mlform.commands.tainting.provenance", tainted),
            mock.patch("mlform.refresh.observe.environment", environment),
            mock.patch("mlform.apply.current.environment", environment),
            mock.patch("hashlib.scrypt", _quick),
        ):
            yield

    def session(self) -> Session:
        given = [("var", f"secret={self.secret}")] if self.secret else []
        session = Session(self.root, Given(given, {}), Registry({"strange": TARGET}))
        session.__dict__["store"] = self.store
        return session

    def snapshot(self) -> Snapshot:
        return self.store.snapshot()

    def _prepare(self, round_: Round) -> None:
        self.package, self.secret = round_.package, round_.secret

    def plan(self, round_: Round, snapshot: Snapshot | None = None) -> Plan:
        self._prepare(round_)
        session = self.session()
        with self.lent(Inline()):
            now = snapshot or session.store.snapshot()
            return session.plan(now, self._options(round_, now))

    def apply(self, round_: Round) -> Done:
        """Plan and apply, as the command does."""
        self._prepare(round_)
        executor, session = Weathered(round=round_), self.session()
        plans: list[Planned] = []
        events: list[Event] = []
        open_: list[tuple[Plan, Snapshot]] = []

        def close() -> None:
            for plan, before in open_:
                calls = tuple(executor.calls)
                plans.append(Planned(plan, before, self.snapshot(), tuple(events), calls))
            open_.clear()
            events.clear()
            executor.calls.clear()

        def approve(plan: Plan) -> bool:
            close()
            open_.append((plan, self.snapshot()))
            return True

        with self.lent(executor):
            saved = None
            try:
                options = self._options(round_, session.store.snapshot())
                if round_.saved:
                    saved = parse(dump(self.session().plan(session.store.snapshot(), options)))
                if round_.kill:
                    session.__dict__["store"] = Mortal(session.store, round_.kill)
                applied = apply(
                    session,
                    approve,
                    events.append,
                    options,
                    saved=saved,
                    parallelism=round_.parallelism,
                )
            except DiagnosedError as error:
                close()
                first = error.diagnostics.errors[0]
                return Done(tuple(plans), None, refused=f"{first.summary}: {first.detail}")
            except Killed:
                close()
                return Done(tuple(plans), None, killed=True)
        close()
        return Done(tuple(plans), applied)

    def _options(self, round_: Round, snapshot: Snapshot) -> PlanOptions:
        def named(name: str) -> tuple[str, ...]:
            """Return the address of a block, if the spec or the state has it."""
            if not name:
                return ()
            project, _ = self.session().configured
            known = {*project.resources, *snapshot.records}
            found = sorted({str(a.config) for a in known if a.name == name and not a.module})
            return tuple(found[:1])

        return PlanOptions(
            targets=named(round_.target),
            exclude=named(round_.exclude) if not round_.target else (),
            replace=named(round_.replace),
            refresh=round_.refresh,
        )

    def _taint(self, round_: Round, session: Session) -> None:
        known = [a for a in session.store.snapshot().records if a.name == round_.taint]
        if known:
            taint(session, str(min(known)), tainted=True)

    def befall(self, round_: Round) -> None:
        """Let happen what happens before an apply: out there, and what is said of records."""
        self._prepare(round_)
        if round_.update:
            with self.lent(Inline()), suppress(DiagnosedError):
                update(self.session(), ())
        if round_.taint:
            with self.lent(Inline()):
                self._taint(round_, self.session())
        rng = Random(str(round_.drift))  # noqa: S311 - a game, no secret
        for what in round_.drift:
            local = self.root / ".mlform"
            if what == "rot":
                files = sorted(p for p in (local / "store" / "objects").rglob("*") if p.is_file())
            else:
                files = sorted((local / "resources").rglob("shown"))
            if not files:
                continue
            chosen = rng.choice(files)
            if what == "edit":
                chosen.write_text("7")
            else:
                chosen.chmod(0o600)
                chosen.unlink()


def shuffled(snapshot: Snapshot, seed: int) -> Snapshot:
    """Return a snapshot with its records in another order."""
    items = list(snapshot.records.items())
    Random(seed).shuffle(items)  # noqa: S311 - a game, no secret
    return replace(snapshot, records=dict(items))


def calm(round_: Round) -> Round:
    """Return a round in which nothing befalls and all is asked for."""
    return Round(
        round_.blocks,
        round_.module,
        round_.taken,
        files=round_.files,
        code=round_.code,
        package=round_.package,
        secret=round_.secret,
        imports=round_.imports,
    )


def written(place: Place, round_: Round) -> None:
    """Write a round to its place."""
    write(round_, place.root)


def results(snapshot: Snapshot) -> Mapping[str, tuple[str, str]]:
    """Return what each resource is worth: its key and its digest."""
    return {str(a): (r.key, r.digest) for a, r in snapshot.records.items()}
