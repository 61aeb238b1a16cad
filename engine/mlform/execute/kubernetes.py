"""Kubernetes, through the REST interface of its API server: Jobs of ``batch/v1``, one for each try.

``manifest`` says all that is asked of a cluster. Nothing there tries again by itself, and what is
secret comes into the pod from Secrets that the user made: their names are all that we know.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from mlform.execute.engine import (
    Handle,
    Job,
    RefusedError,
    State,
    Status,
    UnreachableError,
)
from mlform.execute.limits import threads
from mlform.execute.local import GRACE

_PATIENCE: Final = 30.0
"""Seconds that one answer may take."""
_LOOK: Final = 0.2
_KEPT: Final = 24 * 3600
"""Seconds that a job that is over is kept, to be looked at."""
_PROXY: Final = "http://127.0.0.1:8001"
"""Where ``kubectl proxy`` listens."""
_MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOST: Final = frozenset({"Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
"""Reasons of a pod that its machine or the cluster ended, not the stage."""
_CONTAINER: Final = "stage"
_PULLING: Final = 3600
"""Seconds that a machine may take to fetch the image: they count in the deadline of a pod."""


@dataclass(frozen=True)
class KubernetesSettings:
    """Which cluster, how to be let in, and what the pods of jobs are like."""

    image: str = ""
    """With mlform and the providers in it."""
    address: str = ""
    """The API server; empty: that of the cluster this runs in, else ``kubectl proxy``."""
    namespace: str = "default"
    token_file: str = ""
    ca_file: str = ""
    claim: str = ""
    """The PersistentVolumeClaim with the folder of the spec, which pods see at ``mount``."""
    mount: str = ""
    secrets: Sequence[str] = ()
    """Secrets whose entries are variables of the environment of a stage."""
    service_account: str = ""
    node_selector: Sequence[str] = ()
    """Labels that a machine must have, as ``NAME=VALUE``."""
    priority_class: str = ""
    gpu_resource: str = "nvidia.com/gpu"


class KubernetesEngine:
    """Jobs of a cluster. Pods must see the folder of the spec where it is here."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        inside = os.environ.get("KUBERNETES_SERVICE_HOST")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        found = settings.address or (f"https://{inside}:{port}" if inside else _PROXY)
        self._address = found.rstrip("/")
        self._inside = bool(inside) and not settings.address

    def submit(self, job: Job) -> Handle:
        """Make a Job, unless there is one of that name."""
        handle = {"job": job.id}
        if self._job(handle) is not None:
            return handle
        try:
            self._call("POST", self._jobs(), manifest(job, self._settings))
        except _AnswerError as error:
            if error.code != http.client.CONFLICT:
                raise RefusedError(str(error)) from None
        return handle

    def poll(self, handle: Handle) -> Status:
        """Ask how a Job is, and its pod for why."""
        try:
            job = self._job(handle)
            if job is None:
                return Status(State.LOST, "Kubernetes does not know the job any more.")
            return status(job, self._pods(handle))
        except (UnreachableError, RefusedError, _AnswerError) as error:
            return Status(State.UNKNOWN, str(error))

    def logs(self, handle: Handle) -> str:
        """Return the end of what the pod said: what came before there was a log."""
        with contextlib.suppress(UnreachableError, RefusedError, _AnswerError):
            for pod in self._pods(handle):
                name = quote(str(pod["metadata"]["name"]))
                path = f"{self._core()}/pods/{name}/log?container={_CONTAINER}&tailLines=50"
                return self._text("GET", path)[-2000:].strip()
        return ""

    def cancel(self, handle: Handle, grace: float) -> None:
        """Delete the Job, and wait until no pod of it is left.

        The cluster asks with SIGTERM and forces after the time that the pod was made with.
        """
        try:
            if self._job(handle) is not None:
                gone = {"kind": "DeleteOptions", "apiVersion": "v1"}
                path = f"{self._jobs()}/{quote(str(handle['job']))}"
                with contextlib.suppress(_MissingError):
                    self._call("DELETE", path, {**gone, "propagationPolicy": "Foreground"})
            deadline = time.monotonic() + max(grace, GRACE) + _PATIENCE
            while time.monotonic() < deadline:
                if self._job(handle) is None and not any(map(_goes_on, self._pods(handle))):
                    return
                time.sleep(_LOOK)
        except (_AnswerError, RefusedError) as error:
            raise UnreachableError(str(error)) from None
        raise UnreachableError(f"job {handle['job']} is deleted and its pod not over yet.")

    def _core(self) -> str:
        return f"/api/v1/namespaces/{quote(self._settings.namespace)}"

    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{quote(self._settings.namespace)}/jobs"

    def _job(self, handle: Handle) -> dict[str, Any] | None:
        """Return what there is of a Job, ``None`` if it is not there."""
        try:
            return self._call("GET", f"{self._jobs()}/{quote(str(handle['job']))}")
        except _MissingError:
            return None

    def _pods(self, handle: Handle) -> list[dict[str, Any]]:
        chosen = urlencode({"labelSelector": f"batch.kubernetes.io/job-name={handle['job']}"})
        found: list[dict[str, Any]] = self._call("GET", f"{self._core()}/pods?{chosen}")["items"]
        return found

    def _call(
        self, method: str, path: str, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._text(method, path, given) or "{}")
        except ValueError as error:
            raise UnreachableError(f"{self._address} did not answer with JSON: {error}.") from None
        return found

    def _text(self, method: str, path: str, given: Mapping[str, Any] | None = None) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        data = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked with the settings
            f"{self._address}{path}", data, headers, method=method
        )
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=_PATIENCE, context=self._trust()
            ) as answer:
                return str(answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            raise self._refusal(error.code, error.read().decode(errors="replace")) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self._address}: {error}.") from None

    def _refusal(self, code: int, text: str) -> Exception:
        """Return the error for an answer that is none of what was asked for."""
        try:
            said = str(json.loads(text)["message"])
        except (ValueError, KeyError, TypeError):
            said = text.strip() or f"HTTP {code}"
        if code in {401, 403}:
            return RefusedError(
                f"{self._address} does not let us do that ({code}): {said}. Give a token in "
                "token_file, or run `kubectl proxy` and name its address."
            )
        if code in {408, 429} or code >= http.client.INTERNAL_SERVER_ERROR:
            return UnreachableError(f"{self._address} answers {code}: {said}.")
        return (
            _MissingError(code, said) if code == http.client.NOT_FOUND else _AnswerError(code, said)
        )

    def _token(self) -> str:
        """Read the token each time: those of service accounts are exchanged while they run."""
        given = self._settings.token_file or (str(_MOUNTED / "token") if self._inside else "")
        with contextlib.suppress(OSError):
            return Path(given).expanduser().read_text(encoding="ascii").strip() if given else ""
        return ""

    def _trust(self) -> ssl.SSLContext | None:
        if not self._address.startswith("https:"):
            return None
        given = self._settings.ca_file or (str(_MOUNTED / "ca.crt") if self._inside else "")
        try:
            return ssl.create_default_context(
                cafile=str(Path(given).expanduser()) if given else None
            )
        except OSError as error:
            raise RefusedError(f"ca_file {given} cannot be read: {error}.") from None


class _AnswerError(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _MissingError(_AnswerError):
    """What was asked for is not there."""


def manifest(job: Job, settings: KubernetesSettings) -> dict[str, Any]:
    """Return the Job of an attempt, as it is sent to the cluster."""
    demand, it = job.demand, settings
    resources: dict[str, str] = {}
    if demand.cpu:
        resources["cpu"] = f"{ceil(demand.cpu * 1000)}m"
    if demand.memory:
        resources["memory"] = str(demand.memory)
    if demand.gpu:
        resources[it.gpu_resource] = str(demand.gpu)
    variables = {**threads(demand, {}), "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    container: dict[str, Any] = {
        "name": _CONTAINER,
        "image": it.image,
        "command": [*job.command, job.id],
        "workingDir": str(job.root),
        "env": [{"name": n, "value": v} for n, v in sorted(variables.items())],
        "envFrom": [{"secretRef": {"name": n}} for n in it.secrets],
        "resources": {"requests": resources, "limits": resources},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": ceil(GRACE),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
    }
    if it.claim:
        container["volumeMounts"] = [{"name": "shared", "mountPath": it.mount or str(job.root)}]
        pod["volumes"] = [{"name": "shared", "persistentVolumeClaim": {"claimName": it.claim}}]
    if demand.timeout is not None:
        # The stage ends itself; this is for one that cannot. That of a Job would count the queue.
        pod["activeDeadlineSeconds"] = ceil(demand.timeout + 3 * GRACE + _PULLING)
    if it.service_account:
        pod["serviceAccountName"] = it.service_account
    if it.node_selector:
        pod["nodeSelector"] = dict(label.partition("=")[::2] for label in it.node_selector)
    if it.priority_class:
        pod["priorityClassName"] = it.priority_class
    labels = {"app.kubernetes.io/managed-by": "mlform"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.id, "namespace": it.namespace, "labels": labels},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def status(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Status:
    """Read how an attempt is from its Job and the pods of it there are."""
    conditions = _conditions(job)
    if "Complete" in conditions:
        return Status(State.SUCCEEDED, "Kubernetes says Complete.")
    pod = max(pods, key=_created, default=None)
    if (failed := conditions.get("Failed")) is not None:
        return _failed(failed, pod)
    if "Suspended" in conditions or pod is None:
        why = "the job is suspended" if "Suspended" in conditions else "it has no pod yet"
        return Status(State.PENDING, f"Kubernetes says that {why}.")
    match pod.get("status", {}).get("phase"):
        case "Pending":
            return Status(State.PENDING, f"Kubernetes says: {_waiting(pod)}")
        case "Unknown":
            return Status(State.UNKNOWN, "the machine of its pod does not answer.")
        case _:  # one that is over is judged when its Job is: the cluster has the last word
            return Status(State.RUNNING)


def _failed(failed: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Status:
    """Tell a stage that ended badly from one that the cluster ended."""
    said = f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}".rstrip(": ")
    if pod is None:
        return Status(State.LOST, f"Kubernetes says {said}, and its pod is gone.")
    it = pod.get("status", {})
    disrupted = _conditions(pod).get("DisruptionTarget")
    if disrupted is not None or it.get("reason") in _LOST:
        told = disrupted or it
        why = f"{told.get('reason', '')}: {told.get('message', '')}".rstrip(": ")
        return Status(State.LOST, f"Kubernetes took its pod away ({why}).")
    ended = _ended(it)
    if ended is None:
        if it.get("reason") == "DeadlineExceeded":
            return Status(State.FAILED, "Kubernetes says DeadlineExceeded.")
        return Status(State.LOST, f"Kubernetes says {said}, and not how its pod ended.")
    if ended.get("reason") == "OOMKilled":
        return Status(State.FAILED, "Kubernetes ended it for want of memory (OOMKilled).")
    code, number = ended.get("exitCode"), ended.get("signal")
    how = f"signal {number}" if number else f"exit code {code}"
    return Status(State.FAILED, f"Kubernetes says {ended.get('reason', 'Error')}, {how}.")


def _conditions(thing: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = thing.get("status", {}).get("conditions") or []
    return {str(c["type"]): c for c in found if c.get("status") == "True"}


def _created(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _goes_on(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _ended(it: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for container in it.get("containerStatuses") or []:
        found: Mapping[str, Any] | None = container.get("state", {}).get("terminated")
        if found is not None:
            return found
    return None


def _waiting(pod: Mapping[str, Any]) -> str:
    """Say what a pod that has not begun waits for: an image, a Secret, a machine."""
    it = pod.get("status", {})
    for container in it.get("containerStatuses") or []:
        if waits := container.get("state", {}).get("waiting"):
            return f"{waits.get('reason', '')}: {waits.get('message', '')}".rstrip(": ") + "."
    for condition in it.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason, message = condition.get("reason", ""), condition.get("message", "")
            return f"{reason}: {message}".rstrip(": .") + "."
    return "its pod has not begun."
