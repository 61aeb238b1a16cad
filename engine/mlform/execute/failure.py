"""Exceptions of a run, as data a user can act on."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

from mlform.execute.task import Failure
from mlform.sdk import ResourceError

_LAST: Final = 6
"""How many frames are shown of a traceback without user code."""


class ProviderError(Exception):
    """A provider broke its contract, or is not what the plan says."""


def failure_of(error: BaseException, root: Path, name: str) -> Failure:
    """Describe what the run of ``name`` raised; user code is what lies under ``root``."""
    kind = type(error).__name__
    if isinstance(error, ResourceError):
        return Failure(
            error.summary,
            error.detail,
            error.argument,
            kind,
            transient=error.transient,
            rejects=error.rejects,
        )
    if isinstance(error, ProviderError):
        return Failure("Provider error", str(error), None, kind)
    trace, in_user_code = _trace(error, root)
    summary = "Error in user code" if in_user_code else "Provider error"
    said = str(error)
    detail = f"{name} raised {kind}: {said}" if said else f"{name} raised {kind}."
    return Failure(summary, detail, None, kind, trace)


def _trace(error: BaseException, root: Path) -> tuple[str, bool]:
    described = traceback.TracebackException.from_exception(error, compact=True)
    chain: list[traceback.TracebackException] = []
    waiting: list[traceback.TracebackException | None] = [described]
    while waiting:
        one = waiting.pop()
        if one is not None:
            chain.append(one)
            waiting += [one.__cause__, one.__context__]
    ours = [[f for f in one.stack if is_first_party(Path(f.filename), root)] for one in chain]
    found = any(ours)
    for one, frames in zip(chain, ours, strict=True):
        kept = frames if found else list(one.stack)[-_LAST:]
        one.stack = traceback.StackSummary.from_list(kept)
    return "".join(described.format()).rstrip(), found


def is_first_party(file: Path, root: Path) -> bool:
    """Tell whether a file is the user's: under the spec's folder, and not installed there."""
    return file.is_relative_to(root) and "site-packages" not in file.parts
