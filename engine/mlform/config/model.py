"""A project: what the user wants, checked as far as reading alone can check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from mlform.address import Address, Key
from mlform.config.blocks import Rule, Variable
from mlform.config.rests import Rests
from mlform.config.store import StoreSettings
from mlform.demand import Declared, Demand
from mlform.diagnostics import Span
from mlform.lang.provided import Provided
from mlform.lazy import dataclass, field
from mlform.registry import Offer
from mlform.syntax.tree import Attribute, Block
from mlform.values import Value

ModulePath: TypeAlias = tuple[tuple[str, Key], ...]
"""Where a module instance is: the calls that lead to it, each with its instance key."""

ROOT: ModulePath = ()

Bindings: TypeAlias = Mapping[str, Value]
"""The roots that one instance sees and others do not: ``each`` or ``count``."""


@dataclass(frozen=True)
class Lifecycle:
    """How changes of one resource are handled."""

    prevent_destroy: bool = False
    create_before_destroy: bool = False
    determinism: str = "none"
    """What two runs of one key promise: ``none``, ``statistical`` or ``bitwise`` equality."""
    ignore_changes: frozenset[str] = frozenset()
    triggers: tuple[Attribute, ...] = ()
    """``replace_triggered_by``: references whose changes make this run again."""
    preconditions: tuple[Rule, ...] = ()
    postconditions: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class ResourceConfig:
    """One resource instance as declared.

    ``bindings`` are the roots that only this instance sees: ``each`` or ``count``.
    ``depends_on`` are blocks, not instances.
    """

    address: Address
    type: str
    offer: Offer
    arguments: Mapping[str, Attribute]
    span: Span
    depends_on: tuple[Address, ...] = ()
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    bindings: Bindings = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)
    asks: Mapping[str, Attribute] = field(default_factory=dict)
    """Where it says what it asks for, what stands in blocks as ``BLOCK.NAME``."""


@dataclass(frozen=True)
class Output:
    """One ``output`` block."""

    name: str
    value: Attribute
    sensitive: bool
    description: str
    ephemeral: bool = False
    depends_on: Attribute | None = None
    preconditions: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Check:
    """One ``check`` block: what should hold, and does not stop anything where it does not."""

    name: str
    rules: tuple[Rule, ...]
    span: Span


@dataclass(frozen=True)
class Approver:
    """Someone whose approval counts, known by the public half of a key.

    ``users`` are the names and addresses that they write commits and apply under: nobody approves
    what they wrote or apply themselves.
    """

    name: str
    key: str
    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Webhook:
    """Who is told of what the loop does. The address and the rest may be secret."""

    name: str
    url: str = field(repr=False)
    events: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)
    """What the body is signed with."""


@dataclass(frozen=True)
class KeySource:
    """Where a key comes from: a passphrase, or a command that prints it."""

    passphrase: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encryption:
    """How the state and saved plans are encrypted: by ``primary``, and read with any of all.

    Without ``primary`` what is written is in clear. ``enforced``: what is in clear is refused.
    """

    primary: KeySource | None
    fallback: tuple[KeySource, ...] = ()
    enforced: bool = False


@dataclass(frozen=True)
class Settings:
    """The ``mlform`` block: where state and results lie, and how old a look at each kind may be."""

    backend: str = "sqlite"
    """``sqlite`` or ``postgres``."""
    backend_path: str = ".mlform/state.db"
    """The file, in SQLite."""
    backend_url: str = field(default="postgresql://", repr=False)
    """The database, in PostgreSQL. It may hold a password: it is only for who connects."""
    backend_schema: str | None = None
    """The schema there, where it is not the usual one."""
    max_age: Mapping[str, float] = field(default_factory=dict)
    """Kind → seconds, where it is not the default."""
    store: StoreSettings | None = None
    """The artifact store that several share; by default each folder has its own."""
    audit_window: float = 90 * 86_400
    """Seconds for which what has served holds the data it was made from."""
    approvers: Sequence[Approver] = ()
    encryption: Encryption | None = None
    executors: Mapping[str, Declared] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)
    """How many stages may hold each at once."""
    webhooks: Sequence[Webhook] = ()


@dataclass(frozen=True)
class Call:
    """One ``module`` block: which module, with which inputs, and how often."""

    name: str
    block: Block
    module: Module
    inputs: Mapping[str, Attribute]
    providers: Mapping[str, str] = field(default_factory=dict)
    """Provider as the called module names it → as the calling one does."""

    @property
    def depends_on(self) -> Attribute | None:
        """What everything inside waits for."""
        return self.block.body.attributes.get("depends_on")


@dataclass(frozen=True)
class Module:
    """One folder of spec files as one call sees it. ``path`` are the names of the calls to it."""

    path: tuple[str, ...]
    folder: str
    """Relative to the root module's folder, with ``/``: what ``path.module`` is worth."""
    variables: Mapping[str, Variable]
    locals: Mapping[str, Attribute]
    outputs: Mapping[str, Output]
    checks: Mapping[str, Check]
    blocks: Mapping[Address, Block]
    """Resource blocks by kind and name; the addresses have the path without instance keys."""
    calls: Mapping[str, Call]
    unread: frozenset[str] = frozenset()
    """Calls of modules that could not be read, which is told where that was found."""

    def tree(self) -> Iterator[Module]:
        """Yield this module and every one it calls, outermost first."""
        yield self
        for call in self.calls.values():
            yield from call.module.tree()

    @property
    def spot(self) -> ModulePath:
        """The path as addresses of blocks have it."""
        return tuple((name, None) for name in self.path)


@dataclass(frozen=True)
class ModuleInstance:
    """One instance of a module: which module, and what its call's ``each`` or ``count`` is."""

    module: Module
    bindings: Bindings
    call: Call | None


@dataclass(frozen=True)
class Move:
    """``moved``: what was recorded at one address is now declared at another."""

    source: str
    target: str
    span: Span
    depth: int = 0
    """How many of the first modules in both are those that the block itself stands in."""


@dataclass(frozen=True)
class Removal:
    """``removed``: what is recorded there is not wanted any more; ``destroy`` says how it goes."""

    source: str
    destroy: bool
    span: Span


@dataclass(frozen=True)
class Import:
    """``import``: what exists already comes under management, at an address."""

    target: Address
    id: str
    """What the type knows it by: a path, a URL."""
    span: Span | None = None
    to: Span | None = None
    """Where the address is written."""
    at: Span | None = None
    """Where the id is written."""
    type: str = ""
    """Which type it is, where there is no block yet that says so."""
    provider: str = ""
    """The same of its provider."""
    type_at: Span | None = None
    """Where the type is written."""


@dataclass(frozen=True)
class Where:
    """What expressions may know of the outside."""

    root: Path
    workspace: str
    as_of: str | None
    provided: Provided | None = None
    """The functions that providers offer."""


@dataclass(frozen=True)
class Project:
    """All modules together, with the values of the root's variables."""

    root: Path
    settings: Settings
    module: Module
    """The root module."""
    variables: Mapping[str, Value]
    modules: Mapping[ModulePath, ModuleInstance]
    """Every module instance by its path, the root first, callers before called."""
    resources: Mapping[Address, ResourceConfig]
    declared: Mapping[Address, Span]
    """Every resource block by its address without instance keys."""
    moves: Sequence[Move] = ()
    removals: Sequence[Removal] = ()
    imports: Sequence[Import] = ()
    rests: Rests = field(default_factory=Rests)
    disabled: Mapping[Address, Span] = field(default_factory=dict)
    """What is written and not ``enabled``, with where that is said."""
    workspace: str = "default"
    as_of: str | None = None
    """The time that a plan is made as of (RFC 3339): what ``plantimestamp`` is worth."""
    provided: Provided | None = None
    """The functions that providers offer."""

    @property
    def where(self) -> Where:
        """What expressions may know of the outside."""
        return Where(self.root, self.workspace, self.as_of, self.provided)

    @property
    def outputs(self) -> Mapping[str, Output]:
        """The outputs of the root module."""
        return self.module.outputs

    @property
    def locals(self) -> Mapping[str, Attribute]:
        """The local values of the root module."""
        return self.module.locals

    def beneath(self, block: Address) -> frozenset[Address]:
        """Return what it rests on that a block is known to have no instance; nothing if it has.

        What comes of these may give it instances. They may be without any, too: then with theirs.
        """
        found: set[Address] = set()
        waiting = [block] if self.rests.blocks or self.rests.calls else []
        while waiting:
            if not self.instances(one := waiting.pop()) and not self.rests.is_later(one):
                more = self.rests.of_block(one) - found
                found |= more
                waiting += more
        return frozenset(found)

    def instances(self, block: Address, near: ModulePath = ROOT) -> list[Address]:
        """Return the instances of one block, in order, as seen from a module instance.

        From inside ``module.m["a"]`` the blocks of that module are those of ``m["a"]`` alone.
        """
        found = self._by_block.get(block.config, [])
        same = 0
        for (ours, _), (theirs, _) in zip(near, block.module, strict=False):
            if ours != theirs:
                break
            same += 1
        if not same:
            return found
        return [a for a in found if a.module[:same] == near[:same]]

    @property
    def _by_block(self) -> Mapping[Address, list[Address]]:
        cached: dict[Address, list[Address]] | None = self.__dict__.get("_blocks")
        if cached is None:
            cached = {}
            for address in self.resources:
                cached.setdefault(address.config, []).append(address)
            object.__setattr__(self, "_blocks", cached)
        return cached
