"""What was collected in the artifact store, and what checking it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlform.diagnostics import counted
from mlform.render.style import Styled
from mlform.render.values import size
from mlform.values import short


def collected(it: Any, others: Sequence[Any], *, dry_run: bool) -> Styled:
    """Say what a collection came to."""
    many, freed = len(it.objects), sum(b.size for b in it.objects)
    verb = "Would delete" if dry_run else "Deleted"
    said: Styled = [
        ("bold", f"{verb} {many} object{'' if many == 1 else 's'}"),
        ("", f", {size(freed)}; {it.kept} are held"),
    ]
    if it.young:
        said.append(("", f", {it.young} are too young to tell (-grace)"))
    if it.actions:
        said.append(("", f". Cache entries that lead nowhere: {it.actions}"))
    said.append(("", ".\n"))
    if others:
        names = ", ".join(r.name for r in others)
        said.append(("dim", f"Other states hold theirs: {names}\n"))
    return said


def collected_data(it: Any, others: Sequence[Any], *, dry_run: bool) -> dict[str, Any]:
    """Return what a collection came to as plain data."""
    return {
        "dry_run": dry_run,
        "objects": [b.name.removeprefix("objects/sha256/").replace("/", "") for b in it.objects],
        "size": sum(b.size for b in it.objects),
        "actions": it.actions,
        "kept": it.kept,
        "young": it.young,
        "others": [{"lineage": r.lineage, **r.about} for r in others],
    }


def verified(it: Any) -> Styled:
    """Say what checking a store found, and what to do about it."""
    said: Styled = [("", f"Read {it.objects} objects, {size(it.size)}. ")]
    if not it.corrupt and not it.missing:
        return [*said, ("green", "All are what their names say.\n")]
    said.append(("", "\n"))
    for one in it.corrupt:
        said += [("red", f"corrupt {short(one.digest)}"), ("", f" ({size(one.size)})")]
        said += [("", f": set aside. {_used(one.users)}\n")]
    for one in it.missing:
        said += [("red", f"missing {short(one.digest)}"), ("", f" ({size(one.size)})")]
        said += [("", f": {_used(one.users)}\n")]
    return said


def verified_data(it: Any) -> dict[str, Any]:
    """Return what checking a store found as plain data."""

    def listed(found: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"digest": c.digest, "size": c.size, "users": list(c.users)} for c in found]

    return {
        "objects": it.objects,
        "size": it.size,
        "corrupt": listed(it.corrupt),
        "missing": listed(it.missing),
    }


def copying_line(done: int, total: int, copied_: int) -> str:
    """Return the line that tells how far copying is, written over the one before."""
    return f"\r{done}/{total}, {size(copied_)} copied{chr(10) if done == total else ''}"


def copied(it: Any, way: str) -> Styled:
    """Say what was copied, and what could not be."""
    verb = "Pushed to" if way == "push" else "Pulled from"
    many = counted(it.objects, "artifact")
    said: Styled = [("bold", f"{verb} {it.place}: "), ("", f"{many}, {size(it.size)}")]
    said.append(("", f"; {it.there} were there already.\n" if it.there else ".\n"))
    for digest in it.corrupt:
        said += [("red", f"corrupt {short(digest)}"), ("", ": not what its name says, left.\n")]
    for digest in it.missing:
        said += [("red", f"missing {short(digest)}"), ("", ": recorded, and in neither store.\n")]
    return said


def copied_data(it: Any) -> dict[str, Any]:
    """Return what was copied as plain data."""
    data = dict(vars(it))
    return {**data, "missing": list(it.missing), "corrupt": list(it.corrupt)}


def _used(users: Sequence[str]) -> str:
    if not users:
        return "Nothing recorded uses it."
    return (
        f"Used by {', '.join(users)}: `mlform apply` makes it again where it can be made; else "
        "bring it back with `mlform store pull`, or from a backup."
    )
