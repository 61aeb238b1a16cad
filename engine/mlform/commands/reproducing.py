"""``reproduce``: make a past result again from what is recorded of it, and compare."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlform.commands.session import Session
from mlform.commands.working import at_work, workers
from mlform.diagnostics import DiagnosedError, stop
from mlform.lazy import dataclass, replace
from mlform.values import concealed, short

if TYPE_CHECKING:
    from mlform.apply import Reporter, Reproduced, World
    from mlform.refresh.recorded import Recorded
    from mlform.refresh.world import Wanted
    from mlform.registry import Offer
    from mlform.state.model import Record, Store


def reproduce(session: Session, what: str, report: Reporter) -> list[Reproduced]:
    """Make the results of a run, or the one recorded at an address, again and beside.

    The new ones are remembered under their keys and never selected. Raises ``DiagnosedError``
    where there is nothing of that name to make again.
    """
    assert session.configured, "reading the spec hands the registry its settings"
    with session.lock("reproduce") as lease:
        past = _past(session.store)
        chosen = _chosen(session, past, what)
        offers = [_offer(session, record) for record in chosen]
        with workers(offers) as local, at_work(session, lease, local) as (world, stopping):
            again = _Again(session, world, past, report, stopping)
            return [again.made(r, o) for r, o in zip(chosen, offers, strict=True)]


def _past(store: Store) -> list[Record]:
    """Return every record there ever was, oldest first."""
    from mlform.state.codec import parse_record

    done = (e.detail for e in store.journal() if e.operation == "done")
    return [parse_record(detail["record"]) for detail in done]


def _chosen(session: Session, past: Sequence[Record], what: str) -> list[Record]:
    """Return the records to make again. Raises ``DiagnosedError`` where there is none."""
    computed = [r for r in past if r.receipt.get("action") == "run"]
    if any(r.receipt.get("run") == what for r in past):
        found = [r for r in computed if r.receipt.get("run") == what]
        if not found:
            raise stop("Nothing to make again", f"The run {what} computed nothing.")
        return found
    from mlform.commands.queries import record

    if what.startswith("r-"):
        detail = f"There is no run {what}. `mlform state history` lists them."
        raise stop("Unknown run", detail)
    return [record(session, what)]


def _offer(session: Session, record: Record) -> Offer:
    offer = session.registry.find(record.address.kind, record.type)
    if offer is None:
        detail = session.registry.missing(record.address.kind, record.type)
        raise stop("Unknown resource type", detail)
    if not offer.resource.reusable:
        detail = (
            f'{record.address} is no result of its inputs alone: a {record.address.kind} "'
            f'{record.type}" is not made again beside the one there is.'
        )
        raise stop("Nothing to make again", detail)
    return offer


@dataclass(frozen=True)
class _Again:
    """Makes results again, one by one."""

    session: Session
    world: World
    past: Sequence[Record]
    report: Reporter
    stopping: threading.Event

    def made(self, record: Record, offer: Offer) -> Reproduced:
        """Make one again; what prevents it is said and stops nothing else."""
        from mlform.apply import Reproduced
        from mlform.apply.provider import StepFailed
        from mlform.sdk import CancelledError

        begun = Reproduced(
            address=record.address,
            run=str(record.receipt.get("run", "")),
            before=record.digest,
            verdict="failed",
            environment=_installed(record),
            determinism=str(record.receipt.get("determinism", "none")),
        )
        try:
            with self._root(record) as (root, whence):
                return self._made(record, offer, replace(begun, code=whence), root)
        except StepFailed as error:
            return replace(begun, problem=f"{error.summary}: {error.detail}")
        except DiagnosedError as error:
            first = error.diagnostics.errors[0]
            return replace(begun, problem=f"{first.summary}: {first.detail}")
        except CancelledError:
            return replace(begun, problem="Interrupted.")

    def _made(self, record: Record, offer: Offer, begun: Reproduced, root: Path) -> Reproduced:
        from mlform.apply.events import Finished, Started
        from mlform.apply.provider import call, compared
        from mlform.plan import Action, Reason
        from mlform.refresh.world import result_digest

        arguments = self._arguments(record, offer, self._known(record))
        self._same_source(record, offer, arguments)
        context = self._context(record, root)
        self.report(Started(record.address, Action.RUN, (Reason("reproduced"),)))
        began = time.monotonic()
        told = (self.report, self.stopping, record.address)
        made = call(
            self.world,
            offer,
            "apply",
            arguments.given,
            None,
            context,
            *told,
            secrets=arguments.secrets,
        )
        seconds = time.monotonic() - began
        after = result_digest(offer.resource, made)
        changed = after != record.digest
        self.report(Finished(record.address, Action.RUN, seconds, after, changed))
        self._remember(record, made, after, seconds)
        found = replace(begun, after=after, seconds=round(seconds, 3), verdict="equal")
        if not changed:
            return found
        if not self._there(record):
            lost = {"what": "artifact", "text": "of the first is not in the store", "within": False}
            return replace(found, verdict="different", differences=[lost])
        seen = compared(
            self.world, offer, record.address, arguments, context, self.report, self.stopping,
            record.attributes, made,
        )  # fmt: skip
        within = all(d["within"] for d in seen)
        return replace(found, verdict="within" if within else "different", differences=seen)

    def _known(self, record: Record) -> Recorded:
        """Return what the record took, as it was."""
        from mlform.refresh.recorded import Recorded
        from mlform.values import handles

        wanted = {(h.address, h.digest) for h in handles(record.arguments)}
        taken = [r for r in self.past if self.session.registry.find(r.address.kind, r.type)]
        known = Recorded({}, self.session.registry)
        for it in sorted(taken, key=lambda r: (str(r.address), r.digest) in wanted):
            known.put(it)
        return known

    def _arguments(self, record: Record, offer: Offer, known: Recorded) -> Wanted:
        from mlform.refresh.world import TRIGGERS, wanted

        values = {n: known.revive(v) for n, v in record.arguments.items() if n != TRIGGERS}
        hidden = [n for n, v in values.items() if concealed(v)]
        if hidden:
            values |= self._secrets(record, hidden)
        found = wanted(offer.resource, values, known.full)
        if found.problems:
            problem = found.problems[0]
            now = f", and of the secret {', '.join(hidden)} that the spec has" if hidden else ""
            detail = (
                f"{record.address} cannot be made of what is recorded{now}: "
                f"{problem.text.rstrip('.')}."
            )
            raise stop("Recorded arguments do not fit", detail)
        return found

    def _secrets(self, record: Record, names: Sequence[str]) -> dict[str, Any]:
        """Return secrets as the spec has them now: nothing else holds them."""
        from mlform.diagnostics import Diagnostics
        from mlform.refresh.scope import Scope
        from mlform.values import is_known

        project, _ = self.session.configured
        resource = project.resources.get(record.address)
        scope = Scope(project, self.session.store.snapshot(), Diagnostics())
        written = {} if resource is None else scope.arguments(resource)
        if missing := [n for n in names if n not in written or not is_known(written[n])]:
            detail = f"{', '.join(missing)} of {record.address} is secret, so recorded nowhere."
            raise stop("Secret missing", f"{detail} Give it in the spec, as it was.")
        return {n: written[n] for n in names}

    def _same_source(self, record: Record, offer: Offer, arguments: Wanted) -> None:
        from mlform.sdk import Resource, ResourceError

        if type(offer.resource).inputs is Resource.inputs or arguments.model is None:
            return
        try:
            looking = self.world.looker.at(record.address, record)
            now = dict(offer.resource.inputs(looking, arguments.model).parts)
        except ResourceError as error:
            raise stop(error.summary, error.detail) from None
        moved = sorted(n for n in {*now, *record.parts} if now.get(n) != record.parts.get(n))
        if moved:
            names = ", ".join(moved[:3]) + (f" and {len(moved) - 3} more" if moved[3:] else "")
            detail = f"{record.address} was made from other data: {names} changed at the source."
            raise stop("Source has moved on", f"{detail} Bring that version back first.")

    def _there(self, record: Record) -> bool:
        from mlform.refresh.artifacts import artifacts_there

        return artifacts_there(record.attributes, self.world.looker.artifacts)

    def _context(self, record: Record, root: Path) -> dict[str, Any]:
        from mlform.apply.context import describe
        from mlform.sdk import Inputs
        from mlform.state.model import folder_name

        world, name = self.world, folder_name(str(record.address))
        receipt = {
            **world.provenance,
            "run": world.run,
            "key": record.key,
            "code": {n: fact["digest"] for n, fact in record.code.items()},
            "environment": dict(record.environment),
        }
        return describe(
            address=str(record.address),
            doing="run",
            root=root,
            home=world.local / "work" / "reproduce" / name,
            workdir=world.local / "work" / name,
            store=world.looker.artifacts.description,
            cache=world.looker.digests.path,
            inputs=Inputs(dict(record.parts), record.receipt.get("rows")),
            receipt=receipt,
            fresh=True,
        )

    def _remember(
        self, record: Record, made: Mapping[str, Any], after: str, seconds: float
    ) -> None:
        from mlform.plan.decide import full_key
        from mlform.plan.lineage import named
        from mlform.state.model import Realisation

        receipt = {
            **self.world.provenance,
            "run": self.world.run,
            "reproduces": record.receipt.get("run"),
            "seconds": round(seconds, 3),
        }
        self.world.hold(named(made))
        for key in sorted({record.key, full_key(record.key, record.decision_key)}):
            realisation = Realisation(key, after, made, receipt)
            self.world.store.realise(self.world.lease, realisation, select=False)

    @contextmanager
    def _root(self, record: Record) -> Iterator[tuple[Path, str]]:
        """Give a folder that has the code as it was: this one, or one from git."""
        root = self.world.looker.root
        if not record.code:
            yield root, ""
            return
        if _has_code(record, root):
            yield root, "as it is here"
            return
        commit = str(record.receipt.get("commit") or "")
        changed = ", ".join(str(record.arguments[n]) for n in record.code)
        if not commit:
            detail = f"{changed} has changed since, and no commit is recorded that has it."
            raise stop("Code has changed", f"{detail} Bring that code back first.")
        with tempfile.TemporaryDirectory(prefix="reproduce-", dir=self.world.local) as folder:
            there = _checked_out(root, commit, Path(folder))
            if not there or not _has_code(record, Path(folder)):
                dirty = " with changes that were not committed" if record.receipt["dirty"] else ""
                detail = (
                    f"{changed} has changed since. It was made from commit {short(commit)}{dirty}, "
                    f"which {'has other code' if there else 'git cannot give'}."
                )
                raise stop("Code has changed", detail)
            yield Path(folder), f"commit {short(commit)}"


def _has_code(record: Record, root: Path) -> bool:
    """Tell whether the user code under a folder is what the record was made by."""
    from mlform.keys import ClosureCache, CodeError, closure

    cache = ClosureCache(root / ".mlform" / "cache" / "code.json")
    try:
        return all(
            closure(root, str(record.arguments[name]), cache).digest == fact["digest"]
            for name, fact in record.code.items()
        )
    except CodeError:
        return False


def _checked_out(root: Path, commit: str, folder: Path) -> bool:
    """Write the files of a commit, of this folder of the repository, to another folder."""
    archive = folder / "code.tar"
    command = ["git", "archive", "--format=tar", f"--output={archive}", commit]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603 - fixed words and a commit
    if done.returncode:
        return False
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    return True


def _installed(record: Record) -> dict[str, tuple[str | None, str | None]]:
    """Return what is installed otherwise than when the record was made."""
    from mlform.keys import environment

    names = [n for n in record.environment if n != "python"]
    if not record.environment:
        return {}
    now = environment(names)
    return {
        n: (record.environment.get(n), now.get(n))
        for n in sorted({*now, *record.environment})
        if record.environment.get(n) != now.get(n)
    }
