"""A small world for tests: a toy provider that counts what ran, a real store, one-call runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from mlform.apply import Event, Finished, Outcome
from mlform.apply import apply as carry_out
from mlform.apply.run import World as Applying
from mlform.commands.applying import Applied
from mlform.commands.applying import apply as command
from mlform.commands.holding import telling
from mlform.commands.options import PlanOptions
from mlform.commands.provenance import new_run
from mlform.commands.session import Session
from mlform.config import Given
from mlform.execute import Message, Partial, Result, Task
from mlform.execute.call import call
from mlform.execute.failure import failure_of
from mlform.plan import Action, Plan
from mlform.registry import Registry
from mlform.sdk import (
    Actual,
    AnyResource,
    Arguments,
    Artifact,
    Attributes,
    CancelledError,
    Context,
    Decision,
    Held,
    Identity,
    Imported,
    Metadata,
    Operational,
    Provider,
    Resource,
    ResourceError,
    Secret,
    Stored,
    Volatile,
)
from mlform.sdk.provider import Settings

TARGET = "tests.engine.world:Toy"


class Piece(Arguments):
    name: str
    size: int = 0


class NodeArguments(Arguments):
    value: int = 0
    piece: list[Piece] = []
    shape: Piece | None = None
    uses: list[int] = []
    token: Secret[str] = ""
    where: Identity[str] = "here"
    size: Operational[int] = 1
    note: Metadata[str] = ""
    fail: Operational[bool] = False


class NodeAttributes(Attributes):
    parity: int
    thing: Artifact
    runs: Volatile[int] = 0
    greeting: Volatile[str] = ""


class Node(
    Resource[NodeArguments, NodeAttributes], kind="training_job", type="node", reusable=True
):
    """Gives the parity of its value and of all it uses: often the same, so cut-offs happen."""

    def __init__(self, greeting: str = "") -> None:
        self.greeting = greeting

    def apply(
        self, ctx: Context, new: NodeArguments, old: Stored[NodeArguments, NodeAttributes] | None
    ) -> NodeAttributes:
        ctx.progress(1, 1)
        if new.fail:
            raise ResourceError("Told to fail", f"value is {new.value}.", argument="fail")
        parity = (new.value + sum(new.uses)) % 2
        runs = 1 if old is None else old.attributes.runs + 1
        thing = ctx.artifacts.put_bytes(f"parity {parity}".encode())
        return NodeAttributes(parity=parity, thing=thing, runs=runs, greeting=self.greeting)

    def import_(
        self, ctx: Context, id_: str, new: NodeArguments | None
    ) -> Imported[NodeAttributes] | None:
        """Take the result in a file as that of whatever the block says."""
        file = ctx.root / id_
        if not file.is_file():
            return None
        result = file.read_text().strip()
        if not result.isdecimal():
            raise ResourceError("Not a result", f'{id_} holds "{result}", no number.')
        thing = ctx.artifacts.put_bytes(f"parity {result}".encode())
        return Imported(NodeAttributes(parity=int(result), thing=thing))


class JudgeArguments(Arguments):
    candidate: Any
    most: Decision[int] = 1


class JudgeAttributes(Attributes):
    passed: bool
    judged: str


class Judge(Resource[JudgeArguments, JudgeAttributes], kind="gate", type="most", reusable=True):
    """Passes a number that is at most a threshold."""

    imports = "a verdict is judged here"

    def apply(
        self, ctx: Context, new: JudgeArguments, old: Stored[JudgeArguments, JudgeAttributes] | None
    ) -> JudgeAttributes:
        return JudgeAttributes(passed=new.candidate <= new.most, judged=str(new.candidate))


class ServiceArguments(Arguments):
    shows: int
    gates: list[Any] = []
    where: Identity[str] = "here"
    size: Operational[int] = 1


class ServiceAttributes(Attributes):
    shown: int
    held: Held[tuple[str, ...]] = ()


class Service(Resource[ServiceArguments, ServiceAttributes], kind="deployment", type="file"):
    """Shows a number in a file: something out there that can be changed by hand."""

    def apply(
        self,
        ctx: Context,
        new: ServiceArguments,
        old: Stored[ServiceArguments, ServiceAttributes] | None,
    ) -> ServiceAttributes:
        ctx.home.mkdir(parents=True, exist_ok=True)
        (ctx.home / "shown").write_text(str(new.shows))
        return ServiceAttributes(shown=new.shows)

    def import_(
        self, ctx: Context, id_: str, new: ServiceArguments | None
    ) -> Imported[ServiceAttributes] | None:
        file = ctx.root / id_
        if not file.is_file():
            return None
        shown, _, held = file.read_text().partition(" ")
        ctx.home.mkdir(parents=True, exist_ok=True)
        (ctx.home / "shown").write_text(shown)
        why = (held,) if held else ()
        return Imported(ServiceAttributes(shown=int(shown), held=why), {"shows": int(shown)})

    def read(
        self, ctx: Any, old: Stored[ServiceArguments, ServiceAttributes]
    ) -> ServiceAttributes | None:
        file = ctx.home / "shown"
        return ServiceAttributes(shown=int(file.read_text())) if file.exists() else None

    def destroy(self, ctx: Context, old: Stored[ServiceArguments, ServiceAttributes]) -> str:
        (ctx.home / "shown").unlink(missing_ok=True)
        return "nothing"


class SizedArguments(Arguments):
    size: Operational[int] = 1


class SizedAttributes(Attributes):
    size: Actual[int]
    made: Volatile[int] = 0


class Sized(Resource[SizedArguments, SizedAttributes], kind="model", type="sized"):
    """Has a size that can be changed by hand, in a file."""

    def apply(
        self,
        ctx: Context,
        new: SizedArguments,
        old: Stored[SizedArguments, SizedAttributes] | None,
    ) -> SizedAttributes:
        ctx.home.mkdir(parents=True, exist_ok=True)
        (ctx.home / "size").write_text(f"{new.size} 1")
        return SizedAttributes(size=new.size, made=1)

    def read(
        self, ctx: Any, old: Stored[SizedArguments, SizedAttributes]
    ) -> SizedAttributes | None:
        size, made = (ctx.home / "size").read_text().split()
        return SizedAttributes(size=int(size), made=int(made))


class ToySettings(Settings):
    greeting: str = ""


class Toy(Provider):
    settings = ToySettings

    def resources(self) -> Sequence[AnyResource]:
        given = self.given
        assert isinstance(given, ToySettings)
        return [Node(given.greeting), Judge(), Service(), Sized()]

    @classmethod
    def functions(cls) -> Sequence[Callable[..., Any]]:
        return [slug, total, largest, described, broken, liar]


class Copied(Service, kind="deployment", type="copied"):
    """A second type of deployment."""


class Second(Provider):
    """Offers beside the toy what is of the same kind."""

    def resources(self) -> Sequence[AnyResource]:
        return [Copied()]


def slug(text: str, mark: str) -> str:
    """Return text in lower case, with a mark for each space."""
    if len(mark) != 1:
        raise ResourceError("Invalid mark", f'"{mark}" is not one character.', argument="mark")
    return text.lower().replace(" ", mark)


def total(first: int, *more: int) -> int:
    return first + sum(more)


def largest(of: dict[str, float], default: float | None) -> float | None:
    return max(of.values(), default=default)


def described(piece: Piece, extra: Any) -> dict[str, str]:
    return {"name": piece.name, "size": str(piece.size), "extra": str(extra)}


def broken(text: str) -> str:
    return text[99]


def liar(text: str) -> list[str]:
    return text  # type: ignore[return-value]


@dataclass
class Inline:
    """An executor that calls providers in this thread: as real, and a hundred times quicker."""

    calls: list[tuple[str, str]] = field(default_factory=list)

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        self.calls.append((task.context["address"], task.method))
        try:
            return Result(value=call(vars(task), _Channel(on_message)))
        except CancelledError:
            return Result(cancelled=True)
        except Exception as error:  # noqa: BLE001 - as a worker does
            named = f'{task.kind} "{task.type}"'
            return Result(error=failure_of(error, Path(task.context["root"]), named))

    def start(self) -> None: ...

    def preload(self, names: Sequence[str]) -> None: ...

    def ahead(self) -> int:
        return 0

    def kill_all(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class _Channel:
    hear: Callable[[Message], None]

    def progress(self, done: float, total: float | None, note: str) -> None: ...

    def log(self, text: str) -> None: ...

    def partial(self, attributes: Mapping[str, Any]) -> None:
        self.hear(Partial(attributes))

    def stopping(self) -> bool:
        return False


@dataclass
class World:
    """One folder with a spec that changes."""

    root: Path
    events: list[Event] = field(default_factory=list)
    targets: Mapping[str, str] = field(default_factory=lambda: {"toy": TARGET})
    executor: Inline = field(default_factory=Inline)
    outcome: Outcome | None = None

    def module(self, folder: str, spec: str) -> None:
        """Write the spec of a module beside."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / folder / "main.mlf.hcl").write_text(spec)

    def session(self, spec: str, **variables: object) -> Session:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "main.mlf.hcl").write_text(spec)
        given = Given([("var", f"{n}={v}") for n, v in variables.items()], {})
        return Session(self.root, given, Registry(self.targets))

    def plan(self, spec: str, options: PlanOptions | None = None, **variables: object) -> Plan:
        session = self.session(spec, **variables)
        return session.plan(session.store.snapshot(), options)

    def actions(self, spec: str, **variables: object) -> dict[str, str]:
        """Return what the plan would do: address → action, of what is not a no-op."""
        found = self.plan(spec, **variables).steps
        return {str(s.address): s.action.value for s in found if s.action is not Action.NO_OP}

    def apply(
        self,
        spec: str,
        options: PlanOptions | None = None,
        saved: Plan | None = None,
        **var: object,
    ) -> dict[str, str]:
        """Plan and apply; return what each step that did something came to."""
        session = self.session(spec, **var)
        self.events.clear()
        self.executor.calls.clear()
        with session.store.lock("test") as lease:
            snapshot = session.store.snapshot()
            plan = saved or session.plan(snapshot, options)
            world = Applying(
                registry=session.registry,
                store=session.store,
                lease=lease,
                executor=self.executor,
                looker=session.looker,
                local=session.local,
                run=new_run(),
                secrets=session.secrets,
                hold=telling(session),
            )
            # One at a time: which of several comes first is chance.
            self.outcome = carry_out(plan, snapshot, world, self.events.append, parallelism=1)
        return self.ran()

    def rounds(self, spec: str, options: PlanOptions | None = None, **var: object) -> Applied:
        """Apply as the command does, in as many rounds as it takes; all are approved."""
        session = self.session(spec, **var)
        self.events.clear()
        self.executor.calls.clear()
        with mock.patch("mlform.execute.LocalExecutor", return_value=self.executor):
            told = self.events.append
            return command(session, lambda _plan: True, told, options, parallelism=1)

    def ran(self) -> dict[str, str]:
        done = (e for e in self.events if isinstance(e, Finished))
        return {str(e.address): e.action.value for e in done if e.action is not Action.NO_OP}

    def records(self) -> Mapping[str, Any]:
        session = Session(self.root, Given((), {}), Registry(self.targets))
        return {str(a): r for a, r in session.store.snapshot().records.items()}
