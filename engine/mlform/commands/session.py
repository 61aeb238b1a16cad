"""What every command starts from: the folder, the spec, the state, and what looks at the world."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.commands.checking import check
from mlform.commands.options import PlanOptions, named
from mlform.commands.sizing import refuse_oversized
from mlform.config import Given, Names, Project, Settings, Sources, load, settings
from mlform.diagnostics import DiagnosedError, Diagnostics, stop
from mlform.lazy import dataclass, field, replace
from mlform.registry import Registry
from mlform.values import Value, is_sensitive

if TYPE_CHECKING:
    from mlform.artifacts import LocalStore
    from mlform.config.model import Approver, Webhook
    from mlform.config.store import StoreSettings
    from mlform.graph import Graph
    from mlform.plan import Plan
    from mlform.refresh import Looker, Looking
    from mlform.refresh.results import Results
    from mlform.refresh.scope import Scope
    from mlform.state.lease import Extent, Lease
    from mlform.state.model import Realisation, Snapshot, Store
    from mlform.state.place import Place
    from mlform.state.sealed import Cipher


_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})"


@dataclass
class Session:
    """One command in one folder."""

    root: Path
    given: Given = field(default_factory=Given)
    registry: Registry = field(default_factory=Registry)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    as_of: str | None = None
    scope: Scope | None = None
    """What everything is worth by the last plan made."""
    looking: Looking | None = None
    """Hears how far looking at the world is."""
    without_spec: Settings = field(default_factory=Settings)
    """What counts where there is no spec: a saved plan needs none, and says the most of it."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Slow hashes of the sensitive variables that a saved plan was made with."""
    lock_timeout: float = 0.0
    """How many seconds to wait for a lock that another has."""
    waiting: Callable[[Lease], None] = lambda _holder: None
    """Hears of each who has the lock while this waits for it."""

    @cached_property
    def workspace(self) -> str:
        """The workspace that the command runs in. Raises ``DiagnosedError`` for no name of one."""
        from mlform.commands.workspaces import selected

        return selected(self.local)

    @property
    def _given(self) -> Given:
        return replace(self.given, workspace=self.workspace)

    @cached_property
    def sources(self) -> Sources:
        """The spec files."""
        return Sources.read(self.root, self.diagnostics, self.given)

    @property
    def texts(self) -> Mapping[str, str]:
        """The text of each spec file, as far as this command has read any."""
        sources: Sources | None = self.__dict__.get("sources")
        if sources is None:
            return {}
        from mlform.refresh.pins import LOCK_FILE

        lock = self.root / LOCK_FILE
        try:
            return {**sources.texts, LOCK_FILE: lock.read_text(encoding="utf-8")}
        except (OSError, UnicodeDecodeError):
            return sources.texts

    @cached_property
    def configured(self) -> tuple[Project, Names]:
        """The project. Raises ``DiagnosedError`` with everything that is wrong with it."""
        given = self._given
        found = load(self.sources, self.registry, given, self.diagnostics, as_of=self.as_of)
        if self.diagnostics.errors:
            from mlform.graph import build

            # All that is wrong, not just what was found first.
            check(*found, self.diagnostics)
            build(*found, self.diagnostics)
        self.diagnostics.stop_on_errors()
        return found

    def date(self, as_of: str | None, *, asks: bool = False) -> None:
        """Say what time the plan is made as of: by default now, if anything asks for it at all.

        Raises ``DiagnosedError`` for what is no time.
        """
        assert self.configured, "reading the spec reads the files of its modules"
        asks = asks or any("plantimestamp" in text for text in self.texts.values())
        if as_of is None and self.as_of is None and asks:
            as_of = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if as_of is not None and as_of != self.as_of:
            if not re.fullmatch(_TIME, as_of):
                detail = f'"{as_of}" is no time. Write it as 2026-01-31T06:00:00Z.'
                raise stop("Invalid time", detail)
            self.as_of = as_of
            self.reread()

    def reread(self) -> None:
        """Have the project read anew when it is next asked for."""
        self.__dict__.pop("configured", None)
        self.__dict__.pop("graph", None)

    def know(self, snapshot: Snapshot) -> None:
        """Read the project anew with what is recorded, if how many there are of any rests on it."""
        from mlform.config.standing import standing
        from mlform.refresh.moves import moves, relocated
        from mlform.refresh.world import handle_of

        project, _ = self.configured
        if not project.rests.blocks and not project.rests.calls:
            return
        recorded: dict[Address, Value] = {}
        now = relocated(snapshot, moves(project, snapshot, Diagnostics()))
        for address, record in now.records.items():
            offer = self.registry.find(address.kind, record.type)
            if offer is not None:
                recorded[address] = handle_of(record, offer.resource)
        known: dict[Address, Value] | None = None
        for _ in project.declared:  # a block may rest on one that rests on another
            if (kept := standing(project, recorded)) == known:
                break
            known = kept
            found = load(
                self.sources, self.registry, self._given, self.diagnostics, known, self.as_of
            )
            self.diagnostics.stop_on_errors()
            self.__dict__["configured"] = found
            project = found[0]
        self.__dict__.pop("graph", None)

    @cached_property
    def graph(self) -> Graph:
        """Who needs whom."""
        from mlform.graph import build

        project, names = self.configured
        graph = build(project, names, self.diagnostics)
        self.diagnostics.stop_on_errors()
        return graph

    @property
    def keeps_pins(self) -> bool:
        """Whether the lock file may be written."""
        return True

    @property
    def local(self) -> Path:
        """The folder for local data, never committed."""
        return self.root / ".mlform"

    @property
    def own(self) -> Path:
        """The folder for local data of this workspace: where its resources live."""
        return self.local if self.workspace == "default" else self.local / "in" / self.workspace

    @property
    def _settings(self) -> Settings:
        if "configured" in self.__dict__:
            return self.configured[0].settings
        try:
            return self._alone
        except DiagnosedError:
            if self.diagnostics.errors:
                raise
            return self.without_spec

    @cached_property
    def _alone(self) -> Settings:
        return settings(self.sources, self.registry, self._given, self.diagnostics)

    @property
    def approvers(self) -> Sequence[Approver]:
        """Whose approval counts, as the spec says."""
        return self._settings.approvers

    @cached_property
    def place(self) -> Place:
        """Where the state lies. Raises ``DiagnosedError`` if it is still in another backend."""
        from mlform.commands.backends import settle

        found = self.configured_place
        settle(self.local, found)
        return found

    @cached_property
    def configured_place(self) -> Place:
        """Where the spec says that the state lies."""
        from mlform.state.place import Place

        found = self._settings
        if found.backend == "postgres":
            return Place(found.backend_url, self.workspace, found.backend_schema, self.cipher)
        file = self.root / found.backend_path
        return replace(Place.in_file(file, self.workspace), cipher=self.cipher)

    @cached_property
    def cipher(self) -> Cipher:
        """What encrypts and decrypts the state and saved plans, as the spec says."""
        from mlform.state.sealed import CLEAR

        said = self._settings.encryption
        if said is None:
            return CLEAR
        from mlform.commands.encrypting import cipher_of

        return cipher_of(said)

    @cached_property
    def store(self) -> Store:
        """The state, to be written. To look at it ``snapshot`` is enough, and cheaper."""
        return self.place.store()

    def lock(
        self, operation: str, extent: Extent | None = None, deadline: float | None = None
    ) -> AbstractContextManager[Lease]:
        """Take the lock on the state, or on a part. Raises ``LockedError`` if it takes too long.

        ``deadline``: until when to wait, by ``time.monotonic``, instead of ``lock_timeout``.
        """
        from mlform.commands.backends import remember

        remember(self.local, self.place)
        return self.store.lock(operation, self._wait(deadline), self.waiting, extent)

    def free(self, deadline: float | None = None) -> Sequence[Lease]:
        """Return who has parts of the state, once nobody has the whole. Raises ``LockedError``."""
        return self.store.await_free(self._wait(deadline), self.waiting)

    def _wait(self, deadline: float | None) -> float:
        return self.lock_timeout if deadline is None else max(0.0, deadline - time.monotonic())

    def snapshot(self) -> Snapshot:
        """Return everything recorded now."""
        return self.place.snapshot()

    @cached_property
    def artifacts(self) -> LocalStore:
        """The artifact store."""
        from mlform.artifacts import open_store

        given = self.shared_store
        path = None if given is None else given.path
        folder = self.local / "store" if path is None else self.root / Path(path).expanduser()
        told = {} if given is None else {"url": given.url, "endpoint_url": given.endpoint_url}
        return open_store({"path": str(folder), **told})

    @property
    def audit_window(self) -> float:
        """For how many seconds what has served holds what it was made from."""
        return self._settings.audit_window

    @property
    def webhooks(self) -> Sequence[Webhook]:
        """Who is told of what the loop does."""
        return self._settings.webhooks

    @property
    def shared_store(self) -> StoreSettings | None:
        """What the spec says of an artifact store that it shares with others."""
        return self._settings.store

    @cached_property
    def looker(self) -> Looker:
        """What looks at the world."""
        from mlform.artifacts import FileDigests
        from mlform.keys import ClosureCache
        from mlform.refresh import Looker
        from mlform.refresh.seen import Looks

        cache = self.local / "cache"
        return Looker(
            root=self.root.resolve(),
            homes=(self.own / "resources").resolve(),
            artifacts=self.artifacts,
            digests=FileDigests(cache / "files.json"),
            closures=ClosureCache(cache / "code.json"),
            looks=Looks.read(self.own / "cache" / "looks.json"),
            shared=self.shared_store is not None,
        )

    def plan(self, snapshot: Snapshot, options: PlanOptions | None = None) -> Plan:
        """Look at the world and plan. Raises ``DiagnosedError`` with all that is wrong."""
        from mlform.commands.approving import approved
        from mlform.commands.following import planned
        from mlform.commands.importing import look as look_at_imports
        from mlform.commands.importing import provisional
        from mlform.commands.looking import look
        from mlform.commands.outside import Ages, out_of_band, together
        from mlform.commands.remembering import past, retention
        from mlform.plan import Unplanned
        from mlform.plan.pulled import after, pins_after
        from mlform.refresh.moves import moved_pins, moves, relocated
        from mlform.refresh.pins import lock_digest, read_pins

        options = options or PlanOptions()
        together(options)
        self.date(options.as_of, asks=options.purge)
        if options.generate is not None:
            from mlform.commands.writing import generate

            generate(self, options.generate, snapshot)
        self.know(snapshot)
        project, _ = self.configured
        refuse_oversized(project, self.diagnostics)
        moved = moves(project, snapshot, self.diagnostics)
        snapshot = after(relocated(snapshot, moved), options.pulls, self.registry)
        pins = pins_after(moved_pins(read_pins(self.root), moved), options.pulls)
        imports = look_at_imports(self, snapshot, options)
        seen = provisional(self, snapshot, imports)
        looks = Ages.of(options.refresh, project.settings.max_age, self.looker.looks, imports)
        rests = project.rests
        open_ = (b for b in project.declared if rests.is_later(b) or project.beneath(b))
        targets = self.targets(options.targets, snapshot, open_)
        only = targets if options.alone else None
        observations = look(self, seen, pins, read=looks, only=only)
        if imports:  # what they were looked at with is not what the plan starts from
            observations = {a: replace(o, asked=None) for a, o in observations.items()}
        out = out_of_band(self, options, snapshot, observations)
        given = Unplanned(
            observations=observations,
            lookup=self.lookup,
            lock=lock_digest(pins),
            as_of=self.as_of,
            targets=tuple(targets),
            further=options.further,
            alone=options.alone,
            exclude=tuple(self.targets(options.exclude, snapshot)),
            again=frozenset(self.targets(options.replace, snapshot)),
            destroy=options.destroy,
            moves=moved,
            past=partial(past, self, moved, snapshot.serial),
            imports=imports,
            refresh="only" if options.refresh_only else looks.mode,
            unseen=tuple(sorted(looks.young)),
            adopt=out.adopt,
            revert=out.revert,
            retention=retention(self) if options.purge else None,
            approved=approved(self),
            pulls=options.pulls,
        )
        plan, self.scope = planned(self, snapshot, seen, given, pins)
        self.diagnostics.stop_on_errors()
        return plan

    @cached_property
    def results(self) -> Results:
        """What keys have given before."""
        from mlform.refresh.results import Results

        def say(text: str) -> None:
            self.diagnostics.warning("Result not reused", text)

        return Results(self.store, self.looker, say)

    def lookup(self, key: str) -> Realisation | None:
        """Return the result a key had before, here or in a shared store, if it is whole."""
        if self.place.blank and self.shared_store is None:
            return None
        return self.results.lookup(key)

    def targets(
        self, texts: Sequence[str], snapshot: Snapshot, blocks: Iterable[Address] = ()
    ) -> list[Address]:
        """Return what options name: instances, or ``blocks``. Raises where one names nothing."""
        if not texts:
            return []
        project, _ = self.configured
        return named(texts, {*project.resources, *snapshot.records, *blocks}, project.disabled)

    @property
    def secrets(self) -> Mapping[str, Value]:
        """The sensitive variables, in clear: for providers' eyes only."""
        variables = self.configured[0].variables
        return {n: v for n, v in variables.items() if is_sensitive(v)}
