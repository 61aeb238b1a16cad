"""How often the rows that were held out have been looked at, by all gates together.

Each candidate that is judged on them gives chance another try at a verdict. So who looked stands
in a file beside the resources, a line a look: by the digest of which rows are in which part, so
that a dataset and the views of it count together, and new rows count anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from mlform.sdk import Arguments, Context, Handle
from mlform_core.gate_rules import Check

FOLDER: Final = "held_out"
"""Beside the folders of resources: no address is called so."""


class HeldOut(Arguments):
    """How often held-out rows may be looked at before gates warn."""

    uses: int = Field(ge=1)


def looked(ctx: Context, data: Handle, split: str | None, candidate: str) -> list[list[str]]:
    """Note that a gate has judged a candidate on a part; return all that did: gate, candidate.

    Who looks again at the same candidate is counted once.
    """
    from mlform_core.tables import SPLIT

    rows = data.digest_of([SPLIT]).removeprefix("sha256:")[:32]
    file = ctx.home.parent / FOLDER / f"{rows}-{split or 'all'}.jsonl"
    found = _read(file)
    mine = [ctx.address, candidate]
    if mine not in found:
        file.parent.mkdir(parents=True, exist_ok=True)
        line = (json.dumps(mine) + "\n").encode()
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line)  # one write, so that two gates at once do not mix
        finally:
            os.close(descriptor)
        found = _read(file)
    return found


def _read(file: Path) -> list[list[str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found: list[list[str]] = []
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # cut off when a disk was full
        if said not in found:
            found.append(said)
    return found


def budget(rules: HeldOut | None, found: Sequence[Sequence[str]], rows: int) -> list[Check]:
    """Return a warning where more have looked than may."""
    if rules is None or len(found) <= rules.uses:
        return []
    gates = sorted({gate for gate, _ in found})
    named = ", ".join(gates[:3]) + (f" and {len(gates) - 3} more" if len(gates) > 3 else "")
    message = (
        f"{len(found)} candidates have been judged on these rows ({named}), and {rules.uses} "
        "are allowed: hold out new rows"
    )
    return [
        Check(
            check="held_out",
            metric="uses",
            estimate=len(found),
            threshold=rules.uses,
            support=rows,
            outcome="warn",
            message=message,
        )
    ]
