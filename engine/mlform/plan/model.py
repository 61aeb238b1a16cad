"""A plan is data, and enough: applying it needs no spec."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from mlform.address import Address
from mlform.demand import Declared, Demand
from mlform.lazy import dataclass, field
from mlform.plan.lineage import Hold
from mlform.plan.pulled import Pulled
from mlform.refresh.model import ImportFact

FORMAT: Final = 3
"""Version of the plan file. Raised when an older mlform could not read it rightly."""


class Action(StrEnum):
    """What a step does."""

    NO_OP = "no-op"
    REUSE = "reuse"
    """This key had a result before: move the pointer, compute nothing."""
    DECIDE = "decide"
    """Judge anew from what is already measured."""
    UPDATE = "update"
    CREATE = "create"
    RUN = "run"
    ROLL = "roll"
    """A new revision behind a stable endpoint."""
    MAYBE = "run?"
    """Only if what it takes from upstream comes out different."""
    REPLACE = "replace"
    DESTROY = "destroy"
    FORGET = "forget"
    """Drop the record; what it names is left alone."""
    HELD = "held"
    """Not done, on purpose: a gate failed, an approval is missing."""


OPEN: Final = {"$unknown": ""}
"""Stands for a value in a reason that only applying can tell."""

REACHED: Final = "reached"
"""Stands in a reason for a file that the code reaches, where it did not before or does not now."""

QUIET: Final = frozenset({Action.NO_OP, Action.HELD})
"""Actions that change nothing."""


@dataclass(frozen=True)
class Deferred:
    """An argument that only applying can settle: the expression, and the values it mentions.

    ``bindings`` has root → name → value: plain, ``Typed``, or deferred itself (a local value).
    ``secrets`` are sensitive variables it mentions: they are in no plan and must be given again at
    apply.
    """

    text: str
    bindings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    at: str = ""
    """``file:line:column`` of the expression."""
    module: str = ""
    """The module instance it stands in, as ``module.a["x"].``: its resources are meant."""
    type: str = ""
    """The type of the variable that it is the value of, as it is written."""
    secret: bool = False
    """Whether that variable is sensitive."""


@dataclass(frozen=True)
class Condition:
    """A condition that could not be judged while planning, and what to say if it is false."""

    condition: Deferred
    message: Deferred


Argument: TypeAlias = Any
"""Plain data, or ``Deferred``."""


@dataclass(frozen=True)
class Reason:
    """Why a step does what it does. Structured, so that it can be asked for and rendered.

    ``what`` is one of ``new``, ``argument``, ``decision``, ``operational``, ``metadata``,
    ``identity``, ``code``, ``environment``, ``input``, ``upstream``, ``gone``, ``drift``,
    ``type``, ``removed``, ``disabled``, ``held``, ``again``, ``trigger``, ``version``,
    ``imported``, ``revert``, ``reproduced``, ``approved``, ``tick``, ``asked`` (to destroy it).
    For ``again`` the subject says how it was asked for, and ``after`` by whom if not by who
    applies.
    """

    what: str
    subject: str = ""
    before: Any = None
    after: Any = None
    at: str = ""
    """Where it is written: ``file:line``."""
    through: tuple[str, ...] = ()
    """The resources that the value was taken from, if it is an argument's and is taken from any."""

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, without what it does not have: as receipts keep it."""
        through = list(self.through)
        kept = {"what": self.what, "subject": self.subject, "at": self.at, "through": through}
        return {k: v for k, v in kept.items() if v} | {
            k: v for k, v in (("before", self.before), ("after", self.after)) if v is not None
        }


@dataclass(frozen=True)
class Estimate:
    """How long a step is expected to take, and how often its output changed before.

    ``expected`` and ``most`` are the p50 and p90 in seconds; ``None`` where it never ran (of
    a destroy: where nothing of its kind was ever destroyed). ``rows`` are those of the largest
    dataset it is made from, by which earlier durations were scaled.
    """

    expected: float | None = None
    most: float | None = None
    runs: int = 0
    """How many earlier runs this is made from."""
    rows: int | None = None
    changed: int = 0
    compared: int = 0
    """Of so many runs that had an output before, ``changed`` gave a different one."""
    chance: float = 1.0
    """How likely it is to run at all."""


@dataclass(frozen=True)
class Accuracy:
    """How far earlier estimates were off. Factors are of p50, either way: 1 is exact."""

    steps: int
    median: float
    worst: float
    within: int
    """How many took at most their p90."""


@dataclass(frozen=True)
class Going:
    """When the object that a replacement takes the place of goes."""

    needs: tuple[Address, ...] = ()
    """Steps that must be over before."""
    cleared: tuple[Address, ...] = ()
    """Steps whose own old objects must be gone before."""


@dataclass(frozen=True)
class Purge:
    """What is deleted for good along with a record, and what stays although it was asked for."""

    artifacts: Mapping[str, int] = field(default_factory=dict)
    """Each with its bytes."""
    keys: tuple[str, ...] = ()
    """Keys whose results are forgotten."""
    held: tuple[Hold, ...] = ()


@dataclass(frozen=True)
class Purging:
    """How a plan deletes data (``-purge``)."""

    window: float
    """The audit window in seconds: what served within it holds what it was made from."""
    shared: bool = False
    """Whether other states use the artifact store: then only ``store gc`` deletes from it."""


@dataclass(frozen=True)
class Step:
    """One action on one resource. ``needs`` are the steps that must be over before."""

    address: Address
    type: str
    provider: str
    action: Action
    arguments: Mapping[str, Argument]
    reasons: tuple[Reason, ...] = ()
    refers_to: tuple[Address, ...] = ()
    needs: tuple[Address, ...] = ()
    at: Mapping[str, str] = field(default_factory=dict)
    """Argument as written → ``file:line:column`` of its value."""
    key: str | None = None
    parts: Mapping[str, str] | None = None
    rows: int | None = None
    code: Mapping[str, Any] = field(default_factory=dict)
    """Argument → ``{"digest": …, "files": …}``."""
    environment: Mapping[str, str] | None = None
    protected: bool = False
    estimate: Estimate | None = None
    """How long it is expected to take; ``None`` where nothing is called."""
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Argument → the resources that it mentions. Only where something is to be done."""
    recorded: Mapping[str, Any] | None = None
    """Its arguments as they are recorded; ``None`` where nothing is, or nothing is to be done."""
    gone: bool = False
    """What is recorded is not there any more."""
    moved: bool = False
    """What was seen of it is not what is recorded."""
    ignored: tuple[str, ...] = ()
    """Arguments whose changes count for nothing (``lifecycle.ignore_changes``)."""
    quiet: bool = False
    """Only what is recorded changes; the provider is not called."""
    before: tuple[Condition, ...] = ()
    """What must hold for the step to begin (``precondition``)."""
    after: tuple[Condition, ...] = ()
    """What must hold of the result (``postcondition``); ``self`` is the resource."""
    again: bool = False
    """Done whatever the keys say: asked for with ``-replace``, or tainted."""
    determinism: str = "none"
    """What two runs of one key promise (``lifecycle.determinism``)."""
    create_first: bool = False
    """A replacement is made before the old one goes (``create_before_destroy``)."""
    imported: ImportFact | None = None
    """What exists already and is recorded first, before anything else is done (or nothing is)."""
    cleared: tuple[Address, ...] = ()
    """Steps whose old objects, just replaced or left behind, must be gone before it begins."""
    old: Going | None = None
    """When what it replaces goes, where that has a time of its own."""
    deposed: str = ""
    """The folder of what an earlier replacement left behind: that, and nothing else, goes."""
    observed: Mapping[str, Any] | None = None
    """Attributes as they were seen, to be recorded: they change by themselves."""
    adopted: Mapping[str, Any] | None = None
    """Attributes as they were seen, recorded first in the place of those that are."""
    expected: Mapping[str, Any] = field(default_factory=dict)
    """The attributes of what it makes, ``OPEN`` where they are known after apply."""
    prior: tuple[Address, ...] = ()
    """What it takes the recorded value of without waiting for it (``prior.KIND.NAME``)."""
    purge: Purge | None = None
    """What goes for good with what is destroyed; ``None`` where data are kept."""
    demand: Demand = field(default_factory=Demand)
    """Where it runs, what it may use, how often it is tried. Nothing is run anew for it."""


@dataclass(frozen=True)
class Output:
    """An output: its value, or how to get it."""

    value: Argument
    sensitive: bool = False
    before: tuple[Condition, ...] = ()
    """What must hold for it to be recorded (``precondition``)."""


@dataclass(frozen=True)
class OutputChange:
    """An output that will be recorded anew, as far as that is certain while planning.

    ``action`` is ``add``, ``change`` or ``remove``; ``before`` the value recorded now, concealed
    where it is sensitive, ``None`` where there is none.
    """

    action: str
    before: Any = None


@dataclass(frozen=True)
class Note:
    """Something the plan should say beside its steps: data that wait, a warning."""

    what: str
    address: str
    text: str


@dataclass(frozen=True)
class Drift:
    """One attribute that is not as recorded; without one, a thing that is gone.

    ``counts``: whether the digest of the resource has it, so that it changes a plan.
    """

    address: str
    attribute: str = ""
    before: Any = None
    after: Any = None
    counts: bool = True


@dataclass(frozen=True)
class Plan:
    """Everything ``apply`` needs to know; each step says what it waits for.

    The header says what the plan is a function of: the same spec, serial, observations, ``as_of``
    and lock give the same bytes.
    """

    lineage: str
    serial: int
    spec: str
    observations: str
    lock: str
    as_of: str | None
    steps: tuple[Step, ...]
    outputs: Mapping[str, Output] = field(default_factory=dict)
    output_changes: Mapping[str, OutputChange] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Provider name → the values of its block."""
    targets: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    moves: Mapping[str, str] = field(default_factory=dict)
    """What is recorded at one address and is declared at another now."""
    deferred: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is planned once something else is applied: address → what its instances wait for."""
    checks: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    """``check`` blocks to be judged once everything is applied, by address."""
    accuracy: Accuracy | None = None
    """How far the last estimates were off; ``None`` where there were none."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What is declared and not planned: address → the excluded one it needs, or empty."""
    destroy: bool = False
    """Whether everything is taken down, whatever is declared."""
    refresh: str = "all"
    """What of the things made was looked at: ``all``, ``stale``, ``none``; ``only``: all, and
    nothing else is planned than to record what was seen."""
    unseen: tuple[str, ...] = ()
    """What was not looked at anew, since the last look is young enough."""
    drift: tuple[Drift, ...] = ()
    """Whatever is not as recorded, whether it changes the plan or not."""
    purging: Purging | None = None
    """How data are deleted with what leaves; ``None``: they are kept."""
    executors: Mapping[str, Declared] = field(default_factory=dict)
    """Those that the spec declares and a step uses."""
    pools: Mapping[str, int] = field(default_factory=dict)
    """How many steps may hold each at once, of those that a step names."""
    pulls: tuple[Pulled, ...] = ()
    """What triggers move first: all else is planned as if it had moved."""

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something, or may."""
        return tuple(s for s in self.steps if s.action not in QUIET)

    @property
    def imports(self) -> tuple[Step, ...]:
        """The steps that take over what exists already."""
        return tuple(s for s in self.steps if s.imported and s.action is not Action.HELD)

    @property
    def empty(self) -> bool:
        """Whether applying it would change nothing, not even what is recorded."""
        quiet = not self.changes and not self.moves and not self.imports
        return quiet and not self.output_changes and not self.adoptions

    @property
    def adoptions(self) -> tuple[Step, ...]:
        """The steps that record what was found to have been changed from outside."""
        return tuple(s for s in self.steps if s.adopted is not None)

    @property
    def only_drift(self) -> bool:
        """Whether all there is to do follows from what was changed from outside."""
        recorded = {(d.address, d.attribute): d.before for d in self.drift}

        def follows(step: Step, reason: Reason) -> bool:
            told = (str(step.address), reason.subject)
            put_back = told in recorded and recorded[told] == reason.after
            return put_back or reason.what in {"drift", "gone", "upstream", "revert"}

        outside = any(d.counts for d in self.drift) or bool(self.adoptions)
        alone = all(follows(s, r) for s in self.changes for r in s.reasons)
        others = self.moves or self.imports or (self.output_changes and not self.changes)
        return outside and alone and not others and not self.empty

    @property
    def held(self) -> tuple[Step, ...]:
        """The steps that are held."""
        return tuple(s for s in self.steps if s.action is Action.HELD)
