"""What triggers propose: a plan to apply, and a report for a pull request."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlform.address import Address
from mlform.commands.options import PlanOptions
from mlform.commands.planfile import saved_plan, written
from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError
from mlform.reconcile.rounds import PLAN, REPORT, Proposal

if TYPE_CHECKING:
    from mlform.plan import Plan
    from mlform.plan.pulled import Pulled

_FOLDER: Final = "proposals"


def propose(session: Session, pulls: Sequence[Pulled], out: Path | None = None) -> list[Proposal]:
    """Plan what follows from each of ``pulls`` alone, and write it down; nothing is moved."""
    found = []
    for it in pulls:
        plan = session.plan(session.store.snapshot(), PlanOptions(pulls=(it,)))
        folder = _folder(session, it.trigger, out)
        before = _proposed(session, folder)
        if before != plan:
            _write(session, plan, it, folder)
        # A monitor that looks raises the serial: the plan is written anew, and says the same.
        same = before is not None and (before.steps, before.pulls) == (plan.steps, plan.pulls)
        found.append(Proposal(it.trigger, plan, folder, not same))
    return found


def drop(session: Session, but: Collection[Address]) -> None:
    """Delete the proposals of triggers that have nothing to propose any more."""
    place = session.own / _FOLDER
    kept = {_folder(session, trigger, None) for trigger in but}
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if folder not in kept:
            shutil.rmtree(folder)


def _folder(session: Session, trigger: Address, out: Path | None) -> Path:
    from mlform.state.model import folder_name

    return (out or session.own / _FOLDER) / folder_name(str(trigger))


def _proposed(session: Session, folder: Path) -> Plan | None:
    """Return the plan that lies in a folder; ``None`` if there is none that can be read."""
    try:
        return saved_plan(session, folder / PLAN)
    except (DiagnosedError, OSError, UnicodeDecodeError):
        return None


def _write(session: Session, plan: Plan, pull: Pulled, folder: Path) -> None:
    from mlform.files import write_file
    from mlform.plan.pulled import pins_after
    from mlform.refresh.pins import LOCK_FILE, pins_text, read_pins
    from mlform.render.proposal import report

    folder.mkdir(parents=True, exist_ok=True)
    if pull.pins:
        pins = pins_after(read_pins(session.root), [pull])
        write_file(folder / LOCK_FILE, pins_text(pins).encode())
    alarms = [a for a in session.store.alarms() if a.id in pull.alarms]
    file = folder / PLAN
    file = file.relative_to(session.root) if file.is_relative_to(session.root) else file
    write_file(folder / REPORT, report(plan, pull, alarms, file).encode())
    # The last: what is written beside a plan is what belongs to it.
    write_file(folder / PLAN, written(session, plan).encode())
