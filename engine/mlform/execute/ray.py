"""Ray, through the REST interface of its jobs: no client library is needed."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from mlform.execute.engine import (
    Handle,
    Job,
    RefusedError,
    State,
    Status,
    UnreachableError,
)
from mlform.execute.limits import threads
from mlform.execute.rest import PATIENCE, AnswerError, Rest

_LOOK: Final = 0.2
_AWAY: Final = frozenset({502, 503, 504})
_STATES: Final[Mapping[str, State]] = {
    "PENDING": State.PENDING,
    "RUNNING": State.RUNNING,
    "SUCCEEDED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "STOPPED": State.LOST,
}


@dataclass(frozen=True)
class RaySettings:
    """Which cluster, and how to be let in."""

    address: str = "http://127.0.0.1:8265"
    token_file: str = ""
    """A file with the cluster's token; empty: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray."""


class RayEngine:
    """Jobs by the Jobs API. The folder of the spec must be on a file system that all nodes see."""

    def __init__(self, settings: RaySettings) -> None:
        self._token_file = settings.token_file
        self._rest = Rest(
            settings.address.rstrip("/"),
            self._token,
            "Give the cluster's token in token_file, RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.",
            _AWAY,
            _last_line,
        )

    def submit(self, job: Job) -> Handle:
        """Submit a job; Ray refuses a second one of the same id."""
        demand = job.demand
        asked: dict[str, Any] = {
            "entrypoint": shlex.join([*job.command, job.id]),
            "submission_id": job.id,
            # The job itself does the work: what it reserves is what it declares.
            "entrypoint_num_cpus": _quantity(demand.cpu or 1),
            "runtime_env": {"env_vars": {**threads(demand, {}), "PYTHONHASHSEED": "0"}},
        }
        if demand.gpu:
            asked["entrypoint_num_gpus"] = _quantity(demand.gpu)
        if demand.memory:
            asked["entrypoint_memory"] = demand.memory
        handle = {"job": job.id}
        if self._info(handle) is not None:
            return handle
        try:
            self._rest.call("POST", "/api/jobs/", asked)
        except AnswerError as error:
            if self._info(handle) is None:
                raise RefusedError(str(error)) from None
        return handle

    def poll(self, handle: Handle) -> Status:
        """Ask how a job is."""
        try:
            info = self._info(handle)
        except (UnreachableError, RefusedError, AnswerError) as error:
            return Status(State.UNKNOWN, str(error))
        if info is None:
            return Status(State.LOST, "Ray does not know the job any more.")
        why = str(info.get("message") or "")
        return Status(_STATES.get(str(info.get("status")), State.UNKNOWN), f"Ray says: {why}")

    def logs(self, handle: Handle) -> str:
        """Return the end of what Ray kept of the output: what came before there was a log."""
        with contextlib.suppress(UnreachableError, RefusedError, AnswerError):
            found = self._rest.call("GET", f"{_path(handle)}/logs")
            return str(found.get("logs") or "")[-2000:].strip()
        return ""

    def cancel(self, handle: Handle, grace: float) -> None:
        """Stop it, and wait until Ray says that it is over."""
        try:
            info = self._info(handle)
            if info is None or info.get("status") not in {"PENDING", "RUNNING"}:
                return
            self._rest.call("POST", f"{_path(handle)}/stop")
            # Ray asks with SIGTERM and forces after RAY_JOB_STOP_WAIT_TIME_S of its own.
            asked = time.monotonic()
            while (passed := time.monotonic() - asked) < grace + PATIENCE:
                info = self._info(handle)
                if info is None or info.get("status") not in {"PENDING", "RUNNING"}:
                    return
                # One that there is no room for stays so until Ray gives up on it. Its attempt is
                # claimed by whoever cancels: should it begin after all, it finds nothing to do.
                if info["status"] == "PENDING" and passed > grace:
                    return
                time.sleep(_LOOK)
        except AnswerError as error:
            raise UnreachableError(str(error)) from None
        raise UnreachableError(f"job {handle['job']} is stopped and not over yet.")

    def _info(self, handle: Handle) -> dict[str, Any] | None:
        """Return what Ray says of a job, ``None`` if it knows none."""
        try:
            return self._rest.call("GET", _path(handle))
        except AnswerError as error:
            if error.missing:
                return None
            raise

    def _token(self) -> str:
        """Find the token where Ray itself looks for it."""
        if not self._token_file and (token := os.environ.get("RAY_AUTH_TOKEN")):
            return token.strip()
        given = self._token_file or os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
        with contextlib.suppress(OSError):
            return Path(given).expanduser().read_text(encoding="ascii").strip()
        return ""


def _quantity(asked: float) -> float:
    """Return as much as Ray can reserve: below 1 any part, from 1 on whole numbers."""
    return asked if asked < 1 else ceil(asked)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _path(handle: Handle) -> str:
    return f"/api/jobs/{quote(str(handle['job']))}"
